/** A defect in one round of what runs beside the tasks: said, counted, and the rounds go on. */
import { Context, Effect, Metric } from "effect";
import { describe, expect, test } from "vitest";
import { Promotion } from "../../proto/gen/tidemark/v1/commit.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { commitSubject } from "../../proto/subjects.ts";
import { EventLog } from "../ports/event-log.ts";
import type { RelayTarget } from "../ports/relay-target.ts";
import { ResultLog } from "../ports/result-log.ts";
import { SnapshotStore } from "../ports/snapshot-store.ts";
import { CONTROL_FILTER } from "../relay/active-versions.ts";
import type { Loop } from "../task/keep-running.ts";
import { mergeSnapshotName } from "../task/group-snapshot.ts";
import { counter } from "../task/metrics.ts";
import { BY_STORE, batchesOf, PLANS, SALES } from "../testkit/sales-run.ts";
import { broker, publishedBy, SETTINGS, until, virtually } from "../testkit/virtual-engine.ts";
import { StatusBoard } from "./status-board.ts";
import { mergeSpec, partitionSpec } from "./task-specs.ts";
import { runWorker } from "./worker.ts";

const defect = Effect.die(new Error("injected defect"));

/** Dies the first `times` times that it is run, and says how often it was. */
const dying = (times: number) => {
  const runs = { count: 0 };
  const first = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => (++runs.count <= times ? defect : effect));
  return { runs, first };
};

const restartsOf = (loop: Loop["loop"]) =>
  Effect.map(Metric.value(counter("loopRestarts", { loop })), ({ count }) => count);

type Ports = EventLog | ResultLog | SnapshotStore | RelayTarget;

/** A worker over ports that `damage` has changed. */
const work = (damage: (ports: Context.Context<Ports>) => Context.Context<Ports>) =>
  Effect.gen(function* () {
    const board = new StatusBoard();
    const ports = yield* Effect.context<Ports>();
    const settings = { ...SETTINGS, trimEveryMs: 1_000, resultsRetentionMs: 2_000 };
    yield* Effect.forkScoped(
      runWorker({ index: 0, workers: 1, plans: PLANS, settings, board }).pipe(
        Effect.provide(damage(ports)),
      ),
    );
    return board;
  });

const publish = Effect.gen(function* () {
  const log = yield* broker;
  for (const { partition, data } of batchesOf(SALES)) {
    log.events("sales", partition).append([{ subject: `events.sales.${partition}`, data }], -1);
  }
  return log;
});

describe("the loop starts again after a defect", () => {
  test("heartbeats of partitions and merging tasks: snapshots are saved, positions committed", () =>
    virtually(
      Effect.gen(function* () {
        const saved = new Set<string>();
        const partition = dying(3);
        const merge = dying(3);
        const before = yield* restartsOf("heartbeat");
        yield* work((ports) => {
          const store = Context.get(ports, SnapshotStore);
          return Context.add(ports, SnapshotStore, {
            ...store,
            save: (name, snapshot) =>
              (name === mergeSnapshotName(mergeSpec(BY_STORE, 1).id) ? merge : partition).first(
                Effect.tap(store.save(name, snapshot), () => Effect.sync(() => saved.add(name))),
              ),
          });
        });
        const log = yield* publish;
        yield* until(() => partition.runs.count > 3 && merge.runs.count > 3);
        expect((yield* restartsOf("heartbeat")) - before).toBe(6);
        expect(saved).toContain(mergeSnapshotName(mergeSpec(BY_STORE, 1).id));
        // Without output only a heartbeat makes a task commit how far it has read.
        const quiet = RecordBatch.encode({
          ingestTime: 1_000_000,
          events: [],
          tick: undefined,
          rekeyed: undefined,
        }).finish();
        log.events("sales", 0).append([{ subject: "events.sales.0", data: quiet }], -1);
        const { lastSequence } = log.events("sales", 0);
        const { id } = partitionSpec(BY_STORE, 1, 0);
        yield* until(() => publishedBy(log, id).commits.at(-1)?.inputSequence === lastSequence);
      }),
    ));

  test("ticks: a partition whose tick failed still falls silent, and so do the others", () =>
    virtually(
      Effect.gen(function* () {
        const { runs, first } = dying(2);
        const before = yield* restartsOf("ticks");
        yield* work((ports) => {
          const events = Context.get(ports, EventLog);
          return Context.add(ports, EventLog, {
            ...events,
            appendAfter: (topic, partition, data, last) =>
              partition === 1
                ? first(events.appendAfter(topic, partition, data, last))
                : events.appendAfter(topic, partition, data, last),
          });
        });
        const log = yield* publish;
        const ticked = (partition: number) =>
          log
            .events("sales", partition)
            .messages.some(({ data }) => RecordBatch.decode(data).tick !== undefined);
        yield* until(() => [0, 1, 2, 3].every(ticked), 500);
        expect(runs.count).toBeGreaterThan(2);
        expect((yield* restartsOf("ticks")) - before).toBe(2);
      }),
    ));

  test("promotions: the version is switched all the same", () =>
    virtually(
      Effect.gen(function* () {
        const { first } = dying(2);
        const before = yield* restartsOf("promotions");
        const board = yield* work((ports) => {
          const results = Context.get(ports, ResultLog);
          return Context.add(ports, ResultLog, {
            ...results,
            open: (filters, from) =>
              filters.length === 1 && filters[0] === CONTROL_FILTER
                ? first(results.open(filters, from))
                : results.open(filters, from),
          });
        });
        const log = yield* publish;
        const promotion = {
          ...Promotion.decode(new Uint8Array(0)),
          projection: "by-key",
          version: 2,
          previousVersion: 1,
          time: 0,
        };
        const data = Promotion.encode(promotion).finish();
        yield* until(() => board.status?.tasks.some(({ state }) => state === "live") === true);
        log.results.append([{ subject: "control.by-key", data }], -1);
        yield* until(
          () =>
            board.status?.tasks.some(
              ({ task, state }) =>
                task.projection === "by-key" && task.version === 2 && state === "live",
            ) === true,
        );
        expect((yield* restartsOf("promotions")) - before).toBe(2);
      }),
    ));

  test("trimming: old commits go in the next round", () =>
    virtually(
      Effect.gen(function* () {
        const { first } = dying(2);
        const before = yield* restartsOf("trimming");
        yield* work((ports) => {
          const results = Context.get(ports, ResultLog);
          return Context.add(ports, ResultLog, {
            ...results,
            trim: (subject, sequence, before) => first(results.trim(subject, sequence, before)),
          });
        });
        const log = yield* publish;
        const { id } = partitionSpec(PLANS[0]!, 1, 0);
        const oldest = () =>
          log.results.messages.find(({ subject }) => subject === commitSubject(id))?.sequence;
        yield* until(() => oldest() !== undefined);
        const untrimmed = oldest();
        yield* until(() => oldest() !== untrimmed, 500);
        expect((yield* restartsOf("trimming")) - before).toBe(2);
      }),
    ));
});
