/**
 * E6: the same log gives the same final results, to the last bit of every double, on 1, 3 and 8 workers, in
 * record batches of 1 to 5,000 events, and with a restart at every event.
 */
import { createHash } from "node:crypto";
import { Effect } from "effect";
import { describe, expect, test } from "vitest";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import { Kind, Value } from "../../proto/gen/tidemark/v1/result.ts";
import { partitionOf } from "../../proto/partitioner.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { encodeBatch, PULSE, salesPlan, topicPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { digestHex, PartitionRun } from "../testkit/run.ts";
import { broker, SETTINGS, until, virtually } from "../testkit/virtual-engine.ts";
import type { Broker } from "../testkit/virtual-engine.ts";
import { runWorker } from "./worker.ts";

const PARTITIONS = 8;
const TOPIC = topicPlan({ partitions: PARTITIONS, maxOutOfOrdernessMs: 40, dedupeHorizonMs: 0 });

const AGGREGATES = {
  n: { fn: "count" },
  total: { fn: "sum", of: { field: "weight" } },
  mean: { fn: "mean", of: { field: "weight" } },
  spread: { fn: "variance", of: { field: "weight" }, population: false },
  middle: { fn: "quantile", of: { field: "weight" }, q: 0.5, relativeError: 0.01, sketch: true },
  stores: { fn: "topK", of: { field: "store" }, k: 3, capacity: 16, sketch: true },
} as const;

const PLANS = {
  tumbling: salesPlan({ name: "tumbling", aggregates: AGGREGATES }, TOPIC),
  hopping: salesPlan(
    {
      name: "hopping",
      window: { kind: "hopping", sizeMs: 30, advanceMs: 10, offsetMs: 3 },
      aggregates: AGGREGATES,
    },
    TOPIC,
  ),
  sliding: salesPlan(
    { name: "sliding", window: { kind: "sliding", sizeMs: 25 }, aggregates: AGGREGATES },
    TOPIC,
  ),
  sessions: salesPlan(
    { name: "sessions", window: { kind: "session", gapMs: 4 }, aggregates: AGGREGATES },
    TOPIC,
  ),
  merged: salesPlan({ name: "merged", key: { field: "store" }, aggregates: AGGREGATES }, TOPIC),
};

/** Out of order within what is allowed; weights whose sums depend on the order of addition. */
const salesOf = (count: number): readonly Sale[] =>
  Array.from({ length: count }, (_, i) => ({
    id: String(i),
    key: `k${(i * 7) % 23}`,
    time: Math.floor(i / 8) + ((i * 13) % 37),
    weight: (i % 2 === 0 ? 1 : -1) * 10 ** ((i * 5) % 17) * (0.1 + (i % 9)),
    store: `s${i % 5}`,
  }));

/** Closes all windows: one in each partition. */
const END: readonly Sale[] = Array.from({ length: PARTITIONS }, (_, partition) => {
  const key = Array.from({ length: 1_000 }, (_, i) => `end-${i}`).find(
    (candidate) => partitionOf(candidate, PARTITIONS) === partition,
  )!;
  return { id: key, key, time: 100_000, type: PULSE.name };
});

/** The last value of each window, as bytes: what must not differ by a bit. */
const bytesOf = (updates: readonly Update[]): string => {
  const rows = new Map<string, string>();
  for (const update of updates) {
    if (update.kind === Kind.KIND_EARLY) continue;
    const window = `${update.key} [${update.windowStart}, ${update.windowEnd})`;
    const values = update.values.map((value) => Buffer.from(Value.encode(value).finish()));
    if (update.kind === Kind.KIND_RETRACTION) rows.delete(window);
    else rows.set(window, Buffer.concat(values).toString("hex"));
  }
  const lines = [...rows].map(([window, values]) => `${window}: ${values}`).sort();
  return `${rows.size} windows, ${createHash("sha256").update(lines.join("\n")).digest("hex")}`;
};

describe("by workers", () => {
  const SALES = [...salesOf(240), ...END];

  const publish = (log: Broker, size: number): void => {
    for (let at = 0; at < SALES.length; at += size) {
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const own = SALES.slice(at, at + size).filter(
          ({ key }) => partitionOf(key, PARTITIONS) === partition,
        );
        if (own.length === 0) continue;
        const message = { subject: `events.sales.${partition}`, data: encodeBatch(own) };
        log.events("sales", partition).append([message], -1);
      }
    }
  };

  const committed = (log: Broker, plan: ProjectionPlan): readonly Update[] =>
    log.results.messages
      .filter(({ subject }) => subject.startsWith(`results.${plan.definition.name}.1.`))
      .flatMap(({ data }) => Commit.decode(data).updates);

  const resultsOf = (workers: number, size: number): Promise<readonly string[]> =>
    virtually(
      Effect.gen(function* () {
        const log = yield* broker;
        const plans = Object.values(PLANS);
        for (let index = 0; index < workers; index++) {
          yield* Effect.forkScoped(runWorker({ index, workers, plans, settings: SETTINGS }));
        }
        publish(log, size);
        const closed = () =>
          plans.every((plan) => {
            const tasks = plan.merged ? 1 : PARTITIONS;
            const done = new Set(
              log.results.messages
                .filter(({ subject }) => subject.startsWith(`results.${plan.definition.name}.1.`))
                .filter(({ data }) => (Commit.decode(data).watermark ?? 0) > 90_000)
                .map(({ subject }) => subject),
            );
            return done.size === tasks;
          });
        yield* until(closed);
        return plans.map((plan) => `${plan.definition.name}: ${bytesOf(committed(log, plan))}`);
      }),
    );

  test("1, 3 and 8 of them, and record batches of other sizes", async () => {
    const once = await resultsOf(1, 50);
    expect(once.every((line) => Number(/: (\d+) windows/.exec(line)![1]) > 10)).toBe(true);
    for (const [workers, size] of [
      [3, 50],
      [8, 50],
      [3, 7],
      [1, 1_000],
    ] as const) {
      expect(await resultsOf(workers, size), `${workers} workers, ${size}`).toEqual(once);
    }
  });
});

describe("in record batches of any size", () => {
  const SALES = [...salesOf(5_000), { ...END[0]!, key: "end" }];
  const KINDS = Object.entries(PLANS).filter(([name]) => name !== "merged");

  const run = (plan: ProjectionPlan, sales: readonly Sale[], size: number, restarts = false) => {
    const partition = new PartitionRun(plan);
    for (let at = 0; at < sales.length; at += size) {
      partition.read(encodeBatch(sales.slice(at, at + size))).take();
      if (restarts) partition.restart();
    }
    const { books } = partition.core.progress();
    const counted = sales.length - 1;
    expect(books).toMatchObject({ events: sales.length, counted, late: 0, filtered: 1 });
    return { results: bytesOf(partition.output.updates), digest: digestHex(partition.core) };
  };

  test.for(KINDS)("%s windows", ([, plan]) => {
    const { results } = run(plan, SALES, SALES.length);
    expect(Number.parseInt(results, 10)).toBeGreaterThan(300);
    for (const size of [1, 100, 5_000]) {
      expect(run(plan, SALES, size).results, `${size}`).toBe(results);
    }
  });

  test.for(KINDS)("%s windows, with a restart at every event", ([, plan]) => {
    const some = [...salesOf(400), SALES.at(-1)!];
    expect(run(plan, some, 1, true)).toEqual(run(plan, some, 1));
  });
});
