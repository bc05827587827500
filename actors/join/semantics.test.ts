/** Joins as properties: random logs through intake, core and operator, against nested loops. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import type { JoinProjection } from "../../projections/definition/definition.ts";
import { planProjection, planTopic } from "../../projections/definition/plan-projection.ts";
import type { JoinPlan } from "../../projections/definition/plan.ts";
import { parseSchema } from "../../projections/schema/schema-set.ts";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import type { OrderedCore } from "../ordered/ordered-core.ts";
import { imbalance } from "../task/books-keeper.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { digestHex, PartitionRun } from "../testkit/run.ts";
import { testProjection } from "../testkit/test-projection.ts";
import {
  acceptEvents,
  asOfModel,
  intervalModel,
  sorted,
  type AsOfModel,
  type IntervalModel,
  type ModelEvent,
  type ModelResult,
} from "./join-model.suite.ts";

/** The long run: TIDEMARK_PROPERTY_RUNS=10000. */
const RUNS = propertyRuns(200);

const schemas = parseSchema(`
  syntax = "proto3";
  message Thing { bool left = 1; bool right = 2; bool deletes = 3; int32 colour = 4; }
  message Pulse {}
`);

const topicOf = (maxOutOfOrdernessMs: number) =>
  planTopic(
    {
      name: "things",
      partitions: 1,
      schemas: ["/things.proto"],
      types: ["Thing", "Pulse"],
      maxOutOfOrdernessMs,
      maxFutureSkewMs: 1e9,
      dedupeHorizonMs: 1e9,
      idleAfterMs: 1,
      retentionMs: 1,
      maxBytes: -1,
    },
    schemas,
  );

type Model = IntervalModel | AsOfModel;

const isTable = (model: Model): model is AsOfModel => "ttlMs" in model;

const planOf = (model: Model, disorder: number): JoinPlan => {
  const leftOnly = model.mode === "semi" || model.mode === "anti";
  const colour = (side: string) => ({ field: "colour", side });
  const values = { left: { event: "id", side: "left" }, right: { event: "id", side: "right" } };
  const data = {
    kind: "join",
    name: "pairs",
    topic: "things",
    left: { types: ["Thing"], where: { field: "left" } },
    right: { types: ["Thing"], where: { field: "right" } },
    on: model.equalColours ? { op: "eq", args: [colour("left"), colour("right")] } : undefined,
    mode: model.mode,
    values: leftOnly ? { left: values.left } : values,
    ...("beforeMs" in model
      ? { within: { beforeMs: model.beforeMs, afterMs: model.afterMs } }
      : {
          asOf: {
            deleted: { field: "deletes" },
            ttlMs: Number.isFinite(model.ttlMs) ? model.ttlMs : undefined,
          },
        }),
  };
  return planProjection(data as unknown as JoinProjection, topicOf(disorder));
};

const encode = (events: readonly ModelEvent[], type = "Thing"): Uint8Array =>
  RecordBatch.encode({
    ingestTime: 1_000_000,
    events: events.map(({ id, key, time, left, right, deletes, colour }) => ({
      id,
      type,
      key,
      eventTime: time,
      data: {
        $case: "protobuf" as const,
        value: Buffer.from(
          new BinaryWriter()
            .uint32(8)
            .bool(left)
            .uint32(16)
            .bool(right)
            .uint32(24)
            .bool(deletes)
            .uint32(32)
            .int32(colour)
            .finish(),
        ),
      },
    })),
    tick: undefined,
    rekeyed: undefined,
  }).finish();

const nobody = { left: false, right: false, deletes: false, colour: 0 };
/** Moves the watermark, and is on no side. */
const pulse = (time: number): Uint8Array =>
  encode([{ id: `pulse ${time}`, key: "p", time, ...nobody }], "Pulse");

/** Keys, times and sides are few, so that there is much to join; some ids are there twice. */
const logArbitrary: fc.Arbitrary<ModelEvent[]> = fc
  .array(
    fc.record({
      id: fc.nat(200),
      key: fc.constantFrom("a", "b", "ü", ""),
      step: fc.nat(5),
      jitter: fc.integer({ min: -25, max: 5 }),
      left: fc.boolean(),
      right: fc.boolean(),
      deletes: fc.boolean(),
      colour: fc.nat(1),
    }),
    { maxLength: 70 },
  )
  .map((steps) => {
    let time = -30;
    return steps.map(({ id, step, jitter, ...rest }) => {
      time += step;
      return { id: `e${id}`, time: time + jitter, ...rest };
    });
  });

const disorderArbitrary = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 25 }));

const modelArbitrary: fc.Arbitrary<Model> = fc.oneof(
  fc
    .record({
      before: fc.integer({ min: -6, max: 15 }),
      span: fc.nat(25),
      mode: fc.constantFrom("inner", "left", "right", "full", "semi", "anti"),
      equalColours: fc.boolean(),
    })
    .map(({ before, span, mode, equalColours }) => ({
      beforeMs: before,
      afterMs: span - before,
      mode: mode as IntervalModel["mode"],
      equalColours,
    })),
  fc.record({
    ttlMs: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 30 })),
    mode: fc.constantFrom("inner" as const, "left" as const),
    equalColours: fc.boolean(),
  }),
);

/** What the engine's judgement of ids leaves: the first of each. */
const firstOfEachId = (log: readonly ModelEvent[]): readonly ModelEvent[] => {
  const ids = new Set<string>();
  return log.filter(({ id }) => !ids.has(id) && ids.add(id));
};

const resultOf = ({ key, windowStart, windowEnd, values }: Update): ModelResult => {
  const [left, right] = values.map((value) => (value.kind?.value as string | undefined) ?? null);
  return { key, start: windowStart, end: windowEnd, left: left ?? null, right: right ?? null };
};

const resultsOf = (run: PartitionRun): readonly string[] =>
  sorted(run.take().output.updates.map(resultOf));

const modelResults = (accepted: readonly ModelEvent[], model: Model, watermark: number) =>
  sorted(
    "beforeMs" in model
      ? intervalModel(accepted, model, watermark)
      : asOfModel(accepted, model, watermark),
  );

const FAR = 10_000;

test("results, dead letters and books equal the model's", () => {
  fc.assert(
    fc.property(logArbitrary, disorderArbitrary, modelArbitrary, (log, disorder, model) => {
      const run = new PartitionRun(planOf(model, disorder));
      for (const event of log) run.read(encode([event]));
      const first = firstOfEachId(log);
      const { accepted, late, watermark } = acceptEvents(first, disorder, isTable(model));
      expect(resultsOf(run)).toEqual(modelResults(accepted, model, watermark));
      expect(run.output.deadLetters.map(({ eventId }) => eventId)).toEqual(
        late.map(({ id }) => id),
      );
      const { books } = run.core.progress();
      expect(books).toMatchObject({
        events: log.length,
        counted: accepted.length,
        late: late.length,
        duplicate: log.length - first.length,
        poison: 0,
      });
      expect(imbalance(books)).toBe(0);
      run.read(pulse(FAR));
      expect(resultsOf(run)).toEqual(modelResults(accepted, model, FAR - disorder - 1));
    }),
    { numRuns: RUNS },
  );
});

test("each result has a name of its own, and its window ends when it is published", () => {
  fc.assert(
    fc.property(logArbitrary, disorderArbitrary, modelArbitrary, (log, disorder, model) => {
      const run = new PartitionRun(planOf(model, disorder));
      for (const event of log) run.read(encode([event]));
      run.read(pulse(FAR)).take();
      const { updates } = run.output;
      const names = updates.map(
        ({ key, windowStart, windowEnd, ordinal }) =>
          `${key} ${windowStart} ${windowEnd} ${ordinal}`,
      );
      expect(new Set(names).size).toBe(names.length);
      for (const { windowEnd, watermark } of updates) {
        expect(watermark).toBeGreaterThanOrEqual(windowEnd - 1);
      }
      const ends = updates.map(({ windowEnd }) => windowEnd);
      expect(ends).toEqual(ends.toSorted((a, b) => a - b));
    }),
    { numRuns: RUNS },
  );
});

test("the order of arrival within the disorder changes no result", () => {
  fc.assert(
    fc.property(
      logArbitrary,
      modelArbitrary,
      fc.infiniteStream(fc.integer({ min: -50, max: 50 })),
      (log, model, keys) => {
        // Ties of one time keep their order in the log: nothing else could decide them.
        const first = firstOfEachId(log);
        const arrival = new Map(first.map(({ time }) => [time, keys.next().value as number]));
        const shuffled = first.toSorted((a, b) => arrival.get(a.time)! - arrival.get(b.time)!);
        const ends = (events: readonly ModelEvent[]) => {
          const run = new PartitionRun(planOf(model, 1_000));
          for (const event of events) run.read(encode([event]));
          return run
            .read(pulse(FAR))
            .take()
            .output.updates.map((update) => JSON.stringify(resultOf(update)));
        };
        expect(ends(shuffled).toSorted()).toEqual(ends(first).toSorted());
      },
    ),
    { numRuns: RUNS },
  );
});

test("E6: batch boundaries change no result", () => {
  fc.assert(
    fc.property(
      logArbitrary,
      disorderArbitrary,
      modelArbitrary,
      fc.integer({ min: 1, max: 9 }),
      (log, disorder, model, size) => {
        const run = (by: number) => {
          const ran = new PartitionRun(planOf(model, disorder));
          for (let i = 0; i < log.length; i += by) ran.read(encode(log.slice(i, i + by)));
          return ran.read(pulse(FAR)).take().output.updates.map(resultOf);
        };
        expect(run(size)).toEqual(run(10_000));
      },
    ),
    { numRuns: RUNS },
  );
});

test("E6: a restart at every event changes no byte", () => {
  fc.assert(
    fc.property(logArbitrary, disorderArbitrary, modelArbitrary, (log, disorder, model) => {
      const whole = new PartitionRun(planOf(model, disorder));
      const run = new PartitionRun(planOf(model, disorder));
      for (const event of log) {
        whole.read(encode([event])).take();
        run
          .read(encode([event]))
          .take()
          .restart();
        expect(digestHex(run.core)).toBe(digestHex(whole.core));
      }
      whole.read(pulse(FAR)).take();
      run.read(pulse(FAR)).take();
      expect(run.output).toEqual(whole.output);
    }),
    { numRuns: RUNS },
  );
});

test("state is empty once the watermark has passed, but for rows of tables that never end", () => {
  fc.assert(
    fc.property(logArbitrary, disorderArbitrary, modelArbitrary, (log, disorder, model) => {
      const run = new PartitionRun(planOf(model, disorder));
      run.read(encode(log));
      run.read(pulse(FAR));
      const size = (run.core as unknown as OrderedCore<unknown, unknown>).size();
      const { accepted } = acceptEvents(firstOfEachId(log), disorder, isTable(model));
      // What was taken away is remembered, so that no older row takes its place.
      const rows = new Set(accepted.filter(({ right }) => right).map(({ key }) => key));
      const keys = isTable(model) && model.ttlMs === Infinity ? rows.size : 0;
      expect(size).toEqual({ keys, buffered: 0, timers: 0 });
    }),
    { numRuns: RUNS },
  );
});

test.each([
  ["as of event time", { asOf: {} }],
  ["within a time", { within: { afterMs: 5 } }],
])("a result too large to be published costs no other result of its key, %s", (_, match) => {
  const note = { field: "note", side: "left" };
  const copies = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`n${i}`, note]));
  testProjection(
    {
      kind: "join",
      left: { types: ["Click"] },
      right: { types: ["Row"] },
      mode: "left",
      values: { id: { event: "id", side: "left" }, ...copies },
      ...match,
    },
    { topic: { types: { Click: { note: "string" }, Row: {} } } },
  )
    .batch([
      { type: "Click", key: "k", id: "fits", time: 10, note: "a" },
      { type: "Click", key: "k", id: "too large", time: 10, note: "x".repeat(60_000) },
    ])
    .watermark(20)
    .expectUpdates({ id: "fits" })
    .expectDeadLetters({ reason: "poison", key: "k", error: "a result of" })
    .event({ type: "Click", key: "k", id: "next", time: 30, note: "b" })
    .watermark(40)
    .expectUpdates({ id: "next" });
});
