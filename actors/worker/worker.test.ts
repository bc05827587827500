/** Workers over memory: from record batches to updates on subjects, whoever does it. */
import { Effect, Fiber } from "effect";
import { describe, expect, test } from "vitest";
import { Promotion } from "../../proto/gen/tidemark/v1/commit.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { encodeBatch, salesPlan, topicPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { broker, publishedBy, SETTINGS, until, virtually } from "../testkit/virtual-engine.ts";
import type { Broker } from "../testkit/virtual-engine.ts";
import { StatusBoard } from "./status-board.ts";
import { runWorker, WorkerMisconfigured } from "./worker.ts";

const TOPIC = topicPlan({ partitions: 4, idleAfterMs: 2_000 });
const BY_KEY = salesPlan({ name: "by-key" }, TOPIC);
const BY_STORE = salesPlan({ name: "by-store", key: { field: "store" } }, TOPIC);
const PLANS = [BY_KEY, BY_STORE];

/** Ten windows of ten milliseconds, three stores, keys spread over the partitions. */
const SALES: readonly Sale[] = Array.from({ length: 400 }, (_, i) => ({
  id: String(i),
  key: `k${i % 13}`,
  time: Math.floor(i / 4),
  cents: i,
  weight: 1,
  store: `s${i % 3}`,
}));

const publish = (log: Broker, sales: readonly Sale[]): void => {
  for (let from = 0; from < sales.length; from += 20) {
    for (let partition = 0; partition < 4; partition++) {
      const part = sales
        .slice(from, from + 20)
        .filter((sale) => Number(sale.key.slice(1)) % 4 === partition);
      if (part.length === 0) continue;
      const subject = `events.sales.${partition}`;
      log.events("sales", partition).append([{ subject, data: encodeBatch(part) }], -1);
    }
  }
};

const work = (index: number, workers: number, board = new StatusBoard()) =>
  Effect.forkScoped(runWorker({ index, workers, plans: PLANS, settings: SETTINGS, board }));

/** `key start: count`, the newest of each, of closed windows only. */
const finals = (log: Broker, projection: string, tasks: number, version = 1): readonly string[] => {
  const rows = new Map<string, string>();
  for (let partition = 0; partition < tasks; partition++) {
    const task = { kind: "window", projection, version, partition } as const;
    for (const update of publishedBy(log, task).updates) {
      if (update.kind === Kind.KIND_EARLY) continue;
      const values = update.values.map((value) => value.kind?.value ?? null).join(" ");
      rows.set(`${update.key} ${update.windowStart}`, values);
    }
  }
  return [...rows].map(([row, values]) => `${row}: ${values}`).toSorted();
};

/** The same, straight from the sales. */
const expected = (keyOf: (sale: Sale) => string): readonly string[] => {
  const windows = new Map<string, Sale[]>();
  for (const sale of SALES) {
    const window = `${keyOf(sale)} ${Math.floor(sale.time / 10) * 10}`;
    windows.set(window, [...(windows.get(window) ?? []), sale]);
  }
  return [...windows]
    .map(([window, sales]) => {
      const cents = sales.map((sale) => Number(sale.cents));
      const sum = cents.reduce((a, b) => a + b, 0);
      return `${window}: ${sales.length} ${sum} ${Math.min(...cents)} ${Math.max(...cents)} 1`;
    })
    .toSorted();
};

const BY_KEY_ROWS = expected((sale) => sale.key);
const BY_STORE_ROWS = expected((sale) => sale.store!);

const allThere =
  (log: Broker, version = 1) =>
  () =>
    finals(log, "by-key", 4, version).length === BY_KEY_ROWS.length &&
    finals(log, "by-store", 1, version).length === BY_STORE_ROWS.length;

const expectAll = (log: Broker) => {
  expect(finals(log, "by-key", 4)).toEqual(BY_KEY_ROWS);
  expect(finals(log, "by-store", 1)).toEqual(BY_STORE_ROWS);
};

describe("the right windows, each on its subject", () => {
  for (const workers of [1, 3]) {
    test(`by ${workers} workers`, () =>
      virtually(
        Effect.gen(function* () {
          const log = yield* broker;
          for (let index = 0; index < workers; index++) yield* work(index, workers);
          publish(log, SALES);
          yield* until(allThere(log));
          expectAll(log);
          const relayed = () =>
            log.projections.messages.filter(({ subject }) => subject.startsWith("projections."));
          const updates = () =>
            [0, 1, 2, 3]
              .flatMap(
                (partition) =>
                  publishedBy(log, { kind: "window", projection: "by-key", version: 1, partition })
                    .updates,
              )
              .concat(
                publishedBy(log, {
                  kind: "merge",
                  projection: "by-store",
                  version: 1,
                  partition: 0,
                }).updates,
              );
          yield* until(() => relayed().length === updates().length);
          expect(new Set(relayed().map(({ subject }) => subject))).toContain(
            "projections.by-store.s1",
          );
        }),
      ));
  }
});

test("a drain commits all that was read, and the next worker goes on from its snapshot", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const board = new StatusBoard();
      const first = yield* work(0, 1, board);
      publish(log, SALES.slice(0, 200));
      const read = () =>
        board.status?.tasks
          .filter(({ task }) => task.projection === "by-key")
          .every(
            ({ task, position }) => position === log.events("sales", task.partition).lastSequence,
          );
      yield* until(() => read() === true);
      yield* Fiber.interrupt(first);
      const stopped = board.status!.tasks;
      expect(new Set(stopped.map(({ state }) => state))).toEqual(new Set(["stopped"]));
      for (const task of stopped) expect(task.committedPosition).toBe(task.position);

      const next = new StatusBoard();
      yield* work(0, 1, next);
      publish(log, SALES.slice(200));
      yield* until(allThere(log));
      expectAll(log);
      for (const task of next.status!.tasks) expect(task.epoch).toBe(2);
    }),
  ));

test("a promotion drains the old version's tasks and starts the new one's", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const board = new StatusBoard();
      yield* work(0, 1, board);
      publish(log, SALES.slice(0, 200));
      const versions = (projection: string) =>
        new Set(
          board.status?.tasks
            .filter(({ task, state }) => task.projection === projection && state === "live")
            .map(({ task }) => task.version),
        );
      yield* until(() => versions("by-key").has(1) && versions("by-store").has(1));
      for (const projection of ["by-key", "by-store"]) {
        const promotion = { projection, version: 2, previousVersion: 1, time: 0 };
        const data = Promotion.encode(promotion).finish();
        log.results.append([{ subject: `control.${projection}`, data }], -1);
      }
      publish(log, SALES.slice(200));
      yield* until(allThere(log, 2));
      expect(finals(log, "by-key", 4, 2)).toEqual(BY_KEY_ROWS);
      expect(finals(log, "by-store", 1, 2)).toEqual(BY_STORE_ROWS);
      expect([...versions("by-key"), ...versions("by-store")]).toEqual([2, 2]);
    }),
  ));

test("options that contradict themselves are refused", () =>
  virtually(
    Effect.gen(function* () {
      const error = yield* Effect.flip(runWorker({ index: 2, workers: 2, plans: PLANS }));
      expect(error).toBeInstanceOf(WorkerMisconfigured);
      const twice = yield* Effect.flip(
        runWorker({ index: 0, workers: 1, plans: [BY_KEY, BY_KEY] }),
      );
      expect(twice.message).toContain("by-key");
    }),
  ));
