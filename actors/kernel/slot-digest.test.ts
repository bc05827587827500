import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../testkit/property-runs.ts";
import { SlotDigest } from "./slot-digest.ts";

const SLOTS = 600;

const digestOf = (): SlotDigest => {
  const digest = new SlotDigest();
  digest.grow(SLOTS);
  return digest;
};

const hashOf = (content: number, lanes: Int32Array): void => {
  lanes[0] = Math.imul(content + 1, 0x9e37_79b1);
  lanes[1] = Math.imul(content + 1, 0x85eb_ca6b);
};

test("G1: it is that of what is held, whenever it was settled", () => {
  const change = fc.record({
    slot: fc.integer({ min: 0, max: 5 }),
    content: fc.option(fc.integer({ min: 0, max: 1_000 })),
    settles: fc.boolean(),
  });
  const same = fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
    const digest = digestOf();
    const held = new Map<number, number>();
    const settle = () => digest.settle((slot, lanes) => hashOf(held.get(slot)!, lanes));
    for (const { slot, content, settles } of changes) {
      if (content !== null) {
        held.set(slot, content);
        digest.mark(slot);
      } else if (held.delete(slot)) digest.remove(slot);
      if (settles) settle();
    }
    settle();
    const fresh = digestOf();
    const contents = [...held.values()];
    contents.forEach((_, slot) => fresh.mark(slot));
    fresh.settle((slot, lanes) => hashOf(contents[slot]!, lanes));
    expect([digest.low, digest.high]).toEqual([fresh.low, fresh.high]);
  });
  fc.assert(same, { numRuns: propertyRuns(500) });
});

test("G2: slots that come and go leave nothing behind, though nobody settles", () => {
  const digest = digestOf();
  const held = new Map<number, number>();
  for (let slot = 0; slot < SLOTS; slot += 2) {
    held.set(slot, slot);
    digest.mark(slot);
  }
  for (let life = 0; life < 50_000; life++) {
    const slot = 1 + 2 * (life % 7);
    digest.mark(slot);
    digest.remove(slot);
  }
  expect(digest.changed).toBeLessThan(2 * SLOTS);
  digest.settle((slot, lanes) => hashOf(held.get(slot)!, lanes));
  const fresh = digestOf();
  for (const slot of held.keys()) fresh.mark(slot);
  fresh.settle((slot, lanes) => hashOf(held.get(slot)!, lanes));
  expect([digest.low, digest.high]).toEqual([fresh.low, fresh.high]);
});
