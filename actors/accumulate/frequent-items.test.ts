import { expect, test } from "vitest";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { KeyTable } from "../kernel/key-table.ts";
import { seeded } from "./accumulators.suite.ts";
import { FrequentItems } from "./frequent-items.ts";

type Held = readonly [value: string, count: number, error: number];

class Bench {
  readonly keys: KeyTable;
  readonly items: FrequentItems;

  constructor(capacity: number, keys = new KeyTable()) {
    this.keys = keys;
    this.items = new FrequentItems(capacity, keys);
  }

  add(text: Iterable<string>): this {
    for (const value of text) {
      // Not at the buffer's beginning, nor to its end.
      const bytes = Buffer.from(`<${value}>`);
      this.items.add(bytes, 1, bytes.length - 1);
    }
    return this;
  }

  state(): Uint8Array {
    const out = new ByteWriter();
    this.items.write(out);
    return out.finish();
  }

  merge(state: Uint8Array): this {
    const reader = new ByteReader(state);
    this.items.merge(reader);
    expect(reader.at).toBe(state.length);
    return this;
  }

  sorted(): Held[] {
    return this.items
      .sorted()
      .map(({ bytes, count, error }) => [Buffer.from(bytes).toString(), count, error]);
  }
}

/** The layout: floor, number of values, and each with its length, bytes, count and error. */
const stateOf = (floor: number, ...held: readonly Held[]): Uint8Array => {
  const out = new ByteWriter();
  out.varint(floor);
  out.varint(held.length);
  for (const [value, count, error] of held) {
    out.varint(Buffer.byteLength(value));
    out.raw(Buffer.from(value));
    out.varint(count);
    out.varint(error);
  }
  return out.finish();
};

test("F3: what is held is written in the order in which it was taken in", () => {
  expect(new Bench(4).add("cabbcc").state()).toEqual(
    stateOf(0, ["c", 3, 0], ["a", 1, 0], ["b", 2, 0]),
  );
  expect(new Bench(4).state()).toEqual(stateOf(0));
});

test("the largest count comes first, and of equal ones the least bytes", () => {
  expect(new Bench(8).add("zbbaaéc").sorted()).toEqual([
    ["a", 2, 0],
    ["b", 2, 0],
    ["c", 1, 0],
    ["z", 1, 0],
    ["é", 1, 0],
  ]);
});

test("when there are too many, the floor rises by their median, and what is at it or below goes", () => {
  const bench = new Bench(4).add("aaaaabbbccd");
  expect(bench.items.floor).toBe(0);
  // Counts of 5, 3, 2, 1 and 1: the median is 2.
  bench.add("e");
  expect(bench.items.floor).toBe(2);
  expect(bench.state()).toEqual(stateOf(2, ["a", 5, 0], ["b", 3, 0]));
  // What comes now may have come twice before.
  bench.add("fab");
  expect(bench.state()).toEqual(stateOf(2, ["a", 6, 0], ["b", 4, 0], ["f", 1, 2]));
  // Above the old floor: a 4, b 2, f 1, g 2, h 1; so it rises by 2, and of g 2 + 2 is not above it.
  bench.add("ggh");
  expect(bench.state()).toEqual(stateOf(4, ["a", 6, 0]));
});

test("an even number of values: the greater of the two in the middle", () => {
  expect(new Bench(3).add("aaaabbbccd").state()).toEqual(stateOf(3, ["a", 4, 0]));
});

test("F2: of values that are all different the floor rises by one a purge, within its bound", () => {
  for (const capacity of [1, 2, 3, 7, 8]) {
    const bench = new Bench(capacity);
    for (let n = 1; n <= 500; n++) {
      bench.add([`value ${n}`]);
      expect(bench.items.floor).toBeLessThanOrEqual((2 * n) / (capacity + 1));
    }
    expect(bench.items.floor).toBe(Math.floor(500 / (capacity + 1)));
  }
});

test("as many values as there is room for are exact, whatever the room", () => {
  for (const size of [1, 7, 8, 9, 16, 17, 100]) {
    const values = Array.from({ length: size }, (_, i) => `value ${i}`);
    const bench = new Bench(size).add(values).add(values).add(values.slice(0, 3));
    expect(bench.state()).toEqual(
      stateOf(0, ...values.map((value, i): Held => [value, i < 3 ? 3 : 2, 0])),
    );
    expect(bench.items.floor).toBe(0);
    expect(bench.keys.size).toBe(size);
  }
});

test("bytes of a value are kept while some sketch holds it", () => {
  const keys = new KeyTable();
  const one = new Bench(2, keys).add("ab");
  const other = new Bench(2, keys).add("bc");
  expect(keys.size).toBe(3);
  one.items.release();
  expect(keys.size).toBe(2);
  expect(other.sorted()).toEqual([
    ["b", 1, 0],
    ["c", 1, 0],
  ]);
  // One more purges them all.
  other.add("d");
  expect([keys.size, other.sorted(), other.items.floor]).toEqual([0, [], 1]);
  other.items.release();
  expect(keys.size).toBe(0);
});

test("merged: counts add up, and what one side lacks may have come up to its floor there", () => {
  const into = new Bench(4).merge(stateOf(2, ["a", 6, 0], ["b", 4, 1]));
  into.merge(stateOf(3, ["c", 2, 3], ["b", 5, 2]));
  // a: at most 3 times there. b: errors of both. c: at most twice here.
  expect(into.state()).toEqual(stateOf(5, ["a", 6, 3], ["b", 9, 3], ["c", 2, 5]));
});

test("merged: a purge on the way raises what those that follow may have been here", () => {
  const into = new Bench(2).merge(stateOf(1, ["a", 3, 0], ["b", 2, 1]));
  into.merge(stateOf(1, ["c", 2, 1], ["d", 4, 0]));
  // With c there are a 3 + 1, b 2 + 2 and c 2 + 2 above a floor of 1 + 1: it rises by 2, and takes all.
  expect(into.state()).toEqual(stateOf(4, ["d", 4, 3]));
  expect(into.keys.size).toBe(1);
});

test("A3: merged into an empty sketch it is itself, floor and all", () => {
  const bench = new Bench(3).add("aabbbcdde");
  expect(bench.items.floor).toBeGreaterThan(0);
  expect(new Bench(3).merge(bench.state()).state()).toEqual(bench.state());
  expect(bench.merge(stateOf(0)).state()).toEqual(bench.state());
});

test("F1, F2: many parts merged into one keep the bounds of all that came", () => {
  const random = seeded(9);
  for (const capacity of [1, 4, 16]) {
    const counts = new Map<string, number>();
    const whole = new Bench(capacity);
    let n = 0;
    for (let part = 0; part < 12; part++) {
      const values = Array.from({ length: 80 }, () => `v${Math.floor(1 / (1 - random()) ** 0.7)}`);
      for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
      n += values.length;
      whole.merge(new Bench(capacity).add(values).state());
      expect(whole.items.floor).toBeLessThanOrEqual((2 * n) / (capacity + 1));
      const held = new Map(whole.sorted().map(([value, ...bounds]) => [value, bounds] as const));
      expect(held.size).toBeLessThanOrEqual(capacity);
      for (const [value, exact] of counts) {
        const [count, error] = held.get(value) ?? [0, whole.items.floor];
        expect(exact).toBeGreaterThanOrEqual(count);
        expect(exact).toBeLessThanOrEqual(count + error);
      }
      expect(whole.keys.size).toBe(held.size);
    }
  }
});
