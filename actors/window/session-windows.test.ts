import fc from "fast-check";
import { expect, test } from "vitest";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import type { WindowProjection } from "../../projections/definition/definition.ts";
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

/** Current rows of a reader that replaces by window and drops what is retracted. */
const current = (run: PartitionRun): string[] => {
  const rows = new Map<string, string>();
  for (const update of run.output.updates) {
    const name = `${update.key} [${update.windowStart}, ${update.windowEnd})`;
    if (update.kind === Kind.KIND_RETRACTION) rows.delete(name);
    else rows.set(name, update.values.map((value) => String(value.kind?.value ?? null)).join(" "));
  }
  return [...rows].map(([name, values]) => `${name}: ${values}`).sort();
};

/** Sessions of all events at once: sort, then split where the gap is exceeded. */
const naiveSessions = (sales: readonly Sale[], gapMs: number): string[] => {
  const sessions: { key: string; start: number; end: number; n: number; cents: bigint }[] = [];
  for (const { key, time, cents } of [...sales].sort((a, b) => a.time - b.time)) {
    const open = sessions.findLast((session) => session.key === key);
    if (open !== undefined && time <= open.end) {
      open.end = Math.max(open.end, time + gapMs);
      open.n++;
      open.cents += BigInt(cents!);
    } else {
      sessions.push({ key, start: time, end: time + gapMs, n: 1, cents: BigInt(cents!) });
    }
  }
  return sessions.map((s) => `${s.key} [${s.start}, ${s.end}): ${s.n} ${s.cents}`).sort();
};

const SUMS = { n: { fn: "count" }, cents: { fn: "sum", of: { field: "cents" } } } as const;

const permutations = <T>(items: readonly T[]): T[][] =>
  items.length < 2
    ? [[...items]]
    : items.flatMap((item, i) =>
        permutations([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest]),
      );

test("S2: every permutation of up to seven events gives one final result", () => {
  const cases = [
    // A chain in which each touches the next, and one in which none does.
    [0, 10, 20, 30, 40, 50, 60],
    [0, 11, 22, 33, 44, 55, 66],
    [0, 11, 22, 5, 16],
    [0, 3, 25, 28, 14, 50, 39],
    [7, 7, 7, 18, 29, -4],
    // One bridge joins two sessions, two bridges three.
    [0, 4, 15, 19, 9],
    [0, 20, 40, 10, 30, 60, 71],
  ];
  for (const times of cases) {
    const sales = times.map((time, i) => ({ id: String(i), key: "", time, cents: i + 1 }));
    const orders = permutations(sales);
    // Each order has a key and an age of its own, in which nothing has closed yet.
    const AGE_MS = 10_000;
    const INGEST = 1_000_000_000;
    const run = new PartitionRun(planOf({ lateness: 1000, aggregates: SUMS }));
    orders.forEach((order, age) => {
      const moved = order.map(({ id, time, cents }) => ({
        id: `${age}-${id}`,
        key: String(age),
        time: time + age * AGE_MS,
        cents,
      }));
      run.read(encodeBatch(moved, INGEST)).take();
    });
    run.read(encodeBatch([pulse("end", orders.length * AGE_MS)], INGEST)).take();
    const results = orders.map((): string[] => []);
    for (const row of current(run)) {
      const [, key, start, end, values] = /^(\d+) \[(.*), (.*)\): (.*)$/.exec(row)!;
      const shift = Number(key) * AGE_MS;
      const bounds = `[${Number(start) - shift}, ${Number(end) - shift})`;
      results[Number(key)]!.push(` ${bounds}: ${values}`);
    }
    const distinct = new Set(results.map((rows) => rows.sort().join("\n")));
    expect([...distinct]).toEqual([naiveSessions(sales, 10).join("\n")]);
  }
});

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
