/**
 * Joins whose sides come from different topics, or by different keys, as properties: random logs of all
 * partitions through routing tasks, relay and join, however they interleave, against nested loops.
 */
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DeadLetter_Reason } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import type { JoinProjection } from "../../projections/definition/definition.ts";
import { planProjection, planTopic } from "../../projections/definition/plan-projection.ts";
import type { JoinPlan, TopicPlan } from "../../projections/definition/plan.ts";
import { rekeyOf } from "../../projections/definition/rekey.ts";
import { parseSchema } from "../../projections/schema/schema-set.ts";
import { RekeyedIntake } from "../rekey/rekeyed-intake.ts";
import type { AlignmentLimits } from "../rekey/watermark-alignment.ts";
import { imbalance } from "../task/books-keeper.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { alignments, chances, RekeyedRun, takeChance } from "../testkit/rekeyed-run.ts";
import type { Chance } from "../testkit/rekeyed-run.ts";
import {
  asOfModel,
  intervalModel,
  sorted,
  type AsOfModel,
  type IntervalModel,
  type ModelEvent,
  type ModelResult,
} from "./join-model.suite.ts";

const RUNS = propertyRuns(100);
const NOW = 100;
const FAR = 100_000;

/** Both topics have a type of this name, and their own schema of it. */
const SCHEMAS = {
  shown: "message Thing { string user = 1; int32 colour = 2; bool skip = 3; } message Pulse {}",
  clicked:
    "message Thing { int32 colour = 1; bool deletes = 4; string user = 9; } message Pulse {}",
};
type TopicName = keyof typeof SCHEMAS;

interface Drawn {
  readonly id: string;
  readonly key: string;
  readonly user: string;
  readonly time: number;
  readonly colour: number;
  /** `skip` or `deletes`. */
  readonly flag: boolean;
  readonly type: "Thing" | "Pulse";
}

const payloadOf = (topic: TopicName, { user, colour, flag }: Drawn): Uint8Array =>
  topic === "shown"
    ? new BinaryWriter()
        .uint32(10)
        .string(user)
        .uint32(16)
        .int32(colour)
        .uint32(24)
        .bool(flag)
        .finish()
    : new BinaryWriter()
        .uint32(8)
        .int32(colour)
        .uint32(32)
        .bool(flag)
        .uint32(74)
        .string(user)
        .finish();

const encode = (
  topic: TopicName,
  events: readonly Drawn[],
  { now = NOW, tick }: { readonly now?: number; readonly tick?: number } = {},
): Uint8Array =>
  RecordBatch.encode({
    ingestTime: now,
    events: events.map((event) => ({
      id: event.id,
      type: event.type,
      key: event.key,
      eventTime: event.time,
      data: {
        $case: "protobuf" as const,
        value: Buffer.from(event.type === "Thing" ? payloadOf(topic, event) : []),
      },
    })),
    tick: tick === undefined ? undefined : { time: tick },
    rekeyed: undefined,
  }).finish();

const pulse = (id: string, time: number): Drawn => ({
  id,
  key: "p",
  user: "",
  time,
  colour: 0,
  flag: false,
  type: "Pulse",
});

const topicOf = (name: TopicName, changes: object): TopicPlan =>
  planTopic(
    {
      name,
      partitions: 1,
      schemas: ["/things.proto"],
      types: ["Pulse", "Thing"],
      maxOutOfOrdernessMs: 0,
      maxFutureSkewMs: 1e9,
      dedupeHorizonMs: 1e9,
      idleAfterMs: 1,
      retentionMs: 1,
      maxBytes: -1,
      ...changes,
    },
    parseSchema(`syntax = "proto3"; ${SCHEMAS[name]}`),
  );

type Model = IntervalModel | AsOfModel;

const isTable = (model: Model): model is AsOfModel => "ttlMs" in model;

const definitionOf = (model: Model): object => {
  const leftOnly = model.mode === "semi" || model.mode === "anti";
  const colour = (side: string) => ({ field: "colour", side });
  const values = { left: { event: "id", side: "left" }, right: { event: "id", side: "right" } };
  return {
    kind: "join",
    name: "pairs",
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
};

const NOT_SKIPPED = { op: "not", args: [{ field: "skip" }] };

const twoTopics = (
  model: Model,
  shown: object = {},
  clicked: object = {},
  changes: object = {},
): JoinPlan => {
  const data = {
    ...definitionOf(model),
    left: { topic: "shown", types: ["Thing"], where: NOT_SKIPPED, key: { field: "user" } },
    right: { topic: "clicked", types: ["Thing"] },
    topic: "shown",
    ...changes,
  };
  const topics = [topicOf("shown", shown), topicOf("clicked", clicked)] as const;
  return planProjection(data as unknown as JoinProjection, topics[0], [topics[1]]);
};

const intervals: fc.Arbitrary<IntervalModel> = fc
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
  }));

const tables: fc.Arbitrary<AsOfModel> = fc.record({
  ttlMs: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 1_500 })),
  mode: fc.constantFrom("inner" as const, "left" as const),
  equalColours: fc.boolean(),
});

const KEYS = ["a", "b", "ü", ""];

interface Step {
  readonly upstream: number;
  readonly events: readonly Drawn[];
  readonly chance: Chance;
}

const steps = (upstreams: number): fc.Arbitrary<readonly Step[]> =>
  fc.array(
    fc.record({
      upstream: fc.nat(upstreams - 1),
      events: fc.array(
        fc.record({
          id: fc.nat(30).map((id) => `e${id}`),
          key: fc.constantFrom(...KEYS),
          user: fc.constantFrom(...KEYS),
          time: fc.nat(120),
          colour: fc.nat(1),
          flag: fc.integer({ min: 0, max: 3 }).map((drawn) => drawn === 0),
          type: fc.constantFrom(
            "Thing" as const,
            "Thing" as const,
            "Thing" as const,
            "Pulse" as const,
          ),
        }),
        { maxLength: 5 },
      ),
      chance: chances,
    }),
    { maxLength: 25 },
  );

const resultOf = ({ key, windowStart, windowEnd, values }: Update): ModelResult => {
  const [left, right] = values.map((value) => (value.kind?.value as string | undefined) ?? null);
  return { key, start: windowStart, end: windowEnd, left: left ?? null, right: right ?? null };
};

const modelResults = (accepted: readonly ModelEvent[], model: Model): readonly string[] =>
  sorted(
    "beforeMs" in model
      ? intervalModel(accepted, model, Infinity)
      : asOfModel(accepted, model, Infinity),
  );

/** An event of the sources, by its place there. */
interface Judged {
  readonly place: string;
  readonly event: Drawn;
  readonly verdict: "counted" | "filtered" | "duplicate" | "future";
  /** Of its partition, before it. */
  readonly watermark: number;
}

/** One partition of a source, judged the naive way. */
class LaneModel {
  readonly judged: Judged[] = [];
  #watermark = -Infinity;
  #batches = 0;
  readonly #ids = new Set<string>();
  readonly #route: ReturnType<typeof rekeyOf>["routes"][number];
  readonly #partition: number;

  constructor(plan: JoinPlan, upstream: number) {
    this.#route = rekeyOf(plan).routes.findLast((route) => route.firstUpstream <= upstream)!;
    this.#partition = upstream - this.#route.firstUpstream;
  }

  get topic(): TopicName {
    return this.#route.topic.definition.name as TopicName;
  }

  read(events: readonly Drawn[]): void {
    const { maxOutOfOrdernessMs, maxFutureSkewMs } = this.#route.topic.definition;
    this.#batches++;
    events.forEach((event, index) => {
      const place = `${this.topic}/${this.#partition}/${this.#batches}/${index}`;
      const watermark = this.#watermark;
      const known = this.#ids.has(event.id);
      const future = event.time > NOW + maxFutureSkewMs;
      const skipped = this.topic === "shown" && event.flag && event.type === "Thing";
      const reads = event.type === "Thing" && !skipped;
      const verdict = known ? "duplicate" : future ? "future" : reads ? "counted" : "filtered";
      this.#ids.add(event.id);
      if (!known && !future) {
        this.#watermark = Math.max(watermark, event.time - maxOutOfOrdernessMs - 1);
      }
      this.judged.push({ place, event, verdict, watermark });
    });
  }
}

/** By place: the watermark of the join before it. */
const watermarksOf = (plan: JoinPlan, logs: readonly (readonly Uint8Array[])[]) => {
  const { routes } = rekeyOf(plan);
  const watermarks = new Map<string, number>();
  for (const log of logs) {
    const intake = new RekeyedIntake(plan, rekeyOf(plan));
    log.forEach((data, batch) => {
      intake.read(batch + 1, data);
      for (let row = 0; row < intake.count; row++) {
        const { source, partition, sequence, index } = intake.originOf(row);
        const { name } = routes[source]!.topic.definition;
        watermarks.set(`${name}/${partition}/${sequence}/${index}`, intake.watermarks[row]!);
      }
    });
  }
  return watermarks;
};

/** `begun`: each partition has held an event before, so that it holds the others back from the start. */
const holds = (
  plan: JoinPlan,
  model: Model,
  log: readonly Step[],
  begun: boolean,
  limits: AlignmentLimits | undefined,
): void => {
  const run = new RekeyedRun(plan, limits);
  const lanes = Array.from(
    { length: rekeyOf(plan).upstreams },
    (_, upstream) => new LaneModel(plan, upstream),
  );
  const first = lanes.map((_, upstream) => ({
    upstream,
    events: [pulse("first", -1_000)],
    chance: "-" as const,
  }));
  for (const { upstream, events, chance } of [...(begun ? first : []), ...log]) {
    const lane = lanes[upstream]!;
    lane.read(events);
    run.route(upstream, encode(lane.topic, events));
    takeChance(run, chance);
  }
  lanes.forEach(({ topic }, upstream) =>
    run.route(upstream, encode(topic, [pulse("end", FAR)], { now: FAR })),
  );
  run.relay();

  const letters = (reason: DeadLetter_Reason) =>
    run.deadLetters
      .filter((letter) => letter.reason === reason)
      .map(({ topic, position: at }) => `${topic}/${at?.partition}/${at?.sequence}/${at?.index}`)
      .toSorted();
  const all = lanes.flatMap(({ judged, topic }) => judged.map((each) => ({ ...each, topic })));
  const late = new Set(letters(DeadLetter_Reason.REASON_LATE));
  const before = watermarksOf(plan, run.logs);
  const accepted = all.filter(({ verdict, place }) => verdict === "counted" && !late.has(place));
  const sides = accepted.map(({ topic, event, place }): ModelEvent => {
    const left = topic === "shown";
    const { id, time, colour } = event;
    const deletes = !left && event.flag;
    const side = { key: left ? event.user : event.key, left, right: !left };
    // Of a row that comes when its time is over.
    const seenFrom = Math.max(time, before.get(place)! + 1);
    return { id, time, colour, deletes, ...side, ...(isTable(model) && { seenFrom }) };
  });
  expect(sorted(run.updates.map(resultOf))).toEqual(modelResults(sides, model));
  for (const { place, verdict, watermark, event, topic } of all) {
    if (!late.has(place)) continue;
    expect(verdict).toBe("counted");
    if (isTable(model)) expect(topic).toBe("shown");
    // What is not late in its partition is late nowhere.
    if (begun) expect(watermark).toBeGreaterThanOrEqual(event.time);
  }
  expect(letters(DeadLetter_Reason.REASON_FUTURE)).toEqual(
    all.flatMap(({ verdict, place }) => (verdict === "future" ? place : [])).toSorted(),
  );
  expect(run.deadLetters.filter(({ eventType }) => eventType !== "Thing")).toHaveLength(
    all.filter(({ verdict, event }) => verdict === "future" && event.type === "Pulse").length,
  );
  lanes.forEach(({ judged }, upstream) => {
    const { books } = run.stage.cores[upstream]!.progress();
    const count = (wanted: string) => judged.filter(({ verdict }) => verdict === wanted).length;
    expect(imbalance(books)).toBe(0);
    expect(books).toMatchObject({
      events: judged.length + 1,
      counted: count("counted"),
      duplicate: count("duplicate"),
      future: count("future"),
    });
  });
};

const disorders = fc.constantFrom(0, 25, 200);
const partitions = fc.integer({ min: 1, max: 3 });

test("results, dead letters and books of an interval join equal the model's", () => {
  fc.assert(
    fc.property(
      fc.tuple(partitions, partitions),
      fc.tuple(disorders, disorders),
      intervals,
      fc.boolean(),
      alignments,
      fc.gen(),
      ([left, right], [ofLeft, ofRight], model, begun, limits, gen) => {
        const plan = twoTopics(
          model,
          { partitions: left, maxOutOfOrdernessMs: ofLeft },
          { partitions: right, maxOutOfOrdernessMs: ofRight, maxFutureSkewMs: 5 },
        );
        holds(plan, model, gen(steps, left + right), begun, limits);
      },
    ),
    { numRuns: RUNS },
  );
});

test("so do those of a join as of event time", () => {
  fc.assert(
    fc.property(
      fc.tuple(partitions, partitions),
      fc.tuple(disorders, disorders),
      tables,
      fc.boolean(),
      alignments,
      fc.gen(),
      ([left, right], [ofLeft, ofRight], model, begun, limits, gen) => {
        const plan = twoTopics(
          model,
          { partitions: left, maxOutOfOrdernessMs: ofLeft },
          { partitions: right, maxOutOfOrdernessMs: ofRight },
        );
        // No two events of one time: nothing but the log's order could decide between them.
        let number = 0;
        const log = gen(steps, left + right).map((step) => ({
          ...step,
          events: step.events.map((event) => ({ ...event, time: event.time * 200 + number++ })),
        }));
        holds(plan, model, log, begun, limits);
      },
    ),
    { numRuns: RUNS },
  );
});

test("an event of one topic may be on both sides, by another key on each", () => {
  fc.assert(
    fc.property(partitions, intervals, fc.gen(), (count, model, gen) => {
      const changes = { right: { topic: "shown", types: ["Thing"], key: { event: "key" } } };
      const settings = { partitions: count, maxOutOfOrdernessMs: 1_000 };
      const plan = twoTopics(model, settings, settings, changes);
      const run = new RekeyedRun(plan);
      const lanes = Array.from({ length: count }, (_, upstream) => new LaneModel(plan, upstream));
      const append = (partition: number, batch: Uint8Array) => {
        run.route(partition, batch);
        run.route(count + partition, batch);
      };
      for (const { upstream, events, chance } of gen(steps, count)) {
        lanes[upstream]!.read(events);
        append(upstream, encode("shown", events));
        takeChance(run, chance);
      }
      lanes.forEach((_, partition) => append(partition, encode("shown", [pulse("end", FAR)])));
      run.relay();
      const sides = lanes
        .flatMap(({ judged }) => judged)
        .flatMap(({ event, verdict }): ModelEvent[] => {
          const { id, time, colour, user, key, flag, type } = event;
          if (type === "Pulse" || verdict === "duplicate") return [];
          const one = { id, time, colour, deletes: false };
          const right = { ...one, key, left: false, right: true };
          return flag ? [right] : [{ ...one, key: user, left: true, right: false }, right];
        });
      expect(run.deadLetters).toEqual([]);
      expect(sorted(run.updates.map(resultOf))).toEqual(modelResults(sides, model));
    }),
    { numRuns: RUNS },
  );
});

describe("the watermark of a join of two topics", () => {
  const model = { beforeMs: 0, afterMs: 10, mode: "left", equalColours: false } as const;
  const thing = (id: string, time: number): Drawn => ({
    ...pulse(id, time),
    type: "Thing",
    key: "",
  });
  const begun = () => {
    const run = new RekeyedRun(twoTopics(model));
    run.route(1, encode("clicked", [thing("click", 3)]));
    run.route(0, encode("shown", [thing("a", 0), thing("b", 50), pulse("p", 90)]));
    run.relay();
    return run;
  };
  const rows = (run: RekeyedRun) => run.updates.map((update) => sorted([resultOf(update)])[0]);

  test("is held back by the slower topic", () => {
    const run = begun();
    expect(rows(run)).toEqual([]);
    run.route(1, encode("clicked", [thing("again", 5), pulse("p", 6)]));
    run.relay();
    expect(rows(run)).toEqual([" [0, 4) a click", " [0, 6) a again"]);
    run.route(1, encode("clicked", [pulse("q", 90)]));
    run.relay();
    expect(rows(run).slice(2)).toEqual([" [50, 62) b null"]);
  });

  test("is not held back by a topic whose idleness is logged", () => {
    const run = begun();
    run.route(1, encode("clicked", [], { tick: NOW + 1 }));
    run.relay();
    expect(rows(run)).toEqual([" [0, 4) a click", " [50, 62) b null"]);
  });

  test("is not held back by a topic that never held an event", () => {
    const run = new RekeyedRun(twoTopics(model));
    run.route(0, encode("shown", [thing("a", 0), pulse("p", 90)]));
    run.relay();
    expect(rows(run)).toEqual([" [0, 12) a null"]);
  });
});
