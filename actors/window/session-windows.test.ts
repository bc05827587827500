import fc from "fast-check";
import { expect, test } from "vitest";
import type { WindowProjection } from "../../projections/definition/definition.ts";
import { current, naiveSessions } from "./naive-sessions.suite.ts";
import { encodeBatch, PULSE, salesPlan, topicPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { describeUpdate, digestHex, PartitionRun } from "../testkit/run.ts";

const RUNS = propertyRuns(300);
const COUNT = { n: { fn: "count" } } as const;

const planOf = (
  settings: {
    readonly gapMs?: number;
    readonly lateness?: number;
    readonly disorder?: number;
    readonly each?: boolean;
    readonly aggregates?: WindowProjection["aggregates"];
  } = {},
) =>
  salesPlan(
    {
      window: { kind: "session", gapMs: settings.gapMs ?? 10 },
      allowedLatenessMs: settings.lateness ?? 0,
      emit: { mode: settings.each ? "each" : "final" },
      aggregates: settings.aggregates ?? COUNT,
    },
    topicPlan({ maxOutOfOrdernessMs: settings.disorder ?? 0 }),
  );

const sale = (id: string, time: number, key = "k"): Sale => ({ id, key, time });
const pulse = (id: string, time: number): Sale => ({ id, key: id, time, type: PULSE.name });
const described = (run: PartitionRun) => run.take().output.updates.map(describeUpdate);

test("events exactly one gap apart are one session, one more apart are two", () => {
  const run = new PartitionRun(planOf());
  run.read(encodeBatch([sale("a", 0), sale("b", 10), sale("c", 21), pulse("p", 100)]));
  expect(described(run)).toEqual(["k [0, 20) final 1: 2", "k [21, 31) final 1: 1"]);
});

test("an event between two sessions merges them", () => {
  const run = new PartitionRun(planOf({ disorder: 50 }));
  run.read(encodeBatch([sale("a", 0), sale("b", 18), sale("c", 9), pulse("p", 100)]));
  expect(described(run)).toEqual(["k [0, 28) final 1: 3"]);
});

test("a late event within lateness retracts what it changes and corrects it", () => {
  const run = new PartitionRun(planOf({ lateness: 100 }));
  run.read(encodeBatch([sale("a", 0), sale("b", 18), pulse("p", 60), sale("c", 9)]));
  expect(described(run)).toEqual([
    "k [0, 10) final 1: 1",
    "k [18, 28) final 1: 1",
    "k [0, 10) retraction 2: 1",
    "k [18, 28) retraction 2: 1",
    "k [0, 28) correction 2: 3",
  ]);
});

test("a late event inside a session corrects it in place", () => {
  const run = new PartitionRun(planOf({ lateness: 100 }));
  run.read(encodeBatch([sale("a", 0), sale("b", 8), pulse("p", 60), sale("c", 4)]));
  expect(described(run)).toEqual(["k [0, 18) final 1: 2", "k [0, 18) correction 2: 3"]);
});

test("a closed session that a late event lengthens past the watermark is final when it closes", () => {
  const run = new PartitionRun(planOf({ lateness: 100 }));
  run.read(encodeBatch([sale("a", 0), pulse("p", 11), sale("b", 9), pulse("q", 60)]));
  expect(described(run)).toEqual([
    "k [0, 10) final 1: 1",
    "k [0, 10) retraction 2: 1",
    "k [0, 19) final 2: 2",
  ]);
});

test("early sessions that grow are retracted: a reader never sees two that overlap", () => {
  const run = new PartitionRun(planOf({ each: true }));
  run.read(encodeBatch([sale("a", 0)])).read(encodeBatch([sale("b", 5)]));
  expect(described(run)).toEqual([
    "k [0, 10) early 1: 1",
    "k [0, 10) retraction 2: 1",
    "k [0, 15) early 2: 2",
  ]);
});

test("a late event that merges into a live session is not late; alone it would be", () => {
  const run = new PartitionRun(planOf({ disorder: 3 }));
  run.read(encodeBatch([sale("a", 0), sale("b", 8), sale("c", 20), sale("d", 7), sale("e", 1)]));
  run.take();
  // Watermark 16: [0, 18) is live, so 7 joins it and so does 1; for another key 1 would be late.
  expect(run.output.deadLetters).toEqual([]);
  run.read(encodeBatch([sale("f", 1, "other")]));
  expect(run.take().output.deadLetters.map((letter) => letter.eventId)).toEqual(["f"]);
});

const SUMS = { n: { fn: "count" }, cents: { fn: "sum", of: { field: "cents" } } } as const;

const salesArbitrary = fc
  .array(
    fc.record({
      key: fc.constantFrom("a", "b"),
      step: fc.nat(14),
      back: fc.nat(60),
      cents: fc.integer({ min: -99, max: 99 }),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map((drafts) => {
    let now = 0;
    return drafts.map(({ key, step, back, cents }, i): Sale => {
      now += step;
      return { id: String(i), key, time: now - back, cents };
    });
  });

test("with lateness enough for all, sessions are those of the sorted events, in every mode", () => {
  fc.assert(
    fc.property(
      salesArbitrary,
      fc.integer({ min: 1, max: 20 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 7 }),
      (sales, gapMs, each, size) => {
        const run = new PartitionRun(planOf({ gapMs, lateness: 10_000, each, aggregates: SUMS }));
        for (let i = 0; i < sales.length; i += size)
          run.read(encodeBatch(sales.slice(i, i + size)));
        run.read(encodeBatch([pulse("end", 50_000)])).take();
        expect(current(run)).toEqual(naiveSessions(sales, gapMs));
      },
    ),
    { numRuns: RUNS },
  );
});

test("with little lateness the books balance, sessions never overlap, and restarts change nothing", () => {
  fc.assert(
    fc.property(
      salesArbitrary,
      fc.integer({ min: 1, max: 20 }),
      fc.nat(20),
      fc.nat(20),
      fc.boolean(),
      (sales, gapMs, lateness, disorder, each) => {
        const plan = planOf({ gapMs, lateness, disorder, each, aggregates: SUMS });
        const whole = new PartitionRun(plan);
        const broken = new PartitionRun(plan);
        for (const one of [...sales, pulse("end", 50_000)]) {
          whole.read(encodeBatch([one])).take();
          broken
            .read(encodeBatch([one]))
            .take()
            .restart();
        }
        expect(broken.output).toEqual(whole.output);
        expect(digestHex(broken.core)).toBe(digestHex(whole.core));
        const late = new Set(whole.output.deadLetters.map((letter) => letter.eventId));
        const { books } = whole.core.progress();
        expect(books.late).toBe(late.size);
        expect(books.counted).toBe(sales.length - late.size);
        const counted = sales.filter(({ id }) => !late.has(id));
        const total = (rows: string[]) =>
          rows.reduce((sum, row) => sum + Number(/: (\d+) /.exec(row)![1]), 0);
        expect(total(current(whole))).toBe(counted.length);
      },
    ),
    { numRuns: RUNS },
  );
});
