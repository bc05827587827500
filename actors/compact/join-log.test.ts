/** Logs of joins with a compacted topic as their table: rebuilt and replayed from what compaction leaves. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { rekeyOf } from "../../projections/definition/rekey.ts";
import type { JoinPlan } from "../../projections/definition/plan.ts";
import { RekeyedIntake } from "../rekey/rekeyed-intake.ts";
import { makeCore } from "../task/cores.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { chances, RekeyedRun, takeChance } from "../testkit/rekeyed-run.ts";
import { digestHex } from "../testkit/run.ts";
import {
  compacted,
  denseOrderLogs,
  densePriceLogs,
  encode,
  joinRules,
  orderLogs,
  passOver,
  planOf,
  priceLogs,
  SKEW_MS,
  stored,
  topicRules,
  type Batch,
  type Drawn,
  type Stored,
} from "./table-join.suite.ts";

const RUNS = propertyRuns(200);
const FAR = 100_000;
const ORDERS = 0;
const PRICES = 1;

/** A task of the join, from nothing. */
class Task {
  readonly results = new Map<string, string | null>();
  readonly #intake: RekeyedIntake;
  readonly #core;

  constructor(plan: JoinPlan) {
    const rekey = rekeyOf(plan);
    this.#intake = new RekeyedIntake(plan, rekey);
    this.#core = makeCore(rekey.keyed, 1, 0);
  }

  get digest(): string {
    return digestHex(this.#core);
  }
  get watermark(): number {
    return this.#intake.watermarkAfter;
  }

  read(log: readonly Stored[], to = Infinity): this {
    for (const { sequence, data } of log) {
      if (sequence <= this.#intake.sequence || sequence > to) continue;
      this.#core.apply(this.#intake.read(sequence, data));
      for (const fragment of this.#core.take().fragments) {
        for (const { values } of Commit.decode(fragment).updates) {
          const [order, price] = values.map(({ kind }) => (kind?.value as string) ?? null);
          this.results.set(order!, price ?? null);
        }
      }
    }
    return this;
  }
}

interface Step extends Batch {
  readonly upstream: number;
}

/** Batches of both topics, by time of ingest. */
const merged = (orders: readonly Batch[], prices: readonly Batch[]): readonly Step[] =>
  [
    ...orders.map((batch) => ({ ...batch, upstream: ORDERS })),
    ...prices.map((batch) => ({ ...batch, upstream: PRICES })),
  ].toSorted((a, b) => a.now - b.now);

const farEvent = (type: Drawn["type"]): Batch => ({
  now: FAR,
  events: [{ id: "far", key: "far", time: FAR, type }],
});

const end = (run: RekeyedRun): void => {
  run.route(ORDERS, encode(farEvent("Order")));
  run.route(PRICES, encode(farEvent("Price")));
  run.relay();
};

const ttls = fc.constantFrom(undefined, 30);
/** Of a log; `fc.double` would draw hardly anything but its ends. */
const shares = fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100);

const idsIn = (log: readonly Stored[]): ReadonlySet<string> =>
  new Set(log.flatMap(({ data }) => RecordBatch.decode(data).events.map(({ id }) => id)));

describe("the log of a join", () => {
  const cases = fc.record({
    orders: fc.oneof(orderLogs, denseOrderLogs),
    prices: fc.oneof(priceLogs, densePriceLogs),
    ttlMs: ttls,
    chances: fc.infiniteStream(fc.oneof(chances, fc.constant("relay all" as const))),
  });

  const whole = ({
    orders,
    prices,
    ttlMs,
    chances: next,
  }: typeof cases extends fc.Arbitrary<infer T> ? T : never) => {
    const plan = planOf(ttlMs);
    const run = new RekeyedRun(plan);
    for (const { upstream, ...batch } of merged(orders, prices)) {
      run.route(upstream, encode(batch));
      takeChance(run, next.next().value!);
    }
    end(run);
    return { plan, log: stored(run.logs[0]!) };
  };

  test("holds rows and other events in record batches of their own (R5)", () => {
    fc.assert(
      fc.property(cases, (drawn) => {
        for (const { data } of whole(drawn).log) {
          const { rekeyed } = RecordBatch.decode(data);
          expect(new Set(rekeyed!.partitions).size).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: RUNS },
    );
  });

  test("gives the same state to a task that is rebuilt, and the same results from there", () => {
    fc.assert(
      fc.property(
        cases,
        fc.array(fc.tuple(shares, fc.oneof(fc.constant(Infinity), fc.nat(40))), { maxLength: 3 }),
        shares,
        (drawn, passes, share) => {
          const { plan, log } = whole(drawn);
          const marker = Math.ceil(log.length * (0.5 + share / 2));
          const live = new Task(plan).read(log, marker);
          let left: readonly Stored[] = log;
          for (const [part, deletes] of passes) {
            const rules = joinRules(plan, { end: Math.floor(marker * part), keysMax: 2 });
            // Nothing goes before event time has passed what it was at the end.
            if (passOver(left, rules).watermark >= live.watermark) continue;
            left = compacted(left, rules, deletes);
          }
          const rebuilt = new Task(plan).read(left, marker);
          expect(rebuilt.watermark).toBe(live.watermark);
          expect(rebuilt.digest).toBe(live.digest);
          live.results.clear();
          rebuilt.results.clear();
          expect(rebuilt.read(left).results).toEqual(live.read(log).results);
          expect(rebuilt.digest).toBe(live.digest);
        },
      ),
      { numRuns: RUNS },
    );
  });

  test("gives each event that it still holds the result that it had, in a replay", () => {
    fc.assert(
      fc.property(
        cases,
        fc.array(fc.tuple(shares, fc.oneof(fc.constant(Infinity), fc.nat(40))), { maxLength: 3 }),
        (drawn, passes) => {
          const { plan, log } = whole(drawn);
          let left: readonly Stored[] = log;
          for (const [part, deletes] of passes) {
            const end = Math.floor(log.length * part);
            left = compacted(left, joinRules(plan, { end }), deletes);
          }
          const before = new Task(plan).read(log).results;
          const after = new Task(plan).read(left).results;
          const there = idsIn(left);
          for (const [order, price] of before) {
            if (there.has(order)) expect([order, after.get(order)]).toEqual([order, price]);
          }
        },
      ),
      { numRuns: RUNS },
    );
  });

  const price = (id: string, key: string, time: number): Drawn => ({
    id,
    key,
    time,
    type: "Price",
  });
  const order = (id: string, time: number): Drawn => ({ id, key: "a", time, type: "Order" });
  const scenario = (
    ...steps: readonly (readonly [now: number, rows: readonly Drawn[], orders: readonly Drawn[]])[]
  ) => {
    const run = new RekeyedRun(planOf(undefined));
    for (const [now, rows, orders] of steps) {
      if (rows.length > 0) run.route(PRICES, encode({ now, events: rows }));
      if (orders.length > 0) run.route(ORDERS, encode({ now, events: orders }));
      run.relay();
    }
    const { length } = run.logs[0]!;
    end(run);
    return { log: stored(run.logs[0]!), rules: joinRules(planOf(undefined), { end: length }) };
  };
  const resultsOf = (log: readonly Stored[]) => new Task(planOf(undefined)).read(log).results;

  test("loses old orders, and rows that were replaced before the oldest that is left", () => {
    const { log, rules } = scenario(
      [10, [price("p1", "a", 10), price("q1", "b", 10)], [order("o1", 10)]],
      [20, [price("p2", "a", 20)], [order("o2", 20)]],
      [30, [price("p3", "a", 30)], [order("o3", 30)]],
      [40, [price("p4", "b", 40)], [order("o4", 40)]],
    );
    // Event time is 36 at the end: p3 is in force, and p4 is not yet. So q1 stays, and p1 beside it.
    const left = [...idsIn(compacted(log, rules))];
    expect(left.toSorted()).toEqual(["far", "o4", "p1", "p3", "p4", "q1"]);
    // Wherever the pass is cut off, the orders that are still there are answered as they were.
    const whole = resultsOf(log);
    for (let deletes = 0; deletes <= passOver(log, rules).removable().length; deletes++) {
      const rest = compacted(log, rules, deletes);
      const there = idsIn(rest);
      const kept = [...whole].filter(([id]) => there.has(id));
      expect([...resultsOf(rest)].filter(([id]) => there.has(id))).toEqual(kept);
    }
  });

  test("C4: keeps what an order of a landmark asks for", () => {
    const { log, rules } = scenario(
      [10, [price("p1", "a", 10)], [order("o1", 10)]],
      [100, [price("p2", "a", 60), price("x", "x", 100)], []],
      // With this record batch event time comes to 96, where it stays.
      [100, [], [order("o2", 50), order("o3", 100)]],
    );
    const left = compacted(log, rules);
    expect([...idsIn(left)].toSorted()).toEqual(["far", "o2", "o3", "p1", "p2", "x"]);
    expect(resultsOf(left).get("o2")).toBe("p1");
  });

  test("C4: keeps what an order asks for that stands beside one that waits", () => {
    const { log, rules } = scenario(
      [10, [price("p1", "a", 10)], [order("o1", 10)]],
      [21, [price("p2", "a", 16), price("x", "x", 21)], []],
      [21, [], [order("o2", 15), order("o3", 20)]],
      [22, [], [order("o4", 21)]],
      [23, [price("y", "x", 22)], []],
    );
    // Event time is 17 at the end: o3 waits, and o2 was answered with p1.
    const left = compacted(log, rules);
    expect(resultsOf(left).get("o2")).toBe("p1");
  });

  test("C4: a row that came late replaces nothing for an order that was answered without it", () => {
    const { log, rules } = scenario(
      [10, [price("p1", "a", 10)], [order("o1", 10)]],
      [100, [price("x", "x", 100)], []],
      [100, [], [order("o2", 50), order("o3", 100)]],
      // o2 has been answered: p2 is in force from 97 on.
      [101, [price("p2", "a", 20)], []],
      [102, [price("y", "x", 100)], []],
    );
    const left = compacted(log, rules);
    expect([...idsIn(left)]).toContain("p1");
    expect(resultsOf(left).get("o2")).toBe("p1");
    expect(resultsOf(log).get("o2")).toBe("p1");
  });
});

describe("the log of a compacted topic", () => {
  test("gives a join that is added later the results that the whole log gives, for events after its end", () => {
    fc.assert(
      fc.property(
        fc.tuple(orderLogs, priceLogs, ttls),
        fc.array(fc.tuple(shares, fc.nat(6)), { minLength: 1, maxLength: 3 }),
        ([orders, prices, ttlMs], passes) => {
          const whole = stored(prices.map(encode));
          let left: readonly Stored[] = whole;
          let furthest = 0;
          for (const [share, deletes] of passes) {
            const to = Math.floor(whole.length * share);
            furthest = Math.max(furthest, to);
            left = compacted(left, topicRules({ end: to }), deletes);
          }
          const there = new Set(left.map(({ sequence }) => sequence));
          const results = (all: boolean) => {
            const run = new RekeyedRun(planOf(ttlMs));
            const numbered = prices.map((batch, at) => ({ ...batch, sequence: at + 1 }));
            for (const { upstream, ...batch } of merged(orders, numbered)) {
              const { sequence } = batch as Batch & { sequence?: number };
              if (!all && sequence !== undefined && !there.has(sequence)) continue;
              run.route(upstream, encode(batch));
              run.relay();
            }
            end(run);
            return new Task(planOf(ttlMs)).read(stored(run.logs[0]!)).results;
          };
          // What is younger than all that went: its time is beyond what may have been in force then.
          const youngFrom = (furthest === 0 ? -Infinity : prices[furthest - 1]!.now) + SKEW_MS;
          const young = orders
            .flatMap(({ events }) => events)
            .filter(({ time }) => time > youngFrom)
            .map(({ id }) => id);
          const before = results(true);
          const after = results(false);
          for (const id of young) expect([id, after.get(id)]).toEqual([id, before.get(id)]);
        },
      ),
      { numRuns: RUNS },
    );
  });
});
