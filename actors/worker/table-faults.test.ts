/** What a join's table must survive beside kills: changed definitions, long silences. */
import { Effect, Fiber } from "effect";
import { expect, test } from "vitest";
import type { JoinProjection } from "../../projections/definition/definition.ts";
import { planProjection } from "../../projections/definition/plan-projection.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { stagesOf } from "../../projections/definition/rekey.ts";
import { commitSubject, routedTopic } from "../../proto/subjects.ts";
import { EventLog } from "../ports/event-log.ts";
import { RekeyLog } from "../ports/rekey-log.ts";
import { ResultLog } from "../ports/result-log.ts";
import { SnapshotStore } from "../ports/snapshot-store.ts";
import { RekeyWriter } from "../rekey/rekey-writer.ts";
import { makeReplay } from "../replay/replay.ts";
import { encodeBatch, PULSE, salesPlan, topicPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { PARTITIONS } from "../testkit/sales-run.ts";
import { broker, SETTINGS, until, virtually } from "../testkit/virtual-engine.ts";
import type { Broker } from "../testkit/virtual-engine.ts";
import { PartitionOwner } from "./partition-owner.ts";
import { partitionSpec, rekeyedIntakeOf } from "./task-specs.ts";
import { append, publish, updatesOf } from "./sales-log.suite.ts";
import { runWorker } from "./worker.ts";

const TOPIC = topicPlan({ partitions: PARTITIONS });
const NAME = "sales-and-totals";
const key = { field: "store" } as const;
const window = { kind: "tumbling", sizeMs: 10, offsetMs: 0 } as const;

const joinWith = (table: ProjectionPlan): ProjectionPlan =>
  planProjection(
    {
      kind: "join",
      name: NAME,
      topic: "sales",
      left: { types: ["test.Sale"], key },
      right: { projection: table.definition.name },
      asOf: {},
      mode: "left",
      values: { id: { event: "id", side: "left" }, total: { field: "cents", side: "right" } },
    } as unknown as JoinProjection,
    TOPIC,
    [],
    [table],
  );

const SALES: readonly Sale[] = Array.from({ length: 60 }, (_, i) => ({
  id: `s${i}`,
  key: `k${(i * i) % 11}`,
  time: i * 2,
  cents: i,
  store: `s${i % 3}`,
}));

const end = (log: Broker, time: number): void => {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const pulse = { id: `end${partition}-${time}`, key: "k", time, type: PULSE.name };
    append(log, partition, encodeBatch([pulse], time));
  }
};
const work = (plan: ProjectionPlan) =>
  Effect.forkScoped(runWorker({ index: 0, workers: 1, plans: [plan], settings: SETTINGS }));

const FAR = 100_000;

/** What each sale should see: the total of its store in the last window that was over. */
const seen = (all: readonly Sale[]): readonly string[] =>
  all
    .map(({ id, store, time }) => {
      const start = all
        .filter((sale) => sale.store === store)
        .map((sale) => Math.floor(sale.time / 10) * 10)
        .findLast((from) => from + 10 <= time);
      const cents = all
        .filter((sale) => sale.store === store && Math.floor(sale.time / 10) * 10 === start)
        .reduce((sum, sale) => sum + Number(sale.cents), 0);
      return `${store} ${time}: ${id} ${start === undefined ? null : cents}`;
    })
    .toSorted();

const rows = (log: Broker, version = 1) => updatesOf(log, NAME, version);

test("a table that is defined anew routes no partials of its own into the log of the one before", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const before = joinWith(salesPlan({ name: "totals", key, window }, TOPIC));
      const anew = joinWith({
        ...salesPlan(
          { name: "totals", key, window, aggregates: { cents: { fn: "count" } } },
          TOPIC,
        ),
        digest: new Uint8Array(8).fill(9),
      });
      const later = SALES.slice(30).map((sale) => ({ ...sale, time: sale.time + FAR }));
      const first = yield* work(before);
      publish(log, SALES.slice(0, 30));
      yield* until(() => rows(log).length > 0);
      yield* Fiber.interrupt(first);
      const committed = () =>
        log.results.messages.filter(({ subject }) => subject.startsWith("routed.")).length;
      const known = committed();
      const second = yield* work(anew);
      publish(log, later);
      end(log, FAR + 5_000);
      let steps = 0;
      yield* until(() => ++steps > 100);
      yield* Fiber.interrupt(second);
      expect(committed()).toBe(known);
      yield* work(before);
      yield* until(() => rows(log).length >= 60);
      expect(rows(log)).toEqual(seen([...SALES.slice(0, 30), ...later]));
    }),
  ));

test.each([
  ["a session", { kind: "session", gapMs: 1 }],
  ["a tumbling window", window],
] as const)(
  "a partition of which retention left nothing holds no table of %s back, nor its replay",
  (_, kind) =>
    virtually(
      Effect.gen(function* () {
        const log = yield* broker;
        const plan = joinWith(salesPlan({ name: "totals", key, window: kind }, TOPIC));
        const old = { id: "old", key: "k2", time: 1, cents: 1, store: "s0" };
        append(log, 2, encodeBatch([old]));
        log.events("sales", 2).deleteBelow(2, () => true);
        yield* work(plan);
        const sales = [
          { id: "a", key: "k0", time: 100, cents: 1, store: "s0" },
          { id: "b", key: "k0", time: 120, cents: 2, store: "s0" },
        ];
        append(log, 0, encodeBatch(sales));
        // Ticks pass them; all other partitions are said to be idle.
        yield* until(() => rows(log).length >= 2, 1_000);
        expect(rows(log)).toEqual(["s0 100: a null", "s0 120: b 1"]);
        const replay = yield* makeReplay({ plan, settings: SETTINGS });
        expect(replay.versions).toMatchObject({ next: 2, routing: 1 });
        const built = yield* Effect.forkScoped(replay.build);
        yield* until(() => replay.state === "comparing");
        yield* Fiber.join(built);
        expect(rows(log, 2)).toEqual(rows(log));
      }),
    ),
);

test("a log that has told nothing yet is read once, and not committed over and over", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const plan = joinWith(salesPlan({ name: "totals", key, window }, TOPIC));
      const writer = new RekeyWriter([undefined], PARTITIONS);
      const data = writer.takeOver(0);
      log
        .events(routedTopic(`${NAME}_table`, 1), 0)
        .append([{ subject: "told.nothing", data }], -1);
      const spec = partitionSpec(stagesOf(plan)[0]!, 1, 0);
      const core = spec.makeCore();
      const intake = rekeyedIntakeOf(stagesOf(plan)[0]!);
      core.apply(intake.read(1, data));
      expect(core.progress().inputSequence).toBe(1);
      const restored = spec.makeCore();
      restored.restore(core.snapshot());
      expect(restored.progress()).toEqual(core.progress());
      // Owns partition 0 of the table's log and no other; who writes to it is not there.
      const commits = () =>
        log.results.messages.filter(({ subject }) => subject === commitSubject(spec.id)).length;
      const options = {
        topic: routedTopic(`${NAME}_table`, 1),
        partition: 0,
        idleAfterMs: TOPIC.definition.idleAfterMs,
        settings: SETTINGS,
        makeIntake: () => rekeyedIntakeOf(stagesOf(plan)[0]!),
      };
      const ports = {
        events: yield* EventLog,
        results: yield* ResultLog,
        snapshots: yield* SnapshotStore,
        rekeyed: yield* RekeyLog,
      };
      const owner = new PartitionOwner(options, ports);
      yield* owner.runOnly([spec]);
      let steps = 0;
      yield* until(() => ++steps > 200);
      // One to take it over, one for what was read.
      expect(commits()).toBe(2);
      yield* owner.drain;
      expect(commits()).toBe(2);
    }),
  ));
