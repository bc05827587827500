/** What the aggregates that keep sketches publish: estimates, alone or with the sketch's own bytes. */
import { expect, test } from "vitest";
import { Value } from "../../proto/gen/tidemark/v1/result.ts";
import { Bench, plain, type Input } from "./accumulators.suite.ts";
import { TOP_K_BYTES_MAX } from "./top-k.ts";

const of = { field: "x" };
const distinct = (sketch: boolean, inputs: readonly Input[]) =>
  new Bench({ fn: "distinct", of, precision: 12, sketch }, "string").add(inputs);
const quantile = (q: number, sketch: boolean, inputs: readonly Input[]) =>
  new Bench({ fn: "quantile", of, q, relativeError: 0.01, sketch }, "double").add(inputs);
const quantiles = (qs: readonly number[], sketch: boolean, inputs: readonly Input[]) =>
  new Bench({ fn: "quantiles", of, qs, relativeError: 0.01, sketch }, "double").add(inputs);
const topK = (k: number, sketch: boolean, inputs: readonly Input[]) =>
  new Bench({ fn: "topK", of, k, capacity: 8, sketch }, "string").add(inputs);

/** A state of `distinct` is the sketch's bytes with their length in front. */
const sketchOf = (state: Uint8Array) => Buffer.from(state.subarray(4));

test("distinct: the estimate alone, or as `estimate` beside the `sketch` that the state holds", () => {
  const inputs = ["a", "b", undefined, "a", ""];
  expect(distinct(false, inputs).value()).toBe(3n);
  const bench = distinct(true, inputs);
  expect(bench.value()).toEqual({ estimate: 3n, sketch: sketchOf(bench.state()) });
  const none = distinct(true, []);
  expect(none.value()).toEqual({ estimate: 0n, sketch: Buffer.of(0x11, 0x8c, 9) });
});

test("distinct: values of types are told apart by all their bytes", () => {
  const long = "x".repeat(5_000);
  expect(distinct(false, [`${long}a`, `${long}b`, `${long}a`]).value()).toBe(2n);
  const integers = new Bench({ fn: "distinct", of, precision: 8, sketch: false }, "integer");
  expect(integers.add([2n ** 53n, 2n ** 53n + 1n, 2n ** 53n]).value()).toBe(2n);
  const doubles = new Bench({ fn: "distinct", of, precision: 8, sketch: false }, "double");
  expect(doubles.add([0, -0, 1]).value()).toBe(2n);
});

test("quantile: a number alone, or as `estimate` beside the `sketch`", () => {
  expect(quantile(0, false, [7, undefined, 9]).value()).toBe(7);
  expect(quantile(1, false, [7, undefined, 9]).value()).toBe(9);
  const { estimate, sketch } = quantile(1, true, [7, 9]).value() as Record<string, unknown>;
  expect(estimate).toBe(9);
  expect((sketch as Buffer)[0]).toBe(0x0a);
});

test("quantiles: each by its percentile, then the sketch where it is asked for", () => {
  const inputs = [1, 2, 3];
  expect(quantiles([0, 0.999, 1], false, inputs).value()).toEqual({
    p0: 1,
    "p99.9": expect.closeTo(2, 1),
    p100: 3,
  });
  const value = quantiles([1], true, inputs).value() as Record<string, unknown>;
  expect(Object.keys(value)).toEqual(["p100", "sketch"]);
  // One of a list is a record as well.
  expect(quantiles([1], false, inputs).value()).toEqual({ p100: 3 });
});

test("quantiles: of none, null, with the sketch and without", () => {
  for (const sketch of [false, true]) {
    expect(quantile(0.5, sketch, [undefined]).value()).toBe(null);
    expect(quantiles([0.5], sketch, []).value()).toBe(null);
  }
});

const item = (value: string, count: bigint, error = 0n) => ({ value, count, error });

test("topK: at most k items of value, count and error, the most frequent first", () => {
  const inputs = ["b", "a", "c", undefined, "a", "b", "a"];
  expect(topK(2, false, inputs).value()).toEqual([item("a", 3n), item("b", 2n)]);
  expect(topK(3, false, inputs).value()).toEqual([item("a", 3n), item("b", 2n), item("c", 1n)]);
  expect(topK(9, false, []).value()).toEqual([]);
});

test("topK: as `top` beside a `sketch` of the floor and of all items that are watched", () => {
  // Nine values where eight are watched: the ones and twos go, and the floor is 1.
  const inputs = [..."aaabbb", ..."ccdefghi"];
  const { top, sketch } = topK(1, true, inputs).value() as Record<string, unknown>;
  expect(top).toEqual([item("a", 3n)]);
  const items = [item("a", 3n), item("b", 3n), item("c", 2n)];
  expect(plain(Value.decode(sketch as Buffer))).toEqual({ floor: 1n, items });
  const none = topK(1, true, []).value() as Record<string, unknown>;
  expect(none["top"]).toEqual([]);
  expect(plain(Value.decode(none["sketch"] as Buffer))).toEqual({ floor: 0n, items: [] });
});

test("topK: strings are one when their first bytes are, up to the limit", () => {
  const limit = "x".repeat(TOP_K_BYTES_MAX);
  const inputs = [limit, `${limit}a`, `${limit}b`, limit.slice(1)];
  expect(topK(2, false, inputs).value()).toEqual([item(limit, 3n), item(limit.slice(1), 1n)]);
});

test("topK: numbers are what they were, beyond 2^53 too", () => {
  const integers = new Bench({ fn: "topK", of, k: 2, capacity: 8, sketch: false }, "integer");
  expect(integers.add([2n ** 53n + 1n, 5n, 2n ** 53n + 1n]).value()).toEqual([
    { value: 2n ** 53n + 1n, count: 2n, error: 0n },
    { value: 5n, count: 1n, error: 0n },
  ]);
});

test("a slot that is let go holds no sketch any more, and its neighbour does", () => {
  for (const make of [
    () => distinct(true, ["a", "b"]).add(["c"], 1),
    () => quantiles([0.5], false, [1, 2]).add([3], 1),
    () => topK(2, true, ["a", "b", "a"]).add(["a"], 1),
  ]) {
    const bench = make();
    const neighbour = bench.state(1);
    bench.accumulator.release!(0);
    expect(bench.state(0)).toEqual(bench.state(2));
    expect(bench.state(1)).toEqual(neighbour);
  }
});
