/** Every aggregate through the engine: restarts, batches and partitions change no bit of a result. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import type { AggregateDefinition } from "../../projections/definition/definition.ts";
import { encodeBatch, PULSE, salesPlan, topicPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { digestHex, PartitionRun } from "../testkit/run.ts";
import { MergeCore } from "./merge-core.ts";

const RUNS = propertyRuns(15);

const CENTS = { field: "cents" };
const WEIGHT = { field: "weight" };
const STORE = { field: "store" };

const AGGREGATES: Readonly<Record<string, AggregateDefinition>> = {
  n: { fn: "count" },
  centsVariance: { fn: "variance", of: CENTS, population: false },
  weightVariance: { fn: "variance", of: WEIGHT, population: true },
  centsStddev: { fn: "stddev", of: CENTS, population: true },
  weightStddev: { fn: "stddev", of: WEIGHT, population: false },
  firstCents: { fn: "first", of: CENTS },
  lastWeight: { fn: "last", of: WEIGHT },
  firstStore: { fn: "first", of: STORE },
  lastStore: { fn: "last", of: STORE },
  cents: { fn: "distinct", of: CENTS, precision: 8, sketch: true },
  middle: { fn: "quantile", of: CENTS, q: 0.5, relativeError: 0.1, sketch: true },
  tails: { fn: "quantiles", of: WEIGHT, qs: [0.01, 0.999], relativeError: 0.1, sketch: false },
  topCents: { fn: "topK", of: CENTS, k: 2, capacity: 3, sketch: true },
  topStores: { fn: "topK", of: STORE, k: 3, capacity: 16, sketch: false },
  someCents: { fn: "collect", of: CENTS, limit: 3 },
  someStores: { fn: "collect", of: STORE, limit: 10 },
  stores: { fn: "distinct", of: STORE, precision: 12, sketch: false },
};

const PARTITIONS = 3;
const SETTINGS = { maxOutOfOrdernessMs: 20, partitions: PARTITIONS, dedupeHorizonMs: 0 };
const LATE = { aggregates: AGGREGATES, allowedLatenessMs: 30 } as const;
const WINDOWS = {
  tumbling: salesPlan(LATE, topicPlan(SETTINGS)),
  sessions: salesPlan({ ...LATE, window: { kind: "session", gapMs: 5 } }, topicPlan(SETTINGS)),
  early: salesPlan({ ...LATE, emit: { mode: "each" } }, topicPlan(SETTINGS)),
};
const MERGED = salesPlan({ ...LATE, key: { field: "store" } }, topicPlan(SETTINGS));

const saleArbitrary = fc.record({
  key: fc.constantFrom("a", "b", "ü"),
  store: fc.constantFrom("x", "y", "zürich", ""),
  step: fc.nat(4),
  jitter: fc.integer({ min: -40, max: 10 }),
  cents: fc.option(fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-3n, 3n)), {
    nil: undefined,
  }),
  weight: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }), { nil: undefined }),
});

/** A log of batches; event time goes on, with disorder. */
const logArbitrary: fc.Arbitrary<Sale[][]> = fc
  .array(fc.array(saleArbitrary, { minLength: 1, maxLength: 10 }), { maxLength: 10 })
  .map((batches) => {
    let time = 0;
    let id = 0;
    return batches.map((batch) =>
      batch.map(({ step, jitter, cents, weight, ...sale }) => ({
        ...sale,
        id: String(id++),
        time: (time += step) + jitter,
        ...(cents === undefined ? {} : { cents }),
        ...(weight === undefined ? {} : { weight }),
      })),
    );
  });

const END: Sale = { id: "end", key: "end", time: 10_000, type: PULSE.name };

test.for(Object.entries(WINDOWS))("%s: a restart at any batch changes no byte", ([, plan]) => {
  fc.assert(
    fc.property(logArbitrary, fc.infiniteStream(fc.boolean()), (log, coin) => {
      const whole = new PartitionRun(plan);
      const run = new PartitionRun(plan);
      for (const batch of [...log, [END]].map((sales) => encodeBatch(sales))) {
        whole.read(batch).take();
        run.read(batch).take();
        if (coin.next().value) run.restart();
        expect(digestHex(run.core)).toBe(digestHex(whole.core));
      }
      expect(run.output).toEqual(whole.output);
    }),
    { numRuns: RUNS },
  );
});

/** Deals the events to partitions by key and merges, in batches of one size. */
const runMerged = (log: readonly Sale[], size: number, restarts: boolean): Update[] => {
  const updates: Update[] = [];
  let merge = new MergeCore(MERGED, 1);
  const runs = Array.from({ length: PARTITIONS }, (_, p) => new PartitionRun(MERGED, p));
  const published: Uint8Array[][] = runs.map(() => []);
  runs.forEach((run, partition) => {
    const dealt = log.filter((sale) => sale.key.charCodeAt(0) % PARTITIONS === partition);
    for (let at = 0; at < dealt.length; at += size) {
      run.read(encodeBatch(dealt.slice(at, at + size)));
      published[partition]!.push(...run.core.take().fragments);
      if (restarts) run.restart();
    }
    run.read(encodeBatch([{ ...END, id: `end ${partition}` }]));
  });
  runs.forEach((run, partition) => {
    const marker = Commit.encode({
      ...Commit.decode(new Uint8Array(0)),
      partition,
      partCount: 1,
      watermark: run.core.progress().watermark,
    }).finish();
    const fragments = [...published[partition]!, ...run.core.take().fragments];
    const commit = Commit.decode(Buffer.concat([...fragments, marker]));
    merge.apply({ sequence: partition + 1, commit });
    if (!restarts) return;
    const snapshot = merge.snapshot();
    const digest = digestHex(merge);
    updates.push(...merge.take().fragments.flatMap((bytes) => Commit.decode(bytes).updates));
    merge = new MergeCore(MERGED, 1);
    merge.restore(snapshot);
    expect(digestHex(merge)).toBe(digest);
  });
  return [...updates, ...merge.take().fragments.flatMap((bytes) => Commit.decode(bytes).updates)];
};

test("merged: batches and restarts of partitions and merger change no byte", () => {
  fc.assert(
    fc.property(logArbitrary, fc.integer({ min: 1, max: 9 }), (log, size) => {
      const whole = runMerged(log.flat(), 10_000, false);
      const finals = (updates: readonly Update[]) =>
        updates.map(({ sequence: _sequence, index: _index, ...update }) => update);
      expect(finals(runMerged(log.flat(), size, true))).toEqual(finals(whole));
    }),
    { numRuns: RUNS },
  );
});
