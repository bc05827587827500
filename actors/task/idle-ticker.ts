/**
 * Speaks for a silent partition. Idleness must be data (SEMANTICS section 3), so the owner appends a
 * tick to the log; every reader, now or in a replay, hears of it at the same place.
 *
 * T1. A tick is appended only when all that the log holds was read and nothing came for `idleAfter`.
 * T2. While silence lasts ticks come ever less often, down to one in `tickEveryMsMax`.
 * T3. A partition that never held an event gets no tick, for time cannot flow on from nothing; its
 *     tasks say in a commit that it is idle.
 * T4. A tick stands right behind what was known when it was decided: an event that comes meanwhile
 *     proves that the partition is not idle, and the tick is not appended.
 */
import { Clock, Effect } from "effect";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { PartitionActor } from "./partition-actor.ts";

export interface IdleTickerOptions {
  readonly topic: string;
  readonly partition: number;
  readonly idleAfterMs: number;
  readonly tickEveryMsMax: number;
  readonly events: EventLog["Service"];
  /** The reader that is furthest; undefined while nothing reads the partition. */
  readonly reader: () => SilentReader | undefined;
}

/** What a reader tells of its partition. */
export type SilentReader = Pick<
  PartitionActor,
  "position" | "caughtUp" | "lastEventAt" | "heldEvent" | "tasks"
>;

const tickAt = (time: number): Uint8Array =>
  RecordBatch.encode({ ingestTime: time, events: [], tick: { time }, rekeyed: undefined }).finish();

/** False when the log holds more than was read: it is not silent. */
const speak = Effect.fnUntraced(function* (
  { topic, partition, events }: IdleTickerOptions,
  reader: SilentReader,
  now: number,
) {
  const { last } = yield* events.bounds(topic, partition);
  if (last !== reader.position) return false;
  if (reader.heldEvent) {
    return (yield* events.appendAfter(topic, partition, tickAt(now), last)) !== undefined;
  }
  for (const task of reader.tasks) task.declareIdle();
  return true;
});

export const tickWhenSilent = Effect.fnUntraced(function* (
  options: IdleTickerOptions,
): Effect.fn.Return<never> {
  const { topic, partition, idleAfterMs } = options;
  const intervalMax = Math.max(idleAfterMs, options.tickEveryMsMax);
  let interval = idleAfterMs;
  let silentSince = -Infinity;
  let spokeAt = -Infinity;
  while (true) {
    const reader = options.reader();
    const now = yield* Clock.currentTimeMillis;
    if (reader === undefined || !reader.caughtUp) {
      yield* Effect.sleep(idleAfterMs);
      continue;
    }
    if (reader.lastEventAt > silentSince) {
      silentSince = reader.lastEventAt;
      interval = idleAfterMs;
    }
    const dueAt = Math.max(silentSince, spokeAt) + interval;
    if (now < dueAt) {
      yield* Effect.sleep(dueAt - now);
      continue;
    }
    const spoke = yield* speak(options, reader, now).pipe(
      Effect.catchTag("LogUnavailable", (error) =>
        Effect.logWarning(`no tick for ${topic}/${partition}: ${error.message}`).pipe(
          Effect.as(false),
        ),
      ),
    );
    if (spoke) {
      spokeAt = now;
      if (reader.heldEvent) interval = Math.min(interval * 2, intervalMax);
    } else {
      yield* Effect.sleep(idleAfterMs);
    }
  }
});
