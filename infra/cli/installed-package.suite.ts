/** The packed package in an empty folder of its own, and commands run there as its users run them. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { promisify } from "node:util";

const ROOT = resolve(import.meta.dirname, "../..");
const run = promisify(execFile);

export interface Output {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface InstalledPackage {
  readonly dir: string;
  readonly write: (name: string, text: string) => Promise<void>;
  /** `npx tidemark ...` to its end. */
  readonly tidemark: (...args: string[]) => Promise<Output>;
  /** `npx tidemark start`; returns when it says that it runs. */
  readonly start: () => Promise<RunningStart>;
  readonly remove: () => Promise<void>;
}

export interface RunningStart {
  readonly stdout: () => string;
  /** Ctrl-C, which a terminal sends to the whole foreground group; resolves when all have ended. */
  readonly interrupt: () => Promise<void>;
  /** SIGTERM to npx alone, as a supervisor of processes sends it; resolves when all have ended. */
  readonly terminate: () => Promise<void>;
}

/** What npm adds to the environment of a script would make it another npm's folder. */
const environment = (): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|VITEST|NODE_ENV)/i.test(name)),
  ),
  TIDEMARK_GATEWAY_PORT: "0",
  TIDEMARK_METRICS_PORT: "0",
  NO_COLOR: "1",
});

/** npx itself warns about settings of the machine. */
const ourLines = (stderr: string): string => stderr.replace(/^npm warn .*\n/gm, "");

/** Not part of the source, or large. */
const LEFT_OUT = new Set([".git", ".tidemark", "coverage", "dist", "node_modules", "reports"]);

const packAndInstall = async (folder: string, dir: string, env: NodeJS.ProcessEnv) => {
  await mkdir(dir);
  // From a copy: packing builds, and two tests may pack at the same time.
  const source = join(folder, "source");
  await cp(ROOT, source, {
    recursive: true,
    filter: (path) => path === ROOT || !LEFT_OUT.has(basename(path)),
  });
  await symlink(join(ROOT, "node_modules"), join(source, "node_modules"));
  const packed = await run("npm", ["pack", "--silent", "--pack-destination", folder], {
    cwd: source,
    env,
  });
  const tarball = join(folder, packed.stdout.trim().split("\n").at(-1)!);
  await run("npm", ["install", "--no-audit", "--no-fund", tarball], { cwd: dir, env });
};

export const installPackage = async (): Promise<InstalledPackage> => {
  const folder = await mkdtemp(join(tmpdir(), "tidemark-package-"));
  const dir = join(folder, "project");
  const env = environment();
  try {
    await packAndInstall(folder, dir, env);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  const started: ChildProcess[] = [];
  return {
    dir,
    write: (name, text) => writeFile(join(dir, name), text),
    tidemark: (...args) =>
      run("npx", ["tidemark", ...args], { cwd: dir, env, maxBuffer: 1 << 26 }).then(
        ({ stdout, stderr }) => ({ exitCode: 0, stdout, stderr: ourLines(stderr) }),
        (error: { code: number; stdout: string; stderr: string }) => ({
          exitCode: error.code,
          stdout: error.stdout,
          stderr: ourLines(error.stderr),
        }),
      ),
    start: () => startIn(dir, env, started),
    remove: async () => {
      for (const { pid, exitCode, signalCode } of started) {
        if (exitCode === null && signalCode === null) process.kill(-pid!, "SIGKILL");
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
};

const startIn = (
  dir: string,
  env: NodeJS.ProcessEnv,
  started: ChildProcess[],
): Promise<RunningStart> =>
  new Promise((done, fail) => {
    const child = spawn("npx", ["tidemark", "start"], {
      cwd: dir,
      env,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    started.push(child);
    // Closed when the last process that writes there has ended, not only npx.
    const ended = new Promise<void>((end) => child.once("close", () => end()));
    let stdout = "";
    let stderr = "";
    child.stderr.on("data", (text) => (stderr += String(text)));
    child.stdout.on("data", (text) => {
      stdout += String(text);
      if (!stdout.includes("Ctrl-C")) return;
      done({
        stdout: () => stdout,
        interrupt: () => {
          process.kill(-child.pid!, "SIGINT");
          return ended;
        },
        terminate: () => {
          child.kill("SIGTERM");
          return ended;
        },
      });
    });
    void ended.then(() => fail(new Error(`it ended: ${stdout}\n${stderr}`)));
  });
