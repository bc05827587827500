/**
 * One record batch of a partition as columns: what the intake hands to every projection task of the
 * partition. Reused from batch to batch: nothing may keep a reference into it.
 *
 * B1. Row i of every column is event i of the record batch.
 * B2. Only rows [0, count) are meaningful; columns may be longer.
 */

/** What the intake decided about an event, the same for every projection of the topic. */
export const ACCEPTED = 0;
export const DUPLICATE = 1;
/** A duplicate whose payload differs from the first. */
export const CONFLICT = 2;
export const FUTURE = 3;
export const INVALID = 4;

/** A payload field of every event in the batch. Null rows have `valid[i] === 0`. */
export interface ColumnVector {
  readonly valid: Uint8Array;
  /** Numbers, booleans (0 or 1) and enums. For integers beyond 2^53 the nearest double. */
  readonly values: Float64Array;
  /** Exact integer = values + residual; undefined for types that a double holds exactly. */
  readonly residuals: Float64Array | undefined;
  /** Strings: their bytes in `EventBatch.bytes`. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/** Where a re-keyed event stands in the log of its topic. */
export interface EventOrigin {
  /** Which of the plan's sources; 0 where there is one. */
  readonly source: number;
  readonly partition: number;
  readonly sequence: number;
  readonly index: number;
  readonly ingestTime: number;
}

export interface EventBatch {
  /** Stream sequence of the record batch. */
  readonly sequence: number;
  /** Milliseconds since the epoch. */
  readonly ingestTime: number;
  readonly count: number;
  /** The message that all offsets below point into. */
  readonly bytes: Uint8Array;
  readonly verdicts: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly eventTimes: Float64Array;
  /** The watermark before each event, -Infinity before the first. */
  readonly watermarks: Float64Array;
  readonly typeIndexes: Int32Array;
  readonly idStarts: Int32Array;
  readonly idEnds: Int32Array;
  readonly keyStarts: Int32Array;
  readonly keyEnds: Int32Array;
  /** The whole encoded Event, for dead letters. */
  readonly eventStarts: Int32Array;
  readonly eventEnds: Int32Array;
  /** By path: the payload fields that some projection of the topic reads. */
  readonly columns: ReadonlyMap<string, ColumnVector>;
  /** Why a row is INVALID, by row. */
  readonly errors: ReadonlyMap<number, string>;
  /** The watermark after the batch, and whether it ended with a tick. */
  readonly watermarkAfter: number;
  readonly idle: boolean;
  /** Greatest ingest time up to and including this batch. */
  readonly ingestClock: number;
  /** Of a batch of re-keyed events; others stand where the batch does. */
  readonly originOf?: (row: number) => EventOrigin;
}
