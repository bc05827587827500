import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AggregateDefinition } from "../../projections/definition/definition.ts";
import { vectorOf } from "../accumulate/accumulators.suite.ts";
import { emptyVector } from "../expression/vector.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { lettersOf } from "./operator-run.suite.ts";
import { firstAt, SliceBlocks } from "./slice-blocks.ts";
import type { Slice } from "./slice-blocks.ts";
import { SlotStore } from "./slot-store.ts";

/** What is merged as one stands in brackets: how parts were put together can be seen. */
const BRACKETS = {
  name: "brackets",
  inputType: undefined,
  definition: {
    fn: "custom",
    inputs: { letter: { event: "id" } },
    init: () => "",
    add: (state: string, { letter }: { letter: string }) => state + letter,
    merge: (earlier: string, later: string) => earlier + (later.length > 1 ? `(${later})` : later),
    result: (state: string) => state,
  } as unknown as AggregateDefinition,
};

class Key {
  readonly store: SlotStore;
  readonly keyId: number;
  readonly slices: Slice[] = [];

  constructor(store: SlotStore, name = "k") {
    const bytes = Buffer.from(name);
    this.store = store;
    this.keyId = store.keys.intern(bytes, 0, bytes.length);
    store.keys.retain(this.keyId);
  }

  /** A slice that holds one letter. */
  add(letter: string, time: number): void {
    const { store, keyId } = this;
    const events = store.allocate(keyId, time, time + 1);
    const letters = vectorOf("string", [letter]);
    const input = { ...emptyVector("string"), parts: [letters] };
    store.accumulators[0]!.stage!([], 0, input);
    store.accumulators[0]!.accumulate(Int32Array.of(events), Int32Array.of(0), 1, input);
    this.slices.push({ time, events, window: -1 });
    this.slices.sort((a, b) => a.time - b.time);
  }

  /** Takes a slice away. */
  remove(time: number): void {
    const [slice] = this.slices.splice(firstAt(this.slices, time), 1);
    this.store.free(slice!.events);
  }

  /** What [start, end) holds, after an x: put together by `blocks`. */
  range(blocks: SliceBlocks, start: number, end: number): string {
    const { store, keyId } = this;
    const before = new Key(store, "x");
    before.add("x", 0);
    const slot = store.allocate(keyId, start, end);
    store.mergeInto(slot, before.slices[0]!.events);
    blocks.mergeInto(slot, this.slices, start, end);
    const letters = lettersOf(store, slot);
    store.free(slot);
    before.remove(0);
    return letters;
  }
}

const of = (times: Readonly<Record<string, number>>, store = new SlotStore([BRACKETS])): Key => {
  const key = new Key(store);
  for (const [letter, time] of Object.entries(times)) key.add(letter, time);
  return key;
};
/** Letters at consecutive times. */
const row = (letters: string, from: number, step = 1): Record<string, number> =>
  Object.fromEntries([...letters].map((letter, i) => [letter, from + i * step]));

test("the first slice at a time or after it, from an index on", () => {
  const slices = [-5, 0, 3, 4].map((time) => ({ time, events: 0, window: 0 }));
  const times = [-6, -5, -4, 0, 3, 4, 5];
  expect(times.map((time) => firstAt(slices, time))).toEqual([0, 0, 1, 1, 2, 3, 4]);
  expect(times.map((time) => firstAt(slices, time, 2))).toEqual([2, 2, 2, 2, 2, 3, 4]);
});

describe("K1: slices of a range are merged in the order of time", () => {
  test("and eight or more of an aligned block of 16 ms before the others", () => {
    const eight = of({ ...row("abcdefgh", 16, 2), ...row("y", 12), ...row("z", 33) });
    const blocks = new SliceBlocks(eight.store, 100);
    expect(eight.range(blocks, 0, 100)).toBe("xy(abcdefgh)z");
    const seven = of({ ...row("abcdefg", 16, 2), ...row("y", 12), ...row("z", 33) });
    expect(seven.range(new SliceBlocks(seven.store, 100), 0, 100)).toBe("xyabcdefgz");
  });

  test("but of a block that the range cuts one by one", () => {
    const key = of({ ...row("abcdefghi", 16), ...row("z", 31) });
    const blocks = new SliceBlocks(key.store, 100);
    expect(key.range(blocks, 16, 32)).toBe("x(abcdefghiz)");
    expect(key.range(blocks, 17, 32)).toBe("xbcdefghiz");
    expect(key.range(blocks, 16, 31)).toBe("xabcdefghi");
  });

  test("and eight that two blocks share are not of one", () => {
    const key = of(row("abcdefgh", 11));
    expect(key.range(new SliceBlocks(key.store, 100), 0, 100)).toBe("xabcdefgh");
  });

  test("by blocks of blocks, of which the greatest that fits is taken", () => {
    const key = of({
      ...row("abcdefgh", 256),
      ...row("i", 300),
      ...row("jklmnopq", 400),
      ...row("r", 511),
      ...row("stuvwyzA", 512),
    });
    const blocks = new SliceBlocks(key.store, 1_000);
    expect(key.range(blocks, 256, 1_000)).toBe("x(abcdefghi(jklmnopq)r)(stuvwyzA)");
    // The block of 256 ms does not fit; those of 16 in it do.
    expect(key.range(blocks, 256, 511)).toBe("x(abcdefgh)i(jklmnopq)");
    expect(key.range(blocks, 257, 512)).toBe("xbcdefghi(jklmnopq)r");
  });

  test("before 1970, too", () => {
    const key = of({ ...row("y", -20), ...row("abcdefgh", -16), ...row("z", 0) });
    expect(key.range(new SliceBlocks(key.store, 100), -50, 50)).toBe("xy(abcdefgh)z");
  });

  test("and there are blocks as long as a window, but none that are longer", () => {
    const key = of(row("abcdefgh", 0));
    expect(key.range(new SliceBlocks(key.store, 16), 0, 16)).toBe("x(abcdefgh)");
    expect(key.range(new SliceBlocks(key.store, 15), 0, 16)).toBe("xabcdefgh");
  });
});

describe("K2: blocks are a cache", () => {
  const LETTERS = { ...row("abcdefgh", 16), ...row("ijklmnop", 32) };

  test("of which each is made once, and freed with the slices that it stands for", () => {
    const key = of(LETTERS);
    const { store, keyId } = key;
    const blocks = new SliceBlocks(store, 100);
    const whole = "x(abcdefgh)(ijklmnop)";
    expect(key.range(blocks, 0, 99)).toBe(whole);
    expect(store.size).toBe(16 + 2);
    expect([key.range(blocks, 0, 99), store.size]).toEqual([whole, 16 + 2]);
    blocks.drop(keyId, 15);
    blocks.drop(keyId, 48);
    blocks.drop(keyId + 1, 20);
    expect(store.size).toBe(16 + 2);
    blocks.drop(keyId, 31);
    expect(store.size).toBe(16 + 1);
    key.remove(18);
    expect(key.range(blocks, 0, 99)).toBe("xabdefgh(ijklmnop)");
    blocks.drop(keyId, 32);
    blocks.drop(keyId, 32);
    expect(store.size).toBe(15);
    key.add("C", 18);
    expect(key.range(blocks, 0, 99)).toBe("x(abCdefgh)(ijklmnop)");
    expect(store.size).toBe(16 + 2);
  });

  test("in which a change of one time drops the blocks of all sizes that hold it", () => {
    const key = of({ ...row("abcdefgh", 256), ...row("ijklmnop", 272) });
    const blocks = new SliceBlocks(key.store, 1_000);
    expect(key.range(blocks, 256, 512)).toBe("x(abcdefgh(ijklmnop))");
    expect(key.store.size).toBe(16 + 3);
    blocks.drop(key.keyId, 511);
    expect(key.store.size).toBe(16 + 2);
    blocks.drop(key.keyId, 256);
    expect(key.store.size).toBe(16 + 1);
  });

  test("for each key", () => {
    const store = new SlotStore([BRACKETS]);
    const [one, other] = [of(LETTERS, store), new Key(store, "other")];
    for (const [letter, time] of Object.entries(row("ABCDEFGH", 16))) other.add(letter, time);
    const blocks = new SliceBlocks(store, 100);
    expect(one.range(blocks, 0, 32)).toBe("x(abcdefgh)");
    expect(other.range(blocks, 0, 32)).toBe("x(ABCDEFGH)");
    blocks.drop(one.keyId, 16);
    expect(store.size).toBe(16 + 8 + 1);
    expect(other.range(blocks, 0, 32)).toBe("x(ABCDEFGH)");
  });

  test("that changes no result: neither do what was asked before and what has gone since", () => {
    const times = fc.uniqueArray(fc.integer({ min: -300, max: 300 }), {
      maxLength: 120,
      size: "max",
    });
    const range = fc.record({ start: fc.integer({ min: -320, max: 280 }), drop: fc.nat(1_000) });
    fc.assert(
      fc.property(
        times,
        fc.integer({ min: 1, max: 600 }),
        fc.array(range),
        (all, sizeMs, asked) => {
          const key = new Key(new SlotStore([BRACKETS]));
          all.forEach((time) => key.add("a", time));
          const blocks = new SliceBlocks(key.store, sizeMs);
          for (const { start, drop } of asked) {
            const fresh = new SliceBlocks(key.store, sizeMs);
            const answer = key.range(fresh, start, start + sizeMs);
            expect(key.range(blocks, start, start + sizeMs)).toBe(answer);
            const inside = key.slices.filter(({ time }) => time >= start && time < start + sizeMs);
            expect(answer.replace(/[()]/g, "").length).toBe(1 + inside.length);
            const gone = key.slices[drop % Math.max(1, key.slices.length)];
            if (gone === undefined) continue;
            blocks.drop(key.keyId, gone.time);
            key.remove(gone.time);
          }
        },
      ),
      { numRuns: propertyRuns(50) },
    );
  });
});
