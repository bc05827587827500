/** A join whose table is grouped by a field, by whole workers over memory, and all that may die: decision 026. */
import { Effect, Fiber } from "effect";
import { describe, expect, test } from "vitest";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import { commitSubject, routedTopic } from "../../proto/subjects.ts";
import type { JoinProjection } from "../../projections/definition/definition.ts";
import { planProjection } from "../../projections/definition/plan-projection.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { stagesOf } from "../../projections/definition/rekey.ts";
import { makeReplay } from "../replay/replay.ts";
import { imbalance } from "../task/books-keeper.ts";
import { encodeBatch, PULSE, salesPlan, topicPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { PARTITIONS } from "../testkit/sales-run.ts";
import { broker, SETTINGS, until, virtually } from "../testkit/virtual-engine.ts";
import type { Broker } from "../testkit/virtual-engine.ts";
import { partitionSpec, withStages } from "./task-specs.ts";
import { append, publish, updatesOf } from "./sales-log.suite.ts";
import { runWorker } from "./worker.ts";

const SIZE = 10;
/** Later than any silence here lasts. */
const FAR = 3_600_000;
const TOPIC = topicPlan({ partitions: PARTITIONS });
const NAME = "sales-and-totals";

/** Each sale with what its store had sold in the last ten milliseconds that were over. */
const joinWith = (table: ProjectionPlan, name = NAME): ProjectionPlan =>
  planProjection(
    {
      kind: "join",
      name,
      topic: "sales",
      left: { types: ["test.Sale"], key: { field: "store" } },
      right: { projection: table.definition.name },
      asOf: {},
      mode: "left",
      values: { id: { event: "id", side: "left" }, total: { field: "cents", side: "right" } },
    } as unknown as JoinProjection,
    TOPIC,
    [],
    [table],
  );

const key = { field: "store" } as const;
const MERGED = joinWith(
  salesPlan(
    { name: "totals", key, window: { kind: "tumbling", sizeMs: SIZE, offsetMs: 0 } },
    TOPIC,
  ),
);
/** Sessions of a store end ten milliseconds after its last sale: here each window ends without a gap. */
const REKEYED = joinWith(
  salesPlan({ name: "totals", key, window: { kind: "session", gapMs: 1 } }, TOPIC),
);
const FIRST = salesPlan(
  { name: "first", key, window: { kind: "tumbling", sizeMs: SIZE, offsetMs: 0 } },
  TOPIC,
);

const SALES: readonly Sale[] = Array.from({ length: 400 }, (_, i) => ({
  id: `s${i}`,
  key: `k${(i * i) % 11}`,
  time: i * 2,
  cents: i,
  store: `s${i % 3}`,
}));

interface Total {
  readonly end: number;
  readonly cents: number;
}

type TotalsOf = (store: string, all?: readonly Sale[]) => readonly Total[];

const seenBy = (totalsOf: TotalsOf, all = SALES): readonly string[] =>
  all
    .map(({ id, store, time }) => {
      const seen = totalsOf(store!, all).findLast(({ end }) => end <= time);
      return `${store} ${time}: ${id} ${seen?.cents ?? null}`;
    })
    .toSorted();

const inWindows: TotalsOf = (store, all = SALES) => {
  const sales = all.filter((sale) => sale.store === store);
  const ends = [...new Set(sales.map(({ time }) => (Math.floor(time / SIZE) + 1) * SIZE))];
  return ends.map((end) => ({
    end,
    cents: sales
      .filter(({ time }) => time >= end - SIZE && time < end)
      .reduce((sum, { cents }) => sum + Number(cents), 0),
  }));
};
/** Sales of one store are six milliseconds apart: a session each. */
const inSessions: TotalsOf = (store, all = SALES) =>
  all
    .filter((sale) => sale.store === store)
    .map(({ time, cents }) => ({ end: time + 1, cents: Number(cents) }));

const end = (log: Broker, time = 5_000): void => {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const pulse = { id: `end${partition}-${time}`, key: "k", time, type: PULSE.name };
    append(log, partition, encodeBatch([pulse], time));
  }
};

const work = (plans: readonly ProjectionPlan[], index = 0, workers = 1) =>
  Effect.forkScoped(runWorker({ index, workers, plans, settings: SETTINGS }));

const rows = (log: Broker, version = 1) => updatesOf(log, NAME, version);

const recordsOf = (log: Broker, version: number): number =>
  Array.from({ length: PARTITIONS }, (_, partition) =>
    log.events(routedTopic(NAME, version), partition),
  ).reduce((sum, { messages }) => sum + messages.length, 0);

/** By subject: the newest books of all tasks of the join, its table's included. */
const booksOf = (log: Broker): ReadonlyMap<string, Books> => {
  const books = new Map<string, Books>();
  for (const { subject, data } of log.results.messages) {
    const commit = Commit.decode(data);
    if (commit.books === undefined) continue;
    expect(imbalance(commit.books)).toBe(0);
    books.set(subject, commit.books);
  }
  return books;
};

/** A replay of the join, its table having been defined anew, after a worker has done it all once. */
const replayAnew = (plan: ProjectionPlan) =>
  Effect.gen(function* () {
    const log = yield* broker;
    const first = yield* work([plan]);
    publish(log, SALES);
    end(log);
    yield* until(() => rows(log).length >= SALES.length);
    yield* Fiber.interrupt(first);
    const table = plan.sources!.find((source) => source.table !== undefined)!.table!;
    const anew = joinWith({ ...table, digest: new Uint8Array(8).fill(9) });
    return { anew, replay: yield* makeReplay({ plan: anew, settings: SETTINGS }) };
  });

const KINDS = [
  ["merged", MERGED, inWindows],
  ["re-keyed", REKEYED, inSessions],
] as const;

describe.each(KINDS)(
  "each sale with the total of its store, the table being %s",
  (_, plan, totalsOf) => {
    const expected = seenBy(totalsOf);
    for (const workers of [1, 3]) {
      test(`by ${workers} workers`, () =>
        virtually(
          Effect.gen(function* () {
            const log = yield* broker;
            for (let index = 0; index < workers; index++) yield* work([plan], index, workers);
            publish(log, SALES);
            end(log);
            yield* until(() => rows(log).length >= SALES.length);
            expect(rows(log)).toEqual(expected);
            const events = [...booksOf(log)]
              .filter(([subject]) => subject.startsWith("routed.sales-and-totals_table."))
              .reduce((sum, [, books]) => sum + books.events, 0);
            expect(events).toBe(SALES.length + PARTITIONS);
          }),
        ));
    }

    test("whatever is killed, as often as it likes", () =>
      virtually(
        Effect.gen(function* () {
          const log = yield* broker;
          for (let part = 0; part < 8; part++) {
            const worker = yield* work([plan]);
            publish(log, SALES.slice(part * 50, part * 50 + 50));
            const before = recordsOf(log, 1);
            yield* until(() => recordsOf(log, 1) >= before + 2 * PARTITIONS);
            yield* Fiber.interrupt(worker);
          }
          end(log);
          yield* work([plan]);
          yield* until(() => rows(log).length >= SALES.length);
          expect(rows(log)).toEqual(expected);
          booksOf(log);
        }),
      ));

    test("after a silence in which everything was idle, and a worker that slept when it ended", () =>
      virtually(
        Effect.gen(function* () {
          const log = yield* broker;
          const all = SALES.map((sale, i) => (i < 200 ? sale : { ...sale, time: sale.time + FAR }));
          const worker = yield* work([plan]);
          publish(log, all.slice(0, 200));
          // Ticks pass the last of them: everything is said to be idle.
          yield* until(() => rows(log).length >= 200, 1_000);
          yield* Fiber.interrupt(worker);
          publish(log, all.slice(200), FAR);
          end(log, FAR + 5_000);
          yield* work([plan]);
          yield* until(() => rows(log).length >= all.length);
          expect(rows(log)).toEqual(seenBy(totalsOf, all));
        }),
      ));

    test("a replay reads the log that is there, and gives the same", () =>
      virtually(
        Effect.gen(function* () {
          const log = yield* broker;
          yield* work([plan]);
          publish(log, SALES);
          end(log);
          const replay = yield* makeReplay({ plan, settings: SETTINGS });
          expect(replay.versions).toMatchObject({ live: 1, next: 2 });
          yield* until(() => rows(log).length >= SALES.length);
          const again = yield* makeReplay({ plan, settings: SETTINGS });
          expect(again.versions).toMatchObject({ live: 1, next: 2, routing: 1 });
          const built = yield* Effect.forkScoped(again.build);
          yield* until(() => again.state === "comparing");
          yield* Fiber.join(built);
          expect(rows(log, 2)).toEqual(expected);
        }),
      ));

    test("a replay after the table was defined anew runs all of its stages again, and workers go on", () =>
      virtually(
        Effect.gen(function* () {
          const log = yield* broker;
          const { replay, anew } = yield* replayAnew(plan);
          expect(replay.versions).toMatchObject({ next: 2, routing: 2, definitionChanged: true });
          const built = yield* Effect.forkScoped(replay.build);
          yield* until(() => replay.state === "comparing");
          const bound = yield* Fiber.join(built);
          expect(rows(log, 2)).toEqual(expected);
          yield* replay.compare(bound, () => ({ async *[Symbol.asyncIterator]() {} }));
          yield* replay.promote(false);
          yield* work([anew]);
          append(
            log,
            1,
            encodeBatch([{ id: "more", key: "k1", time: 5_002, cents: 1, store: "s0" }]),
          );
          end(log, 9_000);
          yield* until(() => rows(log, 2).length > SALES.length);
          const last = totalsOf("s0").at(-1)!.cents;
          expect(rows(log, 2).find((row) => row.includes("more"))).toBe(`s0 5002: more ${last}`);
        }),
      ));

    test("a replay that is given up leaves nothing but markers", () =>
      virtually(
        Effect.gen(function* () {
          const log = yield* broker;
          const { replay } = yield* replayAnew(plan);
          const built = yield* Effect.forkScoped(replay.build);
          yield* until(() => replay.state === "comparing");
          const bound = yield* Fiber.join(built);
          yield* replay.compare(bound, () => ({ async *[Symbol.asyncIterator]() {} }));
          yield* replay.abandon;
          expect(recordsOf(log, 2)).toBe(0);
          const left = log.results.messages.filter(({ subject }) =>
            /^(results|routed)\.sales-and-totals(_table)?\.2\./.test(subject),
          );
          expect(new Set(left.map(({ subject }) => subject)).size).toBe(left.length);
          expect(left.length).toBeGreaterThan(PARTITIONS);
        }),
      ));
  },
);

test("a table may read a table: each sale with the total, and that again as a table", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const inner = joinWith(FIRST, "inner");
      const outer = planProjection(
        {
          kind: "join",
          name: NAME,
          topic: "sales",
          left: { types: ["test.Sale"], key: { field: "store" } },
          right: { projection: "inner" },
          asOf: {},
          mode: "left",
          values: {
            id: { event: "id", side: "left" },
            before: { field: "id", side: "right" },
            total: { field: "total", side: "right" },
          },
        } as unknown as JoinProjection,
        TOPIC,
        [],
        [inner],
      );
      expect(withStages([outer]).map(({ definition }) => definition.name)).toEqual([
        "sales-and-totals_table_table",
        "sales-and-totals_table",
        NAME,
      ]);
      expect(stagesOf(outer).map((plan) => commitSubject(partitionSpec(plan, 3, 1).id))).toEqual([
        `routed.${NAME}_table.3.${PARTITIONS + 1}`,
        `routed.${NAME}.3.${PARTITIONS + 1}`,
      ]);
      yield* work([outer]);
      publish(log, SALES);
      end(log);
      yield* until(() => rows(log).length >= SALES.length);
      const expected = SALES.map(({ id, store, time }) => {
        const before = SALES.findLast((sale) => sale.store === store && sale.time < time);
        const seen = before && inWindows(store!).findLast((total) => total.end <= before.time);
        return `${store} ${time}: ${id} ${before?.id ?? null} ${seen?.cents ?? null}`;
      });
      expect(rows(log)).toEqual(expected.toSorted());
    }),
  ));
