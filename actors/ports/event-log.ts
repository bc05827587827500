/**
 * Port to the log of a topic: one totally ordered stream of record batches a partition.
 *
 * L1. A reader delivers every sequence from where it was opened, each once, in order; it fails with
 *     LogGap rather than jump over one.
 * L2. `append` returns only when the log holds the bytes durably.
 * L3. `appendAfter` appends only while the log ends where its caller believes it to; also after an
 *     outcome that was uncertain at first.
 * L4. Only a compacted log has holes, made by `remove`. Its reader delivers every record that is there, and
 *     for the rest L1 holds: a log that ends before what was read of it is a LogGap.
 * L5. `remove` may be cut off anywhere, and run again: what is gone already is no error.
 */
import { Context, Schema } from "effect";
import type { Effect, Scope } from "effect";

export interface LogRecord {
  readonly sequence: number;
  /** An encoded tidemark.v1.RecordBatch (events) or tidemark.v1.Commit (results). */
  readonly data: Uint8Array;
}

export interface LogReader {
  /**
   * What has arrived since the last call, at least one record and a bounded number of bytes. Waits
   * while there is none.
   */
  readonly next: Effect.Effect<readonly LogRecord[], LogUnavailable | LogGap>;
}

export interface LogBounds {
  /** First retained sequence; last + 1 when the log is empty. */
  readonly first: number;
  /** Last sequence, 0 before the first record. */
  readonly last: number;
}

/** Last sequence that there is to read; 0 where nothing is, also if there was something once. */
export const lastRetained = ({ first, last }: LogBounds): number => (first > last ? 0 : last);

/** The log cannot be reached now. Retry. */
export class LogUnavailable extends Schema.TaggedError<LogUnavailable>()("LogUnavailable", {
  stream: Schema.String,
  message: Schema.String,
}) {}

/** Records that were to be read are no longer in the log. Never go on. */
export class LogGap extends Schema.TaggedError<LogGap>()("LogGap", {
  stream: Schema.String,
  expected: Schema.Number,
  found: Schema.Number,
}) {
  override get message(): string {
    return (
      `stream ${this.stream} was to continue at sequence ${this.expected} but has ${this.found}: ` +
      `records were deleted before they were read (retention shorter than the outage, or a purge)`
    );
  }
}

export class EventLog extends Context.Service<
  EventLog,
  {
    readonly bounds: (topic: string, partition: number) => Effect.Effect<LogBounds, LogUnavailable>;
    /** Delivers from `fromSequence` (at least 1) on. `compacted`: the log may have holes (L4). */
    readonly open: (
      topic: string,
      partition: number,
      fromSequence: number,
      compacted?: boolean,
    ) => Effect.Effect<LogReader, LogUnavailable | LogGap, Scope.Scope>;
    readonly append: (
      topic: string,
      partition: number,
      data: Uint8Array,
    ) => Effect.Effect<number, LogUnavailable>;
    /**
     * Appends if `last` is the log's last sequence, and returns the new one; undefined when the log
     * had gone on meanwhile. After LogUnavailable it may or may not have happened.
     */
    readonly appendAfter: (
      topic: string,
      partition: number,
      data: Uint8Array,
      last: number,
    ) => Effect.Effect<number | undefined, LogUnavailable>;
    /**
     * The first record that the log took in at or after a time, in milliseconds since the epoch; last + 1
     * when there is none.
     */
    readonly sequenceAt: (
      topic: string,
      partition: number,
      time: number,
    ) => Effect.Effect<number, LogUnavailable>;
    /** Deletes records of a compacted log, in the order given (L5). Never the last one: that ends the log. */
    readonly remove: (
      topic: string,
      partition: number,
      sequences: readonly number[],
    ) => Effect.Effect<void, LogUnavailable>;
  }
>()("actors/ports/EventLog") {}
