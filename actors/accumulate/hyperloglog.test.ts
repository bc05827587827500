import { describe, expect, test } from "vitest";
import { ByteWriter } from "../kernel/byte-writer.ts";
import { seeded } from "./accumulators.suite.ts";
import { EXPLICIT_MAX, HyperLogLog } from "./hyperloglog.ts";

const BITS_53 = 2n ** 53n - 1n;

/** Adds hashes of up to 64 bits, as the two lowest lanes of a hash function give them. */
const sketchOf = (precision: number, hashes: readonly bigint[]): HyperLogLog => {
  const sketch = new HyperLogLog(precision);
  for (const hash of hashes) {
    sketch.add(Number(BigInt.asIntN(32, hash)), Number(BigInt.asIntN(32, hash >> 32n)));
  }
  return sketch;
};

const bytesOf = (sketch: HyperLogLog): Buffer => {
  const out = new ByteWriter();
  sketch.write(out);
  return Buffer.from(out.finish());
};

/** As text, which a matcher compares at once. */
const hexOf = (sketch: HyperLogLog): string => bytesOf(sketch).toString("hex");

const random = seeded(17);
const hash64 = (): bigint =>
  (BigInt(Math.floor(random() * 2 ** 32)) << 32n) | BigInt(Math.floor(random() * 2 ** 32));
const hashes = (length: number): bigint[] => Array.from({ length }, hash64);

/** D2: the specification's registers: of each, the longest run of trailing zeros and its one. */
const registersOf = (precision: number, some: readonly bigint[]): number[] => {
  const registers = Array.from({ length: 2 ** precision }, () => 0);
  for (const hash of some) {
    const index = Number(hash & (2n ** BigInt(precision) - 1n));
    const rest = (hash & BITS_53) >> BigInt(precision);
    if (rest === 0n) continue;
    const zeros = rest.toString(2).length - rest.toString(2).replace(/0+$/, "").length;
    registers[index] = Math.max(registers[index]!, Math.min(31, zeros + 1));
  }
  return registers;
};

/** D2: the bytes of registers: a header of three, then five bits each, the highest first. */
const fullOf = (precision: number, registers: readonly number[]): Buffer => {
  const explicit = Math.log2(Math.min(EXPLICIT_MAX, 2 ** (precision - 4))) + 1;
  const bits = registers.map((rank) => rank.toString(2).padStart(5, "0")).join("");
  const bytes = bits.match(/.{8}/g)!.map((byte) => Number.parseInt(byte, 2));
  return Buffer.of(0x14, 0x80 | precision, explicit, ...bytes);
};

const fullHexOf = (precision: number, registers: readonly number[]): string =>
  fullOf(precision, registers).toString("hex");

describe.for([
  [8, 16],
  [10, 64],
  [12, 256],
  [14, 256],
] as const)("of precision %i", ([precision, explicitMax]) => {
  const many = hashes(explicitMax + 1);

  test(`is exact up to ${explicitMax} values, which are written in ascending order`, () => {
    const explicit = many.slice(1);
    const sketch = sketchOf(precision, [...explicit, ...explicit.toReversed()]);
    expect(sketch.estimate()).toBe(explicitMax);
    const bytes = bytesOf(sketch);
    const header = [0x12, 0x80 | precision, Math.log2(explicitMax) + 1];
    expect([...bytes.subarray(0, 3)]).toEqual(header);
    const view = new DataView(bytes.buffer, bytes.byteOffset + 3);
    const written = Array.from({ length: (bytes.length - 3) / 8 }, (_, i) =>
      view.getBigInt64(i * 8),
    );
    // D3: 53 bits, with zeros above.
    const sorted = explicit.map((hash) => hash & BITS_53).sort((a, b) => (a < b ? -1 : 1));
    expect(written).toEqual(sorted);
  });

  test("turns to the specification's registers with the one that follows", () => {
    const sketch = sketchOf(precision, many);
    expect(hexOf(sketch)).toBe(fullHexOf(precision, registersOf(precision, many)));
  });
});

describe.for([
  [8, 16],
  [10, 64],
] as const)("with registers of precision %i", ([precision, explicitMax]) => {
  const many = hashes(explicitMax + 1);

  test("D1: registers do not depend on order and repetition", () => {
    const more = [...many, ...hashes(3 * explicitMax)];
    const expected = fullHexOf(precision, registersOf(precision, more));
    expect(hexOf(sketchOf(precision, more))).toBe(expected);
    expect(hexOf(sketchOf(precision, [...more.toReversed(), ...many]))).toBe(expected);
  });

  test("D1: parts of all sizes merge into the whole", () => {
    const sizes = [0, 1, explicitMax - 1, explicitMax, explicitMax + 1, 2 * explicitMax];
    const all = hashes(4 * explicitMax);
    for (const left of sizes) {
      for (const right of sizes) {
        const one = all.slice(0, left);
        // They share a few.
        const other = all.slice(Math.max(0, left - 1), left + right);
        const sketch = sketchOf(precision, one);
        sketch.merge(bytesOf(sketchOf(precision, other)));
        expect(hexOf(sketch)).toBe(hexOf(sketchOf(precision, all.slice(0, left + right))));
      }
    }
  });

  test("a sketch with registers goes on as the one it was written from", () => {
    const later = hashes(5);
    const sketch = new HyperLogLog(precision);
    sketch.merge(bytesOf(sketchOf(precision, many)));
    for (const hash of later) {
      sketch.add(Number(BigInt.asIntN(32, hash)), Number(BigInt.asIntN(32, hash >> 32n)));
    }
    const expected = registersOf(precision, [...many, ...later]);
    expect(hexOf(sketch)).toBe(fullHexOf(precision, expected));
  });
});

test("of none: the specification's empty form, and an estimate of 0", () => {
  expect([...bytesOf(new HyperLogLog(12))]).toEqual([0x11, 0x8c, 9]);
  expect(new HyperLogLog(12).estimate()).toBe(0);
  const sketch = new HyperLogLog(12);
  sketch.merge(Uint8Array.of(0x11, 0x8c, 9));
  expect(hexOf(sketch)).toBe("118c09");
});

test("a hash of all zeros is a value like others", () => {
  expect(sketchOf(8, [0n, 0n]).estimate()).toBe(1);
  expect(hexOf(sketchOf(8, [5n, 0n]))).toBe(`128805${"00".repeat(8)}${"05".padStart(16, "0")}`);
});

test("D2: ranks at their ends: no bit above the index, the lowest, the highest and one beyond 31", () => {
  const precision = 8;
  const filler = Array.from({ length: 16 }, (_, i) => (1n << 8n) | BigInt(200 + i));
  const tried = [0n, 1n << 8n, 1n << 9n, 1n << 37n, 1n << 38n, 1n << 39n, 1n << 40n, 1n << 52n];
  const all = [...tried.map((bits, index) => bits | BigInt(index)), ...filler];
  const expected = fullOf(precision, registersOf(precision, all));
  // In every place: kept as hashes, the one that turns them to registers, and after it.
  for (let from = 0; from < all.length; from++) {
    const sketch = sketchOf(precision, [...all.slice(from), ...all.slice(0, from)]);
    expect(hexOf(sketch)).toBe(expected.toString("hex"));
  }
  const bits = [...expected.subarray(3)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  expect(
    bits
      .slice(0, 40)
      .match(/.{5}/g)!
      .map((five) => Number.parseInt(five, 2)),
  ).toEqual([0, 1, 2, 30, 31, 31, 31, 31]);
});

test("D3: bits above the 53rd make no difference", () => {
  for (const more of [[], hashes(20)]) {
    const one = sketchOf(8, [...more, 5n << 30n]);
    const other = sketchOf(8, [...more, (5n << 30n) | (2047n << 53n)]);
    expect(hexOf(other)).toBe(hexOf(one));
  }
});

/** Ertl's estimator as his paper has it: of how many registers have each rank. */
const ertl = (registers: readonly number[]): number => {
  const m = registers.length;
  const share = (rank: number) => registers.filter((held) => held === rank).length / m;
  const terms = Array.from({ length: 60 }, (_, k) => k + 1);
  const sum = (term: (k: number) => number) => terms.reduce((total, k) => total + term(k), 0);
  const sigma = (x: number) => x + sum((k) => x ** (2 ** k) * 2 ** (k - 1));
  const tau = (x: number) => (1 - x - sum((k) => (1 - x ** (2 ** -k)) ** 2 * 2 ** -k)) / 3;
  const middle = Array.from({ length: 30 }, (_, k) => share(k + 1) * 2 ** -(k + 1));
  const all = sigma(share(0)) + middle.reduce((a, b) => a + b) + tau(1 - share(31)) * 2 ** -30;
  return m / (2 * Math.log(2) * all);
};

const REGISTERS: Readonly<Record<string, (i: number) => number>> = {
  "with many empty registers": (i) => (i % 7 === 0 ? 1 + (i % 3) : 0),
  "with one empty register": (i) => (i === 0 ? 0 : 1 + (i % 5)),
  "with none empty": (i) => 3 + (i % 11),
  "with some at the greatest rank": (i) => (i % 4 === 0 ? 31 : 25 + (i % 6)),
  "with nearly all at the greatest rank": (i) => (i < 3 ? 30 : 31),
  "with all of one rank": () => 9,
  "with a few at the least": (i) => (i < 5 ? 1 : 0),
};

test.for(Object.keys(REGISTERS))("the estimate is Ertl's, %s", (name) => {
  const registers = Array.from({ length: 256 }, (_, i) => REGISTERS[name]!(i));
  const sketch = new HyperLogLog(8);
  sketch.merge(fullOf(8, registers));
  expect(hexOf(sketch)).toBe(fullHexOf(8, registers));
  expect(sketch.estimate() / Math.round(ertl(registers))).toBeCloseTo(1, 12);
});

test("no register with a rank is an estimate of 0", () => {
  const sketch = new HyperLogLog(8);
  sketch.merge(
    fullOf(
      8,
      Array.from({ length: 256 }, () => 0),
    ),
  );
  expect(sketch.estimate()).toBe(0);
});
