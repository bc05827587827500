import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { EarlyTriggers, WindowDefinition } from "../../projections/definition/definition.ts";
import { encodeBatch, PULSE, salesPlan, topicPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { describeUpdate, digestHex, PartitionRun } from "../testkit/run.ts";

const GLOBAL: WindowDefinition = { kind: "global" };
const [FROM, TO] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];

const planOf = (
  window: WindowDefinition,
  triggers: EarlyTriggers,
  { disorder = 0, lateness = 0 } = {},
) =>
  salesPlan(
    {
      window,
      emit: { mode: "early", ...triggers },
      allowedLatenessMs: lateness,
      aggregates: { n: { fn: "count" } },
    },
    topicPlan({ maxOutOfOrdernessMs: disorder }),
  );

let ids = 0;
const sale = (time: number, key = "k"): Sale => ({ id: `e${ids++}`, key, time });
const pulse = (time: number): Sale => ({ id: `e${ids++}`, key: "p", time, type: PULSE.name });
const described = (run: PartitionRun) =>
  run
    .take()
    .output.updates.splice(0)
    .map(describeUpdate)
    .map((line) => line.replace(` [${FROM}, ${TO})`, ""));

describe("everyEvents", () => {
  test("publishes a key of a global window at each so many of its events", () => {
    const run = new PartitionRun(planOf(GLOBAL, { everyEvents: 2 }));
    run.read(encodeBatch([sale(1), sale(2, "x"), sale(3), sale(4), sale(5, "x")]));
    run.read(encodeBatch([sale(6)]));
    expect(described(run)).toEqual(["k early 1: 2", "x early 1: 2", "k early 2: 4"]);
  });

  test("of 1 has a watermark at the very first event", () => {
    const run = new PartitionRun(planOf(GLOBAL, { everyEvents: 1 }, { disorder: 10 }));
    run.read(encodeBatch([sale(100), sale(90)])).take();
    expect(run.output.updates).toMatchObject([
      { watermark: 89, index: 0 },
      { watermark: 89, index: 1 },
    ]);
  });

  test("counts from the last update of any kind, and corrections are at once", () => {
    const window: WindowDefinition = { kind: "tumbling", sizeMs: 10, offsetMs: 0 };
    const run = new PartitionRun(planOf(window, { everyEvents: 3 }, { lateness: 100 }));
    run.read(encodeBatch([sale(1), sale(2), sale(3), sale(4), pulse(20), sale(5), sale(6)]));
    expect(described(run)).toEqual([
      "k [0, 10) early 1: 3",
      "k [0, 10) final 2: 4",
      "k [0, 10) correction 3: 5",
      "k [0, 10) correction 4: 6",
    ]);
  });

  test("adds up what sessions had that merge", () => {
    const run = new PartitionRun(
      planOf({ kind: "session", gapMs: 10 }, { everyEvents: 5 }, { disorder: 100 }),
    );
    run.read(encodeBatch([sale(0), sale(1), sale(18), sale(19), sale(9)]));
    expect(described(run)).toEqual(["k [0, 29) early 1: 5"]);
  });

  test("counts the events in a sliding window", () => {
    const run = new PartitionRun(
      planOf({ kind: "sliding", sizeMs: 10 }, { everyEvents: 2 }, { disorder: 100 }),
    );
    run.read(encodeBatch([sale(5), sale(8), sale(3)]));
    // 8 alone has had one event of its own; the event at 3 is the second in the windows of 5 and 8.
    expect(described(run)).toEqual(["k [-4, 6) early 1: 2", "k [-1, 9) early 1: 3"]);
  });
});

describe("everyEventTimeMs", () => {
  test("publishes what changed when event time passes a multiple, not at the first event", () => {
    const run = new PartitionRun(planOf(GLOBAL, { everyEventTimeMs: 100 }));
    run.read(encodeBatch([sale(150), sale(160, "x"), sale(199), sale(200)]));
    expect(described(run)).toEqual([]);
    // The watermark is 199 before this event and 200 after it.
    run.read(encodeBatch([sale(201)]));
    expect(described(run)).toEqual(["k early 1: 4", "x early 1: 1"]);
    run.read(encodeBatch([pulse(450), sale(451)]));
    expect(described(run)).toEqual([]);
    run.read(encodeBatch([pulse(500), pulse(501)]));
    expect(described(run)).toEqual(["k early 2: 5"]);
  });

  test("publishes a final before, not an early beside it", () => {
    const window: WindowDefinition = { kind: "tumbling", sizeMs: 100, offsetMs: 0 };
    const run = new PartitionRun(planOf(window, { everyEventTimeMs: 50 }));
    run.read(encodeBatch([sale(10), pulse(60), sale(70), pulse(101), pulse(120)]));
    expect(described(run)).toEqual(["k [0, 100) early 1: 1", "k [0, 100) final 2: 2"]);
  });
});

test("several triggers work side by side", () => {
  const run = new PartitionRun(planOf(GLOBAL, { everyEvents: 3, everyEventTimeMs: 100 }));
  run.read(encodeBatch([sale(1), sale(2), sale(3), sale(4), pulse(150), pulse(151)]));
  expect(described(run)).toEqual(["k early 1: 3", "k early 2: 4"]);
});

const WINDOWS: readonly WindowDefinition[] = [
  GLOBAL,
  { kind: "tumbling", sizeMs: 30, offsetMs: -7 },
  { kind: "hopping", sizeMs: 30, advanceMs: 10, offsetMs: 0 },
  { kind: "session", gapMs: 12 },
  { kind: "sliding", sizeMs: 25 },
];

test("Q5: depends on the log alone, not on batches or restarts", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...WINDOWS),
      fc.record({
        everyEvents: fc.constantFrom(1, 2, 3, 5),
        everyEventTimeMs: fc.constantFrom(7, 20, 1000),
      }),
      fc.integer({ min: 0, max: 3 }),
      fc.array(
        fc.record({
          step: fc.integer({ min: -30, max: 40 }),
          key: fc.constantFrom("a", "b"),
          cut: fc.constantFrom("no", "batch", "restart"),
        }),
        { maxLength: 40 },
      ),
      (window, both, which, steps) => {
        const triggers: EarlyTriggers =
          which === 0
            ? { everyEvents: both.everyEvents }
            : which === 1
              ? { everyEventTimeMs: both.everyEventTimeMs }
              : both;
        const plan = planOf(window, triggers, { disorder: 15, lateness: 20 });
        let time = -50;
        const events = steps.map(({ step, key }, i) => ({
          id: `s${i}`,
          key,
          time: (time += step),
        }));
        const whole = new PartitionRun(plan).read(encodeBatch(events)).take();
        const cut = new PartitionRun(plan);
        let batch: Sale[] = [];
        steps.forEach(({ cut: how }, i) => {
          batch.push(events[i]!);
          if (how === "no" && i < steps.length - 1) return;
          cut.read(encodeBatch(batch)).take();
          batch = [];
          if (how === "restart") cut.restart();
        });
        const told = ({ output }: PartitionRun) =>
          output.updates.map((update) => `${describeUpdate(update)} at ${update.watermark}`);
        expect(told(cut)).toEqual(told(whole));
      },
    ),
    { numRuns: propertyRuns(300) },
  );
});

test("a restart after every event changes nothing", () => {
  const plan = planOf({ kind: "session", gapMs: 12 }, { everyEvents: 3 }, { disorder: 30 });
  const whole = new PartitionRun(plan);
  const broken = new PartitionRun(plan);
  for (let i = 0; i < 60; i++) {
    const event = { id: `r${i}`, key: `k${i % 2}`, time: (i * 37) % 90 };
    whole.read(encodeBatch([event])).take();
    broken
      .read(encodeBatch([event]))
      .take()
      .restart();
    expect(digestHex(broken.core)).toBe(digestHex(whole.core));
  }
  expect(broken.output.updates).toEqual(whole.output.updates);
});
