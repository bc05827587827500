/**
 * A join of two topics on a real nats-server: a worker that dies in the middle, what the surveys and audits
 * of the CLI say of it, and a replay that routes both topics anew.
 */
import { Effect, Fiber, Layer, References, Schedule } from "effect";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EventLog } from "../../actors/ports/event-log.ts";
import { ResultLog } from "../../actors/ports/result-log.ts";
import { makeReplay } from "../../actors/replay/replay.ts";
import { DEFAULT_SETTINGS } from "../../actors/task/settings.ts";
import { runWorker } from "../../actors/worker/worker.ts";
import { adClicks, adImpressions, impressionClicks } from "../../projections/ads/ads.ts";
import type { JoinProjection, TopicDefinition } from "../../projections/definition/definition.ts";
import { planProjection, planTopic } from "../../projections/definition/plan-projection.ts";
import type { JoinPlan } from "../../projections/definition/plan.ts";
import { loadSchemas } from "../../projections/schema/schema-set.ts";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { partitionOf } from "../../proto/partitioner.ts";
import { Faults, memorySnapshotStore } from "../memory/index.ts";
import { connect } from "../nats/connection.ts";
import { natsLayer, provision } from "../nats/index.ts";
import { startTestServers, type TestServers } from "../servers/testing.ts";
import { auditAll } from "./commands/audit.ts";
import { survey } from "./survey.ts";
import { plain } from "./terminal/colour.ts";

let servers: TestServers;
beforeAll(async () => {
  servers = await startTestServers();
});
afterAll(() => servers.dispose());

const services = Layer.suspend(() =>
  Layer.mergeAll(
    natsLayer({ url: servers.natsUrl }),
    memorySnapshotStore.pipe(Layer.provide(Faults.layer())),
  ),
);

/** Silence while a worker is down must not move event time: what follows would be late. */
const patient = (topic: TopicDefinition) => ({ ...topic, idleAfterMs: 3_600_000 });
const TOPICS = [patient(adImpressions), patient(adClicks)] as const;
const schemas = loadSchemas(adClicks.schemas);
const planOf = (definition: JoinProjection) =>
  planProjection(definition, planTopic(TOPICS[0], schemas), [planTopic(TOPICS[1], schemas)]);
const PLAN = planOf(impressionClicks);
/** Counts clicks of machines, too: other events are routed. */
const LENIENT = planOf({
  ...impressionClicks,
  right: { ...impressionClicks.right, where: undefined },
});

const IMPRESSIONS = 120;
const isClicked = (i: number) => i % 3 === 0;
const isAutomated = (i: number) => i % 15 === 0;

const impression = (i: number, time: number) => ({
  id: `impression-${i}`,
  type: "ads.Impression",
  key: `imp-${i}`,
  eventTime: time,
  data: {
    $case: "protobuf" as const,
    value: Buffer.from(
      new BinaryWriter()
        .uint32(10)
        .string(`campaign-${i % 4}`)
        .finish(),
    ),
  },
});

const click = (i: number, time: number) => ({
  // The same id as the impression's, in another topic.
  id: `impression-${i}`,
  type: "ads.Click",
  key: `user-${i % 7}`,
  eventTime: time,
  data: {
    $case: "protobuf" as const,
    value: Buffer.from(
      new BinaryWriter().uint32(18).string(`imp-${i}`).uint32(24).bool(isAutomated(i)).finish(),
    ),
  },
});

type TestEvent = ReturnType<typeof impression>;

const encode = (events: readonly TestEvent[], ingestTime: number) =>
  RecordBatch.encode({
    ingestTime,
    events: [...events],
    tick: undefined,
    rekeyed: undefined,
  }).finish();

/** By key: whether it was clicked, and after how long. */
const expected = (counts: (i: number) => boolean) =>
  Array.from({ length: IMPRESSIONS }, (_, i) =>
    counts(i) ? `imp-${i} true ${i + 1}` : `imp-${i} false null`,
  ).toSorted();

const finals = (version: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const results = yield* ResultLog;
      const reader = yield* results.open([`results.impression-clicks.${version}.>`], 1);
      const rows: string[] = [];
      while (true) {
        const records = yield* reader.next;
        for (const { data } of records) {
          for (const { key, values } of Commit.decode(data).updates) {
            const [, , , clicked, ms] = values.map((value) => value.kind?.value ?? null);
            rows.push(`${key} ${String(clicked)} ${String(ms)}`);
          }
        }
        if (records.at(-1)?.pending === 0) return rows.toSorted();
      }
    }),
  );

/** Polls: real servers keep real time. */
const until = <R>(condition: Effect.Effect<boolean, unknown, R>) =>
  condition.pipe(
    Effect.orElseSucceed(() => false),
    Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: (done: boolean) => done }),
  );

// A worker that is interrupted abandons its tasks: as a crash would.
const settings = { ...DEFAULT_SETTINGS, snapshotEveryMs: 200, drainMsMax: 0 };
const work = (plan: JoinPlan) =>
  Effect.forkScoped(runWorker({ index: 0, workers: 1, plans: [plan], settings }));
const quiet = { isTerminal: false, columns: 100, paint: plain, write: () => undefined };

test(
  "every impression once, though the worker died; every task reads its own topic; the books balance",
  () =>
    Effect.gen(function* () {
      yield* provision({ topics: TOPICS.map((topic) => ({ ...topic, maxBytes: 1 << 26 })) });
      const events = yield* EventLog;
      const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis);
      const start = now - 3_600_000;
      const append = ({ name, partitions }: TopicDefinition, event: TestEvent) =>
        events.append(name, partitionOf(event.key, partitions), encode([event], now));
      const both = (from: number, to: number) =>
        Effect.gen(function* () {
          for (let i = from; i < to; i++) {
            yield* append(TOPICS[0], impression(i, start + i * 1_000));
            if (isClicked(i)) yield* append(TOPICS[1], click(i, start + i * 1_000 + i + 1));
          }
        });
      const endAll = Effect.fnUntraced(function* (at: number) {
        for (const [topic, make] of [
          [TOPICS[0], impression],
          [TOPICS[1], click],
        ] as const) {
          for (let p = 0; p < topic.partitions; p++) {
            const last = { ...make(1_000_000 + p, at), id: `end-${p}-${at}`, key: `end-${p}` };
            yield* events.append(topic.name, p, encode([last], now));
          }
        }
      });

      const first = yield* work(PLAN);
      yield* both(0, IMPRESSIONS / 2);
      yield* until(Effect.map(events.bounds("via_impression-clicks_1", 0), ({ last }) => last > 3));
      yield* Fiber.interrupt(first);
      yield* both(IMPRESSIONS / 2, IMPRESSIONS);
      yield* endAll(now - 60_000);
      const second = yield* work(PLAN);
      const wanted = expected((i) => isClicked(i) && !isAutomated(i));
      yield* until(Effect.map(finals(1), (rows) => rows.length >= wanted.length));
      expect(yield* finals(1)).toEqual(wanted);

      const link = yield* connect({ url: servers.natsUrl, name: "two-topics-test" });
      const plan = { topics: TOPICS, projections: [impressionClicks] };
      const seen = Effect.map(survey(link, plan), ({ tasks }) => tasks);
      yield* until(Effect.map(seen, (tasks) => tasks.every(({ lag }) => lag === 0)));
      const routing = (yield* seen).filter(({ kind }) => kind === "routing");
      expect(
        routing.map(({ partition, topic, inputPartition }) => [partition, topic, inputPartition]),
      ).toEqual([
        [0, "ad-impressions", 0],
        [1, "ad-impressions", 1],
        [2, "ad-impressions", 2],
        [3, "ad-impressions", 3],
        [4, "ad-clicks", 0],
        [5, "ad-clicks", 1],
      ]);
      const audits = yield* auditAll(link, { plan, projection: undefined, fast: false }, quiet);
      expect(audits).toHaveLength(10);
      for (const audit of audits) expect(audit).toMatchObject({ balanced: true, difference: 0 });
      const read = audits.filter(({ kind }) => kind === "routing");
      const total = (from: number, to: number) =>
        read
          .filter(({ partition }) => partition >= from && partition < to)
          .reduce((sum, { logEvents }) => sum + (logEvents ?? 0), 0);
      expect([total(0, 4), total(4, 6)]).toEqual([IMPRESSIONS + 4, IMPRESSIONS / 3 + 2]);

      // Other events are routed, so the replay writes a log of its own from both topics.
      const replay = yield* makeReplay({ plan: LENIENT, settings });
      expect(replay.versions).toMatchObject({ live: 1, next: 2, routing: 2 });
      const built = yield* replay.build;
      const replayed = expected(isClicked);
      expect(yield* finals(2)).toEqual(replayed);
      yield* replay.compare(built, () => {
        throw new Error("another definition: there is nothing to compare");
      });
      yield* replay.promote(false);
      yield* Fiber.interrupt(second);

      // The workers go on with it, in both topics.
      yield* work(LENIENT);
      yield* append(TOPICS[0], impression(999, now - 50_000));
      yield* append(TOPICS[1], click(999, now - 49_000));
      // Clicks may be a minute out of order.
      yield* endAll(now + 60_000);
      yield* until(Effect.map(finals(2), (rows) => rows.length > replayed.length));
      expect(yield* finals(2)).toEqual([...replayed, "imp-999 true 1000"].toSorted());
      expect(yield* finals(1)).toEqual(wanted);
    }).pipe(
      Effect.scoped,
      Effect.provide(services),
      Effect.provideService(References.MinimumLogLevel, "None"),
      Effect.runPromise,
    ),
  60_000,
);
