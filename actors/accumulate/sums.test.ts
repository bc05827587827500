import fc from "fast-check";
import { expect, test } from "vitest";
import { emptyVector } from "../expression/vector.ts";
import type { Vector } from "../expression/vector.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { Extreme } from "./extreme.ts";
import { ExactSums } from "./sums.ts";

const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -1000n, max: 1000n }),
  fc.constantFrom(2n ** 52n, 2n ** 52n - 1n, -(2n ** 52n), 2n ** 53n + 1n, -(2n ** 53n) - 1n),
);

/** Integers as the payload scanner gives them: nearest double and residual. */
const vectorOf = (integers: readonly bigint[]): Vector => ({
  ...emptyVector("integer"),
  valid: new Uint8Array(integers.length).fill(1),
  values: Float64Array.from(integers, Number),
  residuals: Float64Array.from(integers, (integer) => Number(integer - BigInt(Number(integer)))),
});

const indexes = (count: number) => Int32Array.from({ length: count }, (_, i) => i);

const bytesOf = (write: (slot: number, out: ByteWriter) => void): string => {
  const out = new ByteWriter();
  write(0, out);
  return Buffer.from(out.finish()).toString("hex");
};

test("exact sums are the integers' sum, and canonical however they are split", () => {
  fc.assert(
    fc.property(fc.array(int64, { maxLength: 40 }), fc.nat(40), (integers, cut) => {
      const total = integers.reduce((a, b) => a + b, 0n);
      const sums = new ExactSums();
      sums.grow(2);
      sums.clear(0);
      sums.clear(1);
      const zeros = new Int32Array(integers.length);
      sums.add(zeros, indexes(integers.length), integers.length, vectorOf(integers));
      const fits = total >= -(2n ** 63n) && total <= 2n ** 63n - 1n;
      expect(sums.toInteger(0)).toBe(fits ? total : undefined);
      expect(sums.toNumber(0)).toBe(Number(total));

      const parts = new ExactSums();
      parts.grow(2);
      parts.clear(0);
      parts.clear(1);
      const slots = Int32Array.from(integers, (_, i) => (i < cut ? 0 : 1));
      parts.add(slots, indexes(integers.length), integers.length, vectorOf(integers));
      const out = new ByteWriter();
      parts.write(1, out);
      parts.merge(0, new ByteReader(out.finish()));
      expect(bytesOf((slot, to) => parts.write(slot, to))).toBe(
        bytesOf((slot, to) => sums.write(slot, to)),
      );
    }),
    { numRuns: propertyRuns(2000) },
  );
});

test("extremes are exact beyond 2^53, in any order and split", () => {
  fc.assert(
    fc.property(
      fc.array(int64, { minLength: 1, maxLength: 20 }),
      fc.constantFrom("min" as const, "max" as const),
      fc.nat(20),
      (integers, which, cut) => {
        const better = (a: bigint, b: bigint) => ((which === "max") === a > b ? a : b);
        const extreme = new Extreme(which, true);
        extreme.grow(2);
        extreme.clear(0);
        extreme.clear(1);
        const slots = Int32Array.from(integers, (_, i) => (i < cut ? 1 : 0));
        extreme.accumulate(slots, indexes(integers.length), integers.length, vectorOf(integers));
        const out = new ByteWriter();
        extreme.write(1, out);
        extreme.merge(0, new ByteReader(out.finish()));
        const value = new ByteWriter();
        extreme.writeValue(0, value);
        const expected = new ByteWriter();
        expected.varint(8);
        expected.bigint64(integers.reduce(better));
        expect(Buffer.from(value.finish())).toEqual(Buffer.from(expected.finish()));
      },
    ),
    { numRuns: propertyRuns(2000) },
  );
});

test("equal extremes have equal bits: zero has one sign", () => {
  const bits = (values: number[]) => {
    const extreme = new Extreme("max", false);
    extreme.grow(1);
    extreme.clear(0);
    const input = { ...vectorOf([]), type: "double" as const, residuals: undefined };
    input.values = Float64Array.from(values);
    input.valid = new Uint8Array(values.length).fill(1);
    extreme.accumulate(new Int32Array(values.length), indexes(values.length), values.length, input);
    return bytesOf((slot, out) => extreme.write(slot, out));
  };
  expect(bits([-0, 0])).toBe(bits([0, -0]));
});
