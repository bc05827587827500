import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import type { DeadLetter } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { encodeBatch, PULSE, salesPlan, topicPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { describeUpdate, digestHex, PartitionRun } from "../testkit/run.ts";
import { FIRST_EVENT_HOLD_MS_MIN, MergeCore } from "./merge-core.ts";

const PARTITIONS = 3;
const BY_STORE = { key: { field: "store" } } as const;
const COUNT = { aggregates: { n: { fn: "count" } } } as const;

const planOf = (changes: Parameters<typeof salesPlan>[0] = {}) =>
  salesPlan({ ...BY_STORE, ...changes }, topicPlan({ partitions: PARTITIONS }));

/** A partial task's commit: what it published since the last one, and its marker. */
const commitOf = (run: PartitionRun, partition: number): Commit => {
  const progress = run.core.progress();
  const marker = Commit.encode({
    ...Commit.decode(new Uint8Array(0)),
    partition,
    partIndex: 0,
    partCount: 1,
    watermark: progress.watermark,
    idle: progress.idle || progress.watermark === undefined,
    ingestTime: progress.ingestTime,
  }).finish();
  return Commit.decode(Buffer.concat([...run.core.take().fragments, marker]));
};

class MergeRun {
  merge: MergeCore;
  readonly updates: Update[] = [];
  readonly deadLetters: DeadLetter[] = [];
  #sequence = 0;
  readonly plan;

  constructor(plan = planOf(COUNT)) {
    this.plan = plan;
    this.merge = new MergeCore(plan, 1);
  }

  apply(commit: Commit): this {
    this.merge.apply({ sequence: ++this.#sequence, commit });
    for (const fragment of this.merge.take().fragments) {
      const { updates, deadLetters } = Commit.decode(fragment);
      this.updates.push(...updates);
      this.deadLetters.push(...deadLetters);
    }
    return this;
  }

  restart(): this {
    const snapshot = this.merge.snapshot();
    this.merge = new MergeCore(this.plan, 1);
    this.merge.restore(snapshot);
    return this;
  }
}

const sale = (id: string, time: number, store: string): Sale => ({ id, key: id, time, store });
const pulse = (id: string, time: number): Sale => ({ id, key: id, time, type: PULSE.name });

test("the slowest partition decides when a window is final", () => {
  const plan = planOf(COUNT);
  const runs = [0, 1, 2].map((partition) => new PartitionRun(plan, partition));
  const merged = new MergeRun();
  runs[0]!.read(encodeBatch([sale("a", 1, "x"), sale("b", 2, "y"), pulse("p", 50)]));
  runs[1]!.read(encodeBatch([sale("c", 3, "x"), pulse("q", 8)]));
  merged.apply(commitOf(runs[0]!, 0)).apply(commitOf(runs[1]!, 1));
  expect(merged.updates).toEqual([]);
  // Partition 2 never held an event: once heard of, it holds nothing back.
  merged.apply(commitOf(runs[2]!, 2));
  expect(merged.updates).toEqual([]);
  runs[1]!.read(encodeBatch([pulse("r", 10)]));
  merged.apply(commitOf(runs[1]!, 1));
  expect(merged.updates.map(describeUpdate)).toEqual([
    "x [0, 10) final 1: 2",
    "y [0, 10) final 1: 1",
  ]);
});

test("an idle partition gives what it holds and holds nothing back", () => {
  const plan = planOf(COUNT);
  const runs = [0, 1, 2].map((partition) => new PartitionRun(plan, partition));
  const merged = new MergeRun();
  runs[0]!.read(encodeBatch([sale("a", 1, "x"), pulse("p", 50)]));
  runs[1]!.read(encodeBatch([sale("c", 3, "x")])).read(encodeBatch([], 1_000_001, 1_000_001));
  for (const partition of [0, 1, 2]) merged.apply(commitOf(runs[partition]!, partition));
  expect(merged.updates.map(describeUpdate)).toEqual(["x [0, 10) final 1: 2"]);
  runs[1]!.read(encodeBatch([sale("d", 4, "x"), pulse("q", 30)]));
  merged.apply(commitOf(runs[1]!, 1));
  expect(merged.updates.map(describeUpdate).slice(1)).toEqual(["x [0, 10) correction 2: 3"]);
});

test("reading a partial twice changes nothing", () => {
  const plan = planOf(COUNT);
  const run = new PartitionRun(plan, 0);
  run.read(encodeBatch([sale("a", 1, "x"), pulse("p", 50)]));
  const commit = commitOf(run, 0);
  const merged = new MergeRun().apply(commit).apply(commit);
  for (const partition of [1, 2])
    merged.apply(commitOf(new PartitionRun(plan, partition), partition));
  expect(merged.updates.map(describeUpdate)).toEqual(["x [0, 10) final 1: 1"]);
});

const eventArbitrary = fc.record({
  partition: fc.nat(PARTITIONS - 1),
  store: fc.constantFrom("x", "y", "z"),
  step: fc.nat(4),
  back: fc.nat(25),
  cents: fc.integer({ min: -1000, max: 1000 }),
  weight: fc.double({ noNaN: true, min: -1e6, max: 1e6 }),
});

/** Commits of every partition, in order within each; the interleaving is chosen by `picks`. */
const interleave = (queues: readonly Commit[][], picks: readonly number[]): Commit[] => {
  const rest = queues.map((queue) => [...queue]);
  const order: Commit[] = [];
  for (let i = 0; rest.some((queue) => queue.length > 0); i++) {
    const live = rest.filter((queue) => queue.length > 0);
    order.push(live[(picks[i % picks.length] ?? 0) % live.length]!.shift()!);
  }
  return order;
};

const lastValues = (updates: readonly Update[]) =>
  new Map(updates.map((update) => [`${update.key}@${update.windowStart}`, update.values]));
const finals = (updates: readonly Update[], among?: ReadonlySet<string>) =>
  new Map(
    updates
      .filter((update) => update.kind === Kind.KIND_FINAL)
      .map((update) => [`${update.key}@${update.windowStart}`, update.values] as const)
      .filter(([name]) => among?.has(name) ?? true),
  );

test("section 6: however partitions interleave and restart, finals and last values are the same", () => {
  fc.assert(
    fc.property(
      fc.array(eventArbitrary, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 0, max: 30 }),
      fc.array(fc.nat(10), { minLength: 1, maxLength: 40 }),
      fc.array(fc.nat(10), { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 5 }),
      (events, allowedLatenessMs, picksA, picksB, every) => {
        const plan = planOf({ allowedLatenessMs });
        const queues = [0, 1, 2].map((partition) => {
          const run = new PartitionRun(plan, partition);
          const commits: Commit[] = [];
          let time = 0;
          const own = events.filter((event) => event.partition === partition);
          own.forEach((event, index) => {
            time += event.step;
            const { store, cents, weight } = event;
            const id = `${partition}-${index}`;
            run.read(encodeBatch([{ id, key: id, time: time - event.back, store, cents, weight }]));
            if (index % every === 0) commits.push(commitOf(run, partition));
          });
          run.read(encodeBatch([pulse(`end-${partition}`, 10_000)]));
          commits.push(commitOf(run, partition));
          return commits;
        });
        const a = new MergeRun(plan);
        for (const commit of interleave(queues, picksA)) a.apply(commit);
        const b = new MergeRun(plan);
        for (const commit of interleave(queues, picksB)) b.apply(commit).restart();
        const inTime = new Set(
          queues
            .flat()
            .flatMap((commit) => commit.partials)
            .filter((partial) => partial.kind === Kind.KIND_FINAL)
            .map((partial) => `${partial.key}@${partial.windowStart}`),
        );
        expect(finals(b.updates, inTime)).toEqual(finals(a.updates, inTime));
        expect(lastValues(b.updates)).toEqual(lastValues(a.updates));
        expect([...a.deadLetters, ...b.deadLetters]).toEqual([]);
        const counted = new Set(a.updates.map((update) => `${update.key}@${update.windowStart}`));
        expect(finals(a.updates).size).toBe(counted.size);
      },
    ),
    { numRuns: propertyRuns(200) },
  );
});

test("a restart keeps the digest", () => {
  const plan = planOf();
  const run = new PartitionRun(plan, 0);
  run.read(encodeBatch([sale("a", 1, "x"), pulse("p", 50), sale("b", 45, "y")]));
  const merged = new MergeRun(plan).apply(commitOf(run, 0));
  const before = digestHex(merged.merge);
  expect(digestHex(merged.restart().merge)).toBe(before);
});

test("a key with a byte order mark in front is another key, also after a restart", () => {
  const runs = [0, 1, 2].map((partition) => new PartitionRun(planOf(COUNT), partition));
  const merged = new MergeRun();
  runs[0]!.read(
    encodeBatch([
      sale("a", 1, "\ufeffx"),
      sale("b", 2, "\ufeffx"),
      sale("c", 3, "x"),
      pulse("p", 50),
    ]),
  );
  runs[1]!.read(encodeBatch([pulse("q", 8)]));
  for (const partition of [0, 1, 2]) merged.apply(commitOf(runs[partition]!, partition));
  expect(merged.updates).toEqual([]);
  runs[1]!.read(encodeBatch([pulse("r", 50)]));
  expect(merged.restart().apply(commitOf(runs[1]!, 1)).updates.map(describeUpdate)).toEqual([
    "\ufeffx [0, 10) final 1: 2",
    "x [0, 10) final 1: 1",
  ]);
});

describe("a partition whose first event comes after all others have given up its window (U4)", () => {
  const plan = planOf(COUNT);
  const LATER = 10_000_000;
  /** The others at `time`, partition 2 idle and without an event; then its first one. */
  const firstEventAt = (time: number, others: number) => {
    const runs = [0, 1, 2].map((partition) => new PartitionRun(plan, partition));
    const merged = new MergeRun(plan);
    runs[0]!.read(encodeBatch([sale("a", 1, "x"), pulse("p", others)], LATER));
    runs[1]!.read(encodeBatch([sale("b", 2, "x"), pulse("q", others)], LATER));
    for (const partition of [2, 0, 1]) merged.apply(commitOf(runs[partition]!, partition));
    runs[2]!.read(encodeBatch([sale("c", time, "x"), pulse("r", others)], LATER));
    return merged.restart().apply(commitOf(runs[2]!, 2));
  };

  test("corrects the result, up to an hour of event time after", () => {
    for (const others of [11, 1_000, 9 + FIRST_EVENT_HOLD_MS_MIN]) {
      const { updates, deadLetters } = firstEventAt(3, others);
      expect(updates.map(describeUpdate)).toEqual([
        "x [0, 10) final 1: 2",
        "x [0, 10) correction 2: 3",
      ]);
      expect(deadLetters).toEqual([]);
    }
  });

  test("is a dead letter beyond, and says why", () => {
    const { updates, deadLetters } = firstEventAt(3, 11 + FIRST_EVENT_HOLD_MS_MIN);
    expect(updates.map(describeUpdate)).toEqual(["x [0, 10) final 1: 2"]);
    expect(deadLetters).toHaveLength(1);
    expect(deadLetters[0]).toMatchObject({ window: { start: 0, end: 10 }, eventKey: "x" });
    expect(deadLetters[0]!.error).toContain("or for an hour");
  });

  test("holds no window once every partition has had its first event", () => {
    const merged = firstEventAt(3, 1_000);
    expect(merged.merge.progress().retainFrom).toBe(4);
  });
});
