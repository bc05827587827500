import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../testkit/property-runs.ts";
import { Bench, type Input } from "./accumulators.suite.ts";

const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -(2n ** 53n), max: 2n ** 53n }),
  fc.bigInt({ min: -1000n, max: 1000n }),
  fc.constantFrom(2n ** 26n, 2n ** 26n - 1n, 2n ** 52n, 1n - 2n ** 52n, -(2n ** 63n)),
);
const integers = fc.array(fc.option(int64, { nil: undefined }), { maxLength: 40 });

const present = <T extends Input>(inputs: readonly T[]) =>
  inputs.filter((input): input is NonNullable<T> => input !== undefined);

/** The definition, in exact arithmetic: mean squared distance, as a fraction. */
const exactVariance = (values: readonly bigint[], population: boolean): number | null => {
  const n = BigInt(values.length);
  const divisor = population ? n : n - 1n;
  if (divisor <= 0n) return null;
  const sum = values.reduce((a, b) => a + b, 0n);
  const squares = values.reduce((a, b) => a + (n * b - sum) ** 2n, 0n);
  return Number(squares / n) / Number(n * divisor);
};

test("variance of integers is exact over all 64 bits, sample and population", () => {
  fc.assert(
    fc.property(integers, fc.boolean(), (inputs, population) => {
      const definition = { fn: "variance" as const, of: { field: "x" }, population };
      const value = new Bench(definition, "integer").add(inputs).value();
      expect(value).toBe(exactVariance(present(inputs), population));
      const root = new Bench({ ...definition, fn: "stddev" }, "integer").add(inputs).value();
      expect(root).toBe(value === null ? null : Math.sqrt(value as number));
    }),
    { numRuns: propertyRuns(2000) },
  );
});

const SAMPLE = { fn: "variance" as const, of: { field: "x" }, population: false };

test("A2, A3: of integers any order and any parts give the same bytes", () => {
  fc.assert(
    fc.property(integers, fc.nat(40), (inputs, cut) => {
      const whole = new Bench(SAMPLE, "integer").add(inputs.toReversed()).state();
      const parts = new Bench(SAMPLE, "integer")
        .add(inputs.slice(cut))
        .add(inputs.slice(0, cut), 1);
      expect(parts.merge(parts.state(1)).state()).toEqual(whole);
    }),
    { numRuns: propertyRuns(1000) },
  );
});

const doubles = fc.array(
  fc.option(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }), {
    nil: undefined,
  }),
  { maxLength: 40 },
);

test("variance of doubles is the two-pass one, whole and merged in parts", () => {
  fc.assert(
    fc.property(doubles, fc.nat(40), fc.constantFrom(0, 1e9), (inputs, cut, shift) => {
      const shifted = inputs.map((x) => (x === undefined ? undefined : x + shift));
      const values = present(shifted);
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      const squares = values.reduce((a, b) => a + (b - mean) ** 2, 0);
      const expected = squares / (values.length - 1);
      const parts = new Bench(SAMPLE, "double").add(shifted.slice(0, cut));
      parts.add(shifted.slice(cut), 1).merge(parts.state(1));
      for (const value of [new Bench(SAMPLE, "double").add(shifted).value(), parts.value()]) {
        if (values.length < 2) expect(value).toBe(null);
        else
          expect(Math.abs((value as number) - expected)).toBeLessThan(
            1e-9 * (1 + expected + shift),
          );
      }
    }),
    { numRuns: propertyRuns(1000) },
  );
});

test("a state read into an empty slot goes on with the same bits", () => {
  fc.assert(
    fc.property(doubles, fc.nat(40), (inputs, cut) => {
      const restored = new Bench(SAMPLE, "double");
      restored.merge(new Bench(SAMPLE, "double").add(inputs.slice(0, cut)).state());
      restored.add(inputs.slice(cut));
      expect(restored.state()).toEqual(new Bench(SAMPLE, "double").add(inputs).state());
    }),
  );
});

test("doubles that overflow give null, for good, and equal bytes", () => {
  const inputs = [1e308, -1e308, 1e308, 5];
  const bench = new Bench(SAMPLE, "double").add(inputs);
  expect(bench.value()).toBe(null);
  const merged = new Bench(SAMPLE, "double").add([1, 2]).merge(bench.state());
  expect(merged.value()).toBe(null);
  expect(new Bench(SAMPLE, "double").merge(bench.state()).state()).toEqual(bench.state());
});

test("none, one and equal values", () => {
  for (const type of ["integer", "double"] as const) {
    expect(new Bench(SAMPLE, type).value()).toBe(null);
    expect(new Bench(SAMPLE, type).add([7]).value()).toBe(null);
    expect(new Bench({ ...SAMPLE, population: true }, type).add([7]).value()).toBe(0);
    expect(new Bench(SAMPLE, type).add([7, undefined, 7]).value()).toBe(0);
  }
});
