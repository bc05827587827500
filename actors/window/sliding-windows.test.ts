import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import type { WindowProjection } from "../../projections/definition/definition.ts";
import type { ProjectionCore } from "../task/projection-core.ts";
import { encodeBatch, PULSE, salesPlan, topicPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { describeUpdate, digestHex, PartitionRun } from "../testkit/run.ts";
import { LIVES, OperatorRun } from "./operator-run.suite.ts";
import type { RunSettings } from "./operator-run.suite.ts";
import { SlidingWindows } from "./sliding-windows.ts";

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

/**
 * The sums of a range's slices, in the order of time; but those of an aligned block of 16^level ms that lies
 * within it are summed first if they are eight or more.
 */
const sumOf = (
  slices: readonly (readonly [time: number, sum: number])[],
  start: number,
  end: number,
  level = 6,
): readonly number[] => {
  if (level === 0) return slices.map(([, sum]) => sum);
  const span = 16 ** level;
  const groups = new Map<number, (readonly [number, number])[]>();
  for (const slice of slices) {
    const from = Math.floor(slice[0] / span) * span;
    groups.set(from, [...(groups.get(from) ?? []), slice]);
  }
  return [...groups].flatMap(([from, group]) =>
    group.length >= 8 && from >= start && from + span <= end
      ? [total(sumOf(group, from, from + span, level - 1))]
      : sumOf(group, start, end, level - 1),
  );
};
const total = (sums: readonly number[]): number => sums.reduce((sum, each) => sum + each, 0);

/** The definition, read aloud; sums in the order of time, then of arrival. */
const naive = (sales: readonly Sale[], sizeMs: number) =>
  new Map(
    sales.map(({ key, time: end }) => {
      const inside = sales
        .filter((other) => other.key === key && other.time > end - sizeMs && other.time <= end)
        .sort((a, b) => a.time - b.time);
      // Slices are sums of their own: events of one time are added before times are.
      const times = [...new Set(inside.map((other) => other.time))];
      const slices = times.map((time) => {
        const weights = inside.filter((other) => other.time === time).map((o) => o.weight!);
        return [time, total(weights)] as const;
      });
      const sum = total(sumOf(slices, end - sizeMs + 1, end + 1));
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

/** Some 100 events of one key, of which some come late, and windows of up to two seconds. */
const denseArbitrary = fc.record({
  sales: fc.array(
    fc.record({
      back: fc.nat(40),
      late: fc.nat(9),
      weight: fc.double({ noNaN: true, min: 0, max: 1 }),
    }),
    { minLength: 60, maxLength: 120 },
  ),
  sizeMs: fc.integer({ min: 16, max: 2_000 }),
  from: fc.integer({ min: -3_000, max: 1_000 }),
  step: fc.integer({ min: 1, max: 5 }),
  each: fc.boolean(),
  restartAt: fc.nat(120),
});

test("K1: windows of many slices are put together in blocks that do not depend on what came before", () => {
  fc.assert(
    fc.property(denseArbitrary, ({ sales: drafts, sizeMs, from, step, each, restartAt }) => {
      const sales = drafts.map(({ back, late, weight }, i): Sale => {
        const time = from + i * step - back - (late === 0 ? 300 : 0);
        return { id: String(i), key: "k", time, weight };
      });
      const plan = planOf(
        {
          window: { kind: "sliding", sizeMs },
          allowedLatenessMs: 10_000,
          aggregates: SUMS,
          emit: { mode: each ? "each" : "final" },
        },
        40,
      );
      const run = new PartitionRun(plan);
      for (let i = 0; i < sales.length; i += 5) {
        run.read(encodeBatch(sales.slice(i, i + 5))).take();
        if (i <= restartAt && restartAt < i + 5) run.restart();
      }
      run.read(encodeBatch([pulse("end", 50_000)])).take();
      expect(current(run)).toEqual(naive(sales, sizeMs));
      const { core } = run as { readonly core: unknown };
      expect((core as ProjectionCore).size()).toEqual({ keys: 0, windows: 0, slots: 0 });
    }),
    { numRuns: Math.ceil(RUNS / 10) },
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

interface Settings extends RunSettings {
  readonly lateness?: number;
  readonly early?: boolean;
}

describe.each(LIVES)("sliding windows by hand, $life", ({ restarts }) => {
  const sliding = (settings: Settings = {}) =>
    new OperatorRun(
      (store, publisher) =>
        new SlidingWindows({
          store,
          publisher,
          sizeMs: 10,
          allowedLatenessMs: settings.lateness ?? 0,
          publishesEarly: settings.early ?? false,
        }),
      { ...settings, restarts },
    );

  test("section 4: the window of an event at t is (t - size, t], and closes when W reaches t", () => {
    const run = sliding();
    run.add(["a", 0], ["b", 9], ["c", 10], ["x", 5, "other"]);
    expect(run.operator.nextDue).toBe(0);
    run.pass(-1);
    expect(run.take()).toEqual([]);
    run.pass(0);
    expect(run.take()).toEqual(["k [-9, 1) final 1: a"]);
    expect(run.operator.nextDue).toBe(5);
    run.pass(9);
    expect(run.take()).toEqual(["other [-4, 6) final 1: x", "k [0, 10) final 1: ab"]);
    run.pass(10);
    expect(run.take()).toEqual(["k [1, 11) final 1: bc"]);
  });

  test("an event counts in all later windows that hold its time, in the order of time", () => {
    const run = sliding();
    run.add(["d", 19], ["c", 10], ["a", 5], ["e", 15], ["b", 5]);
    run.pass(100);
    expect(run.take()).toEqual([
      "k [-4, 6) final 1: ab",
      "k [1, 11) final 1: abc",
      "k [6, 16) final 1: ce",
      "k [10, 20) final 1: ced",
    ]);
    expect(run.sizes).toEqual({ keys: 0, windows: 0, slots: 0 });
    expect(run.operator.nextDue).toBe(Number.POSITIVE_INFINITY);
  });

  test("section 4: a late event corrects all closed windows that hold its time, at once", () => {
    const run = sliding({ lateness: 100 });
    run.add(["a", 0], ["b", 6], ["c", 14], ["d", 15], ["e", 16]);
    run.pass(15);
    run.take();
    expect(run.add(["x", 5], ["y", 6])).toEqual(["counted", "counted"]);
    expect(run.take()).toEqual([
      "k [-4, 6) final 1: ax by row 0",
      "k [-3, 7) correction 2: axb by row 0",
      "k [5, 15) correction 2: xbc by row 0",
      "k [-3, 7) correction 3: axby by row 1",
      "k [5, 15) correction 3: xbyc by row 1",
      "k [6, 16) correction 2: bycd by row 1",
    ]);
    run.pass(16);
    expect(run.take()).toEqual(["k [7, 17) final 1: cde"]);
  });

  test("section 4: an event's window expires when W reaches t + allowed lateness", () => {
    const run = sliding({ lateness: 5 });
    run.pass(4);
    expect(run.add(["a", 0])).toEqual(["counted"]);
    run.pass(5);
    expect(run.add(["b", 0, "other"], ["c", -1, "other"])).toEqual([
      "late [-9, 1)",
      "late [-10, 0)",
    ]);
    // For this key it is no window's time but its own.
    expect(run.add(["d", 0])).toEqual(["late [-9, 1)"]);
    expect(run.take()).toEqual(["k [-9, 1) final 1: a by row 0"]);
  });

  test("section 4: an event whose window has expired counts in later ones that have not", () => {
    const run = sliding({ lateness: 5 });
    run.add(["a", 8], ["b", 9], ["x", 30]);
    run.pass(13);
    // 8 has expired, 9 has not: 0 is in [0, 10) of 9, and -1 is not.
    expect(run.add(["c", 0], ["d", -1], ["e", 0])).toEqual(["counted", "late [-1, 9)", "counted"]);
    expect(run.take()).toEqual([
      "k [-1, 9) final 1: a",
      "k [0, 10) final 1: ab",
      "k [0, 10) correction 2: cab by row 0",
      "k [0, 10) correction 3: ceab by row 2",
    ]);
    run.pass(14);
    expect(run.add(["f", 0])).toEqual(["late [0, 10)"]);
    run.pass(100);
    expect(run.take()).toEqual(["k [21, 31) final 1: x"]);
  });

  test("J2: a slice is kept until no window can need it, and no longer", () => {
    const run = sliding({ lateness: 5 });
    run.add(["a", 0]);
    run.pass(0);
    expect([run.operator.nextDue, run.sizes]).toEqual([14, { keys: 1, windows: 1, slots: 2 }]);
    run.pass(13);
    expect(run.sizes).toEqual({ keys: 1, windows: 1, slots: 2 });
    run.add(["b", 9]);
    expect(run.take()).toEqual(["k [-9, 1) final 1: a", "k [0, 10) final 1: ab by row 0"]);
    run.pass(14);
    expect([run.operator.nextDue, run.sizes]).toEqual([23, { keys: 1, windows: 1, slots: 2 }]);
    run.pass(23);
    expect([run.take(), run.sizes]).toEqual([[], { keys: 0, windows: 0, slots: 0 }]);
  });

  test("J2: a slice whose own window had expired is kept as long, without one", () => {
    const run = sliding({ lateness: 5 });
    run.add(["a", 9]);
    run.pass(13);
    run.add(["b", 1]);
    expect(run.sizes).toEqual({ keys: 1, windows: 2, slots: 3 });
    run.pass(15);
    expect(run.sizes).toEqual({ keys: 1, windows: 1, slots: 2 });
  });

  test("section 5: a window has one final, however near to its close its event comes", () => {
    const run = sliding({ lateness: 5 });
    run.pass(4);
    run.add(["a", 5], ["b", 4, "closed"]);
    expect(run.take()).toEqual(["closed [-5, 5) final 1: b by row 1"]);
    run.pass(5);
    expect(run.take()).toEqual(["k [-4, 6) final 1: a"]);
    run.pass(50);
    expect([run.take(), run.operator.windows]).toEqual([[], 0]);
  });

  test("section 8: a late event's window is its own, if those after it had expired unseen", () => {
    const run = sliding({ lateness: 5 });
    run.add(["a", 12]);
    run.pass(16);
    // Its own window has expired, that of 12 has not.
    expect(run.add(["b", 7])).toEqual(["counted"]);
    expect(run.add(["c", 0])).toEqual(["late [-9, 1)"]);
  });

  test("windows stay what they are when slots are used again in another order", () => {
    const run = sliding({ lateness: 5, early: true });
    run.add(["a", 0], ["b", 12]);
    run.pass(14);
    run.take();
    // Slices without windows of their own take the slots of the one that was forgotten.
    run.add(["c", 3], ["d", 4]);
    run.pass(18);
    run.add(["e", 30]);
    run.early();
    run.pass(30);
    run.add(["f", 25]);
    expect(run.take()).toEqual([
      "k [3, 13) correction 2: cb by row 0",
      "k [3, 13) correction 3: cdb by row 1",
      "k [21, 31) early 1: e",
      "k [21, 31) final 2: e",
      "k [21, 31) correction 3: fe by row 0",
    ]);
    run.pass(50);
    expect(run.sizes).toEqual({ keys: 0, windows: 0, slots: 0 });
  });

  test("windows that close together are published in the order in which they came to be", () => {
    const run = sliding();
    run.add(["a", 7, "z"], ["b", 5, "y"], ["c", 7, "a"], ["d", 7, "m"], ["e", 5, "b"]);
    run.pass(50);
    expect(run.take()).toEqual([
      "y [-4, 6) final 1: b",
      "b [-4, 6) final 1: e",
      "z [-2, 8) final 1: a",
      "a [-2, 8) final 1: c",
      "m [-2, 8) final 1: d",
    ]);
  });

  describe("early updates", () => {
    test("are of the windows that changed since they were last published, in that order", () => {
      const run = sliding({ early: true });
      run.add(["a", 5], ["b", 0], ["c", 20]);
      run.early();
      run.early();
      expect(run.take()).toEqual([
        "k [-4, 6) early 1: ba",
        "k [-9, 1) early 1: b",
        "k [11, 21) early 1: c",
      ]);
      run.add(["d", 3]);
      run.pass(3);
      run.early();
      expect(run.take()).toEqual([
        "k [-9, 1) final 2: b",
        "k [-6, 4) final 1: bd",
        "k [-4, 6) early 2: bda",
      ]);
    });

    test("are none of windows that a correction has published", () => {
      const run = sliding({ early: true, lateness: 50 });
      run.add(["a", 0], ["b", 9]);
      run.pass(0);
      run.add(["c", 0]);
      run.early();
      expect(run.take()).toEqual([
        "k [-9, 1) final 1: a",
        "k [-9, 1) correction 2: ac by row 0",
        "k [0, 10) early 1: acb",
      ]);
    });

    test("are none where only finals are wanted", () => {
      const run = sliding();
      run.add(["a", 5]);
      run.early();
      expect(run.take()).toEqual([]);
    });

    test("by events: an event is one of each window that it changes", () => {
      const run = sliding({ early: true, everyEvents: 3 });
      run.add(["a", 9], ["b", 5], ["c", 7]);
      expect(run.take()).toEqual(["k [0, 10) early 1: bca"]);
      run.add(["d", 5], ["e", 4]);
      expect(run.take()).toEqual(["k [-4, 6) early 1: ebd", "k [-2, 8) early 1: ebdc"]);
    });
  });

  describe("where code of the user's accumulates", () => {
    test("an event that it refuses makes no slice and changes no window", () => {
      const run = sliding({ tries: true });
      const refused = "aggregates.short.add threw RangeError: not a letter";
      expect(run.add(["a", 0], ["!", 0], ["!", 4], ["b", 5], ["c", 5])).toEqual([
        "counted",
        refused,
        refused,
        "counted",
        "counted",
      ]);
      expect(run.operator.windows).toBe(2);
      run.pass(100);
      expect(run.take()).toEqual(["k [-9, 1) final 1: a a", "k [-4, 6) final 1: abc abc"]);
    });

    test("it sees the events of the same time", () => {
      const run = sliding({ tries: true });
      run.add(["a", 5], ["b", 5], ["c", 5], ["d", 5]);
      expect(run.add(["e", 5], ["f", 25])).toEqual([
        "aggregates.short.result threw RangeError: abcde is too long",
        "counted",
      ]);
      run.pass(100);
      expect(run.take()).toEqual(["k [-4, 6) final 1: abcd abcd", "k [16, 26) final 1: f f"]);
    });
  });
});
