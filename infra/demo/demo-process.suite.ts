/** Runs the demo as its users do, as a process, and looks at it from outside. */
import { spawn, execFileSync, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readRunFile, type RunFile } from "../processes/run-file.ts";

const ROOT = resolve(import.meta.dirname, "../..");

export interface DemoOutcome {
  readonly exitCode: number | null;
  /** The line that `--json` prints. */
  readonly summary: DemoSummary;
  readonly stderr: string;
}

export interface DemoSummary {
  readonly right: boolean;
  readonly events: number;
  readonly repeated: boolean;
  readonly restarts: number;
  readonly duplicates: number;
  readonly windows: Readonly<Record<string, unknown>>;
  readonly late: unknown;
}

export interface DemoProcess {
  readonly pid: number;
  readonly ended: Promise<DemoOutcome>;
  readonly child: ChildProcess;
}

export const demoFolder = async (): Promise<{ dir: string; remove: () => Promise<void> }> => {
  const dir = await mkdtemp(join(tmpdir(), "tidemark-demo-"));
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
};

export const startDemo = (dataDir: string, events: number): DemoProcess => {
  const flags = ["--events", String(events), "--exit", "--json", "--data-dir", dataDir];
  const child = spawn(
    process.execPath,
    ["--import", "tsx", "infra/cli/main.ts", "demo", ...flags, "--workers", "2"],
    { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] },
  );
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (text) => (stdout += String(text)));
  child.stderr.on("data", (text) => (stderr += String(text)));
  const ended = new Promise<DemoOutcome>((done, fail) => {
    child.once("error", fail);
    child.once("close", (exitCode) => {
      try {
        done({ exitCode, summary: JSON.parse(stdout) as DemoSummary, stderr });
      } catch {
        fail(new Error(`the demo ended with ${exitCode} and printed ${stdout}\n${stderr}`));
      }
    });
  });
  // Whoever waits for something else first still hears of a failure, once.
  ended.catch(() => undefined);
  return { pid: child.pid!, ended, child };
};

const POLL_MS = 20;

/** Waits for something to be there; the test's own timeout bounds it. */
const until = async <A>(look: () => Promise<A | undefined>, demo: DemoProcess): Promise<A> => {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (demo.child.exitCode !== null) throw new Error((await demo.ended).stderr);
    await sleep(POLL_MS);
  }
};

export const untilRunning = (dataDir: string, demo: DemoProcess): Promise<RunFile> =>
  until(() => readRunFile(dataDir), demo);

/** Waits until the gateway has acknowledged so many events. */
export const untilStored = async (
  run: RunFile,
  events: number,
  demo: DemoProcess,
): Promise<number> => {
  const url = run.processes.find(({ name }) => name === "gateway")!.metrics;
  return until(async () => {
    const text = await fetch(url).then((response) => response.text());
    const stored = /^tidemark_ingest_events_total\{[^}]*verdict="stored"\} (\d+)$/m.exec(text);
    return Number(stored?.[1] ?? 0) >= events ? Number(stored![1]) : undefined;
  }, demo);
};

/** Process id of a child of the demo whose command line matches. */
export const childOf = (parent: number, pattern: RegExp): number => {
  const table = execFileSync("ps", ["-eo", "pid=,ppid=,args="], { encoding: "utf8" });
  for (const line of table.split("\n")) {
    const [, pid, ppid, args = ""] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    // A guard has its child's command line nowhere, but is a child too.
    if (Number(ppid) === parent && pattern.test(args)) return Number(pid);
  }
  throw new Error(`no child of ${parent} matches ${String(pattern)}:\n${table}`);
};
