/**
 * Port to RESULTS: one totally ordered stream of all commits and promotions.
 *
 * R1. `append` is all or nothing, and succeeds only while the subject's last sequence is the
 *     expected one: an owner that has lost its task cannot commit (SEMANTICS E3, E4).
 * R2. After an uncertain outcome `append` reads back and recognises its own message; it never
 *     guesses. Its own is what this call wrote, not what has the same bytes: two owners that start
 *     at once append the same marker. The effect of one call, run again, is the same append.
 *     A server that lost its power while it stored a batch may be left with some of the parts: they
 *     come first, the last one is missing, and nobody was told that they were stored. Readers know a
 *     commit by its last part (`commit/parts.ts`).
 * R3. Readers deliver in stream order. Sequences have holes: other subjects, and trimmed history.
 */
import { Context, Schema } from "effect";
import type { Effect, Scope } from "effect";
import type { LogUnavailable } from "./event-log.ts";

export interface ResultRecord {
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
  /** Sequences after this one that match the filters and were in the stream at delivery. */
  readonly pending: number;
}

export interface ResultReader {
  /** At least one record, a bounded number of bytes; waits while there is none. */
  readonly next: Effect.Effect<readonly ResultRecord[], LogUnavailable>;
}

/** Another owner has written to the subject: this one must stop. Never retry. */
export class Fenced extends Schema.TaggedError<Fenced>()("Fenced", {
  subject: Schema.String,
  expected: Schema.Number,
}) {
  override get message(): string {
    return `${this.subject} is no longer at sequence ${this.expected}: another owner has taken it`;
  }
}

export class ResultLog extends Context.Service<
  ResultLog,
  {
    /** The last message of a subject: a task's marker, or a projection's promotion. */
    readonly last: (subject: string) => Effect.Effect<ResultRecord | undefined, LogUnavailable>;
    /** The last message of a subject below a sequence. Costs some requests: for repairs. */
    readonly lastBefore: (
      subject: string,
      sequence: number,
    ) => Effect.Effect<ResultRecord | undefined, LogUnavailable>;
    /**
     * Appends the parts of one commit, durably, and returns the sequence of the last. `expected` is
     * the subject's last sequence, 0 when it has none. After LogUnavailable it may still happen:
     * run the same effect again, or take over anew.
     */
    readonly append: (
      subject: string,
      parts: readonly Uint8Array[],
      expected: number,
    ) => Effect.Effect<number, LogUnavailable | Fenced>;
    /** Delivers from `fromSequence` on what matches one of the filters (NATS wildcards). */
    readonly open: (
      filters: readonly string[],
      fromSequence: number,
    ) => Effect.Effect<ResultReader, LogUnavailable, Scope.Scope>;
    /** Last sequence of the stream, 0 when empty. */
    readonly lastSequence: Effect.Effect<number, LogUnavailable>;
    /**
     * Deletes messages of a subject below `sequence`, never its last one. With `before` only those that
     * the stream took in before that time, in milliseconds since the epoch, by its own clock. Tells
     * whether more than the last one is left.
     */
    readonly trim: (
      subject: string,
      sequence: number,
      before?: number,
    ) => Effect.Effect<boolean, LogUnavailable>;
  }
>()("actors/ports/ResultLog") {}
