/** A re-keyed log whose upstreams are far apart in event time: what is ahead waits in RESULTS, by whole workers. */
import { Effect, Fiber } from "effect";
import { expect, test } from "vitest";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { routedTopic } from "../../proto/subjects.ts";
import { makeReplay } from "../replay/replay.ts";
import { encodeBatch, PULSE, salesPlan, topicPlan } from "../testkit/plans.ts";
import { broker, SETTINGS, until, virtually } from "../testkit/virtual-engine.ts";
import type { Broker } from "../testkit/virtual-engine.ts";
import { append } from "./sales-log.suite.ts";
import { runWorker } from "./worker.ts";

const PARTITIONS = 3;
const LIMIT = 200;
const TOPIC = topicPlan({ partitions: PARTITIONS, idleAfterMs: 3_600_000 });
/** Sessions of a store. */
const PLAN = salesPlan(
  { name: "visits", key: { field: "store" }, window: { kind: "session", gapMs: 50 } },
  TOPIC,
);
const settings = { ...SETTINGS, alignment: { events: LIMIT, bytes: Infinity }, trimEveryMs: 1_000 };

const EVENTS = 3_000;
const BATCH = 50;

/** So many record batches of a partition, of 50 events a millisecond apart. */
const publish = (log: Broker, partition: number, from: number, to: number): void => {
  for (let first = from; first < to; first += BATCH) {
    const sales = Array.from({ length: BATCH }, (_, i) => ({
      id: `${partition}-${first + i}`,
      key: `k${partition}`,
      time: first + i,
      cents: 1,
      store: `s${(first + i) % 2}`,
    }));
    append(log, partition, encodeBatch(sales));
  }
};
const end = (log: Broker): void => {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const pulse = { id: `end${partition}`, key: "k", time: 50_000, type: PULSE.name };
    append(log, partition, encodeBatch([pulse]));
  }
};

const work = (index = 0, workers = 1) =>
  Effect.forkScoped(runWorker({ index, workers, plans: [PLAN], settings }));

const batchesOf = (log: Broker, version: number) =>
  Array.from({ length: PARTITIONS }, (_, partition) =>
    log
      .events(routedTopic("visits", version), partition)
      .messages.map(({ data }) => RecordBatch.decode(data)),
  );

const eventsOf = (log: Broker, version = 1) =>
  batchesOf(log, version).flatMap((batches) => batches.flatMap(({ events }) => events));

/** The most events of a partition of the log that were ahead of its watermark, as of each record batch. */
const mostAhead = (log: Broker, version = 1): number => {
  let most = 0;
  for (const batches of batchesOf(log, version)) {
    const times: number[] = [];
    for (const { events, rekeyed } of batches) {
      times.push(...events.map(({ eventTime = 0 }) => eventTime));
      const { upstreams } = rekeyed!;
      if (upstreams.length < PARTITIONS) continue;
      const slowest = Math.min(
        ...upstreams.map(({ watermark = Number.NEGATIVE_INFINITY }) => watermark),
      );
      most = Math.max(most, times.filter((time) => time > slowest).length);
    }
  }
  return most;
};

const finals = (log: Broker, version = 1): readonly string[] =>
  log.results.messages
    .filter(({ subject }) => subject.startsWith(`results.visits.${version}.`))
    .flatMap(({ data }) => Commit.decode(data).updates)
    .map(
      ({ key, windowStart, values }) => `${key} ${windowStart}: ${String(values[0]?.kind?.value)}`,
    )
    .toSorted();

const ALL = [`s0 0: ${(EVENTS / 2) * PARTITIONS}`, `s1 1: ${(EVENTS / 2) * PARTITIONS}`];

test("what is ahead waits for the slowest partition, and then is there, each event once", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      yield* work();
      publish(log, 0, 0, EVENTS);
      publish(log, 1, 0, EVENTS);
      yield* until(() => eventsOf(log).length > LIMIT);
      for (let from = 0; from < EVENTS; from += 500) {
        const before = eventsOf(log).length;
        publish(log, 2, from, from + 500);
        yield* until(() => eventsOf(log).length > before + 500);
      }
      end(log);
      yield* until(() => finals(log).length === 2);
      expect(finals(log)).toEqual(ALL);
      expect(new Set(eventsOf(log).map(({ id }) => id)).size).toBe(EVENTS * PARTITIONS);
      expect(eventsOf(log)).toHaveLength(EVENTS * PARTITIONS + 0);
      // A commit more than may wait, of each of the other two.
      expect(mostAhead(log)).toBeLessThan(LIMIT + EVENTS / 2);
    }),
  ));

test("whatever is killed while partitions are held back, and RESULTS keeps what they wait with", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      for (let from = 0; from < EVENTS; from += 500) {
        const worker = yield* work();
        publish(log, 0, from, from + 500);
        publish(log, 1, from, from + 500);
        publish(log, 2, from / 2, from / 2 + 250);
        const before = eventsOf(log).length;
        yield* until(() => eventsOf(log).length > before, 1_000);
        yield* Fiber.interrupt(worker);
      }
      yield* work();
      publish(log, 2, EVENTS / 2, EVENTS);
      end(log);
      yield* until(() => finals(log).length === 2, 1_000);
      expect(finals(log)).toEqual(ALL);
      expect(eventsOf(log)).toHaveLength(EVENTS * PARTITIONS);
    }),
  ));

test("a replay into a log of its own comes to an end, though one partition never gets as far", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const worker = yield* work();
      publish(log, 0, 0, EVENTS);
      publish(log, 1, 0, EVENTS);
      publish(log, 2, 0, 100);
      yield* until(() => eventsOf(log).length > LIMIT);
      yield* Fiber.interrupt(worker);
      const plan = salesPlan(
        {
          name: "visits",
          key: { field: "cents" },
          window: { kind: "session", gapMs: 50 },
        },
        TOPIC,
      );
      const replay = yield* makeReplay({ plan, settings });
      const built = yield* Effect.forkScoped(replay.build);
      yield* until(() => replay.state === "comparing", 1_000);
      yield* Fiber.join(built);
      expect(eventsOf(log, 2)).toHaveLength(EVENTS * 2 + 100);
    }),
  ));
