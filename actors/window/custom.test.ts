import { describe, expect, test } from "vitest";
import type { AssignWindows, WindowProjection } from "../../projections/definition/definition.ts";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { imbalance } from "../task/books-keeper.ts";
import { MergeCore } from "../task/merge-core.ts";
import { encodeBatch, PULSE, salesPlan, topicPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { describeUpdate, digestHex, PartitionRun } from "../testkit/run.ts";
import { CustomWindows, POISONED } from "./custom.ts";

const planOf = (assign: AssignWindows, changes: Partial<WindowProjection> = {}) =>
  salesPlan(
    {
      window: { kind: "custom", assign, windowsMax: 4, version: "" },
      aggregates: { n: { fn: "count" } },
      ...changes,
    },
    topicPlan(),
  );

const sale = (id: string, time: number, key = "k"): Sale => ({ id, key, time });
const pulse = (time: number): Sale => ({ id: `p${time}`, key: "p", time, type: PULSE.name });
const described = (run: PartitionRun) => run.take().output.updates.map(describeUpdate);

/** One event at 5 that is poison between two that are not, at 15. */
const poisonOf = (assign: (time: number) => unknown): string => {
  const run = new PartitionRun(
    planOf((time) => (time === 5 ? (assign(time) as never) : [[10, 20]])),
  );
  run.read(encodeBatch([sale("a", 15), sale("b", 5), sale("c", 15), pulse(30)])).take();
  const { deadLetters, updates } = run.output;
  expect(updates.map(describeUpdate)).toEqual(["k [10, 20) final 1: 2"]);
  expect(run.core.progress().books).toMatchObject({ events: 4, counted: 2, poison: 1 });
  expect(imbalance(run.core.progress().books)).toBe(0);
  expect(deadLetters).toMatchObject([{ reason: 4, eventId: "b", projection: "sales-by-key" }]);
  return deadLetters[0]!.error;
};

test("a rest of the day beside a quarter of it, and no window at all", () => {
  const assign: AssignWindows = (time) => {
    if (time < 0) return [];
    const quarter = Math.floor(time / 25) * 25;
    const rest = Math.floor(time / 100) * 100;
    const windows: [number, number][] = [[quarter, quarter + 25]];
    return quarter === rest ? windows : [[rest + 1, rest + 100], ...windows];
  };
  const run = new PartitionRun(planOf(assign));
  run.read(encodeBatch([sale("z", -5), sale("a", 12), sale("b", 30), sale("c", 49, "x")]));
  run.read(encodeBatch([sale("d", 80), pulse(300)]));
  expect(described(run)).toEqual([
    "k [0, 25) final 1: 1",
    "k [25, 50) final 1: 1",
    "x [25, 50) final 1: 1",
    "k [1, 100) final 1: 2",
    "x [1, 100) final 1: 1",
    "k [75, 100) final 1: 1",
  ]);
  expect(run.core.progress().books).toMatchObject({ events: 6, counted: 4, filtered: 2 });
});

test("Y1: whatever else the function does costs one event", () => {
  expect(
    poisonOf(() => {
      throw new TypeError("no such zone");
    }),
  ).toBe("window.assign threw TypeError: no such zone");
  expect(
    poisonOf(() => {
      throw { toString: () => ({}) };
    }),
  ).toBe("window.assign threw something that cannot be shown");
  expect(poisonOf(() => undefined)).toMatch(/returned undefined, not a list of \[start, end\]/);
  expect(poisonOf(() => [[0, Number.NaN]])).toMatch(/returned \[0, NaN\] as window 0, not/);
  expect(poisonOf(() => [[0, 5.5]])).toMatch(/returned \[0, 5.5\] as window 0, not/);
  expect(poisonOf(() => [[0, 2 ** 60]])).toMatch(/whole milliseconds/);
  expect(poisonOf(() => [[0, 10n]])).toMatch(/whole milliseconds/);
  expect(poisonOf(() => [[0, 5]])).toMatch(/returned \[0, 5\), which does not hold the event's/);
  expect(poisonOf(() => [[6, 9]])).toMatch(/does not hold the event's time/);
  expect(poisonOf(() => [0, 9])).toMatch(/returned 0 as window 0/);
  const descending = [
    [2, 9],
    [0, 9],
  ];
  expect(poisonOf(() => descending)).toMatch(
    /returned \[0, 9\) after \[2, 9\): starts must ascend/,
  );
  expect(poisonOf(() => [...descending, ...descending, [0, 9]])).toMatch(
    /5 windows; 4 are the limit/,
  );
  expect(poisonOf(() => new Proxy([], { get: () => expect.fail("trapped") as never }))).toMatch(
    /threw/,
  );
});

describe("Y1: of what the function returns for an event at 5", () => {
  /** The windows that it gets, of at most two, or why it gets none. */
  const windowsOf = (returned: unknown): string | [number, number][] => {
    const assigner = new CustomWindows(() => returned as never, 2);
    expect(assigner.error).toBe("");
    const starts = new Float64Array(2).fill(Number.NaN);
    const ends = new Float64Array(2).fill(Number.NaN);
    const count = assigner.assign(5, starts, ends);
    if (count === POISONED) return assigner.error;
    return Array.from({ length: count }, (_, i) => [starts[i]!, ends[i]!]);
  };

  test.each([
    [[]],
    [[[5, 6]]],
    [[[0, 6]]],
    [[[-0, 6]]],
    [
      [
        [4, 20],
        [5, 6],
      ],
    ],
    [[[Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]]],
  ])("%j is sound", (windows) => {
    // Zero has no sign.
    expect(windowsOf(windows)).toEqual(windows.map(([start, end]) => [start! + 0, end]));
  });

  test.each([
    [[[6, 7]], "returned [6, 7), which does not hold the event's time"],
    [[[4, 5]], "returned [4, 5), which does not hold the event's time"],
    [[[4, -0]], "returned [4, 0), which does not hold the event's time"],
    [[[4, 9, 10]], "returned [4, 9, 10] as window 0, not [start, end] in whole milliseconds"],
    [[[4]], "returned [4] as window 0, not [start, end] in whole milliseconds"],
    [[[4, 9], null], "returned null as window 1, not [start, end] in whole milliseconds"],
    [[{ length: 2 }], "returned an object as window 0, not [start, end] in whole milliseconds"],
    [[["4", 9]], 'returned ["4", 9] as window 0, not [start, end] in whole milliseconds'],
    [
      [
        [3, 9],
        [3, 10],
      ],
      "returned [3, 10) after [3, 9): starts must ascend, and a start has one end",
    ],
    [
      [
        [3, 9],
        [2, 9],
      ],
      "returned [2, 9) after [3, 9): starts must ascend, and a start has one end",
    ],
    [
      [
        [1, 9],
        [2, 9],
        [3, 9],
      ],
      "returned 3 windows; 2 are the limit (windowsMax)",
    ],
    ["4, 9", 'returned "4, 9", not a list of [start, end]'],
  ])("%j is not", (windows, why) => {
    expect(windowsOf(windows)).toBe(`window.assign ${why}`);
  });
});

test("Z2: a start has one end for as long as its window lives", () => {
  let end = 10;
  const run = new PartitionRun(planOf(() => [[0, end]], { allowedLatenessMs: 5 }));
  run.read(encodeBatch([sale("a", 1)]));
  end = 20;
  run.read(encodeBatch([sale("b", 2)])).take();
  expect(run.output.deadLetters[0]?.error).toBe(
    "window.assign returned [0, 20), but of an earlier event [0, 10): a start has one end",
  );
  expect(run.core.progress().books).toMatchObject({ counted: 1, poison: 1 });
});

test("a late event's window is the one that expired last, whatever the order of their starts", () => {
  const run = new PartitionRun(
    planOf(
      () => [
        [0, 100],
        [10, 20],
        [12, 100],
        [15, 30],
      ],
      { allowedLatenessMs: 7 },
    ),
  );
  run.read(encodeBatch([pulse(200), sale("a", 16)])).take();
  expect(run.output.deadLetters).toMatchObject([
    {
      reason: 1,
      eventId: "a",
      window: { start: 12, end: 100 },
      watermark: 199,
      lateness: 199 - (100 - 1 + 7),
      error: "every window of the event had expired, the last one 93 ms before",
    },
  ]);
});

test("a restart after every event changes nothing", () => {
  const assign: AssignWindows = (time) => {
    if (time % 7 === 3) throw new Error("three");
    return [
      [Math.floor(time / 50) * 50 - 1, time + 40 - (time % 40)],
      [Math.floor(time / 10) * 10, Math.floor(time / 10) * 10 + 30],
    ];
  };
  const events = Array.from({ length: 60 }, (_, i) => sale(`e${i}`, (i * 37) % 200, `k${i % 3}`));
  const whole = new PartitionRun(planOf(assign, { emit: { mode: "each" } }));
  const broken = new PartitionRun(planOf(assign, { emit: { mode: "each" } }));
  for (const event of events) {
    whole.read(encodeBatch([event])).take();
    broken
      .read(encodeBatch([event]))
      .take()
      .restart();
    expect(digestHex(broken.core)).toBe(digestHex(whole.core));
  }
  expect(broken.output).toEqual(whole.output);
  expect(whole.output.deadLetters.some(({ reason }) => reason === 4)).toBe(true);
});

test("Z2: partitions that disagree about the end of a window cost the later partial alone", () => {
  const ends = [10, 20];
  const plan = planOf(() => [[0, ends[0]!]], { key: { field: "store" } });
  const topic = topicPlan({ partitions: 2 });
  const core = new MergeCore({ ...plan, topic, merged: true }, 1);
  for (const partition of [0, 1]) {
    const run = new PartitionRun({ ...plan, merged: true }, partition);
    run.read(encodeBatch([{ ...sale(`e${partition}`, 1), store: "s" }, pulse(30)])).take();
    const commit = Commit.decode(new Uint8Array(0));
    const { partials } = run.output;
    core.apply({
      sequence: partition + 1,
      commit: { ...commit, partials, partition, watermark: 29, partIndex: 0, partCount: 1 },
    });
    ends.shift();
  }
  const commits = core.take().fragments.map((fragment) => Commit.decode(fragment));
  expect(commits.flatMap(({ updates }) => updates).map(describeUpdate)).toEqual([
    "s [0, 10) final 1: 1",
  ]);
  expect(commits.flatMap(({ deadLetters }) => deadLetters)).toMatchObject([
    {
      reason: 4,
      eventKey: "s",
      window: { start: 0, end: 20 },
      error: expect.stringMatching(
        /^window.assign returned \[0, 20\) in partition 1, but \[0, 10\)/,
      ),
    },
  ]);
});
