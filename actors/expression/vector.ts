/**
 * The value of an expression for every row of a batch. Row i is null when `valid[i] === 0`; only
 * `values` is meaningful for numbers and booleans, only `bytes`, `starts` and `ends` for strings.
 */
import type { ExpressionType } from "../../projections/definition/expression.ts";

export interface Vector {
  readonly type: ExpressionType;
  valid: Uint8Array;
  /** Numbers; booleans as 0 or 1. For integers beyond 2^53 the nearest double. */
  values: Float64Array;
  /** Exact integer = values + residuals; undefined where a double is exact. */
  residuals: Float64Array | undefined;
  bytes: Uint8Array;
  starts: Int32Array;
  ends: Int32Array;
  /** Event times; only for the aggregates that go by them. */
  times: Float64Array | undefined;
  /** Several expressions at once, for aggregates of the user's; then nothing else is meaningful. */
  parts: readonly Vector[] | undefined;
}

const NO_BYTES = new Uint8Array(0);
const NO_OFFSETS = new Int32Array(0);
const NO_VALUES = new Float64Array(0);

export const emptyVector = (type: ExpressionType): Vector => ({
  type,
  valid: NO_BYTES,
  values: NO_VALUES,
  residuals: undefined,
  bytes: NO_BYTES,
  starts: NO_OFFSETS,
  ends: NO_OFFSETS,
  times: undefined,
  parts: undefined,
});

/** Makes room for `rows` computed numbers or booleans. */
export const growValues = (vector: Vector, rows: number): void => {
  if (vector.values.length >= rows) return;
  const capacity = Math.max(1024, 2 ** Math.ceil(Math.log2(rows)));
  vector.valid = new Uint8Array(capacity);
  vector.values = new Float64Array(capacity);
};

/** Makes room for `rows` computed string offsets. */
export const growOffsets = (vector: Vector, rows: number): void => {
  if (vector.starts.length >= rows) return;
  const capacity = Math.max(1024, 2 ** Math.ceil(Math.log2(rows)));
  vector.valid = new Uint8Array(capacity);
  vector.starts = new Int32Array(capacity);
  vector.ends = new Int32Array(capacity);
};
