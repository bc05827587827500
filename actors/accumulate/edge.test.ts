import fc from "fast-check";
import { expect, test } from "vitest";
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
    { numRuns: 500 },
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
