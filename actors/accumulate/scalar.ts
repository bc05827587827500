/**
 * One number or string of a vector as bytes, for accumulators that keep single values.
 *
 * C1. Equal values have equal bytes, and only they. A string is its UTF-8, cut between two characters
 *     when it is longer than a limit; a number is its nearest double, followed by the residual of an
 *     integer that no double holds. 0 and -0 are equal.
 */
import type { ExpressionType } from "../../projections/definition/expression.ts";
import type { Vector } from "../expression/vector.ts";
import { ByteReader } from "../kernel/byte-writer.ts";
import type { ByteWriter } from "../kernel/byte-writer.ts";
import {
  writeBigIntValue,
  writeDoubleValue,
  writeIntValue,
  writeStringValue,
} from "./accumulator.ts";

/** A range of bytes; one object, used again by every call. */
export interface ScalarBytes {
  bytes: Uint8Array;
  start: number;
  end: number;
}

const range: ScalarBytes = { bytes: new Uint8Array(0), start: 0, end: 0 };
const number = new Uint8Array(16);
const view = new DataView(number.buffer);

/** The end of the longest prefix of at most `bytesMax` bytes that cuts no character. */
export const cutAt = (bytes: Uint8Array, start: number, end: number, bytesMax: number): number => {
  if (end - start <= bytesMax) return end;
  let cut = start + bytesMax;
  while (cut > start && (bytes[cut]! & 0xc0) === 0x80) cut--;
  return cut;
};

export const scalarBytes = (input: Vector, row: number, bytesMax: number): ScalarBytes => {
  if (input.type === "string") {
    range.bytes = input.bytes;
    range.start = input.starts[row]!;
    range.end = cutAt(input.bytes, range.start, input.ends[row]!, bytesMax);
    return range;
  }
  const residual = input.residuals === undefined ? 0 : input.residuals[row]!;
  view.setFloat64(0, input.values[row]! + 0, true);
  view.setFloat64(8, residual, true);
  range.bytes = number;
  range.start = 0;
  range.end = residual === 0 ? 8 : 16;
  return range;
};

const INT64_MAX = 0x7fff_ffff_ffff_ffffn;

/** An unsigned integer beyond 64 bits with a sign is published as its nearest double, as sums are. */
export const writeNumberValue = (
  integer: boolean,
  value: number,
  residual: number,
  out: ByteWriter,
): void => {
  if (!integer) return writeDoubleValue(out, value);
  if (Number.isSafeInteger(value)) return writeIntValue(out, value);
  const exact = BigInt(value) + BigInt(residual);
  if (exact > INT64_MAX) writeDoubleValue(out, value);
  else writeBigIntValue(out, exact);
};

/** The fields of the Value of what `scalarBytes` gave. */
export const writeScalarValue = (
  type: ExpressionType,
  bytes: Uint8Array,
  out: ByteWriter,
): void => {
  if (type === "string") return writeStringValue(out, bytes);
  const reader = new ByteReader(bytes);
  const value = reader.double();
  writeNumberValue(type === "integer", value, bytes.length === 8 ? 0 : reader.double(), out);
};
