import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { WindowProjection } from "../../projections/definition/definition.ts";
import { current, naiveSessions } from "./naive-sessions.suite.ts";
import { LIVES, OperatorRun } from "./operator-run.suite.ts";
import type { RunSettings } from "./operator-run.suite.ts";
import { SessionWindows } from "./session-windows.ts";
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

interface Settings extends RunSettings {
  readonly gapMs?: number;
  readonly lateness?: number;
  readonly early?: boolean;
}

describe.each(LIVES)("sessions by hand, $life", ({ restarts }) => {
  const sessions = (settings: Settings = {}) =>
    new OperatorRun(
      (store, publisher) =>
        new SessionWindows({
          store,
          publisher,
          gapMs: settings.gapMs ?? 10,
          allowedLatenessMs: settings.lateness ?? 0,
          publishesEarly: settings.early ?? false,
        }),
      { ...settings, restarts },
    );

  test("section 4: a session closes when the watermark reaches its end - 1", () => {
    const run = sessions();
    run.add(["a", 0], ["b", 5]);
    expect([run.operator.nextDue, run.sizes]).toEqual([14, { keys: 1, windows: 1, slots: 1 }]);
    run.pass(13);
    expect(run.take()).toEqual([]);
    run.pass(14);
    expect(run.take()).toEqual(["k [0, 15) final 1: ab"]);
    expect(run.sizes).toEqual({ keys: 0, windows: 0, slots: 0 });
    expect(run.operator.nextDue).toBe(Number.POSITIVE_INFINITY);
  });

  test("section 4: it takes events until end - 1 + allowed lateness, as corrections", () => {
    const run = sessions({ lateness: 5 });
    run.add(["a", 0]);
    run.pass(9);
    expect(run.operator.nextDue).toBe(14);
    run.pass(13);
    expect(run.add(["b", 0])).toEqual(["counted"]);
    expect(run.take()).toEqual(["k [0, 10) final 1: a", "k [0, 10) correction 2: ab by row 0"]);
    run.pass(14);
    expect(run.add(["c", 0], ["d", -3])).toEqual(["late [0, 10)", "late [-3, 7)"]);
    expect([run.take(), run.operator.windows]).toEqual([[], 0]);
  });

  test("section 4: what an event forms with a live session decides whether it is late", () => {
    const run = sessions();
    run.add(["a", 10]);
    run.pass(18);
    // [0, 20), with the live session that it touches, has not expired; [-1, 9) has.
    expect(run.add(["x", -1], ["b", 0], ["y", -11])).toEqual([
      "late [-1, 9)",
      "counted",
      "late [-11, -1)",
    ]);
    run.pass(19);
    expect(run.take()).toEqual(["k [0, 20) final 1: ab"]);
  });

  test("section 4: sessions that touch merge, on either side, and those a millisecond apart do not", () => {
    const touching = sessions();
    touching.add(["b", 20], ["d", 60], ["a", 10], ["e", 70]);
    touching.pass(100);
    expect(touching.take()).toEqual(["k [10, 30) final 1: ba", "k [60, 80) final 1: de"]);
    const apart = sessions();
    apart.add(["b", 20], ["d", 60], ["a", 9], ["e", 71]);
    expect(apart.operator.windows).toBe(4);
    apart.pass(100);
    expect(apart.take()).toEqual([
      "k [9, 19) final 1: a",
      "k [20, 30) final 1: b",
      "k [60, 70) final 1: d",
      "k [71, 81) final 1: e",
    ]);
  });

  test("S1: one event merges those that it reaches, and no other session of any key", () => {
    const run = sessions({ gapMs: 5 });
    run.add(["a", 0], ["b", 20], ["c", 29], ["d", 50], ["x", 24, "other"]);
    run.add(["e", 25]);
    expect(run.operator.windows).toBe(4);
    run.pass(100);
    expect(run.take()).toEqual([
      "k [0, 5) final 1: a",
      "other [24, 29) final 1: x",
      "k [20, 34) final 1: bce",
      "k [50, 55) final 1: d",
    ]);
  });

  test("an event inside a session leaves its bounds", () => {
    const run = sessions();
    run.add(["a", 0], ["b", 10], ["c", 20], ["d", 7], ["e", 20], ["f", 0]);
    run.pass(100);
    expect(run.take()).toEqual(["k [0, 30) final 1: abcdef"]);
  });

  test("sessions that close together are published in the order in which they came to be", () => {
    const run = sessions();
    run.add(["a", 5, "z"], ["b", 5, "a"], ["c", 5, "m"]);
    // It grows where it stands.
    run.add(["d", 8, "a"], ["e", 8, "z"], ["f", 8, "m"]);
    run.pass(50);
    expect(run.take()).toEqual([
      "z [5, 18) final 1: ae",
      "a [5, 18) final 1: bd",
      "m [5, 18) final 1: cf",
    ]);
  });

  test("of a key's sessions one can expire before, between and after others", () => {
    const run = sessions();
    run.add(["a", 0], ["b", 20], ["c", 40]);
    run.pass(9);
    run.add(["d", 41]);
    run.pass(29);
    expect(run.add(["e", 15], ["f", 31])).toEqual(["late [15, 25)", "counted"]);
    expect(run.sizes).toEqual({ keys: 1, windows: 1, slots: 1 });
    run.pass(100);
    expect(run.take()).toEqual([
      "k [0, 10) final 1: a",
      "k [20, 30) final 1: b",
      "k [31, 51) final 1: cdf",
    ]);
    expect(run.sizes).toEqual({ keys: 0, windows: 0, slots: 0 });
  });

  test("S3: what was published and is absorbed is retracted; what was not goes without a word", () => {
    const run = sessions({ lateness: 100 });
    run.add(["a", 0], ["b", 18]);
    run.pass(9);
    run.add(["c", 9]);
    expect(run.take()).toEqual(["k [0, 10) final 1: a", "k [0, 10) retraction 2: a by row 0"]);
    expect(run.operator.nextDue).toBe(27);
    run.pass(27);
    // The merged session still has its one final to give: it closes now.
    expect(run.take()).toEqual(["k [0, 28) final 2: abc"]);
    run.pass(127);
    expect([run.take(), run.operator.windows]).toEqual([[], 0]);
  });

  test("S3: the merged session's revision follows the greatest that it absorbed, on either side", () => {
    const run = sessions({ lateness: 100 });
    run.add(["a", 0], ["b", 18]);
    run.add(["x", 0, "other"], ["y", 18, "other"]);
    run.pass(50);
    run.add(["c", 2], ["d", 3], ["z", 19, "other"], ["w", 17, "other"]);
    run.take();
    run.add(["e", 9], ["v", 9, "other"]);
    expect(run.take().filter((line) => line.startsWith("k"))).toEqual([
      "k [0, 13) retraction 4: acd by row 0",
      "k [18, 28) retraction 2: b by row 0",
      "k [0, 28) correction 4: acdbe by row 0",
    ]);
  });

  test("S3: a closed session that nobody has seen has a final, not a correction", () => {
    const run = sessions({ lateness: 100 });
    run.pass(50);
    run.add(["a", 0], ["b", 5]);
    expect(run.take()).toEqual([
      "k [0, 10) final 1: a by row 0",
      "k [0, 10) retraction 2: a by row 1",
      "k [0, 15) correction 2: ab by row 1",
    ]);
  });

  test("section 5: a session that comes to be at the very watermark that closes it has one final", () => {
    const run = sessions({ lateness: 5 });
    run.pass(9);
    run.add(["a", 0]);
    expect(run.operator.nextDue).toBe(14);
    run.pass(20);
    expect(run.take()).toEqual(["k [0, 10) final 1: a by row 0"]);
  });

  test("a correction holds all events of its batch up to its own, in log order", () => {
    const run = sessions({ lateness: 100 });
    run.add(["a", 0]);
    run.pass(9);
    run.add(["b", 50], ["c", 1, "other"], ["d", 0], ["e", 51], ["f", 0]);
    expect(run.take()).toEqual([
      "k [0, 10) final 1: a",
      "k [0, 10) correction 2: ad by row 2",
      "k [0, 10) correction 3: adf by row 4",
    ]);
  });

  describe("early updates", () => {
    test("are of what changed, in the order of change; a session that grew is retracted first", () => {
      const run = sessions({ early: true });
      run.add(["a", 5, "z"], ["b", 0, "y"]);
      run.early();
      run.early();
      run.add(["c", 8, "z"], ["d", 0, "y"], ["e", 6, "z"]);
      run.early();
      expect(run.take()).toEqual([
        "z [5, 15) early 1: a",
        "y [0, 10) early 1: b",
        "z [5, 15) retraction 2: a by row 0",
        "z [5, 18) early 2: ace",
        "y [0, 10) early 2: bd",
      ]);
      run.pass(50);
      run.early();
      expect(run.take()).toEqual(["y [0, 10) final 3: bd", "z [5, 18) final 3: ace"]);
    });

    test("are none of sessions that were absorbed, nor of those that have had their final", () => {
      const run = sessions({ early: true, lateness: 100 });
      run.add(["a", 0], ["b", 18], ["c", 9], ["x", 60]);
      run.pass(30);
      run.add(["d", 4]);
      run.early();
      expect(run.take()).toEqual([
        "k [0, 28) final 1: abc",
        "k [0, 28) correction 2: abcd by row 0",
        "k [60, 70) early 1: x",
      ]);
    });

    test("are none where only finals are wanted", () => {
      const run = sessions();
      run.add(["a", 5]);
      run.early();
      expect(run.take()).toEqual([]);
    });

    test("by events: a merged session has had those of all that it absorbed", () => {
      const run = sessions({ early: true, everyEvents: 5 });
      run.add(["a", 0], ["b", 18], ["c", 1], ["d", 18]);
      expect(run.take()).toEqual([]);
      run.add(["e", 9]);
      expect(run.take()).toEqual(["k [0, 28) early 1: acbde"]);
      run.add(["f", 9], ["g", 9]);
      run.add(["h", 30]);
      expect(run.take()).toEqual([]);
      // It grows and is retracted, but counts on.
      run.add(["i", 20], ["j", 20]);
      expect(run.take()).toEqual([
        "k [0, 28) retraction 2: acbdefg by row 0",
        "k [0, 40) early 2: acbdefghij",
      ]);
    });
  });

  describe("where code of the user's accumulates", () => {
    test("an event that it refuses opens and merges nothing", () => {
      const run = sessions({ tries: true });
      const refused = "aggregates.short.add threw RangeError: not a letter";
      expect(run.add(["a", 0], ["b", 18], ["!", 9], ["!", 99], ["c", 18])).toEqual([
        "counted",
        "counted",
        refused,
        refused,
        "counted",
      ]);
      run.pass(200);
      expect(run.take()).toEqual(["k [0, 10) final 1: a a", "k [18, 28) final 1: bc bc"]);
    });

    test("it sees all that the merged session would hold", () => {
      const run = sessions({ tries: true });
      run.add(["a", 0], ["b", 0], ["c", 18], ["d", 18]);
      expect(run.add(["e", 9], ["f", 30])).toEqual([
        "aggregates.short.result threw RangeError: abcde is too long",
        "counted",
      ]);
      run.pass(200);
      expect(run.take()).toEqual([
        "k [0, 10) final 1: ab ab",
        "k [18, 28) final 1: cd cd",
        "k [30, 40) final 1: f f",
      ]);
    });
  });
});
