import fc from "fast-check";
import { expect, test } from "vitest";
import { closesAt, expiresAt, floorTo } from "./assigner.ts";
import type { WindowAssigner } from "./assigner.ts";
import { GLOBAL_END, GLOBAL_START, GlobalWindow } from "./global.ts";
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

test("an event has as many hopping windows as windowsMax says, and some time has all of them", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 60 }),
      (size, advance) => {
        const assigner = new HoppingWindows(size, advance, 0);
        const counts = Array.from({ length: advance }, (_, t) => windowsOf(assigner, t).length);
        expect(Math.max(...counts)).toBe(assigner.windowsMax);
      },
    ),
    { numRuns: 100 },
  );
});

test("the global window holds every time", () => {
  const [first, ...others] = windowsOf(new GlobalWindow(), 0);
  expect([first, others]).toEqual([[GLOBAL_START, GLOBAL_END], []]);
  expect([GLOBAL_START, GLOBAL_END]).toEqual([-(2 ** 53) + 1, 2 ** 53 - 1]);
  expect(windowsOf(new GlobalWindow(), -1e15)).toEqual([first]);
});

test("section 4: a window closes at its end - 1, and expires when lateness has passed since", () => {
  expect([closesAt(10), expiresAt(10, 0), expiresAt(10, 5)]).toEqual([9, 9, 14]);
  expect([closesAt(-10), expiresAt(-10, 5)]).toEqual([-11, -6]);
});

test("section 4: the end of lateness saturates", () => {
  const max = Number.MAX_SAFE_INTEGER;
  expect(expiresAt(max - 1750, 2000)).toBe(max);
  expect(expiresAt(max, max)).toBe(max);
  expect(expiresAt(max - 1750, 1750)).toBe(max - 1);
});
