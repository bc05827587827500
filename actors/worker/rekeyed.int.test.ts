/** A re-keyed projection on a real nats-server: server, worker and relay are killed in the middle. */
import { Effect, Fiber, Layer, References, Schedule } from "effect";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Faults, memorySnapshotStore } from "../../infra/memory/index.ts";
import { Connection } from "../../infra/nats/connection.ts";
import { streamInfo } from "../../infra/nats/jetstream-api.ts";
import { natsLayer } from "../../infra/nats/layer.ts";
import { provision } from "../../infra/nats/provision.ts";
import { trimRekeyed } from "../../infra/nats/retention.ts";
import { startTestServers } from "../../infra/servers/testing.ts";
import type { TestServers } from "../../infra/servers/testing.ts";
import { eventsStream, routedTopic } from "../../proto/subjects.ts";
import { EventLog } from "../ports/event-log.ts";
import { RekeyLog } from "../ports/rekey-log.ts";
import { ResultLog } from "../ports/result-log.ts";
import { rekeyRelayOf } from "./rekeyed-owner.ts";
import { DEFAULT_SETTINGS } from "../task/settings.ts";
import { batchesOf, PARTITIONS } from "../testkit/sales-run.ts";
import {
  endOfVisits,
  finalRows,
  idsOf,
  sessionRows,
  VISIT_IDS,
  VISITS,
  VISITS_PLAN,
} from "../testkit/visits-run.ts";
import { StatusBoard } from "./status-board.ts";
import { runWorker } from "./worker.ts";
import { SnapshotStore } from "../ports/snapshot-store.ts";

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

const TARGET = routedTopic("visits", 1);

/** Silence while servers are down must not move event time: what follows would be late. */
const { definition, types } = VISITS_PLAN.topic;
const PLAN = {
  ...VISITS_PLAN,
  topic: { types, definition: { ...definition, idleAfterMs: 3_600_000 } },
};

const finals = Effect.scoped(
  Effect.gen(function* () {
    const reader = yield* (yield* ResultLog).open(["results.visits.>"], 1);
    const commits: Uint8Array[] = [];
    while (true) {
      const records = yield* reader.next;
      commits.push(...records.map(({ data }) => data));
      if (records.at(-1)?.pending === 0) return finalRows(commits);
    }
  }),
);

/** All that the re-keyed log holds. */
const routedIds = Effect.gen(function* () {
  const events = yield* EventLog;
  const batches: Uint8Array[] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { first, last } = yield* events.bounds(TARGET, partition);
    yield* Effect.scoped(
      Effect.gen(function* () {
        const reader = yield* events.open(TARGET, partition, first);
        for (let position = first - 1; position < last;) {
          for (const { sequence, data } of yield* reader.next) {
            batches.push(data);
            position = sequence;
          }
        }
      }),
    );
  }
  return idsOf(batches);
});

/** So little may be ahead that partitions are held back again and again. */
const SETTINGS = {
  ...DEFAULT_SETTINGS,
  snapshotEveryMs: 200,
  alignment: { events: 10, bytes: Infinity },
};

const work = Effect.gen(function* () {
  const board = new StatusBoard();
  const settings = SETTINGS;
  const worker = runWorker({ index: 0, workers: 1, plans: [PLAN], settings, board });
  const relay = () => board.status?.relays.find(({ target }) => target === TARGET)?.state;
  return { board, relay, fiber: yield* Effect.forkScoped(worker) };
});

/** Polls: real servers keep real time. */
const until = <R>(condition: Effect.Effect<boolean, unknown, R>) =>
  condition.pipe(
    Effect.orElseSucceed(() => false),
    Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: (done: boolean) => done }),
  );

test("server, worker and relay may die: every event is routed once and every session is right", () =>
  Effect.runPromise(
    Effect.gen(function* () {
      const topic = { name: "sales", partitions: PARTITIONS, retentionMs: 3_600_000 };
      yield* provision({ topics: [{ ...topic, maxBytes: 1 << 28 }] });
      const events = yield* EventLog;
      const ports = {
        events,
        results: yield* ResultLog,
        rekeyed: yield* RekeyLog,
        snapshots: yield* SnapshotStore,
      };
      const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis);
      const batches = [...batchesOf(VISITS, now), ...endOfVisits(now)];
      const append = (from: number, to: number) =>
        Effect.forEach(
          batches.slice(from, to),
          ({ partition, data }) => events.append("sales", partition, data),
          { discard: true },
        );
      const quarter = Math.floor(batches.length / 4);

      const first = yield* work;
      yield* append(0, quarter);
      yield* until(Effect.map(routedIds, (ids) => ids.length > 0));
      yield* Effect.promise(() => servers.nats.kill9());
      yield* Effect.sleep(300);
      yield* Effect.promise(() => servers.nats.start());
      yield* append(quarter, 2 * quarter).pipe(Effect.retry({ times: 50 }));
      yield* Fiber.interrupt(first.fiber);

      // Another relay takes the log over while a worker runs, and goes away without a word.
      const second = yield* work;
      yield* until(Effect.sync(() => second.relay() === "relaying"));
      const other = rekeyRelayOf(PLAN, 1, ports, SETTINGS);
      const relaying = yield* Effect.forkScoped(other.run);
      yield* append(2 * quarter, 3 * quarter);
      yield* until(Effect.sync(() => second.relay() === "fenced"));
      yield* Fiber.interrupt(relaying);
      yield* Fiber.interrupt(second.fiber);

      const third = yield* work;
      yield* append(3 * quarter, batches.length);
      const expected = sessionRows(VISITS);
      yield* until(Effect.map(finals, (rows) => rows.length >= expected.length));
      expect(yield* finals).toEqual(expected);
      expect(yield* routedIds).toEqual(VISIT_IDS);
      for (const { state, reason } of third.board.status!.tasks) {
        expect([state, reason]).toEqual(["live", undefined]);
      }

      // Age takes all but the record batch that says where the relay goes on.
      yield* Fiber.interrupt(third.fiber);
      const link = yield* Connection;
      expect(yield* trimRekeyed(link)).toBe(0);
      yield* ports.rekeyed.ensure({ name: TARGET, partitions: PARTITIONS, retentionMs: 0 });
      expect(yield* trimRekeyed(link)).toBeGreaterThan(0);
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const { state } = yield* streamInfo(link, eventsStream(TARGET, partition));
        expect(state.messages).toBe(1);
      }
      const fourth = yield* work;
      yield* until(Effect.sync(() => fourth.relay() === "relaying"));
      expect(yield* finals).toEqual(expected);
    }).pipe(
      Effect.scoped,
      Effect.provide(services),
      Effect.provideService(References.MinimumLogLevel, "None"),
    ),
  ));
