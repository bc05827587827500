import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { propertyRuns } from "../testkit/property-runs.ts";
import { WatermarkAlignment } from "./watermark-alignment.ts";

const LIMITS = { events: 10, bytes: 1_000 };
const at = (watermark: number | undefined, idle = false) => ({ watermark, idle });

describe("an upstream that is ahead", () => {
  test("waits once too many events do, and goes on when half of them do not any more", () => {
    const alignment = new WatermarkAlignment(2, LIMITS);
    alignment.note(0, at(5), 1, 1);
    alignment.note(1, at(100), 10, 1);
    expect(alignment.mustWait(1)).toBe(false);
    alignment.note(1, at(200), 1, 1);
    expect([0, 1].map((upstream) => alignment.mustWait(upstream))).toEqual([false, true]);
    expect(alignment.mayGoOn(1)).toBe(false);
    // What came with watermark 100 waits no more.
    alignment.note(0, at(100), 3, 1);
    expect(alignment.waitingEvents).toBe(1);
    expect(alignment.mayGoOn(1)).toBe(true);
  });

  test("waits as well for what its events weigh", () => {
    const alignment = new WatermarkAlignment(2, LIMITS);
    alignment.note(0, at(5), 0, 0);
    alignment.note(1, at(100), 1, 1_001);
    expect(alignment.mustWait(1)).toBe(true);
  });

  test("does not wait for one that is idle, until that wakes up", () => {
    const alignment = new WatermarkAlignment(2, LIMITS);
    alignment.note(0, at(5, true), 1, 1);
    alignment.note(1, at(100), 11, 1);
    expect(alignment.mustWait(1)).toBe(false);
    alignment.wake([0]);
    alignment.note(1, at(101), 11, 1);
    expect(alignment.mustWait(1)).toBe(true);
    expect(alignment.mustWait(0)).toBe(false);
  });

  test("waits for one that nobody has heard of, or that never held an event", () => {
    const alignment = new WatermarkAlignment(2, LIMITS);
    alignment.note(1, at(100), 11, 1);
    expect(alignment.mustWait(1)).toBe(true);
    alignment.note(0, at(undefined), 0, 0);
    expect(alignment.mustWait(1)).toBe(true);
    alignment.note(0, at(undefined, true), 0, 0);
    expect(alignment.mustWait(1)).toBe(false);
  });

  test("waits from the start where the log is not new, and for nobody of whom all is there", () => {
    const alignment = new WatermarkAlignment(3, LIMITS);
    alignment.resume([
      [0, at(5)],
      [1, at(100)],
      [2, at(200, true)],
    ]);
    expect([0, 1, 2].map((upstream) => alignment.mustWait(upstream))).toEqual([false, true, false]);
    alignment.end(2);
    expect(alignment.mayGoOn(1)).toBe(false);
    alignment.end(0);
    expect(alignment.mustWait(1)).toBe(false);
    expect(alignment.mayGoOn(1)).toBe(true);
  });
});

test("no more waits than may and what one commit of each upstream brings; somebody can always go on", () => {
  const commits = fc.array(
    fc.record({ upstream: fc.nat(3), step: fc.nat(50), events: fc.nat(5), idle: fc.boolean() }),
    { maxLength: 200 },
  );
  fc.assert(
    fc.property(commits, (log) => {
      const alignment = new WatermarkAlignment(4, LIMITS);
      const watermarks = [0, 0, 0, 0];
      const idle = [false, false, false, false];
      const gathered: { watermark: number; events: number }[] = [];
      for (const upstream of [0, 1, 2, 3]) alignment.note(upstream, at(0), 0, 0);
      for (const { upstream, step, events, idle: falls } of log) {
        if (alignment.mustWait(upstream)) continue;
        watermarks[upstream]! += step;
        idle[upstream] = falls && events === 0;
        alignment.note(upstream, at(watermarks[upstream], idle[upstream]), events, events);
        gathered.push({ watermark: watermarks[upstream]!, events });
        const awake = watermarks.filter((_, each) => !idle[each]);
        const floor = awake.length === 0 ? Infinity : Math.min(...awake);
        const waiting = gathered
          .filter(({ watermark }) => watermark > floor)
          .reduce((sum, each) => sum + each.events, 0);
        // One that falls idle and wakes up far behind is the exception: what it lets wait was there before.
        if (!idle.includes(true) && !log.some((each) => each.idle)) {
          expect(alignment.waitingEvents).toBe(waiting);
          expect(waiting).toBeLessThanOrEqual(LIMITS.events + 4 * 5);
        }
        expect([0, 1, 2, 3].some((each) => !alignment.mustWait(each))).toBe(true);
      }
    }),
    { numRuns: propertyRuns(500) },
  );
});
