/**
 * A child that is a Node program of ours. It says "ready" over the IPC channel (`run-main.ts` is the
 * child's side), is drained with SIGTERM, and ends by itself when the channel closes.
 */
import { Deferred, Effect, Schema, type Scope } from "effect";
import type { ChildSpec, LivingChild } from "./child-spec.ts";
import { decodeChildMessage } from "./child-messages.ts";
import { ChildStartFailed } from "./errors.ts";
import type { NodeEntry } from "./node-entry.ts";
import { type ProcessOptions, describeExit, spawnProcess } from "./os-process.ts";
import type { RestartPolicy } from "./restart-budget.ts";

const lastWordsMs = 1_000;

export interface NodeChildOptions<Ready> {
  readonly name: string;
  readonly entry: NodeEntry;
  readonly args?: readonly string[] | undefined;
  /** Added to the environment; may depend on what the life before said, to keep its port. */
  readonly env?: ((previous: Ready | undefined) => Readonly<Record<string, string>>) | undefined;
  /** Checks what the child says about itself when it is ready. */
  readonly ready: Schema.Codec<Ready, unknown>;
  /** For Node itself, such as `--max-old-space-size`. */
  readonly execArgv?: readonly string[] | undefined;
  readonly output?: ProcessOptions["output"] | undefined;
  /** From SIGTERM to SIGKILL; a drain has to fit into it. Default: 30 s. */
  readonly graceMs?: number | undefined;
  /** From spawn to ready. Default: 120 s. */
  readonly readyMs?: number | undefined;
  readonly restart?: Partial<RestartPolicy> | undefined;
}

export const nodeChild = <Ready>(
  options: NodeChildOptions<Ready>,
): ChildSpec<Ready, ChildStartFailed> => {
  const { name, entry } = options;
  const failed = (detail: string): ChildStartFailed =>
    new ChildStartFailed({ child: name, detail });
  const readyMs = options.readyMs ?? 120_000;
  const decodeReady = Schema.decodeUnknownEffect(options.ready);

  const start = Effect.fnUntraced(function* (
    previous: Ready | undefined,
  ): Effect.fn.Return<LivingChild<Ready>, ChildStartFailed, Scope.Scope> {
    const running = yield* spawnProcess({
      command: process.execPath,
      args: [...entry.execArgv, ...(options.execArgv ?? []), entry.path, ...(options.args ?? [])],
      env: options.env?.(previous),
      output: options.output ?? "inherit",
      ipc: true,
      graceMs: options.graceMs ?? 30_000,
    }).pipe(Effect.mapError((error) => failed(error.message)));

    const said = yield* Deferred.make<unknown, ChildStartFailed>();
    let reason: string | undefined;
    running.child.on("message", (raw: unknown) => {
      const message = decodeChildMessage(raw);
      if (message?.tidemark === "ready") Deferred.doneUnsafe(said, Effect.succeed(message.about));
      if (message?.tidemark === "failed") reason = message.reason;
    });
    const heardAll = yield* Deferred.make<void>();
    running.child.once("disconnect", () => Deferred.doneUnsafe(heardAll, Effect.void));
    // The end of a process can be seen before its last words; the channel closes after them.
    const ended = running.exited.pipe(
      Effect.tap(() => Effect.timeoutOption(Deferred.await(heardAll), lastWordsMs)),
      Effect.flatMap((exit) =>
        Effect.fail(failed(reason ?? `it ended with ${describeExit(exit)}`)),
      ),
    );
    const about = yield* Deferred.await(said).pipe(
      Effect.raceFirst(ended),
      Effect.timeoutOrElse({
        duration: readyMs,
        orElse: () => Effect.fail(failed(`it was not ready within ${readyMs} ms`)),
      }),
    );
    const ready = yield* decodeReady(about).pipe(
      Effect.mapError((issue) => failed(`it said something else than ready: ${issue.message}`)),
    );
    return { pid: running.pid, ready, exited: running.exited };
  });
  return { name, start, restart: options.restart };
};
