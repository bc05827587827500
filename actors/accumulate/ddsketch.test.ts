import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { bitsFor, DDSketch } from "./ddsketch.ts";

const LEAST_NORMAL = 2 ** -1022;

const sketchOf = (values: readonly number[], bits = 3): DDSketch => {
  const sketch = new DDSketch(bits);
  for (const value of values) sketch.add(value);
  return sketch;
};

const bytesOf = (sketch: DDSketch): Uint8Array => {
  const out = new ByteWriter();
  sketch.write(out);
  return out.finish();
};

const merged = (into: DDSketch, part: DDSketch): DDSketch => {
  const state = bytesOf(part);
  const reader = new ByteReader(state);
  into.merge(reader);
  expect(reader.at).toBe(state.length);
  return into;
};

/** What the sketch makes of a value that is neither its least nor its greatest. */
const estimateOf = (value: number, bits: number): number =>
  sketchOf([-8 * Math.abs(value), value, 8 * Math.abs(value)], bits).quantile(0.5);

test.for([3, 4, 5, 6, 7, 8, 9])(
  "D2: %i bits are for an error of 1 / (2^(bits + 1) + 1)",
  (bits) => {
    const error = 1 / (2 ** (bits + 1) + 1);
    expect(bitsFor(error)).toBe(bits);
    expect(bitsFor(error * 0.999)).toBe(bits + 1);
    expect(bitsFor(error * 1.001)).toBe(bits);
  },
);

test("no error asks for fewer than 3 bits", () => {
  expect([0.5, 0.9].map(bitsFor)).toEqual([3, 3]);
});

describe.for([3, 5])("D2: with %i bits", (bits) => {
  const bins = 2 ** bits;
  const error = 1 / (2 ** (bits + 1) + 1);

  test("both ends of every bin are within the error, and it is no larger than it must be", () => {
    for (const power of [1, 2 ** -1022, 2 ** -7, 2 ** 900]) {
      let worst = 0;
      for (let bin = 0; bin < bins; bin++) {
        const low = power * (1 + bin / bins);
        const high = power * (1 + (bin + 1) / bins) * (1 - Number.EPSILON);
        for (const value of [low, high, -low, -high]) {
          const estimate = estimateOf(value, bits);
          worst = Math.max(worst, Math.abs(estimate / value - 1));
        }
        // One bin has one estimate, its neighbour another.
        expect(estimateOf(low, bits)).toBe(estimateOf(high, bits));
        expect(estimateOf(high, bits)).toBeLessThan(estimateOf(high * (1 + 1e-12), bits));
      }
      expect(worst / error).toBeCloseTo(1, 9);
    }
  });

  test("values down to 2^31 times smaller than the largest of their sign keep it, and no smaller", () => {
    for (const sign of [1, -1]) {
      const sketch = (small: number) =>
        sketchOf([-sign, small * sign, small * sign, small * sign, 2 ** 31 * sign], bits);
      expect(Math.abs(sketch(1).quantile(0.5) / sign - 1)).toBeLessThanOrEqual(error * 1.000001);
      // The largest's octave is the last of 32; the first bin of the first one is not kept.
      const least = sketch(0.5 * (1 + 1 / bins)).quantile(0.5);
      expect(sketch(2 ** -9).quantile(0.5)).toBe(least);
      expect(Math.abs(sketch(0.5 * (1 + 2 / bins)).quantile(0.5))).toBeGreaterThan(Math.abs(least));
    }
  });
});

test("D3: what is nearer to zero than the least normal double counts as zero", () => {
  expect(sketchOf([-1, LEAST_NORMAL, 1]).quantile(0.5)).toBeGreaterThan(0);
  expect(sketchOf([-1, LEAST_NORMAL / 2, 1]).quantile(0.5)).toBe(0);
  expect(sketchOf([-1, -LEAST_NORMAL, 1]).quantile(0.5)).toBeLessThan(0);
  expect(sketchOf([-1, -LEAST_NORMAL / 2, 1]).quantile(0.5)).toBe(0);
  expect(sketchOf([-1, -0, 1]).quantile(0.5)).toBe(0);
});

test("every rank, over negatives, zeros and positives, is of the value at floor(q * (n - 1))", () => {
  const values = [-900, -40, -40, -3, 0, 0, 0, 5, 70, 70, 1_000];
  const sketch = sketchOf(values.toReversed(), 9);
  expect(sketch.count).toBe(values.length);
  values.forEach((value, rank) => {
    for (const part of [0, 0.5, 0.99]) {
      const q = Math.min(1, (rank + part) / (values.length - 1));
      if (rank === values.length - 1 && part > 0) continue;
      // A hair above, since the division rounds.
      const estimate = sketch.quantile(q + (part === 0 && rank > 0 ? 1e-12 : 0));
      expect(Math.abs(estimate - value)).toBeLessThanOrEqual(Math.abs(value) / 1025);
    }
  });
  expect([sketch.quantile(0), sketch.quantile(1)]).toEqual([-900, 1_000]);
});

test("no estimate lies beyond the least and the greatest value, which are exact", () => {
  // All of one bin, whose middle is above or below them all.
  for (const [low, high] of [
    [1, 1.001],
    [1.12, 1.124],
    [-1.001, -1],
    [-1.124, -1.12],
  ]) {
    const sketch = sketchOf([low!, low!, high!, high!]);
    const estimate = sketch.quantile(0.4);
    expect(estimate).toBeGreaterThanOrEqual(low!);
    expect(estimate).toBeLessThanOrEqual(high!);
    expect([sketch.quantile(0), sketch.quantile(1)]).toEqual([low, high]);
  }
});

test("of none there is no quantile", () => {
  expect(new DDSketch(3).quantile(0.5)).toBe(Number.NaN);
});

test("the state: zeros, positive and negative bins, least and greatest; of none three zeros", () => {
  const out = new ByteWriter();
  out.varint(2);
  // Bins of 8 an octave, the first of them at 1: one value, and its place.
  for (const bin of [8, 0]) {
    out.varint(1);
    out.uint32(bin);
    out.varint(1);
    out.varint(2);
  }
  out.double(-1);
  out.double(2);
  expect(bytesOf(sketchOf([2, 0, -1, 0]))).toEqual(out.finish());
  expect([...bytesOf(new DDSketch(3))]).toEqual([0, 0, 0]);
  expect(bytesOf(sketchOf([-0]))).toEqual(bytesOf(sketchOf([0])));
});

const PARTS: readonly (readonly number[])[] = [[], [0], [-0], [3], [-3], [0, 5, -7], [1e-320], [9]];

test("D1: any two parts merge into the whole, whichever signs they have", () => {
  for (const one of PARTS) {
    for (const other of PARTS) {
      const parts = merged(sketchOf(one), sketchOf(other));
      expect(bytesOf(parts)).toEqual(bytesOf(sketchOf([...one, ...other])));
      expect(parts.count).toBe(one.length + other.length);
    }
  }
});

/** Datadog's DDSketch.proto, as far as it is written here. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  message DDSketch {
    IndexMapping mapping = 1;
    Store positiveValues = 2;
    Store negativeValues = 3;
    double zeroCount = 4;
  }
  message IndexMapping {
    double gamma = 1;
    double indexOffset = 2;
    enum Interpolation { NONE = 0; LINEAR = 1; QUADRATIC = 2; CUBIC = 3; }
    Interpolation interpolation = 3;
  }
  message Store {
    map<sint32, double> binCounts = 1;
    repeated double contiguousBinCounts = 2 [packed = true];
    sint32 contiguousBinIndexOffset = 3;
  }
`);
const Proto = root.lookupType("DDSketch");
const published = (sketch: DDSketch) => Proto.toObject(Proto.decode(sketch.toProto()));

test("what is published is a message of DDSketch.proto, bin for bin", () => {
  expect(published(sketchOf([1, 1, 1.26, 4, 0.99, -0.6, -0.5, 0, 0]))).toEqual({
    mapping: { gamma: 2 ** (1 / 8), interpolation: 1 },
    positiveValues: {
      contiguousBinCounts: [1, 2, 0, 1, ...Array.from({ length: 13 }, () => 0), 1],
      contiguousBinIndexOffset: -1,
    },
    negativeValues: { contiguousBinCounts: [1, 1], contiguousBinIndexOffset: -8 },
    zeroCount: 2,
  });
  expect(published(sketchOf([2 ** 1000], 6))).toEqual({
    mapping: { gamma: expect.closeTo(2 ** (1 / 64), 15), interpolation: 1 },
    positiveValues: { contiguousBinCounts: [1], contiguousBinIndexOffset: 64_000 },
    negativeValues: {},
  });
});
