import fc from "fast-check";
import { expect, test } from "vitest";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import type { WindowProjection } from "../../projections/definition/definition.ts";
import type { ProjectionCore } from "../task/projection-core.ts";
import { encodeBatch, PULSE, salesPlan, topicPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { describeUpdate, digestHex, PartitionRun } from "../testkit/run.ts";

const RUNS = propertyRuns(300);
const COUNT = { n: { fn: "count" } } as const;
const SUMS = { n: { fn: "count" }, weight: { fn: "sum", of: { field: "weight" } } } as const;

const planOf = (changes: Partial<WindowProjection> = {}, disorder = 0) =>
  salesPlan(
    { window: { kind: "sliding", sizeMs: 10 }, aggregates: COUNT, ...changes },
    topicPlan({ maxOutOfOrdernessMs: disorder }),
  );

const sale = (id: string, time: number, key = "k"): Sale => ({ id, key, time });
const pulse = (id: string, time: number): Sale => ({ id, key: id, time, type: PULSE.name });
const described = (run: PartitionRun) => run.take().output.updates.map(describeUpdate);

test("each event's window is the size up to and with its time", () => {
  const run = new PartitionRun(planOf({}, 100));
  run.read(encodeBatch([sale("a", 0), sale("b", 9), sale("c", 10), sale("d", 19)]));
  run.read(encodeBatch([pulse("p", 500)]));
  expect(described(run)).toEqual([
    "k [-9, 1) final 1: 1",
    "k [0, 10) final 1: 2",
    "k [1, 11) final 1: 2",
    "k [10, 20) final 1: 2",
  ]);
});

test("events of one time share a window", () => {
  const run = new PartitionRun(planOf({}, 5));
  run.read(encodeBatch([sale("a", 3), sale("b", 3), pulse("p", 500)]));
  expect(described(run)).toEqual(["k [-6, 4) final 1: 2"]);
});

test("a late event makes its own window and corrects those after it", () => {
  const run = new PartitionRun(planOf({ allowedLatenessMs: 50 }));
  run.read(encodeBatch([sale("a", 0), sale("b", 8), pulse("p", 30), sale("c", 5)]));
  expect(described(run)).toEqual([
    "k [-9, 1) final 1: 1",
    "k [-1, 9) final 1: 2",
    "k [-4, 6) final 1: 2",
    "k [-1, 9) correction 2: 3",
  ]);
});

test("an event whose own window has expired still counts in a later one that has not", () => {
  const run = new PartitionRun(planOf({ allowedLatenessMs: 4 }));
  run.read(encodeBatch([sale("a", 8), pulse("p", 11), sale("b", 5), sale("c", -5)]));
  expect(described(run)).toEqual(["k [-1, 9) final 1: 1", "k [-1, 9) correction 2: 2"]);
  expect(run.output.deadLetters.map((letter) => letter.eventId)).toEqual(["c"]);
});

const salesArbitrary = fc
  .array(
    fc.record({
      key: fc.constantFrom("a", "b"),
      step: fc.nat(6),
      back: fc.nat(40),
      weight: fc.double({ noNaN: true, min: -1e9, max: 1e9 }),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map((drafts) => {
    let now = 0;
    return drafts.map(({ key, step, back, weight }, i): Sale => {
      now += step;
      return { id: String(i), key, time: now - back, weight };
    });
  });

/** Last values by window of what was published. */
const current = (run: PartitionRun) =>
  new Map(
    run.output.updates.map((update) => {
      expect(update.kind).not.toBe(Kind.KIND_RETRACTION);
      const values = update.values.map((value) => value.kind?.value ?? null);
      return [`${update.key} ${update.windowEnd - 1}`, values] as const;
    }),
  );

/** The definition, read aloud; sums in the order of time, then of arrival. */
const naive = (sales: readonly Sale[], sizeMs: number) =>
  new Map(
    sales.map(({ key, time: end }) => {
      const inside = sales
        .filter((other) => other.key === key && other.time > end - sizeMs && other.time <= end)
        .sort((a, b) => a.time - b.time);
      // Slices are sums of their own: events of one time are added before times are.
      const times = [...new Set(inside.map((other) => other.time))];
      const slices = times.map((time) =>
        inside.filter((other) => other.time === time).reduce((sum, o) => sum + o.weight!, 0),
      );
      const sum = slices.reduce((total, slice) => total + slice, 0);
      return [`${key} ${end}`, [String(inside.length), sum]] as const;
    }),
  );

test("with lateness enough for all, windows are those of the definition, in every mode", () => {
  fc.assert(
    fc.property(
      salesArbitrary,
      fc.integer({ min: 1, max: 20 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 7 }),
      (sales, sizeMs, each, size) => {
        const run = new PartitionRun(
          planOf({
            window: { kind: "sliding", sizeMs },
            allowedLatenessMs: 10_000,
            aggregates: SUMS,
            emit: { mode: each ? "each" : "final" },
          }),
        );
        for (let i = 0; i < sales.length; i += size)
          run.read(encodeBatch(sales.slice(i, i + size)));
        run.read(encodeBatch([pulse("end", 50_000)])).take();
        expect(current(run)).toEqual(naive(sales, sizeMs));
        const { core } = run as { readonly core: unknown };
        expect((core as ProjectionCore).size()).toEqual({ keys: 0, windows: 0, slots: 0 });
      },
    ),
    { numRuns: RUNS },
  );
});

test("with little lateness a restart anywhere changes nothing, and the books balance", () => {
  fc.assert(
    fc.property(
      salesArbitrary,
      fc.integer({ min: 1, max: 20 }),
      fc.nat(20),
      fc.nat(20),
      fc.boolean(),
      (sales, sizeMs, allowedLatenessMs, disorder, each) => {
        const plan = planOf(
          {
            window: { kind: "sliding", sizeMs },
            allowedLatenessMs,
            aggregates: SUMS,
            emit: { mode: each ? "each" : "final" },
          },
          disorder,
        );
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
        const { books } = whole.core.progress();
        expect(books.counted + books.late).toBe(sales.length);
        expect(books.late).toBe(whole.output.deadLetters.length);
      },
    ),
    { numRuns: RUNS },
  );
});

test("a global window gives running totals and never closes", () => {
  const run = new PartitionRun(planOf({ window: { kind: "global" }, emit: { mode: "each" } }));
  run.read(encodeBatch([sale("a", -5), sale("b", 7)])).read(encodeBatch([sale("c", 1)]));
  expect(run.take().output.updates.map((update) => update.values[0]!.kind?.value)).toEqual([
    "2",
    "3",
  ]);
  expect(run.output.updates.every((update) => update.kind === Kind.KIND_EARLY)).toBe(true);
  expect(run.output.deadLetters).toEqual([]);
});
