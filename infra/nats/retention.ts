/**
 * Trims PROJECTIONS, DLQ and the logs of re-keyed projections by age without ever losing a relay's
 * cursor (V2 of `provision.ts`).
 *
 * W1. A trim deletes a prefix of the stream that ends before the newest cursor message. Whatever is
 *     behind the cursor is younger than it, so nothing that must go stays, except the cursor.
 * W2. Trims may run in any number of processes at once, and may be cut off anywhere.
 */
import { Clock, Effect } from "effect";
import type { Scope } from "effect";
import { keepRunning } from "../../actors/task/keep-running.ts";
import { ROUTED_TOPIC_PREFIX, relayCursorSubject } from "../../proto/subjects.ts";
import { type ApiFailure, purge, storedMessage, streamInfo } from "./jetstream-api.ts";
import type { Link } from "./link.ts";
import { retentionKey, streamNames } from "./provision.ts";
import { targetStream } from "./relay-target.ts";
import type { Target } from "./relay-target.ts";

export interface TargetRetention {
  readonly projectionsMs: number;
  readonly deadLettersMs: number;
}

const trimEveryMs = 60_000;

/** Deletes what is older than `retentionMs`; returns how many messages. */
export const trimTarget = Effect.fnUntraced(function* (
  link: Link,
  target: Target,
  retentionMs: number,
): Effect.fn.Return<number, ApiFailure> {
  const stream = targetStream(target);
  const cursor = yield* storedMessage(link, stream, { last_by_subj: relayCursorSubject(target) });
  if (cursor === undefined) return 0;
  const now = yield* Clock.currentTimeMillis;
  const youngest = yield* storedMessage(link, stream, {
    next_by_subj: ">",
    start_time: new Date(now - retentionMs).toISOString(),
  });
  const keepFrom = Math.min(youngest?.seq ?? cursor.seq, cursor.seq);
  const { purged } = yield* purge(link, stream, { seq: keepFrom });
  return purged;
});

/**
 * Trims the logs of re-keyed projections, each by its own retention, but for compacted ones: those that a relay writes now, and
 * those of versions that have been replaced. The last message stays: it says where the relay goes on.
 */
export const trimRekeyed = Effect.fnUntraced(function* (
  link: Link,
): Effect.fn.Return<number, ApiFailure> {
  let trimmed = 0;
  for (const stream of yield* streamNames(link, "events.*.*")) {
    if (!stream.startsWith(`EVENTS_${ROUTED_TOPIC_PREFIX}`)) continue;
    const { config, state } = yield* streamInfo(link, stream);
    const retentionMs = Number(config.metadata?.[retentionKey] ?? Infinity);
    if (state.messages < 2 || !Number.isFinite(retentionMs)) continue;
    const now = yield* Clock.currentTimeMillis;
    const youngest = yield* storedMessage(link, stream, {
      next_by_subj: ">",
      start_time: new Date(now - retentionMs).toISOString(),
    });
    const keepFrom = Math.min(youngest?.seq ?? state.last_seq, state.last_seq);
    if (keepFrom > state.first_seq)
      trimmed += (yield* purge(link, stream, { seq: keepFrom })).purged;
  }
  return trimmed;
});

/** Trims all of them every minute until the scope closes. */
export const keepTrimmed = (
  link: Link,
  retention: TargetRetention,
): Effect.Effect<void, never, Scope.Scope> => {
  const trim = (target: Target, retentionMs: number) =>
    trimTarget(link, target, retentionMs).pipe(
      Effect.catchTag("ApiFailure", (failure) =>
        Effect.logWarning(`${targetStream(target)} was not trimmed: ${failure.message}`),
      ),
    );
  const rounds = Effect.gen(function* () {
    yield* trim("projections", retention.projectionsMs);
    yield* trim("dlq", retention.deadLettersMs);
    yield* trimRekeyed(link).pipe(
      Effect.catchTag("ApiFailure", (failure) =>
        Effect.logWarning(`logs of re-keyed projections were not trimmed: ${failure.message}`),
      ),
    );
    yield* Effect.sleep(trimEveryMs);
  }).pipe(Effect.forever);
  return keepRunning({ loop: "retention", of: "PROJECTIONS, DLQ and re-keyed logs" }, rounds).pipe(
    Effect.forkScoped,
    Effect.asVoid,
  );
};
