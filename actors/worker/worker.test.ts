/** Workers over memory: from record batches to updates on subjects, whoever does it. */
import { Effect, Fiber } from "effect";
import { describe, expect, test } from "vitest";
import { Promotion } from "../../proto/gen/tidemark/v1/commit.ts";
import {
  batchesOf,
  BY_KEY,
  BY_KEY_ROWS,
  BY_STORE_ROWS,
  PLANS,
  rowsOf,
  SALES,
} from "../testkit/sales-run.ts";
import type { Sale } from "../testkit/plans.ts";
import { broker, publishedBy, SETTINGS, until, virtually } from "../testkit/virtual-engine.ts";
import type { Broker } from "../testkit/virtual-engine.ts";
import { StatusBoard } from "./status-board.ts";
import { runWorker, WorkerMisconfigured } from "./worker.ts";

const publish = (log: Broker, sales: readonly Sale[]): void => {
  for (const { partition, data } of batchesOf(sales)) {
    log.events("sales", partition).append([{ subject: `events.sales.${partition}`, data }], -1);
  }
};

const work = (index: number, workers: number, board = new StatusBoard()) =>
  Effect.forkScoped(runWorker({ index, workers, plans: PLANS, settings: SETTINGS, board }));

const finals = (log: Broker, projection: string, version = 1): readonly string[] =>
  rowsOf(
    log.results.messages
      .filter(({ subject }) => subject.startsWith(`results.${projection}.${version}.`))
      .map(({ data }) => data),
  );

const allThere =
  (log: Broker, version = 1) =>
  () =>
    finals(log, "by-key", version).length === BY_KEY_ROWS.length &&
    finals(log, "by-store", version).length === BY_STORE_ROWS.length;

const expectAll = (log: Broker) => {
  expect(finals(log, "by-key")).toEqual(BY_KEY_ROWS);
  expect(finals(log, "by-store")).toEqual(BY_STORE_ROWS);
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
        const promotion = {
          ...Promotion.decode(new Uint8Array(0)),
          projection,
          version: 2,
          previousVersion: 1,
          time: 0,
        };
        const data = Promotion.encode(promotion).finish();
        log.results.append([{ subject: `control.${projection}`, data }], -1);
      }
      publish(log, SALES.slice(200));
      yield* until(allThere(log, 2));
      expect(finals(log, "by-key", 2)).toEqual(BY_KEY_ROWS);
      expect(finals(log, "by-store", 2)).toEqual(BY_STORE_ROWS);
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
