import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { DedupeTable } from "./dedupe-table.ts";

const see = (table: DedupeTable, id: number, payload: number, clock: number) =>
  // Few distinct first words, so that probes collide.
  table.see(id % 97, id, id ^ 0x55, payload, clock);

const restarted = (table: DedupeTable, horizonMs: number): DedupeTable => {
  const out = new ByteWriter();
  table.write(out);
  const fresh = new DedupeTable(horizonMs);
  fresh.read(new ByteReader(out.finish()));
  return fresh;
};

test("D1: sightings equal a map's, through growth, eviction and restarts", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 3000 }),
      fc.integer({ min: 200, max: 4000 }),
      fc.array(fc.tuple(fc.nat(6000), fc.nat(2), fc.nat(6), fc.nat(400)), {
        minLength: 3000,
        maxLength: 6000,
        size: "max",
      }),
      (horizonMs, ids, sightings) => {
        let table = new DedupeTable(horizonMs);
        const model = new Map<number, { clock: number; payload: number }>();
        let clock = 1_700_000_000_000;
        for (const [raw, payload, step, coin] of sightings) {
          clock += step;
          const id = raw % ids;
          const known = model.get(id);
          const within = known !== undefined && clock - known.clock <= horizonMs;
          const expected = !within ? "first" : known.payload === payload ? "duplicate" : "conflict";
          if (see(table, id, payload, clock) !== expected) throw new Error(`${id} at ${clock}`);
          if (!within) model.set(id, { clock, payload });
          if (coin === 0) table = restarted(table, horizonMs);
        }
      },
    ),
    { numRuns: 20 },
  );
});

test("D3: ids that left the horizon give their memory back", () => {
  const table = new DedupeTable(1000);
  for (let i = 0; i < 200_000; i++) see(table, i, 0, 1_000_000 + i);
  expect(table.size).toBeLessThanOrEqual(4096);
});

test("times survive a base that moves by more than 31 bits of milliseconds", () => {
  const table = new DedupeTable(1000);
  expect(see(table, 1, 0, 0)).toBe("first");
  const later = 2 ** 33;
  expect(see(table, 1, 0, later)).toBe("first");
  expect(see(table, 1, 0, later + 1000)).toBe("duplicate");
  expect(see(table, 1, 0, later + 1001)).toBe("first");
});
