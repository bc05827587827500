import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../testkit/property-runs.ts";
import { Bench, type Input } from "./accumulators.suite.ts";
import { EDGE_BYTES_MAX } from "./edge.ts";

const FIRST = { fn: "first" as const, of: { field: "x" } };
const LAST = { fn: "last" as const, of: { field: "x" } };

const timed = <T extends Input>(input: fc.Arbitrary<T>) =>
  fc.array(
    fc.record({
      time: fc.integer({ min: -3, max: 3 }),
      input: fc.option(input, { nil: undefined }),
    }),
    { maxLength: 20 },
  );
const KINDS = {
  integer: timed<Input>(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)),
  double: timed<Input>(fc.double({ noNaN: true, noDefaultInfinity: true })),
  string: timed<Input>(fc.string({ unit: "binary" })),
} as const;

type Timed = { readonly time: number; readonly input: Input }[];

/** A stable sort by time; nulls are skipped. */
const model = (rows: Timed, fn: "first" | "last"): unknown => {
  const sorted = rows.filter((row) => row.input !== undefined).sort((a, b) => a.time - b.time);
  return (fn === "first" ? sorted[0] : sorted.at(-1))?.input ?? null;
};

test.for(Object.entries(KINDS))("first and last of %s, whole and in parts", ([type, rows]) => {
  fc.assert(
    fc.property(rows, fc.nat(20), fc.constantFrom(FIRST, LAST), (all: Timed, cut, definition) => {
      const split = (part: Timed) =>
        [part.map((row) => row.input), 0, part.map((row) => row.time)] as const;
      const whole = new Bench(definition, type as "string").add(...split(all));
      expect(whole.value()).toEqual(model(all, definition.fn));
      const head = new Bench(definition, type as "string").add(...split(all.slice(0, cut)));
      const tail = new Bench(definition, type as "string").add(...split(all.slice(cut)));
      expect(head.merge(tail.state()).state()).toEqual(whole.state());
      const restored = new Bench(definition, type as "string").merge(whole.state());
      expect(restored.state()).toEqual(whole.state());
      expect(restored.value()).toEqual(whole.value());
    }),
    { numRuns: propertyRuns(500) },
  );
});

test("a string is cut at its limit, between two characters", () => {
  const text = `${"x".repeat(EDGE_BYTES_MAX - 1)}é and more`;
  expect(new Bench(FIRST, "string").add([text], 0, [1]).value()).toBe(
    "x".repeat(EDGE_BYTES_MAX - 1),
  );
  const whole = "é".repeat(EDGE_BYTES_MAX / 2);
  expect(new Bench(LAST, "string").add([whole], 0, [1]).value()).toBe(whole);
});

const first = (...rows: (readonly [time: number, input: Input])[]) => ofRows(FIRST, rows);
const last = (...rows: (readonly [time: number, input: Input])[]) => ofRows(LAST, rows);
const ofRows = (
  definition: typeof FIRST | typeof LAST,
  rows: readonly (readonly [time: number, input: Input])[],
) =>
  new Bench(definition, typeof rows[0]![1] === "string" ? "string" : "integer").add(
    rows.map(([, input]) => input),
    0,
    rows.map(([time]) => time),
  );

test("of one event time the first is what came first in the log, and the last what came last", () => {
  for (const [a, b] of [
    [1n, 2n],
    ["a", "b"],
  ] as const) {
    expect(first([5, a], [5, b]).value()).toBe(a);
    expect(last([5, a], [5, b]).value()).toBe(b);
    expect(
      first([5, a])
        .merge(first([5, b]).state())
        .value(),
    ).toBe(a);
    expect(
      last([5, a])
        .merge(last([5, b]).state())
        .value(),
    ).toBe(b);
  }
});

test("a late event takes its place, and no other", () => {
  for (const [a, b] of [
    [2n ** 60n + 1n, 2n],
    ["a", "b"],
  ] as const) {
    expect(first([5, b], [4, a]).value()).toBe(a);
    expect(first([4, a], [5, b]).value()).toBe(a);
    expect(last([5, b], [4, a]).value()).toBe(b);
    expect(last([-1, a], [0, b]).value()).toBe(b);
    expect(
      last([5, b])
        .merge(last([4, a]).state())
        .value(),
    ).toBe(b);
    expect(
      first([4, a])
        .merge(first([5, b]).state())
        .value(),
    ).toBe(a);
    expect(
      first([5, b])
        .merge(first([4, a]).state())
        .value(),
    ).toBe(a);
  }
});

test("texts of a slot may be longer and shorter than the one before, and are its own", () => {
  const texts = ["", "x", "y".repeat(16), "z".repeat(17), "w".repeat(16), "v".repeat(400), "", "u"];
  const bench = new Bench(LAST, "string");
  texts.forEach((text, i) => {
    bench.add([text], 0, [i]).add([`${text}!`], 1, [i]);
    expect([bench.value(0), bench.value(1)]).toEqual([text, `${text}!`]);
    expect(new Bench(LAST, "string").merge(bench.state()).state()).toEqual(bench.state());
  });
});

test("a text that was merged stays as it was when its source is written anew", () => {
  const state = last([1, "before"]).state();
  const bench = new Bench(LAST, "string").merge(state);
  state.fill(0);
  expect(bench.value()).toBe("before");
});

test("the state: whether there is one, its event time, and the value; a text with its length", () => {
  const doubles = (...values: number[]) => [...new Uint8Array(Float64Array.from(values).buffer)];
  expect([...first([7, 2n ** 53n + 1n]).state()]).toEqual([1, ...doubles(7, 2 ** 53, 1)]);
  expect([...first([7, "ab"]).state()]).toEqual([1, ...doubles(7), 2, 0, 0, 0, 97, 98]);
  expect([...new Bench(LAST, "string").state()]).toEqual([0]);
});
