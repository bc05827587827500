/** What sums, means and extremes publish, and the bytes that they keep. */
import { expect, test } from "vitest";
import { Bench, vectorOf, type Input } from "./accumulators.suite.ts";

const of = { field: "x" };
type Fn = "sum" | "mean" | "min" | "max";
const integers = (fn: Fn, ...inputs: Input[]) => new Bench({ fn, of }, "integer").add(inputs);
const doubles = (fn: Fn, ...inputs: Input[]) => new Bench({ fn, of }, "double").add(inputs);

const doublesOf = (...values: number[]) => new Uint8Array(Float64Array.from(values).buffer);

const MAX = 2n ** 63n - 1n;
const MIN = -(2n ** 63n);

test("of none there is no sum, mean or extreme; of zeros there is", () => {
  for (const fn of ["sum", "mean", "min", "max"] as const) {
    expect([integers(fn, undefined).value(), doubles(fn, undefined).value()]).toEqual([null, null]);
    expect(doubles(fn, 0).value()).toBe(0);
  }
  expect([integers("sum", 0n).value(), integers("mean", 0n).value()]).toEqual([0n, 0]);
});

test("an integer sum is an int64 up to both ends of 64 bits, then the nearest double", () => {
  for (const exact of [2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, MAX, MIN]) {
    const half = exact / 2n;
    expect(integers("sum", half, exact - half).value()).toBe(exact);
  }
  expect(integers("sum", MAX, 1n).value()).toBe(2 ** 63);
  expect(integers("sum", MIN, -1n).value()).toBe(-(2 ** 63));
  expect(integers("sum", MAX, MAX, MAX, 1n).value()).toBe(Number(3n * MAX + 1n));
  // Its state is still exact.
  expect(integers("sum", MAX, MAX, MIN, MIN, 3n).value()).toBe(1n);
  expect(integers("sum", MIN, MIN, MAX, MAX).value()).toBe(-2n);
});

test("a floating-point sum that overflows is null, as is its mean", () => {
  expect(doubles("sum", 1e308, 1e308).value()).toBe(null);
  expect(doubles("mean", -1e308, -1e308).value()).toBe(null);
  expect(doubles("sum", 1e308, 7).value()).toBe(1e308);
});

test("A1: floating-point sums are added in log order", () => {
  expect(doubles("sum", 1e16, 1, 1).value()).toBe(1e16);
  expect(doubles("sum", 1, 1, 1e16).value()).toBe(1e16 + 2);
  expect(doubles("mean", 1, 1, 1e16).value()).toBe((1e16 + 2) / 3);
});

test("a mean of integers is rounded once for the sum and once for the division", () => {
  expect(integers("mean", 2n ** 53n, 1n, 1n).value()).toBe((2 ** 53 + 2) / 3);
  expect(integers("mean", 1n, undefined, 2n).value()).toBe(1.5);
  expect(integers("mean", MAX, MAX, MAX).value()).toBe(2 ** 63);
  expect(integers("mean", MIN, -1n).value()).toBe(-(2 ** 62));
  expect(doubles("mean", 1, undefined, 2.5).value()).toBe(1.75);
});

test.for<readonly [integers: readonly bigint[], high: number, low: number]>([
  [[0n], 0, 0],
  [[2n ** 52n - 1n], 0, 2 ** 52 - 1],
  [[2n ** 52n], 1, 0],
  [[2n ** 52n - 1n, 1n], 1, 0],
  [[-1n], -1, 2 ** 52 - 1],
  [[5n, -5n], 0, 0],
  [[5n, -6n], -1, 2 ** 52 - 1],
  [[-(2n ** 52n)], -1, 0],
  [[3n, -(2n ** 52n)], -1, 3],
  [[2n ** 53n + 1n], 2, 1],
  [[2n ** 52n - 1n, 2n ** 53n - 1n], 2, 2 ** 52 - 2],
  [[MAX], 2047, 2 ** 52 - 1],
  [[MIN], -2048, 0],
])("A2: the state of %s is the count and the canonical pair (high, low)", ([inputs, high, low]) => {
  const expected = doublesOf(inputs.length, high, low);
  for (const order of [inputs, inputs.toReversed()]) {
    expect(integers("sum", ...order).state()).toEqual(expected);
    const parts = new Bench({ fn: "sum", of }, "integer").add(order.slice(1)).add([order[0]], 1);
    expect(parts.merge(parts.state(1)).state()).toEqual(expected);
  }
});

test("the state of a floating-point sum is the count and the sum", () => {
  expect(doubles("mean", 0.5, undefined, 0.25).state()).toEqual(doublesOf(2, 0.75));
});

test("inputs without residuals are as they are", () => {
  const vector = vectorOf("integer", [2n ** 54n, 2n ** 20n, -7n]);
  vector.residuals = undefined;
  for (const [fn, expected] of [
    ["sum", 2n ** 54n + 2n ** 20n - 7n],
    ["min", -7n],
    ["max", 2n ** 54n],
  ] as const) {
    const bench = new Bench({ fn, of }, "integer");
    bench.state();
    bench.accumulator.accumulate(new Int32Array(3), Int32Array.of(0, 1, 2), 3, vector);
    expect(bench.value()).toBe(expected);
  }
});

/** 2^53 and its neighbours have one nearest double each two. */
const NEAR = [2n ** 53n, 2n ** 53n + 1n, 2n ** 53n + 2n, 2n ** 53n + 3n];

test("extremes are exact where several integers have one nearest double, in any order and parts", () => {
  for (const sign of [1n, -1n]) {
    for (const a of NEAR) {
      for (const b of NEAR) {
        const inputs = [a * sign, b * sign];
        const [least, greatest] = inputs.toSorted((x, y) => (x < y ? -1 : 1));
        for (const [fn, expected] of [
          ["min", least],
          ["max", greatest],
        ] as const) {
          expect(integers(fn, ...inputs).value()).toBe(expected);
          const parts = integers(fn, inputs[0]).add([inputs[1]], 1);
          expect(parts.merge(parts.state(1)).value()).toBe(expected);
        }
      }
    }
  }
});

test("the state of an extreme: whether there is one, its nearest double and the residual", () => {
  const stateOf = (present: number, ...numbers: number[]) =>
    Uint8Array.of(present, ...doublesOf(...numbers));
  expect(integers("max", undefined).state()).toEqual(stateOf(0, 0, 0));
  expect(integers("max", 7n, 2n ** 53n + 1n).state()).toEqual(stateOf(1, 2 ** 53, 1));
  expect(integers("min", 7n, 2n ** 53n + 1n).state()).toEqual(stateOf(1, 7, 0));
  // Zero has one sign.
  expect(doubles("min", -0).state()).toEqual(stateOf(1, 0, 0));
});

test("extremes of doubles, negative ones too", () => {
  expect(doubles("max", -3, -1.5, undefined, -2).value()).toBe(-1.5);
  expect(doubles("min", 3, 1.5, undefined, 2).value()).toBe(1.5);
});
