import { describe, expect, test } from "vitest";
import type { AggregatePlan } from "../../projections/definition/plan.ts";
import { vectorOf } from "../accumulate/accumulators.suite.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { LETTERS, lettersOf } from "./operator-run.suite.ts";
import { FINALIZED, SlotStore } from "./slot-store.ts";

const COUNT: AggregatePlan = { name: "n", definition: { fn: "count" }, inputType: undefined };

const keyOf = (store: SlotStore, key: string): number => {
  const bytes = Buffer.from(key);
  return store.keys.intern(bytes, 0, bytes.length);
};

const slotOf = (store: SlotStore, key: string, start = 0, end = 10): number =>
  store.allocate(keyOf(store, key), start, end);

/** Adds letters to a slot, and says that it has changed. */
const add = (store: SlotStore, slot: number, letters: string): void => {
  const rows = Int32Array.from(letters, (_, row) => row);
  const input = vectorOf("string", [...letters]);
  const slots = new Int32Array(letters.length).fill(slot);
  for (const each of store.accumulators) each.accumulate(slots, rows, letters.length, input);
  store.digest.mark(slot);
};

const digestOf = (store: SlotStore): readonly number[] => {
  store.settleDigest();
  return [store.digest.low, store.digest.high];
};

const written = (store: SlotStore, slot: number): Uint8Array => {
  const out = new ByteWriter();
  store.write(slot, out);
  return out.finish();
};

describe("V2: slots", () => {
  test("that are freed are used again, and are empty then", () => {
    const store = new SlotStore([LETTERS], 5);
    const [a, b] = [slotOf(store, "a"), slotOf(store, "b")];
    add(store, a, "xy");
    store.revisions[a] = 3;
    store.flags[a] = FINALIZED;
    store.since[a] = 2;
    store.free(a);
    expect([store.size, store.flags[a]]).toEqual([1, 0]);
    const again = slotOf(store, "c", 20, 30);
    expect(again).toBe(a);
    expect([store.revisions[a], store.flags[a], store.since[a]]).toEqual([0, 0, 0]);
    expect([store.starts[a], store.ends[a], lettersOf(store, a)]).toEqual([20, 30, ""]);
    expect([slotOf(store, "d"), store.size]).toEqual([b + 1, 3]);
  });

  test("a key lives as long as some slot refers to it", () => {
    const store = new SlotStore([COUNT]);
    const [first, second] = [slotOf(store, "k", 0, 10), slotOf(store, "k", 10, 20)];
    expect(store.keys.size).toBe(1);
    store.free(first);
    expect(store.keys.size).toBe(1);
    store.free(second);
    expect([store.keys.size, store.size]).toEqual([0, 0]);
  });

  test("keep all that they hold while the columns grow", () => {
    for (const everyEvents of [0, 10]) {
      const store = new SlotStore([LETTERS], everyEvents);
      const given = Array.from({ length: 600 }, (_, i) => {
        const slot = slotOf(store, `k${i}`, i, i + 10);
        add(store, slot, String(i));
        store.revisions[slot] = i + 1;
        store.flags[slot] = i % 3;
        if (everyEvents > 0) store.since[slot] = i % 10;
        return [i, `k${i}`, i, i + 10, i + 1, i % 3, everyEvents > 0 ? i % 10 : undefined, `${i}`];
      });
      const { keyIds, keys, starts, ends, revisions, flags, since } = store;
      const held = given.map((_, slot) => {
        const key = Buffer.from(keys.bytesOf(keyIds[slot]!)).toString();
        const window = [starts[slot], ends[slot]];
        const rest = [revisions[slot], flags[slot], since[slot], lettersOf(store, slot)];
        return [slot, key, ...window, ...rest];
      });
      expect(held).toEqual(given);
    }
  });

  test("that are freed hold on to nothing outside columns", () => {
    const store = new SlotStore([LETTERS, COUNT]);
    const slot = slotOf(store, "k");
    add(store, slot, "abc");
    const full = written(store, slot).length;
    store.keys.retain(store.keyIds[slot]!);
    store.free(slot);
    // Its three letters, each with its length.
    expect(written(store, slot).length).toBe(full - 6);
  });
});

test("merging adds all that one slot holds to another, in every aggregate", () => {
  const store = new SlotStore([LETTERS, { ...LETTERS, name: "again" }]);
  const [into, from] = [slotOf(store, "a"), slotOf(store, "b")];
  add(store, into, "ab");
  add(store, from, "cd");
  store.mergeInto(into, from);
  expect([lettersOf(store, into), lettersOf(store, from)]).toEqual(["abcd abcd", "cd cd"]);
  store.mergeInto(into, from);
  expect(lettersOf(store, into)).toBe("abcdcd abcdcd");
});

test("a slot that is read is the one that was written", () => {
  for (const everyEvents of [0, 10]) {
    const from = new SlotStore([LETTERS, COUNT], everyEvents);
    const slot = slotOf(from, "key", 5, 15);
    add(from, slot, "abc");
    from.revisions[slot] = 4;
    from.flags[slot] = FINALIZED;
    if (everyEvents > 0) from.since[slot] = 3;
    const bytes = written(from, slot);

    const into = new SlotStore([LETTERS, COUNT], everyEvents);
    slotOf(into, "other");
    const reader = new ByteReader(bytes);
    const read = into.read(reader, 5, 15);
    expect([reader.at, read]).toEqual([bytes.length, 1]);
    expect(written(into, read)).toEqual(bytes);
    expect([into.starts[read], into.ends[read]]).toEqual([5, 15]);
    expect([into.revisions[read], into.flags[read]]).toEqual([4, FINALIZED]);
    expect(into.since[read]).toBe(everyEvents > 0 ? 3 : undefined);
    into.free(0);
    expect(digestOf(into)).toEqual(digestOf(from));
  }
});

describe("V1: the digest", () => {
  const filled = (
    ...slots: readonly [key: string, start: number, letters: string][]
  ): SlotStore => {
    const store = new SlotStore([LETTERS], 10);
    for (const [key, start, letters] of slots) {
      add(store, slotOf(store, key, start, start + 10), letters);
    }
    return store;
  };

  test("does not tell in which order slots came, nor which have gone", () => {
    const straight = filled(["a", 0, "x"], ["b", 10, "yz"]);
    const turned = filled(["gone", 0, "q"], ["b", 10, "yz"]);
    digestOf(turned);
    turned.free(0);
    add(turned, slotOf(turned, "a"), "x");
    expect(digestOf(turned)).toEqual(digestOf(straight));
    turned.free(0);
    turned.free(1);
    expect(digestOf(turned)).toEqual([0, 0]);
  });

  test("tells slots apart by key, window, letters, revision, flags, and events since", () => {
    const reference = filled(["a", 0, "x"]);
    const others = [
      filled(["b", 0, "x"]),
      filled(["a", 1, "x"]),
      filled(["a", 0, "y"]),
      ...(["revisions", "flags", "since", "ends"] as const).map((column) => {
        const store = filled(["a", 0, "x"]);
        store[column][0]! += 1;
        return store;
      }),
    ];
    const digests = [reference, ...others].map((store) => digestOf(store).join(" "));
    expect(new Set(digests).size).toBe(digests.length);
  });
});
