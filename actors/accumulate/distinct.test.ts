import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../testkit/property-runs.ts";
import { Bench, seeded, type Input } from "./accumulators.suite.ts";
import { EXPLICIT_MAX } from "./hyperloglog.ts";

const definition = (precision = 12, sketch = false) =>
  ({ fn: "distinct", of: { field: "x" }, precision, sketch }) as const;

const bench = (precision = 12, type: "string" | "integer" = "string") =>
  new Bench(definition(precision), type);

const users = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `user-${from + i}`);

test("is exact up to 256 values, whatever their order and number of times", () => {
  const value = fc.oneof<fc.Arbitrary<Input>[]>(
    fc.constant(undefined),
    fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
    fc.bigInt(-9n, 9n),
  );
  fc.assert(
    fc.property(fc.array(value, { maxLength: 60 }), (inputs) => {
      const different = new Set(inputs.filter((input) => input !== undefined));
      expect(bench(12, "integer").add(inputs).value()).toBe(BigInt(different.size));
    }),
  );
  const all = users(0, EXPLICIT_MAX);
  expect(bench().add(all).add(all.toReversed()).value()).toBe(BigInt(EXPLICIT_MAX));
});

test("0 and -0 are one value, and no value is none", () => {
  expect(new Bench(definition(), "double").add([0, -0, undefined]).value()).toBe(1n);
  expect(bench().value()).toBe(0n);
});

test("D1: order and parts change no byte, small and large", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(3000), { maxLength: 600 }),
      fc.nat(600),
      fc.constantFrom(8, 12, 16),
      (numbers, cut, precision) => {
        const inputs = numbers.map((n) => `user-${n}`);
        const whole = bench(precision).add(inputs.toReversed());
        const parts = bench(precision).add(inputs.slice(cut));
        parts.add(inputs.slice(0, cut), 1).merge(parts.state(1));
        expect(parts.state()).toEqual(whole.state());
        expect(bench(precision).merge(whole.state()).state()).toEqual(whole.state());
      },
    ),
    { numRuns: propertyRuns(200) },
  );
});

test.for([8, 12, 14])("precision %i keeps its standard error over data sets", (precision) => {
  const sigma = 1.04 / Math.sqrt(2 ** precision);
  const errors: number[] = [];
  for (let set = 0; set < 10; set++) {
    for (const size of [300, 1_000, 3_000, 10_000, 20_000]) {
      const sketch = bench(precision).add(users(set * 1_000_000, set * 1_000_000 + size));
      errors.push((Number(sketch.value()) - size) / size);
    }
  }
  const rms = Math.sqrt(errors.reduce((a, b) => a + b * b, 0) / errors.length);
  expect(rms).toBeLessThan(sigma * 1.15);
  expect(Math.max(...errors.map(Math.abs))).toBeLessThan(sigma * 4);
  const bias = errors.reduce((a, b) => a + b, 0) / errors.length;
  expect(Math.abs(bias)).toBeLessThan(sigma * 0.35);
});

test("skewed, sorted and constant data count as their different values do", () => {
  const random = seeded(7);
  const zipf = Array.from({ length: 50_000 }, () => `page-${Math.floor(1 / (1 - random()))}`);
  const different = new Set(zipf).size;
  const estimate = bench().add(zipf).value();
  expect(estimate).toBe(
    bench()
      .add([...new Set(zipf)].sort())
      .value(),
  );
  expect(Math.abs(Number(estimate) - different) / different).toBeLessThan(0.05);
  expect(
    bench()
      .add(Array.from({ length: 5_000 }, () => "same"))
      .value(),
  ).toBe(1n);
});

test("D2: the published bytes are of the storage specification", () => {
  const sketch = (inputs: readonly string[]) =>
    new Bench(definition(12, true), "string").add(inputs).value() as Record<string, unknown>;
  const few = sketch(["a", "b"]);
  expect(few["estimate"]).toBe(2n);
  // Version 1 explicit; 5 bits, 2^12 registers; explicit up to 2^(9-1), no sparse form; two int64s.
  const bytes = few["sketch"] as Buffer;
  expect([...bytes.subarray(0, 3)]).toEqual([0x12, 0x8c, 9]);
  expect(bytes.length).toBe(3 + 16);
  expect(bytes.readBigInt64BE(3)).toBeLessThan(bytes.readBigInt64BE(11));
  expect((sketch([])["sketch"] as Buffer).toString("hex")).toBe("118c09");
  const full = sketch(users(0, 5_000))["sketch"] as Buffer;
  expect([...full.subarray(0, 3)]).toEqual([0x14, 0x8c, 9]);
  expect(full.length).toBe(3 + (4096 * 5) / 8);
});

test("D2: registers hold what the specification's readers would compute from the hashes", () => {
  const inputs = users(0, 200);
  const explicit = bench().add(inputs).state().subarray(4);
  const view = new DataView(explicit.buffer, explicit.byteOffset, explicit.byteLength);
  const registers = new Map<number, number>();
  for (let at = 3; at < explicit.length; at += 8) {
    const hash = view.getBigInt64(at);
    let rank = 1;
    for (let rest = hash >> 12n; (rest & 1n) === 0n; rest >>= 1n) rank++;
    const index = Number(hash & 4095n);
    registers.set(index, Math.max(rank, registers.get(index) ?? 0));
  }
  // One more than fits turns the 200 and 57 others into registers.
  const others = users(200, 257);
  const full = bench()
    .add([...inputs, ...others])
    .state()
    .subarray(4);
  const bits = [...full.subarray(3)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  for (const [index, rank] of registers) {
    const held = Number.parseInt(bits.slice(index * 5, index * 5 + 5), 2);
    expect(held).toBeGreaterThanOrEqual(rank);
  }
  expect(bits.match(/.{5}/g)!.filter((five) => five !== "00000").length).toBeLessThanOrEqual(257);
});
