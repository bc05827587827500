/** Patterns in the engine: real record batches, out of order, in batches of any size, with restarts. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { DeadLetter_Reason } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { valueToJson } from "../../proto/result-json.ts";
import type { PatternProjection } from "../../projections/definition/definition.ts";
import { planProjection, planTopic } from "../../projections/definition/plan-projection.ts";
import type { PatternPlan } from "../../projections/definition/plan.ts";
import { begin, event, field, pattern, step, topic } from "../../projections/index.ts";
import { DefinitionError } from "../../projections/errors.ts";
import { parseSchema } from "../../projections/schema/schema-set.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { digestHex, PartitionRun } from "../testkit/run.ts";
import {
  eventsArbitrary,
  groupElements,
  type LETTERS,
  patternOf,
  plainElements,
} from "./arbitrary-pattern.suite.ts";
import { PARTIAL_MATCHES_MAX } from "./matcher.ts";
import { modelMatches, type ModelEvent, type ModelPattern } from "./pattern-model.suite.ts";
import { stepsOf } from "./pattern-run.suite.ts";

const RUNS = propertyRuns(150);
const DISORDER_MS = 10;
const schemas = parseSchema(
  `syntax = "proto3"; message E { bool a = 1; bool b = 2; bool c = 3; optional int64 v = 4; } message Pulse {}`,
);
const letters = topic("letters", {
  schemas: ["letters.proto"],
  types: ["E", "Pulse"],
  maxOutOfOrderness: DISORDER_MS,
});
const planned = (definition: unknown): PatternPlan =>
  planProjection(definition as PatternProjection, planTopic(letters, schemas));

interface Arrival {
  readonly id: string;
  readonly key: string;
  readonly event: ModelEvent;
}

const encode = (arrivals: readonly Arrival[]): Uint8Array =>
  RecordBatch.encode({
    ingestTime: 5_000_000,
    events: arrivals.map(({ id, key, event: { time, fields } }) => ({
      id,
      type: fields["pulse"] === true ? "Pulse" : "E",
      key,
      eventTime: time,
      data: {
        $case: "protobuf",
        value:
          fields["pulse"] === true
            ? Buffer.alloc(0)
            : Buffer.from(schemas.toBinary("E", JSON.stringify(fields))),
      },
    })),
    tick: undefined,
    rekeyed: undefined,
  }).finish();

const pulse = (time: number): Arrival => ({
  id: `pulse-${time}`,
  key: "pulse",
  event: { time, fields: { pulse: true } },
});

/** Each event's place among those of its key in event-time order, as in the model. */
const planOf = ({ elements, withinMs, skip }: ModelPattern): PatternPlan => {
  const steps = stepsOf({ elements, withinMs, skip });
  const values = Object.fromEntries(
    steps.map((name) => [name, { step: name, fn: "collect", of: { event: "id" } }]),
  );
  return planned({
    kind: "pattern",
    name: "p",
    topic: "letters",
    types: ["E"],
    pattern: elements,
    withinMs,
    skip,
    onTimeout: withinMs === undefined ? "discard" : "emit",
    values: { ids: { match: "ids" }, timedOut: { match: "timedOut" }, ...values },
  });
};

/** The model may look back at what is no step, or only comes; a definition may not. */
const planOrSkip = (drawn: ModelPattern): PatternPlan => {
  try {
    return planOf(drawn);
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    const unlike = error.mistakes.filter(({ message }) => !message.includes("comes before this"));
    expect(unlike).toEqual([]);
    fc.pre(false);
    throw error;
  }
};

/** `0a 1b @7`, as the model says it. */
const describe = (
  update: Update,
  places: ReadonlyMap<string, number>,
  plan: PatternPlan,
): string => {
  const [ids, timedOut, ...steps] = update.values.map((value) =>
    JSON.parse(valueToJson(value)),
  ) as [readonly string[], boolean, ...(readonly string[])[]];
  const label = (id: string): string => plan.steps[steps.findIndex((taken) => taken.includes(id))]!;
  const path = ids.map((id) => `${places.get(id)}${label(id)}`).join(" ");
  return `${path}${timedOut ? " ..." : ""} @${update.windowEnd - 1}`;
};

const sending = fc.record({
  events: eventsArbitrary(10),
  keys: fc.array(fc.constantFrom("j", "k"), { minLength: 10, maxLength: 10 }),
  delays: fc.array(fc.integer({ min: 0, max: DISORDER_MS }), { minLength: 10, maxLength: 10 }),
  cuts: fc.array(fc.boolean(), { minLength: 11, maxLength: 11 }),
  restarts: fc.array(fc.boolean(), { minLength: 11, maxLength: 11 }),
});

test("what comes out of a partition is what the model says of each key", () => {
  const patterns = fc.oneof(patternOf(plainElements), patternOf(groupElements));
  fc.assert(
    fc.property(patterns, sending, (drawn, { events, keys, delays, cuts, restarts }) => {
      const arrivals = events
        .map((each, i) => ({ id: `e${i}`, key: keys[i]!, event: each, at: each.time + delays[i]! }))
        .sort((a, b) => a.at - b.at);
      const plan = planOrSkip(drawn);
      const run = new PartitionRun(plan);
      let batch: Arrival[] = [];
      [...arrivals, pulse(1_000_000)].forEach((arrival, i) => {
        batch.push(arrival);
        if (!cuts[i] && i < arrivals.length) return;
        if (restarts[i]) {
          const digest = digestHex(run.core);
          expect(digestHex(run.take().restart().core)).toBe(digest);
        }
        run.read(encode(batch));
        batch = [];
      });
      run.take();
      fc.pre(run.output.deadLetters.length === 0);
      for (const key of ["j", "k"]) {
        const own = arrivals
          .filter((arrival) => arrival.key === key)
          .sort((a, b) => a.event.time - b.event.time);
        const places = new Map(own.map(({ id }, place) => [id, place]));
        const said = run.output.updates
          .filter((update) => update.key === key)
          .map((update) => describe(update, places, plan));
        const model = modelMatches(
          drawn,
          plan.steps,
          own.map((arrival) => arrival.event),
        );
        const groups = drawn.elements.some((element) => "group" in element);
        const compared = (all: readonly string[]) =>
          groups ? all.filter((each) => !each.includes("...")) : all;
        expect(compared(said)).toEqual(compared(model));
      }
    }),
    { numRuns: RUNS },
  );
});

const letterAt = (name: (typeof LETTERS)[number], time: number, key = "k"): Arrival => ({
  id: `${key}-${name}-${time}`,
  key,
  event: { time, fields: { [name]: true } },
});

test("an event beyond a limit is poison, and costs nothing but itself", () => {
  const plan = planned(
    pattern("p", { source: letters, pattern: begin("A", field("a")).followedBy("B", field("b")) }),
  );
  const run = new PartitionRun(plan);
  for (let i = 0; i <= PARTIAL_MATCHES_MAX; i++) run.read(encode([letterAt("a", i)]));
  run.read(encode([letterAt("a", 2_000, "j"), letterAt("b", 2_001, "j"), letterAt("b", 2_002)]));
  run.read(encode([pulse(3_000)])).take();
  const { updates, deadLetters } = run.output;
  expect(deadLetters).toMatchObject([
    { reason: DeadLetter_Reason.REASON_POISON, eventId: `k-a-${PARTIAL_MATCHES_MAX}` },
  ]);
  expect(deadLetters[0]!.error).toMatch(/more than 1000 partial matches of the key/);
  expect(updates.filter(({ key }) => key === "j")).toHaveLength(1);
  expect(updates.filter(({ key }) => key === "k")).toHaveLength(PARTIAL_MATCHES_MAX);
  expect(run.core.progress().books).toMatchObject({ counted: PARTIAL_MATCHES_MAX + 3, poison: 1 });
});

test("an event that satisfies nothing is filtered out unless neighbours matter", () => {
  const books = (definition: PatternProjection) =>
    new PartitionRun(planned(definition))
      .read(encode([letterAt("a", 1), letterAt("c", 2), letterAt("b", 3)]))
      .core.progress().books;
  const first = begin("A", field("a"));
  const relaxed = pattern("p", { source: letters, pattern: first.followedBy("B", field("b")) });
  const strict = pattern("p", { source: letters, pattern: first.next("B", field("b")) });
  expect(books(relaxed)).toMatchObject({ counted: 2, filtered: 1 });
  expect(books(strict)).toMatchObject({ counted: 3, filtered: 0 });
});

test("values are exact, or null where they do not fit", () => {
  const plan = planned(
    pattern("p", {
      source: letters,
      pattern: begin("A", field("a")).times(2),
      values: {
        sum: step("A").sum(field("v")),
        tooMuch: step("A").last(field("v").multiply(4)),
        key: step("A").first(event.key),
      },
    }),
  );
  const run = new PartitionRun(plan);
  const big = (time: number): Arrival => ({
    id: `e${time}`,
    key: "k",
    event: { time, fields: { a: true, v: "4611686018427387903" } },
  });
  run.read(encode([big(1), big(2), pulse(100)])).take();
  const values = run.output.updates[0]!.values.map((value) => valueToJson(value));
  expect(values).toEqual(["9223372036854775806", "null", '"k"']);
});
