/** What a projection computes for each key and window. Nulls are skipped; see docs/DEFINITIONS.md. */
import { argument } from "./argument.ts";
import {
  checkAggregate,
  DISTINCT_PRECISION,
  QUANTILE_RELATIVE_ERROR,
  topKCapacity,
} from "./check-aggregate.ts";
import type { AggregateDefinition } from "./definition.ts";
import {
  optionExpression,
  type AnyExpression,
  type FieldExpression,
  type NumberExpression,
  type StringExpression,
} from "./field-expression.ts";
import type { PlainState } from "./plain-state.ts";

type ScalarExpression = NumberExpression | StringExpression;

/** How many events there are, whatever their fields. An integer. */
export const count = (): AggregateDefinition => ({ fn: "count" });

/** An exact 64-bit integer for an integer field, otherwise a double. Null if there is no value. */
export const sum = (of: NumberExpression): AggregateDefinition => ({
  fn: "sum",
  of: optionExpression(of),
});

/** A double. Null if there is no value. */
export const mean = (of: NumberExpression): AggregateDefinition => ({
  fn: "mean",
  of: optionExpression(of),
});

/** The least value, of the type of its expression. Null if there is no value. */
export const min = (of: NumberExpression): AggregateDefinition => ({
  fn: "min",
  of: optionExpression(of),
});

/** The greatest value, of the type of its expression. Null if there is no value. */
export const max = (of: NumberExpression): AggregateDefinition => ({
  fn: "max",
  of: optionExpression(of),
});

interface SpreadOptions {
  /** The values are all that there is: divides by n. By default they are a sample: by n - 1. */
  readonly population?: boolean;
}

/** A double, never negative. Null if there is no value, and of a sample of one. */
export const variance = (
  of: NumberExpression,
  options: SpreadOptions = {},
): AggregateDefinition => ({
  fn: "variance",
  of: optionExpression(of),
  population: false,
  ...options,
});

/** The standard deviation: the square root of the variance, and null where that is. */
export const stddev = (of: NumberExpression, options: SpreadOptions = {}): AggregateDefinition => ({
  fn: "stddev",
  of: optionExpression(of),
  population: false,
  ...options,
});

/**
 * The value of the earliest event that has one, by event time; of equal times, the first in the log.
 * Strings up to 1,024 bytes. Null if there is no value.
 */
export const first = (of: ScalarExpression): AggregateDefinition => ({
  fn: "first",
  of: optionExpression(of),
});

/** The value of the latest event that has one, by event time; of equal times, the last in the log. */
export const last = (of: ScalarExpression): AggregateDefinition => ({
  fn: "last",
  of: optionExpression(of),
});

interface SketchOptions {
  /** Publishes the sketch beside the estimate, for consumers that merge on. Default: false. */
  readonly sketch?: boolean;
}

/**
 * How many different values there are: exact up to 256, then estimated with a standard error of
 * 1.04 / sqrt(2^precision), which is 1.6 % by default. An integer, 0 if there is no value. With
 * `sketch`, a record of `estimate` and `sketch`.
 */
export const distinct = (
  of: ScalarExpression,
  options: SketchOptions & { /** 8 to 16. Default: 12. */ readonly precision?: number } = {},
): AggregateDefinition => ({
  fn: "distinct",
  of: optionExpression(of),
  precision: DISTINCT_PRECISION,
  sketch: false,
  ...options,
});

interface QuantileOptions extends SketchOptions {
  /** 0.001 to 0.1. Default: 0.01. */
  readonly relativeError?: number;
}

/**
 * The value below which a share `q` of all lies, within the relative error: `quantile(field("ms"), 0.99)`.
 * A double, null if there is no value. With `sketch`, a record of `estimate` and `sketch`.
 */
export const quantile = (
  of: NumberExpression,
  q: number,
  options: QuantileOptions = {},
): AggregateDefinition => ({
  fn: "quantile",
  of: optionExpression(of),
  q,
  relativeError: QUANTILE_RELATIVE_ERROR,
  sketch: false,
  ...options,
});

/**
 * Several quantiles of one sketch, as a record: `quantiles(field("ms"), [0.5, 0.999])` gives `p50` and
 * `p99.9`, and with `sketch` also `sketch`. Null if there is no value.
 */
export const quantiles = (
  of: NumberExpression,
  qs: readonly number[],
  options: QuantileOptions = {},
): AggregateDefinition => ({
  fn: "quantiles",
  of: optionExpression(of),
  qs,
  relativeError: QUANTILE_RELATIVE_ERROR,
  sketch: false,
  ...options,
});

/**
 * The `k` most frequent values, 1 to 100: a list of records `{ value, count, error }`, the most frequent
 * first. A value came at least `count` and at most `count + error` times. Exact, with errors of 0,
 * while there are no more different values than `capacity`; beyond, errors are at most
 * 2 / `capacity` of all. With `sketch`, a record of `top` and `sketch`.
 */
export const topK = (
  of: ScalarExpression,
  k: number,
  options: SketchOptions & {
    /** How many values are watched: `k` to 2,048. Default: 16 k, and at least 256. */
    readonly capacity?: number;
  } = {},
): AggregateDefinition => ({
  fn: "topK",
  of: optionExpression(of),
  k,
  capacity: topKCapacity(k),
  sketch: false,
  ...options,
});

/**
 * The first `limit` values in the order of the log, 1 to 1,000, as a record of `values` and `total`: how
 * many there were. Beyond the limit values are left out, and `total` says so.
 */
export const collect = (
  of: ScalarExpression,
  options: { readonly limit: number },
): AggregateDefinition => ({ fn: "collect", of: optionExpression(of), limit: options.limit });

/** What `add` gets for an expression. A field's type is known only from its schema. */
type InputOf<Of> = Of extends FieldExpression
  ? // oxlint-disable-next-line typescript/no-explicit-any -- so that users can say what it is
    any
  : Of extends NumberExpression
    ? number | null
    : Of extends StringExpression
      ? string | null
      : boolean | null;

export interface AggregateOptions<Inputs extends Readonly<Record<string, AnyExpression>>, State> {
  /** What `add` is given of an event; null where an expression is. */
  readonly inputs: Inputs;
  /** The state of no event. */
  readonly init: () => State;
  /** The next state. It must not change the one it gets, which is frozen. */
  readonly add: (
    state: Readonly<State>,
    input: { readonly [Name in keyof Inputs]: InputOf<Inputs[Name]> },
  ) => State;
  /** The state of both: of partitions in their order, of sessions in the order of time. */
  readonly merge: (earlier: Readonly<State>, later: Readonly<State>) => State;
  /** What is published. */
  readonly result: (state: Readonly<State>) => PlainState;
  readonly version?: string;
}

/**
 * An aggregate by your own functions, over a state of plain data: see docs/DEFINITIONS.md.
 *
 *     aggregate({
 *       inputs: { price: field("price"), weight: field("weight") },
 *       init: () => ({ sum: 0, weights: 0 }),
 *       add: (s, { price, weight }) => ({ sum: s.sum + price * weight, weights: s.weights + weight }),
 *       merge: (a, b) => ({ sum: a.sum + b.sum, weights: a.weights + b.weights }),
 *       result: ({ sum, weights }) => (weights === 0 ? null : sum / weights),
 *     })
 */
export const aggregate = <const Inputs extends Readonly<Record<string, AnyExpression>>, State>(
  options: AggregateOptions<Inputs, State>,
): AggregateDefinition =>
  argument("aggregate()", (mistakes) => {
    const inputs = Object.entries(options?.inputs ?? {}).map(
      ([name, of]) => [name, optionExpression(of)] as const,
    );
    const given = { ...options, fn: "custom", inputs: Object.fromEntries(inputs) };
    return checkAggregate("", given, "", mistakes, undefined)?.definition;
  });
