/**
 * Single values, for what a pattern looks back at: the events of a batch are evaluated a column at a
 * time (`expression/evaluator.ts`), but what a step has taken differs from match to match.
 *
 * V1. The same rules as there: null follows SQL, arithmetic is done in doubles, what is not finite is
 *     null, strings are ordered by their UTF-8 bytes.
 * V2. An integer is a number if it is safe, otherwise a bigint: always exact.
 */
import type { BinaryOperator, UnaryOperator } from "../../projections/definition/expression.ts";
import type { Vector } from "../expression/vector.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { utf8 } from "../kernel/text.ts";

export type Scalar = null | boolean | number | bigint | string;

/** A longer text is kept up to this, as `first` and `last` do. */
export const TEXT_BYTES_MAX = 1_024;

const ENCODER = new TextEncoder();

export const integerOf = (value: number, residual: number): number | bigint =>
  residual === 0 && Number.isSafeInteger(value) ? value : BigInt(value) + BigInt(residual);

const textOf = (bytes: Uint8Array, start: number, end: number): string => {
  let cut = end;
  if (end - start > TEXT_BYTES_MAX) {
    cut = start + TEXT_BYTES_MAX;
    // Not in the middle of a character: its later bytes begin with the bits 10.
    while ((bytes[cut]! & 0xc0) === 0x80) cut--;
  }
  return utf8.decode(bytes.subarray(start, cut));
};

export const scalarOf = (vector: Vector, row: number): Scalar => {
  if (vector.valid[row] === 0) return null;
  switch (vector.type) {
    case "string":
      return textOf(vector.bytes, vector.starts[row]!, vector.ends[row]!);
    case "boolean":
      return vector.values[row] === 1;
    case "integer":
      return integerOf(vector.values[row]!, vector.residuals?.[row] ?? 0);
    default:
      return vector.values[row]!;
  }
};

const NULL = 0;
const FALSE = 1;
const TRUE = 2;
const NUMBER = 3;
const BIG = 4;
const TEXT = 5;

export const writeScalar = (value: Scalar, out: ByteWriter): void => {
  if (value === null) out.byte(NULL);
  else if (typeof value === "boolean") out.byte(value ? TRUE : FALSE);
  else if (typeof value === "number") {
    out.byte(NUMBER);
    out.double(value);
  } else if (typeof value === "bigint") {
    out.byte(BIG);
    // As text: computed integers can be beyond 64 bits.
    out.block(ENCODER.encode(String(value)));
  } else {
    out.byte(TEXT);
    out.block(ENCODER.encode(value));
  }
};

export const readScalar = (from: ByteReader): Scalar => {
  switch (from.byte()) {
    case NULL:
      return null;
    case FALSE:
      return false;
    case TRUE:
      return true;
    case NUMBER:
      return from.double();
    case BIG:
      return BigInt(utf8.decode(from.block()));
    default:
      return utf8.decode(from.block());
  }
};

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff;

/** By code points, which is the order of UTF-8 bytes: surrogates come after all other units. */
const compareText = (left: string, right: string): number => {
  const shared = Math.min(left.length, right.length);
  for (let i = 0; i < shared; i++) {
    const a = left.charCodeAt(i);
    const b = right.charCodeAt(i);
    if (a === b) continue;
    if (isHighSurrogate(a) !== isHighSurrogate(b)) return isHighSurrogate(a) ? 1 : -1;
    return a - b;
  }
  return left.length - right.length;
};

export const compareScalars = (left: Scalar, right: Scalar): number => {
  if (typeof left === "string") return compareText(left, right as string);
  // Numbers and bigints compare by value.
  return left! < right! ? -1 : left! > right! ? 1 : 0;
};

export const unary = (op: UnaryOperator, value: Scalar): Scalar => {
  if (op === "isNull") return value === null;
  if (value === null) return null;
  return op === "not" ? value === false : 0 - Number(value);
};

const calculate = (op: BinaryOperator, a: number, b: number): number => {
  switch (op) {
    case "add":
      return a + b;
    case "subtract":
      return a - b;
    case "multiply":
      return a * b;
    default:
      return a / b;
  }
};

export const binary = (op: BinaryOperator, left: Scalar, right: Scalar): Scalar => {
  if (op === "and" || op === "or") {
    const decisive = op === "or";
    if (left === decisive || right === decisive) return decisive;
    return left === null || right === null ? null : !decisive;
  }
  if (left === null || right === null) return null;
  switch (op) {
    case "eq":
      return compareScalars(left, right) === 0;
    case "ne":
      return compareScalars(left, right) !== 0;
    case "lt":
      return compareScalars(left, right) < 0;
    case "le":
      return compareScalars(left, right) <= 0;
    case "gt":
      return compareScalars(left, right) > 0;
    case "ge":
      return compareScalars(left, right) >= 0;
    default: {
      const result = calculate(op, Number(left), Number(right));
      return Number.isFinite(result) ? result : null;
    }
  }
};
