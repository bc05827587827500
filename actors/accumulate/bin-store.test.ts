import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { seeded } from "./accumulators.suite.ts";
import { BinStore } from "./bin-store.ts";

type Counted = readonly (readonly [bin: number, count: number])[];

const storeOf = (binsMax: number, counted: Counted): BinStore => {
  const store = new BinStore(binsMax);
  for (const [bin, count] of counted) store.add(bin, count);
  return store;
};

const bytesOf = (store: BinStore): Uint8Array => {
  const out = new ByteWriter();
  store.write(out);
  return out.finish();
};

const merged = (store: BinStore, state: Uint8Array): BinStore => {
  const reader = new ByteReader(state);
  store.merge(reader);
  expect(reader.at).toBe(state.length);
  return store;
};

/** K1, as it says: a map, and what lies too far below the greatest goes to the lowest that is kept. */
const modelOf = (binsMax: number, counted: Counted): Map<number, number> => {
  const floor = Math.max(...counted.map(([bin]) => bin)) - binsMax + 1;
  const model = new Map<number, number>();
  for (const [bin, count] of counted) {
    const kept = Math.max(bin, floor);
    model.set(kept, (model.get(kept) ?? 0) + count);
  }
  return new Map([...model].sort(([a], [b]) => a - b));
};

const expectModel = (store: BinStore, binsMax: number, counted: Counted): void => {
  const model = modelOf(binsMax, counted);
  const bins = [...model.keys()];
  expect([store.lowest, store.greatest]).toEqual([bins[0], bins.at(-1)]);
  const held = new Map<number, number>();
  for (let bin = store.lowest; bin <= store.greatest; bin++) {
    if (store.countOf(bin) !== 0) held.set(bin, store.countOf(bin));
  }
  expect(held).toEqual(model);
  const ranked = [...model].flatMap(([bin, count]) => Array.from({ length: count }, () => bin));
  expect(store.total).toBe(ranked.length);
  expect(ranked.map((_, rank) => store.binAt(rank))).toEqual(ranked);
};

const random = seeded(5);
/** Bins about `at`, as far apart as `spread`. */
const some = (length: number, at: number, spread: number): Counted =>
  Array.from({ length }, () => [
    at + Math.floor((random() - 0.5) * spread),
    1 + Math.floor(random() * 3),
  ]);
const byBin = (a: readonly [number, number], b: readonly [number, number]) => a[0] - b[0];

describe.for([1, 2, 32, 33, 100])("of at most %i bins", (binsMax) => {
  test("K1: holds what the model holds, after every value", () => {
    for (const spread of [3, binsMax, binsMax * 2, binsMax * 20]) {
      for (const at of [0, -1_000, 1_000]) {
        const counted = some(24, at, spread);
        const store = new BinStore(binsMax);
        counted.forEach(([bin, count], i) => {
          store.add(bin, count);
          expectModel(store, binsMax, counted.slice(0, i + 1));
        });
      }
    }
  });

  test("K1: holds it whatever the order, and whichever parts are merged", () => {
    for (const spread of [binsMax, binsMax * 3]) {
      const counted = some(30, 7, spread);
      const up = storeOf(binsMax, counted.toSorted(byBin));
      expectModel(up, binsMax, counted);
      const down = storeOf(binsMax, counted.toSorted(byBin).reverse());
      expect(bytesOf(down)).toEqual(bytesOf(up));
      for (const cut of [0, 1, 10, 29, 30]) {
        const part = bytesOf(storeOf(binsMax, counted.slice(cut)));
        const store = merged(storeOf(binsMax, counted.slice(0, cut)), part);
        expect(bytesOf(store)).toEqual(bytesOf(up));
      }
    }
  });

  test("keeps binsMax bins apart, and merges the first that is one too many", () => {
    for (const at of [0, -5, 1_000_000]) {
      const last = at + binsMax - 1;
      for (const bins of [
        [at, last],
        [last, at],
      ]) {
        const store = storeOf(binsMax, [
          [bins[0]!, 2],
          [bins[1]!, 3],
        ]);
        expect([store.lowest, store.greatest]).toEqual([at, last]);
        store.add(last + 1, 4);
        expect([store.lowest, store.greatest, store.total]).toEqual([at + 1, last + 1, 9]);
        store.add(at, 5);
        expect([store.lowest, store.total]).toEqual([at + 1, 14]);
      }
    }
  });
});

test("a value far above all others leaves them in one bin", () => {
  const store = storeOf(4, [
    [0, 1],
    [1, 2],
    [3, 3],
    [1_000, 4],
  ]);
  expectModel(store, 4, [
    [997, 6],
    [1_000, 4],
  ]);
});

test("counts are even numbers and runs of empty bins odd ones, after the total, lowest and length", () => {
  const store = storeOf(100, [
    [-2, 1],
    [-1, 3],
    [3, 70],
  ]);
  expect([...bytesOf(store)]).toEqual([74, 0xfe, 0xff, 0xff, 0xff, 6, 2, 6, 7, 0x8c, 0x01]);
  expect([...bytesOf(new BinStore(100))]).toEqual([0]);
});

test("what is read goes on where it was written, with other state behind it", () => {
  const out = new ByteWriter();
  new BinStore(8).write(out);
  storeOf(8, [
    [5, 1],
    [9, 2],
  ]).write(out);
  out.varint(99);
  const reader = new ByteReader(out.finish());
  const store = new BinStore(8);
  store.merge(reader);
  expect(store.total).toBe(0);
  store.merge(reader);
  expect([store.total, store.countOf(5), store.countOf(9)]).toEqual([3, 1, 2]);
  expect(reader.varint()).toBe(99);
});
