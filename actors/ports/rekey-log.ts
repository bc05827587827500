/**
 * Port to the logs that the engine writes for itself: those of re-keyed projections. They are read
 * through `EventLog`, like those of any topic.
 *
 * W1. `append` succeeds only while the partition's last sequence is the expected one: of two relays
 *     only one writes. The effect of one call, run again after LogUnavailable, is the same append.
 * W2. The last record batch of a partition is never lost to age: it says where its relay goes on.
 */
import { Context } from "effect";
import type { Effect } from "effect";
import type { LogRecord, LogUnavailable } from "./event-log.ts";
import type { Fenced } from "./result-log.ts";

/** What is to be known of such a topic to make its streams. */
export interface RekeyedTopic {
  readonly name: string;
  readonly partitions: number;
  /** Age at which record batches may be deleted. */
  readonly retentionMs: number;
  /** Not by age alone: the log is compacted (`actors/compact`), and has holes. */
  readonly compacted?: boolean;
}

export class RekeyLog extends Context.Service<
  RekeyLog,
  {
    /** Makes the topic's streams; safe to run again and again, from several processes. */
    readonly ensure: (topic: RekeyedTopic) => Effect.Effect<void, LogUnavailable>;
    /** The newest record batch of a partition. */
    readonly last: (
      topic: string,
      partition: number,
    ) => Effect.Effect<LogRecord | undefined, LogUnavailable>;
    /** Durable when it returns the sequence. `expected`: the last sequence, 0 when there is none. */
    readonly append: (
      topic: string,
      partition: number,
      data: Uint8Array,
      expected: number,
    ) => Effect.Effect<number, LogUnavailable | Fenced>;
    /** Deletes the topic with all that it holds: of a version that was given up. */
    readonly remove: (topic: string, partitions: number) => Effect.Effect<void, LogUnavailable>;
  }
>()("actors/ports/RekeyLog") {}
