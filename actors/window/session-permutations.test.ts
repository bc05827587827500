/** S2, exhaustively: sessions do not depend on the order in which their events came. */
import { expect, test } from "vitest";
import { encodeBatch, PULSE, salesPlan, topicPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { PartitionRun } from "../testkit/run.ts";
import { current, naiveSessions } from "./naive-sessions.suite.ts";

const SUMS = { n: { fn: "count" }, cents: { fn: "sum", of: { field: "cents" } } } as const;
const PLAN = salesPlan(
  { window: { kind: "session", gapMs: 10 }, allowedLatenessMs: 1000, aggregates: SUMS },
  topicPlan({ maxOutOfOrdernessMs: 0 }),
);
const pulse = (id: string, time: number): Sale => ({ id, key: id, time, type: PULSE.name });

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
    const run = new PartitionRun(PLAN);
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
