/** A join with the results of a projection as its table, by whole workers over memory, and all that may die. */
import { Effect, Fiber } from "effect";
import { describe, expect, test } from "vitest";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { routedTopic } from "../../proto/subjects.ts";
import type { JoinProjection } from "../../projections/definition/definition.ts";
import { planProjection } from "../../projections/definition/plan-projection.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { ResultLog } from "../ports/result-log.ts";
import { imbalance } from "../task/books-keeper.ts";
import { TaskActor } from "../task/task-actor.ts";
import { makeReplay } from "../replay/replay.ts";
import { encodeBatch, PULSE, salesPlan, topicPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { PARTITIONS } from "../testkit/sales-run.ts";
import { broker, SETTINGS, until, virtually } from "../testkit/virtual-engine.ts";
import type { Broker } from "../testkit/virtual-engine.ts";
import { partitionSpec, routingSpecs } from "./task-specs.ts";
import { append, publish, updatesOf } from "./sales-log.suite.ts";
import { runWorker } from "./worker.ts";

const SIZE = 10;
const TOPIC = topicPlan({ partitions: PARTITIONS });
const TOTALS = salesPlan(
  { name: "totals", window: { kind: "tumbling", sizeMs: SIZE, offsetMs: 0 } },
  TOPIC,
);

/** Each sale with what its key had sold in the last ten milliseconds that were over. */
const joinWith = (table: ProjectionPlan): ProjectionPlan => {
  const definition = {
    kind: "join",
    name: "sales-and-totals",
    topic: "sales",
    left: { types: ["test.Sale"] },
    right: { projection: "totals" },
    asOf: {},
    mode: "left",
    values: { id: { event: "id", side: "left" }, total: { field: "cents", side: "right" } },
  };
  return planProjection(definition as unknown as JoinProjection, TOPIC, [], [table]);
};
const PLAN = joinWith(TOTALS);

const SALES: readonly Sale[] = Array.from({ length: 400 }, (_, i) => ({
  id: `s${i}`,
  key: `k${(i * i) % 11}`,
  time: i * 2,
  cents: i,
}));

const EXPECTED = SALES.map(({ id, key, time }) => {
  const start = (sale: Sale) => Math.floor(sale.time / SIZE) * SIZE;
  const over = SALES.filter((sale) => sale.key === key && start(sale) + SIZE <= time);
  const last = Math.max(...over.map(start));
  const total = over
    .filter((sale) => start(sale) === last)
    .reduce((sum, { cents }) => sum + Number(cents), 0);
  return `${key} ${time}: ${id} ${over.length === 0 ? null : total}`;
}).toSorted();

const end = (log: Broker): void => {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    append(
      log,
      partition,
      encodeBatch([{ id: `end${partition}`, key: "k", time: 5_000, type: PULSE.name }]),
    );
  }
};

const work = (plans: readonly ProjectionPlan[], index = 0, workers = 1) =>
  Effect.forkScoped(runWorker({ index, workers, plans, settings: SETTINGS }));

const rows = (log: Broker, version = 1) => updatesOf(log, "sales-and-totals", version);

/** The events of the join's log, encoded, in the order of each partition. */
const logOf = (log: Broker, version: number) =>
  Array.from({ length: PARTITIONS }, (_, partition) =>
    log
      .events(routedTopic("sales-and-totals", version), partition)
      .messages.flatMap(({ data }) => RecordBatch.decode(data).events),
  );

const tableRows = (log: Broker, version: number) =>
  logOf(log, version).map((events) => events.filter(({ type }) => type === "totals"));

const booksBalance = (log: Broker): void => {
  for (const { subject, data } of log.results.messages) {
    if (!subject.startsWith("routed.")) continue;
    const { books } = Commit.decode(data);
    if (books !== undefined) expect(imbalance(books)).toBe(0);
  }
};

describe("each sale with the total that its key had", () => {
  for (const workers of [1, 3]) {
    test(`by ${workers} workers, with the projection itself beside it`, () =>
      virtually(
        Effect.gen(function* () {
          const log = yield* broker;
          for (let index = 0; index < workers; index++) yield* work([TOTALS, PLAN], index, workers);
          publish(log, SALES);
          end(log);
          yield* until(() => rows(log).length >= SALES.length);
          expect(rows(log)).toEqual(EXPECTED);
          booksBalance(log);
        }),
      ));
  }

  test("whatever is killed, as often as it likes, and the projection never ran", () =>
    virtually(
      Effect.gen(function* () {
        const log = yield* broker;
        for (let part = 0; part < 8; part++) {
          const worker = yield* work([PLAN]);
          publish(log, SALES.slice(part * 50, part * 50 + 50));
          const before = logOf(log, 1).flat().length;
          yield* until(() => logOf(log, 1).flat().length >= before + 7);
          yield* Fiber.interrupt(worker);
        }
        end(log);
        yield* work([PLAN]);
        yield* until(() => rows(log).length >= SALES.length);
        expect(rows(log)).toEqual(EXPECTED);
        booksBalance(log);
      }),
    ));
});

test("when the projection was defined anew, the join's tasks say that it may be that", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const worker = yield* work([PLAN]);
      publish(log, SALES);
      end(log);
      yield* until(() => rows(log).length >= SALES.length);
      yield* Fiber.interrupt(worker);
      const plan = joinWith({ ...TOTALS, digest: new Uint8Array(8).fill(9) });
      const results = yield* ResultLog;
      for (const spec of [partitionSpec(plan, 1, 0), ...routingSpecs(plan, 1, TOPIC, 0)]) {
        const task = new TaskActor(spec, results, SETTINGS);
        yield* task.takeOver;
        expect(task.life).toMatchObject({
          state: "quarantined",
          reason: expect.stringContaining(
            "the definition of projection sales-and-totals, or of totals, its table, differs",
          ),
        });
      }
    }),
  ));

describe("a replay", () => {
  test("reads the log that is there, and gives the same", () =>
    virtually(
      Effect.gen(function* () {
        const log = yield* broker;
        yield* work([PLAN]);
        publish(log, SALES);
        end(log);
        yield* until(() => rows(log).length >= SALES.length);
        const replay = yield* makeReplay({ plan: PLAN, settings: SETTINGS });
        expect(replay.versions).toMatchObject({ live: 1, next: 2, routing: 1 });
        const built = yield* Effect.forkScoped(replay.build);
        yield* until(() => replay.state === "comparing");
        yield* Fiber.join(built);
        expect(rows(log, 2)).toEqual(EXPECTED);
      }),
    ));

  test("after the projection was defined anew computes it again, into a log of its own", () =>
    virtually(
      Effect.gen(function* () {
        const log = yield* broker;
        const first = yield* work([PLAN]);
        publish(log, SALES);
        end(log);
        yield* until(() => rows(log).length >= SALES.length);
        yield* Fiber.interrupt(first);
        // The same results under another digest: so the rows must be the same, to the byte.
        const plan = joinWith({ ...TOTALS, digest: new Uint8Array(8).fill(9) });
        const replay = yield* makeReplay({ plan, settings: SETTINGS });
        expect(replay.versions).toMatchObject({ next: 2, routing: 2, definitionChanged: true });
        const built = yield* Effect.forkScoped(replay.build);
        yield* until(() => replay.state === "comparing");
        const bound = yield* Fiber.join(built);
        expect(rows(log, 2)).toEqual(EXPECTED);
        expect(tableRows(log, 2)).toEqual(tableRows(log, 1));
        expect(tableRows(log, 1).flat().length).toBeGreaterThan(100);
        yield* replay.compare(bound, () => ({ async *[Symbol.asyncIterator]() {} }));
        yield* replay.promote(false);
        yield* work([plan]);
        append(log, 1, encodeBatch([{ id: "more", key: "k1", time: 5_002, cents: 1 }]));
        for (let partition = 0; partition < PARTITIONS; partition++) {
          const pulse = { id: `last${partition}`, key: "k", time: 9_000, type: PULSE.name };
          append(log, partition, encodeBatch([pulse]));
        }
        yield* until(() => rows(log, 2).length > SALES.length);
        expect(rows(log, 2).find((row) => row.includes("more"))).toMatch(/^k1 5002: more \d+$/);
      }),
    ));
});
