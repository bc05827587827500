/** What else may go wrong around a partition's tasks, one thing a test. */
import { Clock, Effect, Metric } from "effect";
import { TestClock } from "effect/testing";
import { describe, expect, test } from "vitest";
import { EventLog } from "../ports/event-log.ts";
import { SnapshotStore } from "../ports/snapshot-store.ts";
import type { WindowPlan } from "../../projections/definition/plan.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { commitSubject } from "../../proto/subjects.ts";
import { encodeBatch, salesPlan, topicPlan } from "../testkit/plans.ts";
import {
  broker,
  Faults,
  ownerOf,
  publishedBy,
  SETTINGS,
  specOf,
  turns,
  until,
  virtually,
} from "../testkit/virtual-engine.ts";
import type { Broker } from "../testkit/virtual-engine.ts";
import type { PartitionOwner } from "../worker/partition-owner.ts";
import { imbalance } from "./books-keeper.ts";
import { gauge, taskLabels } from "./metrics.ts";
import { decodeGroupSnapshot, encodeGroupSnapshot, groupSnapshotName } from "./group-snapshot.ts";
import type { TaskState } from "./task-machine.ts";

const TOPIC = topicPlan({ idleAfterMs: 2_000 });
const PLAN = salesPlan({}, TOPIC);
const OTHER = salesPlan({ name: "other" }, TOPIC);
const TASK = specOf(PLAN).id;

/** Each batch closes the window of the one before. */
const batch = (n: number): Uint8Array =>
  encodeBatch([{ id: `e${n}`, key: "k", time: n * 10, cents: n, weight: 1 }]);

const fill = (log: Broker, from: number, to: number): void => {
  const messages = Array.from({ length: to - from + 1 }, (_, i) => ({
    subject: "events.sales.0",
    data: batch(from + i),
  }));
  log.events("sales", 0).append(messages, -1);
};

const stateOf = (owner: PartitionOwner, plan: WindowPlan = PLAN): TaskState | undefined =>
  owner.tasks.find((task) => task.id.projection === plan.definition.name)?.life.state;

const reasonOf = (owner: PartitionOwner): string | undefined => owner.tasks[0]?.life.reason;

const committed = (log: Broker, plan = PLAN): number =>
  Math.max(0, ...publishedBy(log, specOf(plan).id).commits.map((commit) => commit.inputSequence));

const lastBooks = (log: Broker) => publishedBy(log, TASK).commits.at(-1)!.books!;

const starts = (log: Broker, plan = PLAN): readonly number[] =>
  publishedBy(log, specOf(plan).id).updates.map((update) => update.windowStart);

const tens = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i * 10);

/** Runs an owner until it has committed `to`, and lets it drain, which saves a snapshot. */
const runUntil = (to: number, plans: readonly WindowPlan[] = [PLAN]) =>
  Effect.gen(function* () {
    const log = yield* broker;
    const owner = yield* ownerOf(plans[0]!);
    yield* Effect.forkScoped(owner.runOnly(plans.map((plan) => specOf(plan))));
    yield* until(() => plans.every((plan) => committed(log, plan) >= to));
    yield* owner.drain;
    return log;
  });

const SNAPSHOT = groupSnapshotName("sales", 0, [TASK]);
const ENTRY = `of/${commitSubject(TASK)}`;

test("a zombie is fenced by its successor, and nothing is published twice", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      fill(log, 1, 5);
      const zombie = yield* ownerOf(PLAN);
      yield* zombie.runOnly([specOf(PLAN)]);
      yield* until(() => stateOf(zombie) === "live");
      const successor = yield* ownerOf(PLAN);
      yield* successor.runOnly([specOf(PLAN)]);
      fill(log, 6, 10);
      yield* until(() => stateOf(zombie) === "fenced" && committed(log) === 10);
      expect(stateOf(successor)).toBe("live");
      expect(starts(log)).toEqual(tens(10).slice(1));
      expect(
        publishedBy(log, TASK).commits.every(
          (c, i, all) => i === 0 || c.epoch >= all[i - 1]!.epoch,
        ),
      ).toBe(true);
    }),
  ));

test("a snapshot shortens the re-read", () =>
  virtually(
    Effect.gen(function* () {
      fill(yield* broker, 1, 5);
      const log = yield* runUntil(5);
      // What the snapshot holds need not be in the log any more.
      log.events("sales", 0).deleteBelow(6, () => true);
      fill(log, 6, 8);
      const owner = yield* ownerOf(PLAN);
      yield* owner.runOnly([specOf(PLAN)]);
      yield* until(() => committed(log) === 8);
      expect(starts(log)).toEqual(tens(8).slice(1));
    }),
  ));

test("a projection that is added, removed or redefined costs its neighbours nothing", () =>
  virtually(
    Effect.gen(function* () {
      const third = salesPlan({ name: "third" }, TOPIC);
      const changed = { ...third, digest: Uint8Array.of(9, 9, 9, 9, 9, 9, 9, 9) };
      const lives: readonly (readonly WindowPlan[])[] = [
        [PLAN, OTHER],
        [PLAN, OTHER, third],
        [PLAN, third],
        [changed, PLAN],
      ];
      const log = yield* broker;
      let last = 0;
      for (const plans of lives) {
        fill(log, last + 1, last + 5);
        last += 5;
        const owner = yield* ownerOf(PLAN);
        yield* owner.runOnly(plans.map((plan) => specOf(plan)));
        const healthy = plans.filter((plan) => plan !== changed);
        yield* until(() => healthy.every((plan) => committed(log, plan) === last));
        expect(healthy.map((plan) => stateOf(owner, plan))).toEqual(healthy.map(() => "live"));
        yield* owner.drain;
        // Only a snapshot can tell what stood here.
        log.events("sales", 0).deleteBelow(last + 1, () => true);
      }
      expect(starts(log)).toEqual(tens(20).slice(1));
      expect(starts(log, third)[0]).toBe(60);
    }),
  ));

for (const [name, spoil] of Object.entries({
  "is gone": (store: SnapshotStore["Service"]) => store.remove(SNAPSHOT),
  "holds other bytes": (store: SnapshotStore["Service"]) =>
    store.save(SNAPSHOT, { epoch: 9, inputSequence: 5, data: Uint8Array.of(1, 2, 3) }),
  "is of an empty group": (store: SnapshotStore["Service"]) =>
    store.save(SNAPSHOT, { epoch: 9, inputSequence: 5, data: new Uint8Array(0) }),
})) {
  test(`a snapshot that ${name} costs time only`, () =>
    virtually(
      Effect.gen(function* () {
        fill(yield* broker, 1, 5);
        const log = yield* runUntil(5);
        yield* Effect.asVoid(spoil(yield* SnapshotStore));
        fill(log, 6, 8);
        const owner = yield* ownerOf(PLAN);
        yield* owner.runOnly([specOf(PLAN)]);
        yield* until(() => committed(log) === 8);
        expect(starts(log)).toEqual(tens(8).slice(1));
      }),
    ));
}

test("a snapshot ahead of the marker is not used", () =>
  virtually(
    Effect.gen(function* () {
      fill(yield* broker, 1, 5);
      const log = yield* runUntil(5);
      const store = yield* SnapshotStore;
      const ahead = (yield* store.load(SNAPSHOT))!;
      yield* store.save(SNAPSHOT, { ...ahead, epoch: 99, inputSequence: 7 });
      const owner = yield* ownerOf(PLAN);
      yield* owner.runOnly([specOf(PLAN)]);
      fill(log, 6, 8);
      yield* until(() => committed(log) === 8);
      expect(starts(log)).toEqual(tens(8).slice(1));
    }),
  ));

test("a snapshot of another state is found out by its digest, dropped, and rebuilt from the log", () =>
  virtually(
    Effect.gen(function* () {
      fill(yield* broker, 1, 5);
      const store = yield* SnapshotStore;
      const early = yield* Effect.andThen(runUntil(5), store.load(SNAPSHOT));
      const log = yield* broker;
      fill(log, 6, 6);
      yield* runUntil(6);
      // The state of input 5 under the name of input 6.
      const data = encodeGroupSnapshot({ ...decodeGroupSnapshot(early!.data), inputSequence: 6 });
      yield* store.save(SNAPSHOT, { epoch: 99, inputSequence: 6, data });
      fill(log, 7, 9);
      const owner = yield* ownerOf(PLAN);
      yield* owner.runOnly([specOf(PLAN)]);
      yield* until(() => committed(log) === 9);
      expect(starts(log)).toEqual(tens(9).slice(1));
    }),
  ));

test("a task whose snapshot differs only further on is rebuilt, however slow the store is", () =>
  virtually(
    Effect.gen(function* () {
      fill(yield* broker, 1, 5);
      const store = yield* SnapshotStore;
      const early = yield* Effect.andThen(runUntil(5), store.load(SNAPSHOT));
      const log = yield* broker;
      fill(log, 6, 8);
      yield* runUntil(8);
      // Two record batches before the marker: what differs shows while the log is read.
      const data = encodeGroupSnapshot({ ...decodeGroupSnapshot(early!.data), inputSequence: 6 });
      yield* store.save(SNAPSHOT, { epoch: 99, inputSequence: 6, data });
      fill(log, 9, 9);
      const slow: typeof store = {
        ...store,
        remove: (name) => Effect.andThen(Effect.sleep(100), store.remove(name)),
      };
      const owner = yield* ownerOf(PLAN).pipe(Effect.provideService(SnapshotStore, slow));
      yield* owner.runOnly([specOf(PLAN)]);
      yield* until(() => committed(log) === 9);
      expect(owner.readers).toBe(1);
      expect(starts(log)).toEqual(tens(9).slice(1));
      yield* owner.drain;
      expect(stateOf(owner)).toBe("stopped");
    }),
  ));

test("snapshots are found again after the store was wiped", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      fill(log, 1, 5);
      const store = yield* SnapshotStore;
      const owner = yield* ownerOf(PLAN);
      yield* owner.runOnly([specOf(PLAN)]);
      let saved: number | undefined;
      const savedUpTo = (sequence: number) =>
        Effect.gen(function* () {
          while (saved !== sequence) {
            yield* TestClock.adjust(100);
            yield* turns(5);
            saved = (yield* store.load(SNAPSHOT))?.inputSequence;
          }
        });
      yield* savedUpTo(5);
      for (const name of [SNAPSHOT, ENTRY]) yield* store.remove(name);
      fill(log, 6, 8);
      yield* savedUpTo(8);
      yield* turns(5);
      expect(yield* store.load(ENTRY)).toBeDefined();
    }),
  ));

test("a log that is cut for the first time while it is opened costs nothing", () =>
  virtually(
    Effect.gen(function* () {
      fill(yield* broker, 1, 8);
      const log = yield* runUntil(8);
      yield* (yield* SnapshotStore).remove(SNAPSHOT);
      fill(log, 9, 9);
      const events = yield* EventLog;
      const cut = Effect.sync(() => log.events("sales", 0).deleteBelow(3, () => true));
      const cutOnceAsked: typeof events = {
        ...events,
        bounds: (topic, partition) => Effect.tap(events.bounds(topic, partition), cut),
      };
      const owner = yield* ownerOf(PLAN).pipe(Effect.provideService(EventLog, cutOnceAsked));
      yield* owner.runOnly([specOf(PLAN)]);
      yield* until(() => committed(log) === 9);
      expect(stateOf(owner)).toBe("live");
      expect(lastBooks(log).events).toBe(9);
    }),
  ));

test("a state that the log cannot give again is quarantined, and its neighbour goes on", () =>
  virtually(
    Effect.gen(function* () {
      fill(yield* broker, 1, 5);
      const log = yield* runUntil(5);
      const store = yield* SnapshotStore;
      yield* store.remove(SNAPSHOT);
      // With the window that is still open: record 5 is in it.
      log.events("sales", 0).deleteBelow(6, () => true);
      fill(log, 6, 8);
      const owner = yield* ownerOf(PLAN);
      yield* owner.runOnly([specOf(PLAN), specOf(OTHER)]);
      yield* until(() => stateOf(owner) === "quarantined" && committed(log, OTHER) === 8);
      expect(reasonOf(owner)).toContain("the first records of the log are gone, and no snapshot");
      expect(reasonOf(owner)).toContain("tidemark replay");
      const lost = (yield* Metric.snapshot).find(
        ({ id, attributes }) =>
          id === "tidemark_state_lost_total" && attributes?.["projection"] === PLAN.definition.name,
      );
      expect(lost?.state).toMatchObject({ count: 1 });
      expect(starts(log, OTHER)).toEqual([60, 70]);
      expect(committed(log)).toBe(5);
    }),
  ));

test("a task that another version replaces leaves no lag behind", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const faults = yield* Faults;
      const owner = yield* ownerOf(PLAN);
      const lag = Metric.value(gauge("lag", taskLabels(TASK)));
      yield* owner.runOnly([specOf(PLAN)]);
      yield* until(() => stateOf(owner) === "live");
      faults.add([{ at: "results.append", kind: "fail", times: 10_000 }]);
      fill(log, 1, 5);
      yield* until(() => owner.tasks[0]!.lag === 5);
      expect((yield* lag).value).toBe(5);
      faults.clear();
      const change = yield* Effect.forkScoped(owner.runOnly([specOf(PLAN, 0, 2)]));
      yield* until(() => change.pollUnsafe() !== undefined);
      expect(committed(log)).toBe(5);
      expect((yield* lag).value).toBe(0);
    }),
  ));

describe("a store of snapshots that is away when a task starts over a log that was cut", () => {
  const startOver = Effect.gen(function* () {
    fill(yield* broker, 1, 5);
    const log = yield* runUntil(5);
    log.events("sales", 0).deleteBelow(6, () => true);
    fill(log, 6, 8);
    return log;
  });

  test("is waited for: a short outage costs nothing", () =>
    virtually(
      Effect.gen(function* () {
        const log = yield* startOver;
        const faults = yield* Faults;
        faults.add([{ at: "snapshots.load", kind: "fail", times: 10 }]);
        const owner = yield* ownerOf(PLAN);
        yield* Effect.forkScoped(owner.runOnly([specOf(PLAN)]));
        yield* until(() => committed(log) === 8);
        expect(faults.remaining).toEqual([]);
        expect(starts(log)).toEqual(tens(8).slice(1));
      }),
    ));

  test("is given up after a bounded wait, and the task says what is lost", () =>
    virtually(
      Effect.gen(function* () {
        yield* startOver;
        const faults = yield* Faults;
        faults.add([{ at: "snapshots.load", kind: "fail", times: 1_000 }]);
        const owner = yield* ownerOf(PLAN);
        const startedAt = yield* Clock.currentTimeMillis;
        yield* Effect.forkScoped(owner.runOnly([specOf(PLAN)]));
        yield* until(() => stateOf(owner) === "quarantined", 500);
        const waited = (yield* Clock.currentTimeMillis) - startedAt;
        expect(waited).toBeGreaterThan(SETTINGS.snapshotWaitMs - 5_000);
        expect(waited).toBeLessThan(SETTINGS.snapshotWaitMs + 5_000);
        expect(reasonOf(owner)).toContain("If Redis is to come back");
      }),
    ));

  test("is not waited for while the log is whole", () =>
    virtually(
      Effect.gen(function* () {
        fill(yield* broker, 1, 5);
        const log = yield* runUntil(5);
        const faults = yield* Faults;
        faults.add([{ at: "snapshots.load", kind: "fail", times: 1_000 }]);
        const startedAt = yield* Clock.currentTimeMillis;
        const owner = yield* ownerOf(PLAN);
        yield* owner.runOnly([specOf(PLAN)]);
        expect(yield* Clock.currentTimeMillis).toBe(startedAt);
        fill(log, 6, 8);
        yield* until(() => committed(log) === 8);
      }),
    ));
});

test("without a snapshot, a log whose old records are gone gives the state, and the books go on (E5)", () =>
  virtually(
    Effect.gen(function* () {
      fill(yield* broker, 1, 5);
      const log = yield* runUntil(5);
      const before = lastBooks(log);
      const store = yield* SnapshotStore;
      yield* store.remove(SNAPSHOT);
      log.events("sales", 0).deleteBelow(3, () => true);
      fill(log, 6, 8);
      const owner = yield* ownerOf(PLAN);
      yield* owner.runOnly([specOf(PLAN)]);
      yield* until(() => committed(log) === 8);
      expect(stateOf(owner)).toBe("live");
      const books = lastBooks(log);
      expect(books.events).toBe(before.events + 3);
      expect(imbalance(books)).toBe(0);
    }),
  ));

test("a projection whose core throws stops alone", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const spec = specOf(PLAN);
      const owner = yield* ownerOf(PLAN);
      const broken = {
        ...spec,
        makeCore: () => {
          const core = spec.makeCore();
          const apply = core.apply.bind(core);
          core.apply = (input) => {
            if (input.sequence === 4) throw new Error("a bug");
            apply(input);
          };
          return core;
        },
      };
      yield* owner.runOnly([broken, specOf(OTHER)]);
      fill(log, 1, 8);
      yield* until(() => stateOf(owner) === "quarantined" && committed(log, OTHER) === 8);
      expect(reasonOf(owner)).toContain("a bug");
      expect(committed(log)).toBeLessThan(4);
      expect(stateOf(owner, OTHER)).toBe("live");
    }),
  ));

test("records that were deleted unread stop the partition, not the worker", () =>
  virtually(
    Effect.gen(function* () {
      fill(yield* broker, 1, 5);
      const log = yield* runUntil(5);
      fill(log, 6, 9);
      log.events("sales", 0).deleteBelow(8, () => true);
      const owner = yield* ownerOf(PLAN);
      yield* owner.runOnly([specOf(PLAN)]);
      yield* until(() => stateOf(owner) === "quarantined");
      expect(reasonOf(owner)).toContain("was to continue at sequence 6 but has 8");
      expect(committed(log)).toBe(5);
    }),
  ));

test("a gap that opens under a running reader stops it at once (P1)", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const owner = yield* ownerOf(PLAN);
      yield* owner.runOnly([specOf(PLAN), specOf(OTHER)]);
      fill(log, 1, 50);
      yield* until(() => owner.position >= 4, 0);
      log.events("sales", 0).deleteBelow(40, () => true);
      yield* until(() => stateOf(owner) === "quarantined");
      expect(stateOf(owner, OTHER)).toBe("quarantined");
      expect(reasonOf(owner)).toContain("records were deleted before they were read");
      expect(owner.position).toBeLessThan(40);
      expect(committed(log)).toBeLessThan(40);
      const gaps = (yield* Metric.snapshot).find(({ id }) => id === "tidemark_log_gaps_total");
      expect(gaps?.state).toMatchObject({ count: 1 });
    }),
    { limits: { recordsMax: 2, bytesMax: 1 << 20 } },
  ));

test("a new projection starts at the first retained record", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      fill(log, 1, 9);
      log.events("sales", 0).deleteBelow(5, () => true);
      const owner = yield* ownerOf(PLAN);
      yield* owner.runOnly([specOf(PLAN)]);
      yield* until(() => committed(log) === 9);
      expect(stateOf(owner)).toBe("live");
      expect(starts(log)).toEqual([50, 60, 70, 80]);
    }),
  ));

test("without Redis all goes on", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      (yield* Faults).add([
        { at: "snapshots.save", kind: "fail", times: 1_000 },
        { at: "snapshots.load", kind: "fail", times: 1_000 },
      ]);
      fill(log, 1, 5);
      yield* runUntil(5);
      fill(log, 6, 9);
      yield* runUntil(9);
      expect(starts(log)).toEqual(tens(9).slice(1));
    }),
  ));

test("an outage of the log in the middle of reading costs time only", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      fill(log, 1, 9);
      yield* runUntil(9);
      expect(starts(log)).toEqual(tens(9).slice(1));
    }),
    {
      limits: { recordsMax: 2, bytesMax: 1 << 20 },
      faults: [
        { at: "events.next", kind: "fail", skip: 1, times: 2 },
        { at: "events.open", kind: "fail", skip: 1, times: 2 },
        { at: "results.append", kind: "fail-stored", skip: 2, times: 1 },
        { at: "results.last", kind: "fail", times: 2 },
      ],
    },
  ));

test("a projection that lags reads alone, then joins the others", () =>
  virtually(
    Effect.gen(function* () {
      fill(yield* broker, 1, 30);
      const log = yield* runUntil(30);
      const settings = { ...SETTINGS, readerSpreadMax: 10 };
      const owner = yield* ownerOf(PLAN, settings);
      yield* owner.runOnly([specOf(PLAN), specOf(OTHER)]);
      yield* until(() => committed(log, OTHER) === 30);
      fill(log, 31, 33);
      yield* until(() => committed(log) === 33 && committed(log, OTHER) === 33);
      expect(owner.readers).toBe(1);
      expect(starts(log)).toEqual(tens(33).slice(1));
      expect(starts(log, OTHER)).toEqual(tens(33).slice(1));
    }),
    { limits: { recordsMax: 4, bytesMax: 1 << 20 } },
  ));

test("a silent partition ticks ever less often, and a tick is data", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const owner = yield* ownerOf(PLAN);
      yield* owner.runOnly([specOf(PLAN)]);
      yield* Effect.forkScoped(owner.ticks);
      fill(log, 1, 1);
      const ticks = () =>
        log
          .events("sales", 0)
          .messages.map(({ data }) => RecordBatch.decode(data).tick?.time)
          .filter((time) => time !== undefined);
      yield* until(() => ticks().length === 7, 1_000);
      const gaps = ticks()
        .map((time, i, all) => (i === 0 ? 0 : time - all[i - 1]!))
        .slice(1);
      expect(gaps.map((gap) => Math.round(gap / 2_000) * 2_000)).toEqual([
        4_000, 8_000, 16_000, 32_000, 60_000, 60_000,
      ]);
      expect(starts(log)).toEqual([10]);
      const last = publishedBy(log, TASK).commits.at(-1)!;
      expect(last.idle).toBe(true);
    }),
  ));

test("a partition that never held an event gets no tick; its tasks say that it is idle", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const owner = yield* ownerOf(PLAN);
      yield* owner.runOnly([specOf(PLAN)]);
      yield* Effect.forkScoped(owner.ticks);
      const commits = () => publishedBy(log, TASK).commits;
      yield* until(() => commits().at(-1)?.idle === true, 500);
      expect(commits().map(({ idle, inputSequence }) => [idle, inputSequence])).toEqual([
        [false, 0],
        [true, 0],
      ]);
      expect(log.events("sales", 0).messages).toHaveLength(0);
      fill(log, 1, 2);
      yield* until(() => committed(log) === 2);
      expect(commits().at(-1)?.idle).toBe(false);
    }),
  ));

test("reading stops while a draft that is too large waits for its commit", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const faults = yield* Faults;
      const owner = yield* ownerOf(PLAN, { ...SETTINGS, pendingBytesMax: 64 });
      yield* owner.runOnly([specOf(PLAN)]);
      yield* until(() => stateOf(owner) === "live");
      faults.add([{ at: "results.append", kind: "fail", times: 1_000_000 }]);
      fill(log, 1, 200);
      yield* until(() => owner.position > 2, 1);
      yield* until(() => owner.tasks[0]!.overloaded, 1);
      const stoppedAt = owner.position;
      expect(stoppedAt).toBeLessThan(200);
      faults.clear();
      yield* until(() => committed(log) === 200);
      expect(starts(log)).toEqual(tens(200).slice(1));
    }),
    { limits: { recordsMax: 2, bytesMax: 1 << 20 } },
  ));
