import fc from "fast-check";
import { expect, test } from "vitest";
import { expiresAt, floorTo } from "./assigner.ts";
import type { WindowAssigner } from "./assigner.ts";
import { HoppingWindows } from "./hopping.ts";
import { TumblingWindows } from "./tumbling.ts";

const windowsOf = (assigner: WindowAssigner, time: number): [number, number][] => {
  const starts = new Float64Array(assigner.windowsMax);
  const ends = new Float64Array(assigner.windowsMax);
  const count = assigner.assign(time, starts, ends);
  return Array.from({ length: count }, (_, i) => [starts[i]!, ends[i]!]);
};

test("section 4: starts are floored, at negative times and offsets too", () => {
  const start = (time: number, offset: number) => floorTo(time, 7, offset);
  expect([1, 6, 7, 8].map((time) => start(time, 0))).toEqual([0, 0, 7, 7]);
  expect([1, 2, 3, 9, 10].map((time) => start(time, 3))).toEqual([-4, -4, 3, 3, 10]);
  expect([1, -2, -3, 4, 7, 12].map((time) => start(time, -2))).toEqual([-2, -2, -9, -2, 5, 12]);
  const day = 86_400_000;
  expect(floorTo(1_470_902_048_450, day, -8 * 3_600_000)).toBe(1_470_844_800_000);
  expect(Object.is(start(0, 0), 0)).toBe(true);
});

test("tumbling windows tile time: each time has one window, and windows touch", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -1e9, max: 1e9 }),
      fc.integer({ min: 1, max: 1e6 }),
      fc.integer({ min: -1e6, max: 1e6 }),
      (time, size, offset) => {
        const assigner = new TumblingWindows(size, offset);
        const [[start, end]] = windowsOf(assigner, time) as [[number, number]];
        expect(start <= time && time < end && end - start === size).toBe(true);
        expect(windowsOf(assigner, end)).toEqual([[end, end + size]]);
      },
    ),
  );
});

test("hopping windows are exactly those that hold the time, in order", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -500, max: 500 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: -50, max: 50 }),
      (time, size, advance, offset) => {
        const expected: [number, number][] = [];
        for (let k = -1200; k <= 1200; k++) {
          const start = offset + k * advance;
          if (start <= time && time < start + size) expected.push([start, start + size]);
        }
        expect(windowsOf(new HoppingWindows(size, advance, offset), time)).toEqual(expected);
      },
    ),
    { numRuns: 500 },
  );
});

test("the end of lateness saturates", () => {
  expect(expiresAt(Number.MAX_SAFE_INTEGER - 1750, 2000)).toBe(Number.MAX_SAFE_INTEGER);
});
