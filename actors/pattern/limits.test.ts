import { expect, test } from "vitest";
import type {
  PatternElement,
  PatternStep,
} from "../../projections/definition/pattern-definition.ts";
import { BYTES_PER_MATCH_MAX, EVENTS_PER_MATCH_MAX, PARTIAL_MATCHES_MAX } from "./matcher.ts";
import type { ModelEvent } from "./pattern-model.suite.ts";
import { PatternRun } from "./pattern-run.suite.ts";

const step = (name: string, letter: string, rest: Partial<PatternStep> = {}): PatternStep => ({
  step: name,
  where: { field: letter },
  contiguity: "followedBy",
  times: { min: 1, max: 1 },
  optional: false,
  between: "followedBy",
  greedy: false,
  until: undefined,
  ...rest,
});
const runOf = (elements: readonly PatternElement[], withinMs?: number): PatternRun =>
  new PatternRun({ elements, withinMs, skip: { strategy: "noSkip" } });
const letter = (name: string, time: number): ModelEvent => ({ time, fields: { [name]: true } });

test("an event that would make too many partial matches changes nothing", () => {
  const run = runOf([step("A", "a"), step("B", "b")], 5_000);
  for (let i = 0; i < PARTIAL_MATCHES_MAX; i++) run.read(letter("a", i), i);
  const before = run.bytes();
  expect(() => run.read(letter("a", 2_000), PARTIAL_MATCHES_MAX)).toThrow(
    /more than 1000 partial matches of the key, which is the limit; let partial matches end sooner/,
  );
  expect(run.bytes()).toEqual(before);
  run.read(letter("b", 2_001), PARTIAL_MATCHES_MAX + 1);
  expect(run.emitted).toHaveLength(PARTIAL_MATCHES_MAX);
});

test("a match has a greatest number of events", () => {
  const run = new PatternRun({
    elements: [step("A", "a"), step("B", "b", { times: { min: 1 }, greedy: true }), step("C", "c")],
    withinMs: undefined,
    skip: { strategy: "skipPastLastEvent" },
  });
  run.read(letter("a", 0), 0);
  for (let i = 1; i < EVENTS_PER_MATCH_MAX; i++) run.read(letter("b", i), i);
  expect(() => run.read(letter("b", 5_000), EVENTS_PER_MATCH_MAX)).toThrow(
    /a match of more than 1000 events/,
  );
});

/** Captures a text of 1,000 bytes for each of its events. */
const wordy = step("B", "b", {
  where: {
    op: "and",
    args: [
      { field: "b" },
      {
        op: "or",
        args: [
          { op: "lt", args: [{ step: "B", fn: "count" }, { literal: 1 }] },
          { op: "ge", args: [{ field: "text" }, { step: "B", fn: "last", of: { field: "text" } }] },
        ],
      },
    ],
  },
  times: { min: 1 },
  greedy: true,
});
const word = (time: number): ModelEvent => ({
  time,
  fields: { b: true, text: "x".repeat(1_000) },
});

test("a match has a greatest size", () => {
  const run = runOf([step("A", "a"), wordy, step("C", "c")]);
  run.read(letter("a", 0), 0);
  let read = 0;
  const all = (): void => {
    for (; read < 100; read++) run.read(word(read + 1), read + 1);
  };
  expect(all).toThrow(/a match that has captured more than 65536 bytes/);
  expect(read).toBe(Math.floor(BYTES_PER_MATCH_MAX / 1_032));
});

test("what a key holds has a greatest size", () => {
  const run = runOf([step("A", "a"), wordy, step("C", "c")]);
  for (let i = 0; i < 20; i++) run.read(letter("a", i), i);
  const all = (): void => {
    for (let i = 20; i < 60; i++) run.read(word(i), i);
  };
  expect(all).toThrow(/partial matches of the key with more than 1048576 bytes/);
});
