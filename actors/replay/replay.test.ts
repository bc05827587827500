/** Replays over memory, beside live workers. */
import { Effect, Fiber } from "effect";
import { describe, expect, test } from "vitest";
import type { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import type { Result } from "../../proto/gen/tidemark/v1/result.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { encodeBatch, salesPlan, topicPlan } from "../testkit/plans.ts";
import {
  broker,
  Faults,
  publishedBy,
  SETTINGS,
  turns,
  until,
  virtually,
} from "../testkit/virtual-engine.ts";
import type { Broker } from "../testkit/virtual-engine.ts";
import { StatusBoard } from "../worker/status-board.ts";
import { runWorker } from "../worker/worker.ts";
import type { BuildProgress } from "./build-version.ts";
import { compareResults, ResultsOutOfOrder } from "./compare-results.ts";
import { PromotedElsewhere, ReplayFailed } from "./errors.ts";
import { makeReplay } from "./replay.ts";

const TOPIC = topicPlan({ partitions: 3, idleAfterMs: 2_000 });
const BY_KEY = salesPlan({ name: "by-key" }, TOPIC);
const BY_STORE = salesPlan({ name: "by-store", key: { field: "store" } }, TOPIC);
const PLANS = [BY_KEY, BY_STORE];

/** Partition 2 never holds an event. */
const fill = (log: Broker, from: number, to: number): void => {
  for (let n = from; n < to; n++) {
    const partition = n % 2;
    const sales = Array.from({ length: 5 }, (_, i) => ({
      id: `${n}-${i}`,
      key: `k${(n + i) % 7}`,
      time: n * 4 + i,
      cents: n * 10 + i,
      weight: (n + i) / 7,
      store: `s${(n * i) % 3}`,
    }));
    const data = encodeBatch(sales);
    log.events("sales", partition).append([{ subject: `events.sales.${partition}`, data }], -1);
  }
};

const resultOf = (plan: ProjectionPlan, version: number, update: Update): Result => ({
  projection: plan.definition.name,
  version,
  key: update.key,
  window: { start: update.windowStart, end: update.windowEnd },
  kind: update.kind,
  revision: update.revision,
  ordinal: update.ordinal,
  watermark: update.watermark,
  position: { partition: update.partition, sequence: update.sequence, index: update.index },
  values: update.values.map((value, i) => ({ name: String(i), value })),
});

/** What the query side would answer: the newest of each key and window, in order. */
const currentResults = (log: Broker, plan: ProjectionPlan, version: number): readonly Result[] => {
  const rows = new Map<string, Result>();
  const tasks = plan.merged ? 1 : plan.topic.definition.partitions;
  for (let partition = 0; partition < tasks; partition++) {
    const task = {
      kind: plan.merged ? "merge" : "window",
      projection: plan.definition.name,
      version,
      partition,
    } as const;
    for (const update of publishedBy(log, task).updates) {
      rows.set(`${update.key} ${update.windowStart}`, resultOf(plan, version, update));
    }
  }
  return [...rows.values()].toSorted((a, b) =>
    a.key === b.key ? a.window!.start - b.window!.start : a.key < b.key ? -1 : 1,
  );
};

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  for (const item of items) yield item;
}

/** A worker that has read, committed and closed all that the log holds. */
const live = Effect.gen(function* () {
  const log = yield* broker;
  const board = new StatusBoard();
  yield* Effect.forkScoped(
    runWorker({ index: 0, workers: 1, plans: PLANS, settings: SETTINGS, board }),
  );
  const settled = () => {
    const tasks = board.status?.tasks ?? [];
    const merge = tasks.find(({ task }) => task.kind === "merge");
    const inputs = tasks.filter(({ task }) => task.kind !== "merge");
    return (
      inputs.length === 6 &&
      inputs.every(({ idle }) => idle) &&
      inputs.every(
        ({ task, committedPosition }) =>
          committedPosition === log.events("sales", task.partition).lastSequence,
      ) &&
      merge?.state === "live" &&
      merge.committedPosition === lastPartial(log)
    );
  };
  return { log, board, settled };
});

const lastPartial = (log: Broker): number =>
  log.results.messages.findLast(({ subject }) => subject.startsWith("partials.by-store.1."))
    ?.sequence ?? 0;

/** Lets the clock go on beside an effect that waits for fibers which sleep. */
const meanwhile = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect);
    yield* until(() => fiber.pollUnsafe() !== undefined);
    return yield* Fiber.join(fiber);
  });

describe("a replay gives the same results, and takes their place when promoted", () => {
  for (const plan of PLANS) {
    test(plan.definition.name, () =>
      virtually(
        Effect.gen(function* () {
          const { log, board, settled } = yield* live;
          fill(log, 0, 60);
          yield* until(settled, 500);
          const progress: BuildProgress[] = [];
          const replay = yield* makeReplay({
            plan,
            settings: SETTINGS,
            onProgress: (step) => progress.push(step),
          });
          expect(replay.versions).toMatchObject({ live: 1, next: 2, definitionChanged: false });
          const built = yield* meanwhile(replay.build);
          expect(built.events).toBe(300);
          expect(progress.at(-1)).toMatchObject({ phase: "done", events: 300 });
          expect(progress.at(-1)!.records).toBe(progress.at(-1)!.recordsTotal);

          const comparison = yield* replay.compare(built, (version) =>
            each(currentResults(log, plan, version)),
          );
          expect(comparison).toMatchObject({ differences: 0, newer: 0 });
          expect(comparison!.equal).toBeGreaterThan(20);
          expect(currentResults(log, plan, 2).map(({ values }) => values)).toEqual(
            currentResults(log, plan, 1).map(({ values }) => values),
          );

          yield* replay.promote(false);
          expect(replay.state).toBe("promoted");
          const running = () =>
            board
              .status!.tasks.filter(({ task }) => task.projection === plan.definition.name)
              .map(({ task, state }) => `${task.version} ${state}`);
          yield* until(() => running().every((task) => task === "2 live"), 500);
          // The silence has moved time on.
          fill(log, 50_000, 50_060);
          const before = currentResults(log, plan, 2).length;
          yield* until(() => currentResults(log, plan, 2).length > before + 5, 500);
        }),
      ),
    );
  }
});

test("what the live version published meanwhile is newer, not different", () =>
  virtually(
    Effect.gen(function* () {
      const { log } = yield* live;
      fill(log, 0, 40);
      const replay = yield* makeReplay({ plan: BY_KEY, settings: SETTINGS });
      const built = yield* meanwhile(replay.build);
      fill(log, 40, 80);
      const last = () => currentResults(log, BY_KEY, 1).at(-1)?.position?.sequence ?? 0;
      yield* until(() => last() > 38);
      const comparison = yield* replay.compare(built, (version) =>
        each(currentResults(log, BY_KEY, version)),
      );
      expect(comparison!.differences).toBe(0);
      expect(comparison!.newer).toBeGreaterThan(5);
    }),
  ));

test("a changed definition is not compared, and takes the place of the old one", () =>
  virtually(
    Effect.gen(function* () {
      const { log, settled } = yield* live;
      fill(log, 0, 20);
      yield* until(settled, 500);
      const changed = { ...BY_KEY, digest: Uint8Array.of(8, 8, 8, 8, 8, 8, 8, 8) };
      const replay = yield* makeReplay({ plan: changed, settings: SETTINGS });
      expect(replay.versions.definitionChanged).toBe(true);
      const built = yield* meanwhile(replay.build);
      expect(yield* replay.compare(built, () => each([]))).toBeUndefined();
      yield* replay.promote(false);
      expect(replay.state).toBe("promoted");
    }),
  ));

test("a version that differs is promoted only by someone who means it, or abandoned", () =>
  virtually(
    Effect.gen(function* () {
      const { log, settled } = yield* live;
      fill(log, 0, 20);
      yield* until(settled, 500);
      const replay = yield* makeReplay({ plan: BY_KEY, settings: SETTINGS });
      const built = yield* meanwhile(replay.build);
      const comparison = yield* replay.compare(built, (version) =>
        each(currentResults(log, BY_KEY, version).slice(version === 1 ? 0 : 2)),
      );
      expect(comparison).toMatchObject({ differences: 2, examples: [{ kind: "missing" }, {}] });
      expect(replay.state).toBe("different");
      expect(() => replay.promote(false)).toThrow("cannot take promote");
      yield* replay.abandon;
      expect(replay.state).toBe("abandoned");
      const left = log.results.messages.filter(({ subject }) => subject.includes("by-key.2."));
      expect(left).toHaveLength(3);
      const next = yield* makeReplay({ plan: BY_KEY });
      expect(next.versions).toMatchObject({ live: 1, next: 3 });
    }),
  ));

test("two replays: one promotion", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      fill(log, 0, 10);
      const built = yield* makeReplay({ plan: BY_KEY, settings: SETTINGS });
      const bound = yield* meanwhile(built.build);
      const other = yield* makeReplay({ plan: BY_KEY, settings: SETTINGS });
      const otherBound = yield* meanwhile(other.build);
      expect([built.versions.next, other.versions.next]).toEqual([2, 3]);
      for (const [replay, at] of [
        [built, bound],
        [other, otherBound],
      ] as const) {
        yield* replay.compare(at, () => each([]));
      }
      yield* built.promote(false);
      expect(yield* Effect.flip(other.promote(false))).toBeInstanceOf(PromotedElsewhere);
    }),
  ));

test("of two replays into one version the first is fenced, and says so", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      fill(log, 0, 10);
      const first = yield* makeReplay({ plan: BY_KEY, settings: SETTINGS });
      const second = yield* makeReplay({ plan: BY_KEY, settings: SETTINGS });
      // The first one's tasks are taken over; its next commit has to wait.
      (yield* Faults).add([{ at: "results.append", kind: "fail", skip: 3, times: 2 }]);
      const building = yield* Effect.forkChild(Effect.flip(first.build));
      yield* turns(20);
      yield* meanwhile(second.build);
      const error = yield* meanwhile(Fiber.join(building));
      expect(error).toBeInstanceOf(ReplayFailed);
      expect(error.message).toContain("is fenced");
      expect(first.state).toBe("failed");
      expect(second.state).toBe("comparing");
    }),
  ));

const finalOf = (key: string, windowEnd = 10, ordinal = 0): Result =>
  resultOf(BY_KEY, 1, {
    key,
    windowStart: 0,
    windowEnd,
    kind: Kind.KIND_FINAL,
    revision: 1,
    ordinal,
    watermark: 9,
    partition: 0,
    sequence: 1,
    index: 0,
    values: [],
  });

test("results of one key that start at one time are told apart by end and ordinal", async () => {
  const bound = { sequences: [9], watermark: 9 };
  const live = [finalOf("a"), finalOf("a", 10, 1), finalOf("a", 20)];
  const built = [finalOf("a"), finalOf("a", 20), finalOf("a", 20, 1)];
  const compared = await compareResults(each(live), each(built), bound);
  expect(compared).toMatchObject({ equal: 2, differences: 2 });
  expect(compared.examples.map(({ kind }) => kind)).toEqual(["missing", "additional"]);
});

test("results that come out of order are not compared", async () => {
  const result = finalOf;
  const bound = { sequences: [9], watermark: 9 };
  const compare = compareResults(each([result("b"), result("a")]), each([]), bound);
  await expect(compare).rejects.toBeInstanceOf(ResultsOutOfOrder);
});
