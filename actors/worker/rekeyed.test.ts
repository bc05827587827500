/** A re-keyed projection by whole workers over memory: both stages, the relay, and all that may die. */
import { Effect, Fiber } from "effect";
import { describe, expect, test } from "vitest";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { commitSubject, routedTopic } from "../../proto/subjects.ts";
import { EventLog } from "../ports/event-log.ts";
import { RekeyLog } from "../ports/rekey-log.ts";
import { ResultLog } from "../ports/result-log.ts";
import { SnapshotStore } from "../ports/snapshot-store.ts";
import { makeReplay } from "../replay/replay.ts";
import { encodeBatch, PULSE } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { batchesOf, PARTITIONS } from "../testkit/sales-run.ts";
import {
  endOfVisits,
  finalRows,
  idsOf,
  sessionRows,
  sessionsBy,
  VISIT_IDS,
  VISITS,
  VISITS_PLAN,
} from "../testkit/visits-run.ts";
import { broker, Faults, SETTINGS, until, virtually } from "../testkit/virtual-engine.ts";
import type { Broker } from "../testkit/virtual-engine.ts";
import { ownsMerge } from "./assignment.ts";
import { RekeyedOwner } from "./rekeyed-owner.ts";
import { StatusBoard } from "./status-board.ts";
import { runWorker } from "./worker.ts";

const PLAN = VISITS_PLAN;
const TASK = { kind: "window", projection: "visits" } as const;

const publish = (log: Broker, sales: readonly Sale[]): void => {
  for (const { partition, data } of batchesOf(sales)) {
    log.events("sales", partition).append([{ subject: `events.sales.${partition}`, data }], -1);
  }
};

/** Moves every partition beyond all sessions. */
const end = (log: Broker): void => {
  for (const { partition, data } of endOfVisits()) {
    log.events("sales", partition).append([{ subject: `events.sales.${partition}`, data }], -1);
  }
};

const work = (plan = PLAN, index = 0, workers = 1, board = new StatusBoard()) =>
  Effect.forkScoped(runWorker({ index, workers, plans: [plan], settings: SETTINGS, board }));

const finals = (log: Broker, version = 1): readonly string[] =>
  finalRows(
    log.results.messages
      .filter(({ subject }) => subject.startsWith(`results.visits.${version}.`))
      .map(({ data }) => data),
  );

const routedIds = (log: Broker, version = 1): readonly string[] =>
  idsOf(
    Array.from({ length: PARTITIONS }, (_, partition) => partition)
      .flatMap((partition) => log.events(routedTopic("visits", version), partition).messages)
      .map(({ data }) => data),
  );

const ALL = sessionRows(VISITS);
const IDS = VISIT_IDS;
const allThere = (log: Broker) => () => finals(log).length >= ALL.length;

const expectAll = (log: Broker): void => {
  expect(finals(log)).toEqual(ALL);
  expect(routedIds(log)).toEqual(IDS);
};

describe("sessions by a field, each once", () => {
  for (const workers of [1, 3]) {
    test(`by ${workers} workers`, () =>
      virtually(
        Effect.gen(function* () {
          const log = yield* broker;
          for (let index = 0; index < workers; index++) yield* work(PLAN, index, workers);
          publish(log, VISITS);
          end(log);
          yield* until(allThere(log));
          expectAll(log);
          const relayed = () =>
            log.projections.messages.filter(({ subject }) =>
              subject.startsWith("projections.visits."),
            );
          yield* until(() => relayed().length === ALL.length);
        }),
      ));
  }

  test("whatever is killed, as often as it likes", () =>
    virtually(
      Effect.gen(function* () {
        const log = yield* broker;
        for (let part = 0; part < 8; part++) {
          const worker = yield* work();
          publish(log, VISITS.slice(part * 50, part * 50 + 50));
          yield* until(() => routedIds(log).length >= part * 50 + 7);
          yield* Fiber.interrupt(worker);
        }
        end(log);
        yield* work();
        yield* until(allThere(log));
        expectAll(log);
      }),
    ));

  for (const kind of ["fail", "fail-stored", "lose-ack"] as const) {
    test(`when appends ${kind}`, () =>
      virtually(
        Effect.gen(function* () {
          const log = yield* broker;
          const faults = yield* Faults;
          faults.add([
            { at: "rekey.append", kind, times: 2 },
            { at: "rekey.append", kind, skip: 5, times: 1 },
            { at: "results.append", kind, name: "routed.", skip: 5, times: 3 },
          ]);
          yield* work();
          publish(log, VISITS);
          end(log);
          yield* until(allThere(log));
          expectAll(log);
          expect(faults.remaining).toEqual([]);
        }),
      ));
  }

  test("a second relay fences the first, and nothing comes twice", () =>
    virtually(
      Effect.gen(function* () {
        const log = yield* broker;
        const board = new StatusBoard();
        yield* work(PLAN, 0, 1, board);
        const target = routedTopic("visits", 1);
        const relay = () => board.status?.relays.find((one) => one.target === target);
        publish(log, VISITS.slice(0, 200));
        yield* until(() => routedIds(log).length === 200);
        yield* work();
        publish(log, VISITS.slice(200));
        end(log);
        yield* until(allThere(log));
        expectAll(log);
        yield* until(() => relay()?.state === "fenced");
      }),
    ));

  test("what comes to silent partitions while their worker is down is not late for that", () =>
    virtually(
      Effect.gen(function* () {
        const log = yield* broker;
        const slots = [0, 1].map((index) => ({ index, workers: 2 }));
        const relaying = slots.findIndex((slot) => ownsMerge(slot, "visits"));
        const first = yield* work(PLAN, relaying, 2);
        const other = yield* work(PLAN, 1 - relaying, 2);
        const idle = () =>
          log.events(routedTopic("visits", 1), 0).messages.some(({ data }) => {
            const upstreams = RecordBatch.decode(data).rekeyed?.upstreams ?? [];
            return upstreams.length === PARTITIONS && upstreams.every((one) => one.idle);
          });
        yield* until(idle);
        yield* Fiber.interrupt(other);
        yield* Fiber.interrupt(first);
        publish(log, VISITS);
        end(log);
        yield* work(PLAN, relaying, 2);
        let steps = 0;
        yield* until(() => ++steps > 100);
        // What can be routed is.
        const routed = routedIds(log).length;
        expect(routed).toBeGreaterThan(0);
        expect(routed).toBeLessThan(IDS.length);
        yield* work(PLAN, 1 - relaying, 2);
        yield* until(allThere(log));
        expectAll(log);
      }),
    ));

  test("a partition that never held an event holds nobody back once it has said so", () =>
    virtually(
      Effect.gen(function* () {
        const log = yield* broker;
        yield* work();
        const sale = { id: "only", key: "k0", time: 5, cents: 7, store: "s" };
        const late = { id: "pulse", key: "k0", time: 1_000, type: PULSE.name };
        const data = encodeBatch([sale, late]);
        log.events("sales", 0).append([{ subject: "events.sales.0", data }], -1);
        yield* until(() => routedIds(log).length === 1);
        expect(finals(log)).toEqual([]);
        yield* until(() => finals(log).length === 1);
        expect(finals(log)).toEqual(["s 5 8: 1 7"]);
      }),
    ));
});

test("K2: a partition that cannot start holds no other back", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const faults = yield* Faults;
      const unreachable = commitSubject({ ...TASK, version: 1, partition: 0 });
      faults.add([{ at: "results.last", kind: "fail", name: unreachable, times: 10_000 }]);
      yield* work();
      publish(log, VISITS);
      end(log);
      yield* until(() => finals(log).length > 0);
      faults.clear();
      yield* until(allThere(log));
      expectAll(log);
    }),
  ));

test("a change of version that is interrupted leaves its tasks to be drained", () =>
  virtually(
    Effect.gen(function* () {
      const faults = yield* Faults;
      const ports = {
        events: yield* EventLog,
        results: yield* ResultLog,
        snapshots: yield* SnapshotStore,
        rekeyed: yield* RekeyLog,
      };
      const slot = { index: 0, workers: 1 };
      const owner = new RekeyedOwner({ plan: PLAN, slot, ports, settings: SETTINGS });
      const states = () => owner.tasks.map(({ state }) => state);
      yield* owner.follow({ version: 1, routing: 1 });
      yield* until(() => states().every((state) => state === "live"));
      // The relay's first record batches are read; now nothing can be committed.
      faults.add([{ at: "results.append", kind: "fail", times: 10_000 }]);
      const change = yield* Effect.forkScoped(owner.follow({ version: 2, routing: 2 }));
      yield* until(() => states().includes("draining"));
      yield* Fiber.interrupt(change);
      expect(states()).toHaveLength(PARTITIONS);
      faults.clear();
      const drained = yield* Effect.forkScoped(owner.drain);
      yield* until(() => drained.pollUnsafe() !== undefined);
      expect(owner.tasks).toEqual([]);
    }),
  ));

test("what is relayed is trimmed from RESULTS, never a marker", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      yield* work();
      publish(log, VISITS);
      end(log);
      yield* until(allThere(log));
      const routed = () =>
        log.results.messages.filter(({ subject }) => subject.startsWith("routed.visits.1."));
      expect(routed().length).toBeGreaterThan(PARTITIONS);
      yield* until(() => routed().length === PARTITIONS, 5_000);
      publish(log, [{ id: "more", key: "k1", time: 1_001, cents: 1, store: "s1" }]);
      yield* until(() => routedIds(log).length === IDS.length + 1);
    }),
  ));

describe("a replay", () => {
  test("of the same definition reads the log that is there, and gives the same", () =>
    virtually(
      Effect.gen(function* () {
        const log = yield* broker;
        yield* work();
        publish(log, VISITS);
        end(log);
        yield* until(allThere(log));
        const replay = yield* makeReplay({ plan: PLAN, settings: SETTINGS });
        expect(replay.versions).toMatchObject({ live: 1, next: 2, routing: 1 });
        const built = yield* Effect.forkScoped(replay.build);
        yield* until(() => replay.state === "comparing");
        expect((yield* Fiber.join(built)).events).toBe(VISITS.length);
        expect(finals(log, 2)).toEqual(ALL);
        expect(log.events(routedTopic("visits", 2), 0).messages).toEqual([]);
      }),
    ));

  test("of another window reads the same log; after its promotion workers go on in it", () =>
    virtually(
      Effect.gen(function* () {
        const log = yield* broker;
        const first = yield* work();
        publish(log, VISITS.slice(0, 200));
        yield* until(() => routedIds(log).length === 200);
        const wider = { ...sessionsBy("store", 60), digest: new Uint8Array(8).fill(9) };
        const replay = yield* makeReplay({ plan: wider, settings: SETTINGS });
        expect(replay.versions).toMatchObject({ next: 2, routing: 1, definitionChanged: true });
        const built = yield* Effect.forkScoped(replay.build);
        yield* until(() => replay.state === "comparing");
        const bound = yield* Fiber.join(built);
        yield* replay.compare(bound, () => ({ async *[Symbol.asyncIterator]() {} }));
        yield* replay.promote(false);
        yield* Fiber.interrupt(first);
        yield* work(wider);
        publish(log, VISITS.slice(200));
        end(log);
        const all = sessionRows(VISITS, 60);
        yield* until(() => finals(log, 2).length >= all.length);
        expect(finals(log, 2)).toEqual(all);
        expect(routedIds(log)).toEqual(IDS);
      }),
    ));

  test("by another field writes a log of its own; given up, it takes it away again", () =>
    virtually(
      Effect.gen(function* () {
        const log = yield* broker;
        yield* work();
        publish(log, VISITS.slice(0, 200));
        yield* until(() => routedIds(log).length === 200);
        const other = { ...sessionsBy("cents"), digest: new Uint8Array(8).fill(9) };
        const replay = yield* makeReplay({ plan: other, settings: SETTINGS });
        expect(replay.versions).toMatchObject({ next: 2, routing: 2, definitionChanged: true });
        const built = yield* Effect.forkScoped(replay.build);
        yield* until(() => replay.state === "comparing");
        const bound = yield* Fiber.join(built);
        expect(routedIds(log, 2)).toEqual(
          VISITS.slice(0, 200)
            .map(({ id }) => id)
            .toSorted(),
        );
        expect(routedIds(log)).toHaveLength(200);
        yield* replay.compare(bound, () => ({ async *[Symbol.asyncIterator]() {} }));
        yield* replay.abandon;
        expect(routedIds(log, 2)).toEqual([]);
      }),
    ));

  test("says so when nobody re-keys the events that it waits for", () =>
    virtually(
      Effect.gen(function* () {
        const log = yield* broker;
        const worker = yield* work();
        publish(log, VISITS.slice(0, 200));
        yield* until(() => routedIds(log).length === 200);
        yield* Fiber.interrupt(worker);
        publish(log, VISITS.slice(200));
        const replay = yield* makeReplay({ plan: PLAN, settings: SETTINGS });
        const built = yield* Effect.forkScoped(Effect.flip(replay.build));
        yield* until(() => replay.state === "failed");
        const error = yield* Fiber.join(built);
        expect(error.message).toMatch(
          /^its events are not being re-keyed: routed\.visits\.1\.0 stands at \d+ of \d+\. Is tidemark/,
        );
      }),
    ));
});
