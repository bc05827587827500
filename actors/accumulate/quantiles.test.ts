import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../testkit/property-runs.ts";
import { Bench, seeded } from "./accumulators.suite.ts";
import { bitsFor } from "./ddsketch.ts";

const QS = [0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1];

const definition = (relativeError = 0.01, sketch = false) =>
  ({ fn: "quantiles", of: { field: "x" }, qs: QS, relativeError, sketch }) as const;

const bench = (relativeError = 0.01) => new Bench(definition(relativeError), "double");

const valuesOf = (inputs: readonly number[], relativeError: number): number[] =>
  Object.values(bench(relativeError).add(inputs).value() as Record<string, number>);

const expectWithin = (inputs: readonly number[], relativeError: number): void => {
  const sorted = inputs.toSorted((a, b) => a - b);
  valuesOf(inputs, relativeError).forEach((value, i) => {
    const exact = sorted[Math.floor(QS[i]! * (sorted.length - 1))]!;
    expect(Math.abs(value - exact)).toBeLessThanOrEqual(Math.abs(exact) * relativeError * 1.000001);
  });
};

const random = seeded(11);
const made = (make: (i: number) => number) => Array.from({ length: 20_000 }, (_, i) => make(i));
const DATA_SETS = {
  uniform: made(() => random() * 1_000),
  zipf: made(() => Math.floor(1 / (1 - random()))),
  sorted: made((i) => i + 1),
  reversed: made((i) => 20_000 - i),
  constant: made(() => 42.5),
  signs: made(() => (random() - 0.5) * 1e6),
  zeros: made((i) => (i % 3) - 1),
  lognormal: made(() =>
    Math.exp(Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(6.28 * random())),
  ),
};

test.for(Object.keys(DATA_SETS) as (keyof typeof DATA_SETS)[])(
  "quantiles of %s data are within the error, those of 0 and 1 exact",
  (name) => {
    const inputs = DATA_SETS[name];
    for (const error of [0.1, 0.01, 0.001]) expectWithin(inputs, error);
    const [least, ...others] = valuesOf(inputs, 0.1);
    expect([least, others.at(-1)]).toEqual([
      inputs.reduce((a, b) => Math.min(a, b)),
      inputs.reduce((a, b) => Math.max(a, b)),
    ]);
  },
);

const normal = fc
  .double({ noNaN: true, noDefaultInfinity: true, min: 1e-4, max: 1e4 })
  .chain((size) => fc.constantFrom(size, -size, 0));

test("quantiles of anything of one scale are within the error", () => {
  fc.assert(
    fc.property(
      fc.array(normal, { minLength: 1, maxLength: 100 }),
      fc.constantFrom(0.1, 0.02, 0.005),
      expectWithin,
    ),
  );
});

test("D1: order and parts change no byte, even where bins are merged at the bottom", () => {
  const any = fc.double({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(fc.array(any, { maxLength: 40 }), fc.nat(40), (inputs, cut) => {
      const whole = bench(0.1).add(inputs.toReversed());
      const parts = bench(0.1).add(inputs.slice(cut));
      parts.add(inputs.slice(0, cut), 1).merge(parts.state(1));
      expect(parts.state()).toEqual(whole.state());
      expect(parts.value()).toEqual(whole.value());
      expect(bench(0.1).merge(whole.state()).state()).toEqual(whole.state());
    }),
    { numRuns: propertyRuns(200) },
  );
});

test("D2: memory is bounded, and the large values keep their error", () => {
  const inputs = made((i) => 2 ** ((i % 2000) - 1000));
  const one = bench().add(inputs);
  expect(one.state().length).toBeLessThan(5_000);
  const { p99, "p99.9": p999 } = one.value() as Record<string, number>;
  const sorted = inputs.toSorted((a, b) => a - b);
  expect(Math.abs(p99! / sorted[Math.floor(0.99 * 19_999)]! - 1)).toBeLessThan(0.01);
  expect(Math.abs(p999! / sorted[Math.floor(0.999 * 19_999)]! - 1)).toBeLessThan(0.01);
});

test("extremes of doubles neither overflow nor get lost", () => {
  const inputs = [Number.MAX_VALUE, -Number.MAX_VALUE, Number.MIN_VALUE, 0, -0];
  const values = Object.values(bench().add(inputs).value() as Record<string, number>);
  expect(values.every(Number.isFinite)).toBe(true);
  expect([values[0], values[4], values.at(-1)]).toEqual([-Number.MAX_VALUE, 0, Number.MAX_VALUE]);
});

test("no value is null, and one quantile alone is a number", () => {
  expect(bench().value()).toBe(null);
  const one = { ...definition(), fn: "quantile", q: 0.5 } as const;
  expect(new Bench(one, "integer").add([7, undefined, 7]).value()).toBe(7);
});

test("the bits of a relative error", () => {
  expect([0.1, 0.05, 0.01, 0.001].map(bitsFor)).toEqual([3, 4, 6, 9]);
});

test("the published bytes are of DDSketch.proto", () => {
  const inputs = [1, 1, 3, -2, 0];
  const { sketch } = new Bench(definition(0.01, true), "double").add(inputs).value() as {
    sketch: Buffer;
  };
  // Mapping { gamma: 2^(1/64), LINEAR }; bins 0 and 96 of positives, 64 of negatives; one zero.
  const mapping = sketch.subarray(2, 13);
  expect(mapping.readDoubleLE(1)).toBeCloseTo(2 ** (1 / 64), 15);
  expect([...sketch.subarray(11, 13)]).toEqual([0x18, 1]);
  const positive = sketch.subarray(13);
  expect(positive[0]).toBe(0x12);
  const counts = positive.subarray(3 + 3);
  expect(counts.readDoubleLE(0)).toBe(2);
  expect(counts.readDoubleLE(96 * 8)).toBe(1);
  expect([...counts.subarray(97 * 8, 97 * 8 + 2)]).toEqual([0x18, 0]);
  expect(sketch.subarray(-9).readDoubleLE(1)).toBe(1);
});
