import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../testkit/property-runs.ts";
import {
  eventsArbitrary,
  groupElements,
  patternOf,
  plainElements,
} from "./arbitrary-pattern.suite.ts";
import { PatternLimitExceeded } from "./matcher.ts";
import { modelMatches, type ModelEvent, type ModelPattern } from "./pattern-model.suite.ts";
import { PatternRun, stepsOf } from "./pattern-run.suite.ts";

const RUNS = propertyRuns(500);
const END = 1_000_000;

/** Undefined if the matcher says that it is too much. */
const run = (
  pattern: ModelPattern,
  events: readonly ModelEvent[],
  restarts: boolean,
): readonly string[] | undefined => {
  const matcher = new PatternRun(pattern);
  try {
    events.forEach((event, index) => {
      if (restarts) expect(matcher.restart()).toEqual(matcher.bytes());
      matcher.read(event, index);
    });
  } catch (error) {
    if (error instanceof PatternLimitExceeded) return undefined;
    throw error;
  }
  matcher.expireUntil(END);
  return matcher.emitted;
};

/** A repeated group can reach one path in two states, of which one has been a match. */
const withoutCut = (emitted: readonly string[]): readonly string[] =>
  emitted.filter((each) => !each.includes("..."));

test("patterns of steps match what the model matches, in its order", () => {
  fc.assert(
    fc.property(patternOf(plainElements), eventsArbitrary(8), (pattern, events) => {
      const matched = run(pattern, events, false);
      fc.pre(matched !== undefined);
      expect(matched).toEqual(modelMatches(pattern, stepsOf(pattern), events));
    }),
    { numRuns: RUNS },
  );
});

test("patterns with groups match what the model matches, in its order", () => {
  fc.assert(
    fc.property(patternOf(groupElements), eventsArbitrary(7), (pattern, events) => {
      const matched = run(pattern, events, false);
      fc.pre(matched !== undefined);
      const model = modelMatches(pattern, stepsOf(pattern), events);
      expect(withoutCut(matched!)).toEqual(withoutCut(model));
    }),
    { numRuns: RUNS },
  );
});

test("a restart before every event changes nothing", () => {
  const pattern = fc.oneof(patternOf(plainElements), patternOf(groupElements));
  fc.assert(
    fc.property(pattern, eventsArbitrary(12), (drawn, events) => {
      expect(run(drawn, events, true)).toEqual(run(drawn, events, false));
    }),
    { numRuns: RUNS },
  );
});

test("results of one window are emitted at one event time", () => {
  const pattern = fc.oneof(patternOf(plainElements), patternOf(groupElements));
  fc.assert(
    fc.property(pattern, eventsArbitrary(10), (drawn, events) => {
      const matcher = new PatternRun(drawn);
      try {
        events.forEach((event, index) => matcher.read(event, index));
      } catch (error) {
        fc.pre(!(error instanceof PatternLimitExceeded));
      }
      matcher.expireUntil(END);
      const times = new Map(matcher.rows.map(({ window, emittedAt }) => [window, emittedAt]));
      for (const { window, emittedAt } of matcher.rows) expect(emittedAt).toBe(times.get(window));
    }),
    { numRuns: RUNS },
  );
});
