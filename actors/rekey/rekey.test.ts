/** Both stages of a re-keyed projection and the relay between them, without I/O. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { DeadLetter_Reason } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { DeadLetter } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { partitionOf } from "../../proto/partitioner.ts";
import type { ProjectionPlan, TopicPlan } from "../../projections/definition/plan.ts";
import { rekeyOf } from "../../projections/definition/rekey.ts";
import { GROUP_KEY_BYTES_MAX } from "../../projections/definition/weight.ts";
import { imbalance } from "../task/books-keeper.ts";
import { encodeBatch, PULSE, SALE, salesPlan, topicPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { alignments, chances, RekeyedRun, takeChance } from "../testkit/rekeyed-run.ts";
import type { Chance } from "../testkit/rekeyed-run.ts";
import { RoutingStage } from "../testkit/routing-stage.ts";
import { describeUpdate, digestHex, PartitionRun } from "../testkit/run.ts";
import { RekeyedIntake } from "./rekeyed-intake.ts";
import { RekeyWriter } from "./rekey-writer.ts";

const RUNS = propertyRuns(200);
const GAP = 10;

const byStore = (topic: TopicPlan, lateness = 0, changes = {}): ProjectionPlan =>
  salesPlan(
    {
      key: { field: "store" },
      window: { kind: "session", gapMs: GAP },
      allowedLatenessMs: lateness,
      aggregates: { n: { fn: "count" }, cents: { fn: "sum", of: { field: "cents" } } },
      ...changes,
    },
    topic,
  );

const batch = (sales: readonly Sale[], tickTime?: number): Uint8Array =>
  encodeBatch(sales, 1_000_000, tickTime);

const STORES = ["north", "south", "east", "west", ""];

const pulse = (id: string, time: number): Sale => ({ id, key: id, time, type: PULSE.name });

interface Step {
  readonly sales: readonly Sale[];
  readonly partition: number;
  readonly chance: Chance;
}

const steps = (partitions: number): fc.Arbitrary<readonly Step[]> =>
  fc
    .array(
      fc.record({
        sales: fc.array(
          fc.record({
            store: fc.constantFrom(...STORES),
            time: fc.nat(120),
            cents: fc.nat(9),
            type: fc.constantFrom(SALE.name, SALE.name, SALE.name, PULSE.name),
          }),
          { maxLength: 5 },
        ),
        partition: fc.nat(partitions - 1),
        chance: chances,
      }),
      { maxLength: 25 },
    )
    .map((drawn) => {
      let id = 0;
      return drawn.map(({ sales, ...step }) => ({
        ...step,
        sales: sales.map((sale) => ({ ...sale, id: `e${id++}`, key: `k${id % 4}` })),
      }));
    });

const letterOf = (letter: DeadLetter) => ({
  reason: letter.reason,
  id: letter.eventId,
  position: letter.position,
  window: letter.window,
  watermark: letter.watermark,
  lateness: letter.lateness,
  ingestTime: letter.ingestTime,
});

test("on one partition it is to the last update what the topic keyed by the field gives", () => {
  fc.assert(
    fc.property(
      steps(1),
      fc.constantFrom(0, 15),
      fc.constantFrom(0, 20),
      (log, lateness, disorder) => {
        const topic = topicPlan({ maxOutOfOrdernessMs: disorder });
        const run = new RekeyedRun(byStore(topic, lateness));
        const plain = new PartitionRun(byStore(topic, lateness, { key: { event: "key" } }));
        for (const { sales, chance } of log) {
          run.route(0, batch(sales));
          takeChance(run, chance);
          plain.read(encodeBatch(sales.map((sale) => ({ ...sale, key: sale.store! })))).take();
        }
        run.relay();
        const { updates, deadLetters } = plain.output;
        expect(run.updates.map(describeUpdate)).toEqual(updates.map(describeUpdate));
        // An event that was not passed on moves time all the same, but only when a batch says so.
        run.updates.forEach(({ watermark }, i) => {
          expect(watermark).toBeGreaterThanOrEqual(updates[i]!.watermark);
        });
        expect(run.deadLetters.map(letterOf)).toEqual(deadLetters.map(letterOf));
      },
    ),
    { numRuns: RUNS },
  );
});

/** Sessions of each store, the naive way. */
const sessionsOf = (sales: readonly Sale[]): readonly string[] => {
  const rows: string[] = [];
  for (const store of STORES) {
    const own = sales
      .filter((sale) => sale.store === store && sale.type === SALE.name)
      .toSorted((a, b) => a.time - b.time);
    let from = 0;
    for (let i = 1; i <= own.length; i++) {
      if (i < own.length && own[i]!.time - own[i - 1]!.time <= GAP) continue;
      const session = own.slice(from, i);
      const cents = session.reduce((sum, sale) => sum + Number(sale.cents), 0);
      const [start, end] = [session[0]!.time, session.at(-1)!.time + GAP];
      rows.push(`${store} [${start}, ${end}) final 1: ${session.length} ${cents}`);
      from = i;
    }
  }
  return rows.toSorted();
};

test("on several partitions, however they interleave, every event counts once in its group", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 5 }), fc.gen(), alignments, (partitions, gen, limits) => {
      const log = gen(steps, partitions);
      // Nothing is late: what is held against the model is grouping, exactly once, and closing.
      const topic = topicPlan({ partitions, maxOutOfOrdernessMs: 200 });
      const run = new RekeyedRun(byStore(topic), limits);
      for (const { sales, partition, chance } of log) {
        run.route(partition, batch(sales));
        takeChance(run, chance);
      }
      for (let p = 0; p < partitions; p++) run.route(p, batch([pulse(`end${p}`, 1_000)]));
      run.relay();
      const sales = log.flatMap((step) => step.sales);
      expect(run.deadLetters).toEqual([]);
      expect(run.updates.map(describeUpdate).toSorted()).toEqual(sessionsOf(sales));
      for (const core of run.stage.cores) expect(imbalance(core.progress().books)).toBe(0);
      const passedOn = run.stage.cores.reduce((sum, c) => sum + c.progress().books.counted, 0);
      const received = run.cores.reduce((sum, c) => sum + c.progress().books.events, 0);
      expect(received).toBe(passedOn);
      for (const [partition, batches] of run.logs.entries()) {
        for (const { rekeyed } of batches.map((data) => RecordBatch.decode(data))) {
          for (const group of rekeyed!.groups)
            expect(partitionOf(group, partitions)).toBe(partition);
        }
      }
    }),
    { numRuns: RUNS },
  );
});

test("the same re-keyed log gives the same results, wherever reading is cut", () => {
  fc.assert(
    fc.property(steps(3), fc.nat(5), (log, cut) => {
      const plan = byStore(topicPlan({ partitions: 3 }), 5);
      const run = new RekeyedRun(plan);
      for (const { sales, partition, chance } of log) {
        run.route(partition, batch(sales));
        takeChance(run, chance);
      }
      run.relay();
      const again = new RekeyedRun(plan);
      run.logs.forEach((batches, partition) => {
        batches.forEach((data, index) => {
          again.append([{ partition, data }]);
          if (index % 6 === cut) again.restart();
        });
      });
      expect(again.cores.map(digestHex)).toEqual(run.cores.map(digestHex));
    }),
    { numRuns: RUNS },
  );
});

describe("the watermark of the re-keyed log", () => {
  const run = () =>
    new RekeyedRun(byStore(topicPlan({ partitions: 2 }), 0, { emit: { mode: "final" } }));
  const sale = (id: string, time: number, store = "north"): Sale => ({ id, key: id, time, store });

  test("waits for the slowest partition that holds events", () => {
    const both = run();
    both.route(1, batch([sale("a", 0)]));
    both.route(0, batch([sale("b", 5), pulse("p", 100)]));
    both.relay();
    expect(both.updates).toEqual([]);
    both.route(1, batch([sale("c", 14), pulse("q", 100)]));
    both.relay();
    expect(both.updates.map(describeUpdate)).toEqual(["north [0, 24) final 1: 3 null"]);
  });

  test("is not held back by a partition whose idleness is logged", () => {
    const both = run();
    both.route(1, batch([sale("a", 0)]));
    both.route(0, batch([sale("b", 5), pulse("p", 100)]));
    both.route(1, batch([], 1_000_001));
    both.relay();
    expect(both.updates.map(describeUpdate)).toEqual(["north [0, 15) final 1: 2 null"]);
  });

  test("reaches partitions that no event comes to", () => {
    const both = run();
    both.route(0, batch([sale("a", 0, "north"), sale("b", 0, "south"), sale("c", 0, "east")]));
    both.relay();
    const before = both.logs.map((batches) => batches.length);
    both.route(0, batch([pulse("p", 100)]));
    both.relay("waiting");
    expect(both.logs.map((batches) => batches.length)).toEqual(before);
    both.relay();
    expect(both.updates.map(({ key }) => key).toSorted()).toEqual(["east", "north", "south"]);
  });

  test("a reader that begins in the middle of the log knows how far all partitions are", () => {
    const plan = byStore(topicPlan({ partitions: 2 }));
    const both = new RekeyedRun(plan);
    both.route(0, batch([sale("a", 50)]));
    both.relay();
    both.route(1, batch([sale("b", 70)]));
    both.relay();
    both.logs.forEach((batches) => {
      const intake = new RekeyedIntake(plan, rekeyOf(plan));
      expect(intake.read(1, batches.at(-1)!).watermarkAfter).toBe(49);
    });
  });
});

test("a relay that was cut off between two partitions writes to neither twice", () => {
  const plan = byStore(topicPlan({ partitions: 2 }));
  const stage = new RoutingStage(plan, 1);
  const stores = ["a", "b", "c", "d"];
  const sales = stores.map((store, i) => ({ id: store, key: "k", time: i, store }));
  stage.relay();
  stage.route(0, encodeBatch(sales));
  const [first, second] = stage.relay();
  // Only the first append happened: the other one is what its log held before.
  const before = stage.restartRelay();
  expect(before).toHaveLength(2);
  const commits = (data: Uint8Array) => RecordBatch.decode(data).rekeyed!.position;
  expect(commits(first!.data)).toBe(commits(second!.data));
  const writer = new RekeyWriter([first!.data, undefined], 2);
  expect([writer.written, writer.position]).toEqual([0, 0]);
  const commit = Commit.decode(
    Commit.encode({
      ...Commit.decode(new Uint8Array(0)),
      partCount: 1,
      routed: [0, 1].map((partition) => ({
        partition,
        group: `g${partition}`,
        sequence: 1,
        index: partition,
        ingestTime: 1,
        watermark: undefined,
        event: Buffer.from(encodeBatch([])),
      })),
    }).finish(),
  );
  writer.gather(commits(first!.data), commit);
  expect(writer.waiting).toEqual([1]);
});

test("a group that is too long is one dead letter and nobody else's loss", () => {
  const run = new RekeyedRun(byStore(topicPlan()));
  const long = "x".repeat(GROUP_KEY_BYTES_MAX + 1);
  run.route(
    0,
    batch([
      { id: "a", key: "k", time: 0, store: long },
      { id: "b", key: "k", time: 0, store: long.slice(1) },
      pulse("p", 100),
    ]),
  );
  run.relay();
  expect(run.deadLetters).toHaveLength(1);
  expect(run.deadLetters[0]).toMatchObject({
    reason: DeadLetter_Reason.REASON_POISON,
    eventId: "a",
    position: { partition: 0, sequence: 1, index: 0 },
    error: "the key of its result is 1025 bytes long; the limit is 1024",
  });
  expect(run.updates.map(({ key, kind }) => [key.length, kind])).toEqual([
    [GROUP_KEY_BYTES_MAX, Kind.KIND_FINAL],
  ]);
  expect(run.stage.cores[0]!.progress().books).toMatchObject({
    poison: 1,
    counted: 1,
    filtered: 1,
  });
});

test("the event keeps its key: an aggregate over it counts what the producer sent", () => {
  const plan = byStore(topicPlan(), 0, {
    aggregates: { keys: { fn: "distinct", of: { event: "key" }, precision: 12, sketch: false } },
  });
  const run = new RekeyedRun(plan);
  run.route(
    0,
    batch([
      { id: "a", key: "one", time: 0, store: "s" },
      { id: "b", key: "two", time: 1, store: "s" },
      pulse("p", 100),
    ]),
  );
  run.relay();
  expect(run.updates.map(describeUpdate)).toEqual(["s [0, 11) final 1: 2"]);
});
