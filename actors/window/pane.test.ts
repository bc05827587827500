import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../testkit/property-runs.ts";
import { Pane } from "./pane.ts";
import { SlotStore } from "./slot-store.ts";

const COUNT = { name: "n", definition: { fn: "count" }, inputType: undefined } as const;

test("N1: slots are in the order in which their keys first came, and a key has one", () => {
  const store = new SlotStore([COUNT]);
  const pane = new Pane(10, 20);
  const slots = [7, 3, 7, 9, 3].map((keyId) => pane.slotOf(keyId, store));
  expect(slots).toEqual([0, 1, 0, 2, 1]);
  expect([...pane.slots.subarray(0, pane.count)]).toEqual([0, 1, 2]);
  expect([...store.keyIds.subarray(0, 3)]).toEqual([7, 3, 9]);
  for (const slot of [0, 1, 2]) expect([store.starts[slot], store.ends[slot]]).toEqual([10, 20]);
});

test("a key without a slot is not found, and looking makes none", () => {
  const store = new SlotStore([COUNT]);
  const pane = new Pane(0, 10);
  expect(pane.find(5, store)).toBe(-1);
  const slot = pane.slotOf(5, store);
  expect([pane.find(5, store), pane.find(6, store)]).toEqual([slot, -1]);
  expect([pane.count, store.size]).toEqual([1, 1]);
});

test("any keys in any order are found, however many, among the slots of other panes", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(5_000), { minLength: 1, maxLength: 300, size: "max" }),
      (keyIds) => {
        const store = new SlotStore([COUNT]);
        const panes = [new Pane(0, 10), new Pane(10, 20)];
        const slots = keyIds.map((keyId) => panes.map((pane) => pane.slotOf(keyId, store)));
        for (const [p, pane] of panes.entries()) {
          expect(keyIds.map((keyId) => pane.find(keyId, store))).toEqual(slots.map((s) => s[p]));
          expect([...pane.slots.subarray(0, pane.count)]).toEqual(slots.map((s) => s[p]));
          expect(pane.find(5_001, store)).toBe(-1);
        }
        expect(store.size).toBe(2 * keyIds.length);
      },
    ),
    { numRuns: propertyRuns(50) },
  );
});
