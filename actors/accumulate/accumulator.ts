/**
 * One aggregate of a projection, for all keys and windows at once: columns indexed by slot.
 *
 * A1. `accumulate` adds events in the order given: floating-point sums are sums in log order.
 * A2. `write` is canonical: equal accumulators write equal bytes, on every machine. It is what
 *     snapshots, partials and digests are made of.
 * A3. merge(write(a)) into b gives the accumulator of a's events followed by b's, for counts, exact
 *     sums, extremes, distinct counts and quantiles bit for bit; for floating-point sums, b + a in that
 *     order; for frequent values, one within the same bounds. Merged into an empty slot it is a itself, bit
 *     for bit: that is how snapshots are read.
 *
 * Adding an aggregate: a file like `count.ts` and a line in `aggregates.ts`; its form in
 * `projections/definition/check-aggregate.ts` and its maker beside it in `aggregate.ts`.
 */
import type { Vector } from "../expression/vector.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";

export interface Accumulator {
  /** Makes room for slots [0, capacity). */
  grow(capacity: number): void;
  /** Empties a slot. */
  clear(slot: number): void;
  /** Lets go of what a freed slot holds outside columns. It is cleared before it is used again. */
  release?(slot: number): void;
  /** Adds row rows[i] of the input to slot slots[i], for i in [0, count). */
  accumulate(slots: Int32Array, rows: Int32Array, count: number, input: Vector | undefined): void;
  write(slot: number, out: ByteWriter): void;
  /** Adds what `write` wrote. */
  merge(slot: number, from: ByteReader): void;
  /** Appends the fields of a tidemark.v1.Value; nothing for null. */
  writeValue(slot: number, out: ByteWriter): void;
  /**
   * Only where code of the user's accumulates, which can fail: tries a row on what the slots `from` hold,
   * merged in their order, and keeps what comes of it for the next slot that is accumulated. Returns
   * why it failed; "" if it did not.
   */
  stage?(from: readonly number[], row: number, input: Vector | undefined): string;
  /** Forgets all that was staged. */
  unstage?(): void;
  /** Why the value that was written last is null, if code of the user's failed. */
  failure?(slot: number): string | undefined;
}

export const growFloats = (column: Float64Array, capacity: number): Float64Array<ArrayBuffer> => {
  const grown = new Float64Array(capacity);
  grown.set(column);
  return grown;
};

const INT_VALUE = 0x08;
const DOUBLE_VALUE = 0x11;
export const STRING_VALUE = 0x1a;
const BYTES_VALUE = 0x22;

export const writeIntValue = (out: ByteWriter, value: number): void => {
  out.varint(INT_VALUE);
  out.int64(value);
};

export const writeBigIntValue = (out: ByteWriter, value: bigint): void => {
  out.varint(INT_VALUE);
  out.bigint64(value);
};

export const writeDoubleValue = (out: ByteWriter, value: number): void => {
  out.varint(DOUBLE_VALUE);
  out.double(value);
};

export const writeStringValue = (out: ByteWriter, utf8: Uint8Array): void => {
  out.bytesField(STRING_VALUE, utf8);
};

export const writeBytesValue = (out: ByteWriter, bytes: Uint8Array): void => {
  out.bytesField(BYTES_VALUE, bytes);
};
