import { describe, expect, test } from "vitest";
import type { WindowDefinition } from "./definition.ts";
import { rebuildWarning, type Rebuildable } from "./rebuild.ts";

const DAY = 86_400_000;

/** On a topic that keeps its events for a week. */
const warningOf = (window: WindowDefinition, allowedLatenessMs: number) =>
  rebuildWarning({
    definition: { name: "p", window, allowedLatenessMs },
    topic: { definition: { name: "t", retentionMs: 7 * DAY, maxOutOfOrdernessMs: 10_000 } },
  });
const SIX_DAYS: WindowDefinition = { kind: "tumbling", sizeMs: 6 * DAY, offsetMs: 0 };

test("state that lives for no longer than its events are kept can be rebuilt", () => {
  expect(warningOf(SIX_DAYS, DAY - 10_000)).toBeUndefined();
  expect(warningOf({ kind: "session", gapMs: DAY }, DAY)).toBeUndefined();
});

test("state that lives for longer cannot, and the warning names both numbers", () => {
  const warning = warningOf(SIX_DAYS, DAY - 9_000);
  expect(warning).toContain("projection p lives for 604801 seconds");
  expect(warning).toContain("topic t keeps events for 7 days");
  expect(warningOf({ kind: "session", gapMs: 8 * DAY }, 0)).toBeDefined();
  expect(warningOf({ kind: "sliding", sizeMs: 8 * DAY }, 0)).toBeDefined();
});

test("a global window lives for ever", () => {
  expect(warningOf({ kind: "global" }, 0)).toContain("lives for ever");
});

test("partial matches of a pattern live for as long as within, or for ever", () => {
  const pattern = (withinMs: number | undefined) =>
    rebuildWarning({
      definition: { kind: "pattern", name: "p", withinMs },
      topic: { definition: { name: "t", retentionMs: 7 * DAY, maxOutOfOrdernessMs: 10_000 } },
    });
  expect(pattern(7 * DAY - 10_000)).toBeUndefined();
  expect(pattern(7 * DAY)).toMatch(/lives for 604810 seconds \(within and maxOutOfOrderness/);
  expect(pattern(7 * DAY)).toMatch(/Keep events for longer, make within shorter, or back Redis up/);
  expect(pattern(undefined)).toContain("lives for ever (a pattern without within)");
});

test("a machine lives for ever where it has no final state; else nobody can say for how long", () => {
  const machine = (states: object) =>
    rebuildWarning({
      definition: {
        kind: "statechart",
        name: "p",
        machine: { config: { states: { a: { states } } }, implementations: {} },
      },
      topic: { definition: { name: "t", retentionMs: 7 * DAY, maxOutOfOrdernessMs: 0 } },
    });
  expect(machine({ b: {} })).toContain("lives for ever (a statechart without a final state)");
  expect(machine({ b: { type: "final" } })).toBeUndefined();
});

describe("a join with a table", () => {
  const topic = { definition: { name: "t", retentionMs: 7 * DAY, maxOutOfOrdernessMs: 0 } };
  const warning = (table: Rebuildable["definition"], ttlMs?: number) =>
    rebuildWarning({
      definition: {
        kind: "join",
        name: "j",
        within: undefined,
        asOf: { deleted: undefined, ttlMs },
      },
      topic,
      sources: [{ topic }, { topic, table: { definition: table } }],
    });
  const foldOf = (ttlMs: number | undefined) => ({ kind: "fold", name: "f", ttlMs }) as const;

  test("of a fold lives for as long as its states", () => {
    expect(warning(foldOf(7 * DAY))).toBeUndefined();
    expect(warning(foldOf(8 * DAY), DAY)).toMatch(
      /lives for 8 days \(ttl of f and maxOutOfOrderness together\)/,
    );
    expect(warning(foldOf(undefined), DAY)).toMatch(
      /lives for ever \(a fold without ttl: f\).*, make ttl of f shorter, or/,
    );
  });

  test("of windows holds rows and windows", () => {
    const windows = (window: WindowDefinition) => ({ name: "w", window, allowedLatenessMs: DAY });
    expect(warning(windows(SIX_DAYS), 7 * DAY)).toBeUndefined();
    expect(warning(windows(SIX_DAYS))).toContain("lives for ever (a table's rows without ttl)");
    expect(warning(windows({ kind: "global" }), DAY)).toContain(
      "lives for ever (a global window: w)",
    );
  });
});
