/**
 * Runs the main effect of a process: the CLI's, or that of a supervised child.
 *
 * M1. The first SIGTERM, SIGINT or SIGHUP interrupts the effect, whose finalizers drain; a second
 *     Ctrl-C ends the process at once.
 * M2. A child whose supervisor is gone (the IPC channel closed) drains too, within a bound.
 * M3. The process ends when the effect has ended, whatever handles are still open.
 * M4. A process that npm or npx launched drains when that is gone: signals may end with it.
 * M5. Logs that nobody reads any more end nothing.
 * M6. The process ends only when all that it has written is handed over, however slow the reader of a
 *     pipe is. Once it is asked to end, that too is bounded; a closed reader is not waited for.
 */
import { Cause, Effect, Exit, Runtime } from "effect";
import type { ChildMessage } from "./child-messages.ts";
import { isLaunchedByNpm, watchLauncher } from "./launcher.ts";

/** How long a child without its supervisor may take to end. */
const orphanGraceMs = 5_000;
/** How long a process that was asked to end waits for a reader that does not read. */
const flushGraceMs = 2_000;
/** npm hands a terminal's Ctrl-C on to a child that has had it already: within this it is one. */
const sameInterruptMs = 500;

export interface RunMainOptions {
  /** Exit code after a drain that a signal asked for. Default: 0. */
  readonly drainedExitCode?: number;
  /** Prints the failure that ends the process. Default: its message, on standard error. */
  readonly reportFailure?: (cause: Cause.Cause<unknown>) => void;
}

const send = (message: ChildMessage): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const done = (): void => resume(Effect.void);
    if (process.send === undefined || !process.connected) return done();
    process.send(message, undefined, undefined, done);
  });

/** Tells the supervisor that this process serves, and what it should know. No supervisor: nothing. */
export const sayReady = (about: unknown = null): Effect.Effect<void> =>
  send({ tidemark: "ready", about });

const messageOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause);
  return error instanceof Error ? error.message : String(error);
};

const printFailure = (cause: Cause.Cause<unknown>): void => {
  // A defect is a bug, and its stack is what one wants to see.
  const expected = cause.reasons.every((reason) => reason._tag !== "Die");
  process.stderr.write(`${expected ? messageOf(cause) : Cause.pretty(cause)}\n`);
};

/** Resolves when everything that was written before is handed over or cannot be. */
const flushed = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    if (stream.destroyed || stream.writableLength === 0) return resolve();
    stream.write("", () => resolve());
  });

export const runMain = <A, E>(main: Effect.Effect<A, E>, options: RunMainOptions = {}): void => {
  const run = Runtime.makeRunMain(({ fiber, teardown }) => {
    let asked = false;
    let leaving: number | undefined;
    let interruptedAt = -Infinity;
    const twiceMs = isLaunchedByNpm(process.env) ? sameInterruptMs : 0;
    const drain = (): void => {
      asked = true;
      if (leaving === undefined) fiber.interruptUnsafe(fiber.id);
      else leaveSoon(leaving);
    };
    const leaveSoon = (code: number): void => {
      setTimeout(() => process.exit(code), flushGraceMs).unref();
    };
    const leave = (code: number): void => {
      leaving = code;
      if (asked) leaveSoon(code);
      void Promise.all([flushed(process.stdout), flushed(process.stderr)]).then(() =>
        process.exit(code),
      );
    };
    const onInterrupt = (): void => {
      const now = performance.now();
      if (now - interruptedAt < twiceMs) return;
      interruptedAt = now;
      if (asked) process.exit(130);
      drain();
    };
    const onOrphaned = (): void => {
      setTimeout(() => process.exit(1), orphanGraceMs).unref();
      drain();
    };
    process.stderr.on("error", () => undefined);
    process.on("SIGINT", onInterrupt);
    process.on("SIGTERM", drain);
    process.on("SIGHUP", drain);
    if (process.send !== undefined) {
      if (process.connected) process.once("disconnect", onOrphaned);
      else onOrphaned();
    } else watchLauncher(drain);
    fiber.addObserver((exit) => {
      const drained = asked && Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause);
      if (drained) return leave(options.drainedExitCode ?? 0);
      teardown(exit, leave);
    });
  });
  const reported = Effect.onExit(main, (exit) => {
    if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return Effect.void;
    (options.reportFailure ?? printFailure)(exit.cause);
    return send({ tidemark: "failed", reason: messageOf(exit.cause) });
  });
  run(reported, { disableErrorReporting: true });
};
