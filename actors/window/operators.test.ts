import { expect, test } from "vitest";
import type {
  WindowDefinition,
  WindowProjection,
} from "../../projections/definition/definition.ts";
import { salesPlan } from "../testkit/plans.ts";
import { OperatorRun } from "./operator-run.suite.ts";
import type { LetterEvent } from "./operator-run.suite.ts";
import { makeOperator } from "./operators.ts";

const HOUR = 3_600_000;

const runOf = (
  window: WindowDefinition,
  changes: Partial<WindowProjection> = {},
  merged = false,
): OperatorRun => {
  const plan = { ...salesPlan({ window, ...changes }), merged };
  return new OperatorRun((store, publisher) => makeOperator(plan, store, publisher));
};

const EVENTS: readonly LetterEvent[] = [
  ["a", 1],
  ["b", 9],
  ["c", 16],
];

test("section 4: each kind of window is run by its rule", () => {
  const published = (window: WindowDefinition): string[] => {
    const run = runOf(window);
    run.add(...EVENTS);
    run.pass(100 * HOUR);
    return run.take();
  };
  expect(published({ kind: "tumbling", sizeMs: 8, offsetMs: 2 })).toEqual([
    "k [-6, 2) final 1: a",
    "k [2, 10) final 1: b",
    "k [10, 18) final 1: c",
  ]);
  expect(published({ kind: "hopping", sizeMs: 10, advanceMs: 8, offsetMs: 2 })).toEqual([
    "k [-6, 4) final 1: a",
    "k [2, 12) final 1: b",
    "k [10, 20) final 1: c",
  ]);
  expect(published({ kind: "sliding", sizeMs: 8 })).toEqual([
    "k [-6, 2) final 1: a",
    "k [2, 10) final 1: b",
    "k [9, 17) final 1: bc",
  ]);
  expect(published({ kind: "session", gapMs: 7 })).toEqual([
    "k [1, 8) final 1: a",
    "k [9, 23) final 1: bc",
  ]);
  expect(published({ kind: "calendar", unit: "hour", zone: "Asia/Kolkata" })).toEqual([
    `k [${-HOUR / 2}, ${HOUR / 2}) final 1: abc`,
  ]);
  const assign = (time: number): [number, number][] => [
    [0, 20],
    [time, time + 1],
  ];
  expect(published({ kind: "custom", assign, windowsMax: 2, version: "" })).toEqual([
    "k [0, 20) final 1: abc",
    "k [1, 2) final 1: a",
    "k [9, 10) final 1: b",
    "k [16, 17) final 1: c",
  ]);
  expect(published({ kind: "global" })).toEqual([]);
});

const KINDS: readonly WindowDefinition[] = [
  { kind: "tumbling", sizeMs: 20, offsetMs: 0 },
  { kind: "session", gapMs: 20 },
  { kind: "sliding", sizeMs: 20 },
];

test.each(KINDS)("section 4: $kind windows take events until lateness is over", (window) => {
  const run = runOf(window, { allowedLatenessMs: 50 });
  run.add(["a", 1]);
  run.pass(40);
  expect(run.add(["b", 1])).toEqual(["counted"]);
  run.pass(90);
  expect(run.add(["c", 1])).toEqual([expect.stringMatching(/^late /)]);
});

test.each(KINDS)("section 5: $kind windows are published early unless finals are all", (window) => {
  const early = (changes: Partial<WindowProjection>, merged?: boolean): number => {
    const run = runOf(window, changes, merged);
    run.add(["a", 1]);
    run.early();
    return run.take().length;
  };
  expect(early({ emit: { mode: "final" } })).toBe(0);
  expect(early({ emit: { mode: "each" } })).toBe(1);
  expect(early({ emit: { mode: "early", everyMs: 1_000 } })).toBe(1);
  // A partial task's, before its partition goes idle.
  expect(early({ emit: { mode: "final" } }, true)).toBe(1);
});
