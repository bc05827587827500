import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { aggregate, event, field } from "../../projections/index.ts";
import type {
  AggregateDefinition,
  WindowProjection,
  WindowDefinition,
} from "../../projections/definition/definition.ts";
import { encodeBatch, PULSE, salesPlan, topicPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { describeUpdate, digestHex, PartitionRun } from "../testkit/run.ts";
import { imbalance } from "./books-keeper.ts";
import { MergeCore } from "./merge-core.ts";
import type { ProjectionCore } from "./projection-core.ts";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";

const TUMBLING: WindowDefinition = { kind: "tumbling", sizeMs: 10, offsetMs: 0 };

/** All values, in the order in which they were added and merged: what order there was can be seen. */
const list = aggregate({
  inputs: { cents: field("cents"), key: event.key, weight: field("weight") },
  init: () => ({ seen: [] as number[], of: "" }),
  add: ({ seen }, { cents, key }) => {
    if (cents === 13) throw new RangeError("bad luck");
    return { of: key ?? "", seen: [...seen, Number(cents)] };
  },
  merge: (a, b) => ({ of: b.of, seen: [...a.seen, ...b.seen] }),
  result: ({ seen, of }) => `${of}:${seen.join(",")}`,
});

const planOf = (
  aggregates: WindowProjection["aggregates"],
  changes: Partial<WindowProjection> = {},
  disorder = 0,
) =>
  salesPlan(
    { window: TUMBLING, aggregates, ...changes },
    topicPlan({ maxOutOfOrdernessMs: disorder }),
  );

const sale = (id: string, time: number, cents: number, key = "k"): Sale => ({
  id,
  key,
  time,
  cents,
});
const pulse = (time: number): Sale => ({ id: `p${time}`, key: "p", time, type: PULSE.name });
const described = (run: PartitionRun) => run.take().output.updates.map(describeUpdate);
const COUNT: AggregateDefinition = { fn: "count" };

test("adds each event of a window, in the order of the log", () => {
  const run = new PartitionRun(planOf({ list, n: COUNT }));
  run.read(encodeBatch([sale("a", 1, 5), sale("b", 2, 3), sale("c", 12, 7, "x"), pulse(30)]));
  expect(described(run)).toEqual(["k [0, 10) final 1: k:5,3 2", "x [10, 20) final 1: x:7 1"]);
});

describe("an event for which a function fails", () => {
  /** Of events 1, 2 and 3, the second is poison in `f`; it must count in `n` neither. */
  const poisonOf = (add: (state: never, input: never) => unknown, result?: () => unknown) => {
    const f = {
      ...(list as Extract<AggregateDefinition, { fn: "custom" }>),
      init: () => ({ sum: 0 }),
      add: ((state: { sum: number }, input: { cents: number }) =>
        input.cents === 2 ? add(state as never, input as never) : { sum: state.sum + 1 }) as never,
      result: (({ sum }: { sum: number }) => (sum >= 100 ? result!() : sum)) as never,
    };
    const run = new PartitionRun(planOf({ n: COUNT, f, m: COUNT }));
    run.read(encodeBatch([sale("a", 1, 1), sale("b", 2, 2), sale("c", 3, 3), pulse(30)])).take();
    const { updates, deadLetters } = run.output;
    expect(updates.map(describeUpdate)).toEqual(["k [0, 10) final 1: 2 2 2"]);
    expect(run.core.progress().books).toMatchObject({ events: 4, counted: 2, poison: 1 });
    expect(imbalance(run.core.progress().books)).toBe(0);
    expect(deadLetters).toMatchObject([{ reason: 4, eventId: "b" }]);
    return deadLetters[0]!.error;
  };

  test("is poison, in all aggregates", () => {
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    expect(
      poisonOf(() => {
        throw new TypeError("no");
      }),
    ).toBe("aggregates.f.add threw TypeError: no");
    expect(poisonOf(() => ({ sum: Number.NaN }))).toBe(
      "what aggregates.f.add returned at sum is NaN: it must be data as in JSON, or a bigint of 64 bits",
    );
    expect(poisonOf(() => undefined)).toMatch(
      /^what aggregates.f.add returned is undefined: it must be data/,
    );
    expect(poisonOf(() => ({ sum: 2n ** 63n }))).toMatch(/at sum is an integer of more than 64/);
    expect(poisonOf(() => ({ sum: [1, undefined] }))).toMatch(/at sum\[1\] is undefined/);
    // oxlint-disable-next-line no-sparse-arrays -- that is what it is about
    expect(poisonOf(() => [1, , 2])).toMatch(/at \[1\] is undefined/);
    expect(poisonOf(() => new Map())).toMatch(/returned is a Map: it must be data/);
    expect(poisonOf(() => Promise.resolve(1))).toMatch(/returned is a Promise/);
    expect(poisonOf(() => circle)).toMatch(
      /holds itself, or more than 32 objects within one another/,
    );
    expect(poisonOf(() => ({ sum: "x".repeat(70_000) }))).toMatch(
      /more than 65536 bytes: the limit/,
    );
  });

  test("because it changes what it was given", () => {
    expect(
      poisonOf((state: { sum: number }) => {
        state.sum++;
        return state;
      }),
    ).toMatch(/add threw TypeError: Cannot assign to read only property 'sum'/);
    expect(poisonOf((_state, input: { cents: number }) => ++input.cents)).toMatch(/read only/);
  });

  test("because there is no result of what it would make", () => {
    const hundred = () => ({ sum: 100 });
    expect(poisonOf(hundred, () => Number.POSITIVE_INFINITY)).toMatch(
      /f.result returned is Infinity: it must be data/,
    );
    expect(
      poisonOf(hundred, () => {
        throw new Error("none");
      }),
    ).toBe("aggregates.f.result threw Error: none");
  });

  test("opens no window, and leaves the other windows of the event alone", () => {
    const window: WindowDefinition = { kind: "hopping", sizeMs: 20, advanceMs: 10, offsetMs: 0 };
    const run = new PartitionRun(planOf({ list, n: COUNT }, { window }));
    run.read(encodeBatch([sale("a", 5, 1), sale("b", 12, 13), sale("c", 15, 2), pulse(90)]));
    expect(described(run)).toEqual([
      "k [-10, 10) final 1: k:1 1",
      "k [0, 20) final 1: k:1,2 2",
      "k [10, 30) final 1: k:2 1",
    ]);
    expect((run.core as ProjectionCore).size()).toMatchObject({ slots: 0 });
  });
});

describe("merging", () => {
  test("joins the states of sessions in the order of time", () => {
    const window: WindowDefinition = { kind: "session", gapMs: 10 };
    const run = new PartitionRun(planOf({ list }, { window }, 100));
    run.read(encodeBatch([sale("a", 18, 3), sale("b", 0, 1), sale("c", 9, 2), pulse(300)]));
    expect(described(run)).toEqual(["k [0, 28) final 1: k:1,3,2"]);
  });

  test("that fails is poison for the event that would join sessions, which stay apart", () => {
    const window: WindowDefinition = { kind: "session", gapMs: 10 };
    const f: AggregateDefinition = {
      ...(list as Extract<AggregateDefinition, { fn: "custom" }>),
      merge: () => {
        throw new Error("apart");
      },
    };
    const run = new PartitionRun(planOf({ f }, { window }, 100));
    run.read(encodeBatch([sale("a", 0, 1), sale("b", 18, 3), sale("c", 9, 2), pulse(300)]));
    expect(described(run)).toEqual(["k [0, 10) final 1: k:1", "k [18, 28) final 1: k:3"]);
    expect(run.output.deadLetters.map(({ error }) => error)).toEqual([
      "aggregates.f.merge threw Error: apart",
    ]);
  });

  test("puts sliding windows together", () => {
    const window: WindowDefinition = { kind: "sliding", sizeMs: 10 };
    const run = new PartitionRun(planOf({ list }, { window }, 100));
    run.read(encodeBatch([sale("a", 5, 1), sale("b", 8, 2), sale("c", 3, 3), pulse(300)]));
    expect(described(run)).toEqual([
      "k [-6, 4) final 1: k:3",
      "k [-4, 6) final 1: k:3,1",
      "k [-1, 9) final 1: k:3,1,2",
    ]);
  });

  test("that fails where nobody is to blame gives null and a dead letter", () => {
    const window: WindowDefinition = { kind: "sliding", sizeMs: 10 };
    const f: AggregateDefinition = {
      ...(list as Extract<AggregateDefinition, { fn: "custom" }>),
      merge: () => undefined,
    };
    const run = new PartitionRun(planOf({ f, n: COUNT }, { window }, 100));
    run.read(encodeBatch([sale("a", 5, 1), sale("b", 8, 2), pulse(300)]));
    expect(described(run)).toEqual(["k [-4, 6) final 1: k:1 1", "k [-1, 9) final 1: null 2"]);
    expect(run.output.deadLetters).toMatchObject([
      {
        reason: 4,
        eventKey: "k",
        window: { start: -1, end: 9 },
        error: expect.stringMatching(
          /^what aggregates.f.merge returned is undefined.*published as null$/,
        ),
      },
    ]);
  });

  /** Two partitions' partials, merged. */
  const merged = (f: AggregateDefinition) => {
    const plan = planOf({ f, n: COUNT }, { key: { field: "store" } });
    const core = new MergeCore({ ...plan, topic: topicPlan({ partitions: 2 }), merged: true }, 1);
    const parts = [0, 1].map((partition) => {
      const run = new PartitionRun({ ...plan, merged: true }, partition);
      const at = (time: number, cents: number) => ({
        ...sale(`${partition}${time}`, time, cents),
        store: "s",
      });
      run
        .read(encodeBatch([at(1, partition * 10 + 1), at(2, partition * 10 + 2), pulse(30)]))
        .take();
      return run.output.partials;
    });
    for (const [partition, partials] of parts.entries()) {
      const commit = { ...Commit.decode(new Uint8Array(0)), partials, partition, watermark: 29 };
      core.apply({ sequence: partition + 1, commit: { ...commit, partIndex: 0, partCount: 1 } });
    }
    const commits = core.take().fragments.map((fragment) => Commit.decode(fragment));
    return {
      updates: commits.flatMap(({ updates }) => updates).map(describeUpdate),
      errors: commits.flatMap(({ deadLetters }) => deadLetters).map(({ error }) => error),
    };
  };

  test("of partitions is in their order", () => {
    expect(merged(list)).toEqual({ updates: ["s [0, 10) final 1: k:1,2,11,12 4"], errors: [] });
  });

  test("of partitions that fails stops nobody", () => {
    const custom = list as Extract<AggregateDefinition, { fn: "custom" }>;
    const failing = { ...custom, merge: () => ({ seen: Number.NaN }) };
    expect(merged(failing)).toEqual({
      updates: ["s [0, 10) final 1: null 4"],
      errors: [
        "what aggregates.f.merge returned at seen is NaN: it must be data as in JSON, or a bigint of 64 bits; the value was published as null",
      ],
    });
  });
});

test("W2: state does not remember the order of its members, nor -0", () => {
  const seen: string[] = [];
  const f = aggregate({
    inputs: { cents: field("cents") },
    init: () => ({}) as Record<string, number>,
    add: (state, { cents }: { cents: number }) => {
      seen.push(Object.keys(state).join());
      expect(Object.values(state).some((value) => Object.is(value, -0))).toBe(false);
      return { [`k${cents}`]: -0, ...state };
    },
    merge: (a, b) => ({ ...a, ...b }),
    result: (state) => Object.keys(state),
  });
  const run = new PartitionRun(planOf({ f }));
  run.read(encodeBatch([3, 1, 2, 0].map((cents, i) => sale(`${cents}`, i, cents))));
  expect(seen).toEqual(["", "k3", "k1,k3", "k1,k2,k3"]);
});

test("W2: state may hold bigints, and results too", () => {
  const f = aggregate({
    inputs: { cents: field("cents") },
    init: () => ({ sum: 2n ** 60n }),
    add: ({ sum }, { cents }) => ({ sum: sum + BigInt(Number(cents)) }),
    merge: (a, b) => ({ sum: a.sum + b.sum }),
    result: ({ sum }) => sum,
  });
  const run = new PartitionRun(planOf({ f }));
  run.read(encodeBatch([sale("a", 1, 5)])).restart();
  run.read(encodeBatch([sale("b", 2, 3), pulse(30)]));
  expect(described(run)).toEqual([`k [0, 10) final 1: ${2n ** 60n + 8n}`]);
});

test("inputs are what expressions give: numbers, strings, booleans and null", () => {
  const inputs: unknown[] = [];
  const f = aggregate({
    inputs: { weight: field("weight"), time: event.time, key: event.key, big: field("cents") },
    init: () => 0,
    add: (state, input) => {
      inputs.push({ ...input });
      return state;
    },
    merge: (a) => a,
    result: (state) => state,
  });
  const run = new PartitionRun(planOf({ f }));
  run.read(encodeBatch([{ id: "a", key: "schlüssel", time: 7, weight: 0.5 }]));
  run.read(encodeBatch([{ id: "b", key: "k", time: 8, cents: 2n ** 60n }]));
  expect(inputs).toEqual([
    { weight: 0.5, time: 7, key: "schlüssel", big: null },
    { weight: null, time: 8, key: "k", big: 2 ** 60 },
  ]);
});

const WINDOWS: readonly WindowDefinition[] = [
  TUMBLING,
  { kind: "hopping", sizeMs: 30, advanceMs: 10, offsetMs: 0 },
  { kind: "session", gapMs: 7 },
  { kind: "sliding", sizeMs: 15 },
  { kind: "global" },
];

test("batches and a restart at every event change no output and no digest", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...WINDOWS),
      fc.array(
        fc.record({
          step: fc.integer({ min: -15, max: 20 }),
          cents: fc.constantFrom(1, 2, 13, 40),
          key: fc.constantFrom("a", "b"),
          cut: fc.boolean(),
        }),
        { maxLength: 30 },
      ),
      (window, steps) => {
        const plan = planOf(
          { list, n: COUNT },
          { window, allowedLatenessMs: 12, emit: { mode: "early", everyEvents: 3 } },
          10,
        );
        let time = 0;
        const events = steps.map(({ step, cents, key }, i) =>
          sale(`s${i}`, (time += step), cents, key),
        );
        const whole = new PartitionRun(plan).read(encodeBatch(events)).take();
        const cut = new PartitionRun(plan);
        const single = new PartitionRun(plan);
        events.forEach((each, i) => {
          cut.read(encodeBatch([each])).take();
          single.read(encodeBatch([each])).take();
          if (steps[i]!.cut) cut.restart();
          expect(digestHex(cut.core)).toBe(digestHex(single.core));
        });
        expect(cut.output.updates.map(describeUpdate)).toEqual(
          whole.output.updates.map(describeUpdate),
        );
        expect(cut.output.deadLetters.map(({ eventId, error }) => [eventId, error])).toEqual(
          whole.output.deadLetters.map(({ eventId, error }) => [eventId, error]),
        );
        expect(imbalance(whole.core.progress().books)).toBe(0);
      },
    ),
    { numRuns: propertyRuns(200) },
  );
});
