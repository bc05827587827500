/**
 * Keeps a loop alive that must run for as long as its owner: heartbeats, ticks, promotions, trimming.
 * A defect in one round is a bug, and must neither pass unseen nor take away the rounds to come.
 *
 * K1. After a defect the loop starts again, after 100 ms at first, then ever later, at most 30 s; one
 *     that has held out for a minute begins anew.
 * K2. Every defect is logged with its cause and counted by loop.
 * K3. Failures and interruptions are not its concern: they end the loop.
 */
import { Cause, Clock, Effect, Metric } from "effect";
import { counter } from "./metrics.ts";

/** What runs, as the metric says it, and for whom. */
export interface Loop {
  readonly loop: "heartbeat" | "ticks" | "promotions" | "trimming" | "retention" | "compaction";
  readonly of: string;
}

const DELAY_MS_MIN = 100;
const DELAY_MS_MAX = 30_000;
const HELD_OUT_MS = 60_000;

export const keepRunning = <E, R>(
  { loop, of }: Loop,
  effect: Effect.Effect<never, E, R>,
): Effect.Effect<never, E, R> =>
  Effect.suspend(() => {
    const restarts = counter("loopRestarts", { loop });
    let delayMs = DELAY_MS_MIN;
    let startedAt = 0;
    const startAgain = Effect.fnUntraced(function* (defect: unknown) {
      if ((yield* Clock.currentTimeMillis) - startedAt >= HELD_OUT_MS) delayMs = DELAY_MS_MIN;
      yield* Metric.update(restarts, 1);
      yield* Effect.logError(
        `${loop} of ${of} failed, starting again in ${delayMs} ms`,
        Cause.die(defect),
      ).pipe(Effect.annotateLogs({ loop }));
      yield* Effect.sleep(delayMs);
      delayMs = Math.min(delayMs * 2, DELAY_MS_MAX);
    });
    return Clock.currentTimeMillis.pipe(
      Effect.tap((now) => Effect.sync(() => (startedAt = now))),
      Effect.andThen(effect),
      Effect.catchDefect(startAgain),
      Effect.forever,
    );
  });
