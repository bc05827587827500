/**
 * One operating system process that we started, for as long as its scope.
 *
 * P1. It leads a process group of its own: a terminal's Ctrl-C reaches only us, and we decide the
 *     order in which children end.
 * P2. It does not outlive its scope (SIGTERM, then SIGKILL after a bound), nor this process.
 * P3. Signals go through the handle of a child that is not yet reaped, so never to a stranger that
 *     got the same pid.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { Deferred, Effect, Schema, type Scope } from "effect";
import { guardProcess } from "./guard.ts";

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export const describeExit = (exit: ProcessExit): string =>
  exit.signal === null ? `exit code ${exit.code}` : `signal ${exit.signal}`;

export class SpawnFailed extends Schema.TaggedError<SpawnFailed>()("SpawnFailed", {
  command: Schema.String,
  detail: Schema.String,
}) {
  override get message(): string {
    return `${this.command} could not be started: ${this.detail}`;
  }
}

export interface ProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  /** Standard output and error: ours, or a file that is appended to. */
  readonly output: "inherit" | { readonly file: string };
  /** Opens a channel for messages. Only for Node children. */
  readonly ipc?: boolean | undefined;
  /** From SIGTERM to SIGKILL. */
  readonly graceMs: number;
  /** Removed if this process dies without closing the scope. */
  readonly removeDirs?: readonly string[] | undefined;
}

export interface OsProcess {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Completes when the process has ended. */
  readonly exited: Effect.Effect<ProcessExit>;
  readonly hasExited: () => boolean;
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>;
  /** SIGTERM, SIGKILL after the bound; returns when the process has ended. */
  readonly stop: Effect.Effect<ProcessExit>;
}

const start = (options: ProcessOptions): Effect.Effect<OsProcess, SpawnFailed> =>
  Effect.gen(function* () {
    const { command } = options;
    const failed = (cause: unknown): SpawnFailed =>
      new SpawnFailed({ command, detail: cause instanceof Error ? cause.message : String(cause) });
    const output = options.output;
    const child = yield* Effect.try({
      try: () => {
        const out = output === "inherit" ? "inherit" : openSync(output.file, "a");
        try {
          return spawn(command, options.args, {
            detached: true,
            cwd: options.cwd,
            env: { ...process.env, ...options.env },
            stdio: options.ipc ? ["ignore", out, out, "ipc"] : ["ignore", out, out],
          });
        } finally {
          if (typeof out === "number") closeSync(out);
        }
      },
      catch: failed,
    });
    const ended = yield* Deferred.make<ProcessExit>();
    let exit: ProcessExit | undefined;
    const pid = yield* Effect.callback<number, SpawnFailed>((resume) => {
      child.on("error", (error) => {
        if (child.pid === undefined) resume(Effect.fail(failed(error)));
      });
      if (child.pid !== undefined) resume(Effect.succeed(child.pid));
    });
    const guard = guardProcess({ pid, graceMs: options.graceMs, removeDirs: options.removeDirs });
    child.once("exit", (code, signal) => {
      guard.dismiss();
      exit = { code, signal };
      Deferred.doneUnsafe(ended, Effect.succeed(exit));
    });

    const exited = Deferred.await(ended);
    const signal = (name: NodeJS.Signals): Effect.Effect<void> =>
      Effect.sync(() => {
        if (exit === undefined) child.kill(name);
      });
    const stop = Effect.gen(function* () {
      yield* signal("SIGTERM");
      // A stopped process would sleep through SIGTERM.
      yield* signal("SIGCONT");
      const inTime = yield* Effect.timeoutOption(exited, options.graceMs);
      if (inTime._tag === "Some") return inTime.value;
      yield* signal("SIGKILL");
      return yield* exited;
    });
    return { pid, child, exited, hasExited: () => exit !== undefined, signal, stop };
  });

/** Starts a process that ends with the scope. */
export const spawnProcess = (
  options: ProcessOptions,
): Effect.Effect<OsProcess, SpawnFailed, Scope.Scope> =>
  Effect.acquireRelease(start(options), (running) => running.stop);
