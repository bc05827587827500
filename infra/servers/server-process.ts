/**
 * One life of a server of our own: from spawn until it answered, and until it ended.
 *
 * V1. `launchServer` returns only after the server itself has answered, and it has checked that
 *     the answer came from the process it started.
 * V2. A port that we chose and somebody took first is replaced by another; a port that was asked
 *     for is not.
 */
import { open, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Effect, Exit, Schedule, Scope } from "effect";
import {
  type OsProcess,
  type ProcessExit,
  describeExit,
  spawnProcess,
} from "../supervisor/os-process.ts";
import type { Binary } from "./binary.ts";
import { DirectoryUnusable, PortInUse, ServerFailed, type ServerError } from "./errors.ts";
import { ownDirectory } from "./ownership.ts";

/** How long a server may read its store before it answers, and may take to end. */
export const defaultReadyMs = 120_000;
export const defaultGraceMs = 10_000;
const portAttemptsMax = 20;
/** A longer log of earlier lives is put aside, and replaces the one put aside before. */
const logBytesMax = 16 * 1024 * 1024;

/** A running server process, whatever its kind. */
export interface RunningServer {
  readonly url: string;
  readonly pid: number;
  readonly dir: string;
  readonly logFile: string;
  readonly version: string;
  readonly binary: Binary;
  readonly exited: Effect.Effect<ProcessExit>;
  readonly hasExited: () => boolean;
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>;
  /** SIGTERM, SIGKILL after the bound; returns when it has ended. */
  readonly stop: Effect.Effect<ProcessExit>;
  /** SIGKILL; returns when it has ended. */
  readonly kill9: Effect.Effect<ProcessExit>;
}

export interface LaunchOptions {
  readonly binary: Binary;
  readonly dir: string;
  readonly graceMs?: number | undefined;
  readonly readyMs?: number | undefined;
  /** Removed if this process dies without closing the scope. */
  readonly removeDirs?: readonly string[] | undefined;
}

export interface LaunchPlan {
  /** Made when the directory is ours, and written to the file that `args` is made with. */
  readonly config: Effect.Effect<string>;
  readonly args: (configFile: string) => readonly string[];
  /** Ports that were asked for: if one is taken, no other will do. */
  readonly fixedPorts: readonly number[];
  /** Fails while the server does not answer yet. */
  readonly answer: (server: OsProcess) => Effect.Effect<void, string>;
}

type Launched = Omit<RunningServer, "url">;

const fileSize = (file: string): Promise<number> =>
  stat(file).then(
    (info) => info.size,
    () => 0,
  );

/** What the server wrote to its log since `from`, its last few kilobytes. */
const logTail = (file: string, from: number): Effect.Effect<string> =>
  Effect.promise(async () => {
    const size = await fileSize(file);
    const start = Math.max(from, size - 8_192);
    const handle = await open(file, "r").catch(() => undefined);
    if (handle === undefined || size <= start) return "";
    try {
      const buffer = Buffer.alloc(size - start);
      await handle.read(buffer, 0, buffer.length, start);
      return buffer.toString("utf8").trim();
    } finally {
      await handle.close();
    }
  });

const portTaken = /127\.0\.0\.1:(\d+): bind: address already in use/i;
const diskTrouble =
  /no space left on device|permission denied|read-only file system|not a directory/i;
const sign = /\[FTL\]|\[ERR\]|fatal|error|failed|can't/i;

/** The last line that looks like a reason, else the last line. */
function lastReason(tail: string): string {
  const lines = tail.split("\n").filter((line) => line.trim() !== "");
  return (lines.findLast((line) => sign.test(line)) ?? lines.at(-1) ?? "it wrote no log").trim();
}

const launchOnce = Effect.fnUntraced(function* (
  options: LaunchOptions,
  plan: LaunchPlan,
): Effect.fn.Return<Launched, ServerError, Scope.Scope> {
  const { binary, dir } = options;
  const name = binary.server;
  const owned = yield* ownDirectory(name, dir);
  const unusable = (detail: string): DirectoryUnusable =>
    new DirectoryUnusable({ server: name, dir, detail });
  const configFile = join(dir, `${name}.conf`);
  const logFile = join(dir, `${name}.log`);
  const config = yield* plan.config;
  yield* Effect.tryPromise({
    try: async () => {
      await writeFile(configFile, config);
      if ((await fileSize(logFile)) > logBytesMax) await rename(logFile, `${logFile}.1`);
    },
    catch: (cause) => unusable(cause instanceof Error ? cause.message : String(cause)),
  });
  const logStart = yield* Effect.promise(() => fileSize(logFile));
  const server = yield* spawnProcess({
    command: binary.path,
    args: plan.args(configFile),
    env: binary.env,
    output: { file: logFile },
    graceMs: options.graceMs ?? defaultGraceMs,
    removeDirs: options.removeDirs,
  }).pipe(Effect.mapError((error) => unusable(error.detail)));
  yield* owned.setServer(server.pid);

  const readyMs = options.readyMs ?? defaultReadyMs;
  const answers = plan
    .answer(server)
    .pipe(Effect.retry(Schedule.spaced("10 millis")), Effect.orDie, Effect.as("ready" as const));
  const outcome = yield* answers.pipe(
    Effect.raceFirst(server.exited),
    Effect.timeoutOption(readyMs),
  );
  if (outcome._tag === "Some" && outcome.value === "ready") {
    return {
      pid: server.pid,
      dir,
      logFile,
      version: binary.version,
      binary,
      exited: server.exited,
      hasExited: server.hasExited,
      signal: server.signal,
      stop: server.stop,
      kill9: server.signal("SIGKILL").pipe(Effect.andThen(server.exited)),
    };
  }

  const tail = yield* logTail(logFile, logStart);
  const taken = portTaken.exec(tail)?.[1];
  if (taken !== undefined) return yield* new PortInUse({ server: name, port: Number(taken) });
  if (diskTrouble.test(tail)) return yield* unusable(lastReason(tail));
  const what =
    outcome._tag === "None"
      ? `it did not answer within ${readyMs} ms`
      : `it ended with ${describeExit(outcome.value as ProcessExit)}`;
  return yield* new ServerFailed({
    server: name,
    detail: `${what} (${lastReason(tail)})`,
    logFile,
  });
});

/**
 * Launches a server that runs until the scope closes. `plan` is called again, and so chooses other
 * free ports, when somebody took one first.
 */
export const launchServer = Effect.fn("launchServer")(function* <P extends LaunchPlan>(
  options: LaunchOptions,
  plan: Effect.Effect<P>,
): Effect.fn.Return<{ readonly plan: P; readonly running: Launched }, ServerError, Scope.Scope> {
  const outer = yield* Effect.scope;
  for (let attempt = 1; ; attempt++) {
    const planned = yield* plan;
    // An attempt that fails releases what it took; one that succeeds lives as long as our caller.
    const scope = yield* Scope.fork(outer);
    const result = yield* Effect.result(Scope.provide(launchOnce(options, planned), scope));
    if (result._tag === "Success") return { plan: planned, running: result.success };
    yield* Scope.close(scope, Exit.void);
    const error = result.failure;
    const another = error._tag === "PortInUse" && !planned.fixedPorts.includes(error.port);
    if (!another || attempt === portAttemptsMax) return yield* error;
  }
});
