import { describe, expect, test } from "vitest";
import type { AggregatePlan } from "../../projections/definition/plan.ts";
import { vectorOf } from "../accumulate/accumulators.suite.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { LETTERS, lettersOf, SHORT } from "./operator-run.suite.ts";
import { FINALIZED, SlotStore, UNPUBLISHED } from "./slot-store.ts";
import { Run, UnpublishedSlots } from "./window-operator.ts";

const storeOf = (slots: number, everyEvents = 0): SlotStore => {
  const store = new SlotStore([LETTERS], everyEvents);
  for (let i = 0; i < slots; i++) {
    const key = Buffer.from(`k${i}`);
    store.allocate(store.keys.intern(key, 0, key.length), 0, 10);
  }
  return store;
};

describe("a run", () => {
  test("tries events if some aggregate, and only if one, runs code of the user's", () => {
    const tries = (...plans: readonly AggregatePlan[]) => new Run(new SlotStore(plans)).tries;
    expect([tries(LETTERS), tries(LETTERS, SHORT), tries(SHORT)]).toEqual([false, true, true]);
  });

  test("accumulates what was pushed in the order of the log, once, when it is settled", () => {
    const store = storeOf(2);
    const run = new Run(store);
    run.begin([vectorOf("string", ["a", "b", "c"])], 3);
    run.push(0, 0);
    run.push(1, 1);
    run.push(1, 0);
    run.push(2, 0);
    expect([lettersOf(store, 0), lettersOf(store, 1)]).toEqual(["", ""]);
    run.settle();
    run.settle();
    expect([lettersOf(store, 0), lettersOf(store, 1)]).toEqual(["abc", "b"]);
  });

  test("loses nothing when a batch has more windows than it has room for", () => {
    for (const rows of [1, 1_024, 1_025, 5_000]) {
      const letters = Array.from({ length: rows }, (_, i) => String.fromCharCode(97 + (i % 26)));
      const store = storeOf(3);
      const run = new Run(store);
      run.begin([vectorOf("string", letters)], rows);
      letters.forEach((_, row) => [0, 1, 2].forEach((slot) => run.push(row, slot)));
      run.settle();
      for (const slot of [0, 1, 2]) {
        // LETTERS keeps the first thousand.
        expect(lettersOf(store, slot)).toBe(letters.slice(0, 1_000).join(""));
      }
    }
  });

  test("a batch whose events have two windows each is accumulated at once", () => {
    const store = storeOf(2);
    const counts: number[] = [];
    const [accumulator] = store.accumulators;
    accumulator!.accumulate = (_slots, _rows, count) => void counts.push(count);
    const run = new Run(store);
    for (const rows of [100, 3_000, 2_000]) {
      run.begin([undefined], rows);
      for (let row = 0; row < rows; row++) {
        run.push(row, 0);
        run.push(row, 1);
      }
      run.settle();
      // There is nothing left to accumulate.
      run.settle();
    }
    expect(counts).toEqual([200, 6_000, 4_000]);
  });
});

describe("unpublished slots", () => {
  /** What would be published early. */
  const drained = (unpublished: UnpublishedSlots, onlyRipe = false): number[] => {
    const slots: number[] = [];
    unpublished.drain(onlyRipe, (slot) => slots.push(slot));
    return slots;
  };

  test("come in the order in which they changed, each once, and are forgotten then", () => {
    const unpublished = new UnpublishedSlots(storeOf(4), true);
    for (const slot of [2, 0, 2, 3, 0]) unpublished.touch(slot);
    expect(drained(unpublished)).toEqual([2, 0, 3]);
    expect(drained(unpublished)).toEqual([]);
  });

  test("are marked beside what else is known of them: the digest tells that they are", () => {
    const store = storeOf(2);
    store.flags[0] = FINALIZED;
    const unpublished = new UnpublishedSlots(store, true);
    for (const slot of [0, 0, 1]) unpublished.touch(slot);
    expect([...store.flags.subarray(0, 2)]).toEqual([FINALIZED | UNPUBLISHED, UNPUBLISHED]);
  });

  test("are none where nothing is wanted, and nothing is marked or counted for it", () => {
    const store = storeOf(2, 1);
    const unpublished = new UnpublishedSlots(store, false);
    unpublished.touch(1);
    expect([drained(unpublished), store.flags[1], store.since[1]]).toEqual([[], 0, 0]);
    expect(store.ripe).toEqual([]);
  });

  test("that were published or freed meanwhile are forgotten", () => {
    const unpublished = new UnpublishedSlots(storeOf(3), true);
    for (const slot of [0, 1, 2]) unpublished.touch(slot);
    unpublished.forget(1);
    expect(drained(unpublished)).toEqual([0, 2]);
  });

  test("of those that are ripe the rest does not know: it stays", () => {
    const store = storeOf(3, 2);
    const unpublished = new UnpublishedSlots(store, true);
    for (const slot of [2, 0, 1, 0]) unpublished.touch(slot);
    expect(store.ripe).toEqual([0]);
    expect(drained(unpublished, true)).toEqual([0]);
    expect(store.ripe).toEqual([]);
    expect(drained(unpublished)).toEqual([2, 1]);
  });

  test("what was published with all others is not ripe any more", () => {
    const store = storeOf(2, 2);
    const unpublished = new UnpublishedSlots(store, true);
    for (const slot of [1, 1]) unpublished.touch(slot);
    expect(drained(unpublished)).toEqual([1]);
    expect(drained(unpublished, true)).toEqual([]);
  });

  test("survive a snapshot, whatever the numbers of slots after it", () => {
    const store = storeOf(4);
    const before = new UnpublishedSlots(store, true);
    for (const slot of [3, 0, 2]) before.touch(slot);
    const out = new ByteWriter();
    before.write(out, () => [2, 3, 1, 0]);
    const after = new UnpublishedSlots(storeOf(20), true);
    const reader = new ByteReader(out.finish());
    // The same slots in the same order, under new numbers.
    after.read(reader, () => [12, 13, 11, 10]);
    expect(reader.at).toBe(out.length);
    expect(drained(after)).toEqual([13, 10, 12]);
  });

  test("when there are none, nobody asks for the order of all", () => {
    const out = new ByteWriter();
    const asked = () => expect.fail("asked") as never;
    new UnpublishedSlots(storeOf(1), true).write(out, asked);
    const after = new UnpublishedSlots(storeOf(1), true);
    after.read(new ByteReader(out.finish()), asked);
    expect([out.length, drained(after)]).toEqual([4, []]);
  });
});
