/** A system started as its users start it, as a process, in a folder of its own. */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { readRunFile, type RunFile } from "../processes/run-file.ts";

const ROOT = resolve(import.meta.dirname, "../..");

export interface SystemProcess {
  readonly pid: number;
  readonly dir: string;
  readonly run: RunFile;
  /** SIGTERM; resolves with the exit code when it has drained, and removes the folder. */
  readonly stop: () => Promise<number | null>;
}

export const startSystemProcess = async (...args: readonly string[]): Promise<SystemProcess> => {
  const dir = await mkdtemp(join(tmpdir(), "tidemark-system-"));
  const child = spawn(
    process.execPath,
    ["--import", "tsx", "infra/cli/main.ts", "start", "--data-dir", dir, "--port", "0", ...args],
    {
      cwd: ROOT,
      env: { ...process.env, TIDEMARK_METRICS_PORT: "0" },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let stdout = "";
  let stderr = "";
  child.stderr.on("data", (text) => (stderr += String(text)));
  const ended = new Promise<number | null>((end) => child.once("close", end));
  await new Promise<void>((ready, fail) => {
    child.stdout.on("data", (text) => {
      stdout += String(text);
      if (stdout.includes("Ctrl-C")) ready();
    });
    void ended.then((code) => fail(new Error(`it ended with ${code}: ${stdout}\n${stderr}`)));
  });
  const run = await readRunFile(dir);
  return {
    pid: child.pid!,
    dir,
    run: run!,
    stop: async () => {
      child.kill("SIGTERM");
      const code = await ended;
      await rm(dir, { recursive: true, force: true });
      return code;
    },
  };
};

export interface CommandOutput {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command of the command line against a system, to its end. */
export const command = (
  system: SystemProcess,
  args: readonly string[],
  input = "",
): Promise<CommandOutput> =>
  new Promise((done, fail) => {
    const child = spawn(process.execPath, ["--import", "tsx", "infra/cli/main.ts", ...args], {
      cwd: ROOT,
      env: { ...process.env, TIDEMARK_DATA_DIR: system.dir, NO_COLOR: "1" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (text) => (stdout += String(text)));
    child.stderr.on("data", (text) => (stderr += String(text)));
    child.once("error", fail);
    child.once("close", (code) => done({ exitCode: code ?? -1, stdout, stderr }));
    child.stdin.end(input);
  });
