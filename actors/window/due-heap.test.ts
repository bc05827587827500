import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../testkit/property-runs.ts";
import { DueHeap, OUTDATED_MIN } from "./due-heap.ts";

/** The same as a list that is sorted whenever somebody asks. */
class Sorted {
  readonly #slots = new Map<number, { due: number; rank: number }>();
  #ranks = 0;

  set(slot: number, due: number): void {
    this.#slots.set(slot, { due, rank: this.#slots.get(slot)?.rank ?? this.#ranks++ });
  }
  remove(slot: number): void {
    this.#slots.delete(slot);
  }
  get #all() {
    return [...this.#slots].sort(([, a], [, b]) => a.due - b.due || a.rank - b.rank);
  }
  get least(): number {
    return this.#all[0]?.[1].due ?? Number.POSITIVE_INFINITY;
  }
  first(time: number): number {
    const [top] = this.#all;
    return top !== undefined && top[1].due <= time ? top[0] : -1;
  }
  get size(): number {
    return this.#slots.size;
  }
  slots(): number[] {
    return [...this.#slots].sort(([, a], [, b]) => a.rank - b.rank).map(([slot]) => slot);
  }
  dueOf(slot: number): number {
    return this.#slots.get(slot)!.due;
  }
}

/** All slots, as they come. */
const drained = (queue: Pick<DueHeap, "first" | "remove">): number[] => {
  const slots: number[] = [];
  for (let slot = queue.first(99); slot >= 0; slot = queue.first(99)) {
    slots.push(slot);
    queue.remove(slot);
  }
  return slots;
};

const step = fc.oneof(
  fc.record({ act: fc.constant("set"), slot: fc.nat(30), due: fc.integer({ min: -20, max: 20 }) }),
  fc.record({ act: fc.constant("remove"), slot: fc.nat(30), due: fc.constant(0) }),
  fc.record({
    act: fc.constant("pass"),
    slot: fc.constant(0),
    due: fc.integer({ min: -20, max: 20 }),
  }),
);

test("H1: it is the list sorted by due, then by when a slot was first set", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300, size: "max" }), (steps) => {
      const heap = new DueHeap();
      const sorted = new Sorted();
      for (const { act, slot, due } of steps) {
        if (act === "set") {
          heap.set(slot, due);
          sorted.set(slot, due);
        } else if (act === "remove") {
          heap.remove(slot);
          sorted.remove(slot);
        } else {
          const first = sorted.first(due);
          expect(heap.first(due)).toBe(first);
          // It stays set.
          expect(heap.first(due)).toBe(first);
          heap.remove(first);
          sorted.remove(first);
        }
        expect([heap.least, heap.size]).toEqual([sorted.least, sorted.size]);
      }
      expect(heap.slots()).toEqual(sorted.slots());
      for (const slot of heap.slots()) expect(heap.dueOf(slot)).toBe(sorted.dueOf(slot));
      expect(drained(heap)).toEqual(drained(sorted));
    }),
    { numRuns: propertyRuns(100) },
  );
});

test("due at exactly a time is due; later is not", () => {
  const heap = new DueHeap();
  expect(heap.least).toBe(Number.POSITIVE_INFINITY);
  expect(heap.first(Number.MAX_SAFE_INTEGER)).toBe(-1);
  heap.set(7, 10);
  expect([heap.first(9), heap.first(10), heap.first(11)]).toEqual([-1, 7, 7]);
});

test("H1: slots due together come as they were first set, even if they were due at other times then", () => {
  const heap = new DueHeap();
  for (const slot of [5, 3, 8, 1, 9, 2]) heap.set(slot, 10);
  for (const slot of [8, 5, 2]) heap.set(slot, 20);
  for (const slot of [2, 8, 5]) heap.set(slot, 10);
  expect(heap.slots()).toEqual([5, 3, 8, 1, 9, 2]);
  expect(drained(heap)).toEqual([5, 3, 8, 1, 9, 2]);
});

test("H1: a slot that was removed and is set again comes after those that stayed", () => {
  const heap = new DueHeap();
  for (const slot of [1, 2, 3]) heap.set(slot, 10);
  heap.remove(1);
  heap.set(1, 10);
  expect([heap.first(10), heap.slots()]).toEqual([2, [2, 3, 1]]);
  expect(drained(heap)).toEqual([2, 3, 1]);
});

test("H2: outdated entries pile up to three a live slot and OUTDATED_MIN, then they all go", () => {
  for (const live of [1, 5, 200]) {
    const heap = new DueHeap();
    for (let slot = 0; slot < live; slot++) heap.set(slot, slot);
    expect(heap.outdated).toBe(0);
    const most = 3 * live + OUTDATED_MIN;
    for (let round = 0; round < 3; round++) {
      for (let i = 1; i <= most; i++) heap.set(i % live, (i * 7) % 50);
      expect(heap.outdated).toBe(most);
      heap.set(0, 50);
      expect(heap.outdated).toBe(0);
    }
    const dues = Array.from({ length: live }, (_, slot) => heap.dueOf(slot));
    const order = dues.map((due, slot) => ({ due, slot })).sort((a, b) => a.due - b.due);
    expect(drained(heap)).toEqual(order.map(({ slot }) => slot));
  }
});
