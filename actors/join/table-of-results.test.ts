/**
 * Joins whose table is the results of a projection (decision 023), as properties: random logs of all partitions
 * through the routing tasks, relay and join, however they interleave and restart, against a model that goes
 * through each log event by event.
 */
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import type { Event } from "../../proto/gen/tidemark/v1/event.ts";
import type { JoinProjection, WindowProjection } from "../../projections/definition/definition.ts";
import { planProjection, planTopic } from "../../projections/definition/plan-projection.ts";
import type { JoinPlan, TopicPlan } from "../../projections/definition/plan.ts";
import { rekeyOf } from "../../projections/definition/rekey.ts";
import { parseSchema } from "../../projections/schema/schema-set.ts";
import type { OrderedCore } from "../ordered/ordered-core.ts";
import type { AlignmentLimits } from "../rekey/watermark-alignment.ts";
import { imbalance } from "../task/books-keeper.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { alignments, chances, RekeyedRun, takeChance } from "../testkit/rekeyed-run.ts";
import { digestHex } from "../testkit/run.ts";
import {
  FOLD,
  foldRowsOf,
  FORGETS,
  globalRowsOf,
  lastRowAt,
  THROWS,
  type Row,
} from "./table-model.suite.ts";

const RUNS = propertyRuns(50);
const FAR = 1_000_000;
const PARTITIONS = { orders: 2, payments: 3 };
type TopicName = keyof typeof PARTITIONS;
const KEYS = ["ann", "bob", "ü", ""];

const SCHEMA = parseSchema(`
  syntax = "proto3";
  message Order { int64 number = 1; }
  message Payment { int64 cents = 1; }
`);

/** Orders are never late in their partition, so none is in the join; payments are. */
const topicOf = (name: TopicName): TopicPlan =>
  planTopic(
    {
      name,
      partitions: PARTITIONS[name],
      schemas: ["/shop.proto"],
      types: [name === "orders" ? "Order" : "Payment"],
      maxOutOfOrdernessMs: name === "orders" ? 200 : 5,
      maxFutureSkewMs: 1e9,
      dedupeHorizonMs: 1e9,
      idleAfterMs: 1,
      retentionMs: 1,
      maxBytes: -1,
    },
    SCHEMA,
  );
const TOPICS = { orders: topicOf("orders"), payments: topicOf("payments") };
const OUT_OF_ORDERNESS = TOPICS.payments.definition.maxOutOfOrdernessMs;

interface Model {
  /** Or a fold, whose states live for so long, or a global window, which is published each so long. */
  readonly window: {
    readonly kind: "tumbling" | "session" | "fold" | "global";
    readonly ms: number;
    /** Triggers of a global window; 0 and false: no such trigger. */
    readonly everyEvents?: number;
    readonly byTime?: boolean;
  };
  readonly latenessMs: number;
  readonly ttlMs: number;
  /** Rows of so many payments or more are deleted. */
  readonly deletedFrom: number;
}

const triggersOf = ({ ms, everyEvents = 0, byTime = false }: Model["window"]) => {
  return { everyEvents, everyEventTimeMs: byTime ? ms : 0 };
};

/** `early`: also by record batch. */
const globalEmit = (window: Model["window"], early: boolean): object => {
  const given = Object.entries(triggersOf(window)).filter(([, every]) => every > 0);
  if (given.length === 0 && !early) return { mode: "each" };
  return { mode: "early", ...(early && { everyMs: 1 }), ...Object.fromEntries(given) };
};

const planOf = ({ window, latenessMs, ttlMs, deletedFrom }: Model, early: boolean): JoinPlan => {
  const { kind, ms } = window;
  const sizes = { tumbling: { sizeMs: ms }, session: { gapMs: ms }, fold: {}, global: {} };
  const windows = {
    window: { kind, ...sizes[kind] },
    allowedLatenessMs: kind === "global" ? 0 : latenessMs,
    aggregates: { cents: { fn: "sum", of: { field: "cents" } }, payments: { fn: "count" } },
  };
  const table = {
    name: "spending",
    topic: "payments",
    ...(kind === "fold" ? { ...FOLD, ttlMs: ms } : windows),
    emit: kind === "global" ? globalEmit(window, early) : { mode: early ? "each" : "final" },
  };
  const join = {
    kind: "join",
    name: "orders-with-spending",
    left: { topic: "orders" },
    right: { projection: "spending" },
    asOf: {
      ttlMs: Number.isFinite(ttlMs) ? ttlMs : undefined,
      deleted: { op: "ge", args: [{ field: "payments" }, { literal: deletedFrom }] },
    },
    mode: "left",
    values: {
      order: { field: "number", side: "left" },
      cents: { field: "cents", side: "right" },
      known: { event: "time", side: "right" },
    },
  };
  const { orders, payments } = TOPICS;
  const planned = planProjection(table as unknown as WindowProjection, payments);
  return planProjection(join as unknown as JoinProjection, orders, [payments], [planned]);
};

interface Drawn {
  readonly key: string;
  readonly time: number;
  readonly amount: number;
}

interface Sent extends Omit<Drawn, "amount"> {
  readonly id: string;
  readonly amount?: number;
}

let drawnIds = 0;
const encode = (topic: TopicName, events: readonly Drawn[]): Uint8Array =>
  encodeEvents(
    topic,
    events.map((event) => ({ ...event, id: `${++drawnIds}` })),
  );

const encodeEvents = (topic: TopicName, events: readonly Sent[], tick?: number): Uint8Array =>
  RecordBatch.encode({
    ingestTime: tick ?? FAR,
    events: events.map(({ id, key, time, amount = 0 }) => ({
      id,
      type: topic === "orders" ? "Order" : "Payment",
      key,
      eventTime: time,
      data: {
        $case: "protobuf" as const,
        value: Buffer.from(new BinaryWriter().uint32(8).int64(amount).finish()),
      },
    })),
    tick: tick === undefined ? undefined : { time: tick },
    rekeyed: undefined,
  }).finish();

interface Pane {
  start: number;
  end: number;
  cents: number;
  payments: number;
  published: boolean;
}

/** The rows of one key, from the events of its partition: windows kept as a plain list. */
const rowsOf = (
  key: string,
  log: readonly Drawn[],
  { window, latenessMs }: Model,
): readonly Row[] => {
  if (window.kind === "fold") return foldRowsOf(key, log, window.ms, OUT_OF_ORDERNESS);
  if (window.kind === "global") {
    return globalRowsOf(key, log, triggersOf(window), OUT_OF_ORDERNESS);
  }
  const rows: Row[] = [];
  let panes: Pane[] = [];
  const publish = (pane: Pane, before: number, retracts: boolean): void => {
    const { start, end, cents, payments } = pane;
    pane.published = true;
    rows.push({ time: Math.max(end, before + 1), start, end, cents, payments, retracts });
  };
  let watermark = -Infinity;
  for (const event of log) {
    if (event.key === key) {
      const session = window.kind === "session";
      const first = Math.floor(event.time / window.ms) * window.ms;
      let start = session ? event.time : first;
      let end = start + window.ms;
      const touched = panes.filter((pane) =>
        session ? pane.start <= end && pane.end >= start : pane.start === start,
      );
      start = Math.min(start, ...touched.map((pane) => pane.start));
      end = Math.max(end, ...touched.map((pane) => pane.end));
      if (watermark < end - 1 + latenessMs) {
        const same = touched.find((pane) => pane.start === start && pane.end === end);
        for (const pane of touched) {
          if (pane.published && (pane !== same || touched.length > 1))
            publish(pane, watermark, true);
        }
        panes = panes.filter((pane) => !touched.includes(pane));
        const sum = (of: "cents" | "payments") =>
          touched.reduce((total, pane) => total + pane[of], 0);
        const cents = sum("cents") + event.amount;
        const pane = { start, end, cents, payments: sum("payments") + 1, published: false };
        panes.push(pane);
        if (watermark >= end - 1) publish(pane, watermark, false);
      }
    }
    const after = Math.max(watermark, event.time - OUT_OF_ORDERNESS - 1);
    for (const pane of panes.toSorted((a, b) => a.end - b.end)) {
      if (!pane.published && pane.end - 1 <= after) publish(pane, watermark, false);
    }
    panes = panes.filter(({ end }) => end - 1 + latenessMs > after);
    watermark = after;
  }
  return rows;
};

/** What an order at `time` sees: all rows up to then, one after the other. */
const seenAt = (time: number, rows: readonly Row[], model: Model): Row | undefined => {
  if (["fold", "global"].includes(model.window.kind)) return lastRowAt(time, rows, model);
  let held: Row | undefined;
  let gone = false;
  for (const row of rows.filter((each) => each.time <= time).toSorted((a, b) => a.time - b.time)) {
    const same = held?.start === row.start && held.end === row.end;
    if (row.retracts ? !same : held !== undefined && row.end < held.end) continue;
    if (row.end + model.ttlMs <= row.time) continue;
    held = row;
    gone = row.retracts || row.payments >= model.deletedFrom;
  }
  return held === undefined || gone || time >= held.end + model.ttlMs ? undefined : held;
};

const models: fc.Arbitrary<Model> = fc.record({
  window: fc.record({
    kind: fc.constantFrom("tumbling", "session", "fold", "global"),
    ms: fc.integer({ min: 1, max: 20 }),
    everyEvents: fc.constantFrom(0, 0, 1, 2, 3),
    byTime: fc.boolean(),
  }),
  latenessMs: fc.constantFrom(0, 10, 100),
  ttlMs: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 60 })),
  deletedFrom: fc.constantFrom(3, 1_000),
});

const UPSTREAMS = PARTITIONS.orders + PARTITIONS.payments;

const steps = fc.array(
  fc.record({
    upstream: fc.nat(UPSTREAMS - 1),
    events: fc.array(
      fc.record({
        /** Of those that are in the partition. */
        key: fc.nat(1),
        time: fc.nat(40),
        amount: fc.oneof(
          { weight: 5, arbitrary: fc.integer({ min: -5, max: 100 }) },
          { weight: 1, arbitrary: fc.constantFrom(FORGETS, THROWS) },
        ),
      }),
      { maxLength: 6 },
    ),
    chance: chances,
  }),
  { maxLength: 25 },
);

type Steps = ReturnType<typeof steps.generate>["value"];

const topicOfUpstream = (upstream: number): TopicName =>
  upstream < PARTITIONS.orders ? "orders" : "payments";

/** As the gateway does: each key is in one partition of a topic. */
const laneOf = (key: string, topic: TopicName): number =>
  (topic === "orders" ? 0 : PARTITIONS.orders) + (KEYS.indexOf(key) % PARTITIONS[topic]);

const holds = (model: Model, log: Steps, early: boolean, limits?: AlignmentLimits): void => {
  const run = new RekeyedRun(planOf(model, early), limits);
  const lanes: Drawn[][] = Array.from({ length: UPSTREAMS }, () => []);
  const read = (upstream: number, events: readonly Drawn[]): void => {
    lanes[upstream]!.push(...events);
    run.route(upstream, encode(topicOfUpstream(upstream), events));
  };
  // Each partition has held an event, so that none is idle.
  const everywhere = (time: number): void => {
    for (let upstream = 0; upstream < UPSTREAMS; upstream++) {
      read(upstream, [{ key: `only-${upstream}`, time, amount: 0 }]);
    }
  };
  everywhere(-1_000);
  // An order of every key at every time: what they see is the whole history of the table.
  for (let upstream = 0; upstream < PARTITIONS.orders; upstream++) {
    const keys = KEYS.filter((key) => laneOf(key, "orders") === upstream);
    const times = Array.from({ length: 160 }, (_, time) => time);
    read(
      upstream,
      times.flatMap((time) => keys.map((key) => ({ key, time, amount: 0 }))),
    );
  }
  for (const [step, { upstream, events, chance }] of log.entries()) {
    const topic = topicOfUpstream(upstream);
    const keys = KEYS.filter((key) => laneOf(key, topic) === upstream);
    // Payments become late little by little; orders look at all that has been and at what is to come.
    const timeOf = (time: number) => (topic === "orders" ? time * 4 : step * 3 + time);
    read(
      upstream,
      events.map(({ key, time, amount }) => {
        return { key: keys[key % keys.length]!, time: timeOf(time), amount };
      }),
    );
    takeChance(run, chance);
  }
  everywhere(FAR);
  run.relay();

  const rows = new Map(
    KEYS.map((key) => [key, rowsOf(key, lanes[laneOf(key, "payments")]!, model)]),
  );
  const expected = lanes.slice(0, PARTITIONS.orders).flatMap((lane) =>
    lane
      .filter(({ key }) => KEYS.includes(key))
      .map(({ key, time, amount }) => {
        const seen = seenAt(time, rows.get(key)!, model);
        return `${key} ${time} ${amount}: ${seen?.cents} known at ${seen?.time}`;
      }),
  );
  const published = run.updates
    .filter(({ key }) => KEYS.includes(key))
    .map(({ key, windowStart, values }) => {
      const [order, cents, known] = values.map(({ kind }) => kind?.value);
      return `${key} ${windowStart} ${String(order)}: ${String(cents)} known at ${String(known)}`;
    });
  expect(published.toSorted()).toEqual(expected.toSorted());
  // Of keys that a fold has forgotten the join remembers nothing.
  const sizes = run.cores.map((core) => (core as OrderedCore<unknown, unknown>).size());
  if (model.window.kind === "fold") expect(sizes.map(({ keys }) => keys)).toEqual([0, 0, 0]);
  // The projection's own tasks tell of its dead letters, and no row is late.
  expect(run.deadLetters).toEqual([]);
  run.stage.cores.forEach((core, upstream) => {
    const { books } = core.progress();
    expect(imbalance(books)).toBe(0);
    expect(books.events).toBe(lanes[upstream]!.length);
  });
};

/** The rows that payments make, in record batches of so many. */
const routedRows = (plan: JoinPlan, payments: readonly Sent[], size: number): readonly Event[] => {
  const run = new RekeyedRun(plan);
  for (let from = 0; from < payments.length; from += size) {
    const part = payments.slice(from, from + size);
    run.route(PARTITIONS.orders, encodeEvents("payments", part));
  }
  run.relay();
  return run.logs.flat().flatMap((data) => RecordBatch.decode(data).events);
};

describe("a table of results", () => {
  test("is seen as of event time, whatever batches, relay and restarts do", () => {
    fc.assert(fc.property(models, steps, fc.boolean(), alignments, holds), { numRuns: RUNS });
  });

  test("gives the same rows, byte for byte, however its topic's events are batched and its windows looked at", () => {
    fc.assert(
      fc.property(models, steps, (model, log) => {
        // Some have the id of one before, some a clock that is wrong.
        const events = log
          .flatMap((step) => step.events)
          .map(({ key, time, amount }) => ({
            id: `${amount}`,
            key: KEYS[key]!,
            time: amount === 1 ? FAR + 2e9 : time,
            amount,
          }));
        const logOf = (size: number, early: boolean): readonly string[] => {
          const rows = routedRows(planOf(model, early), events, size);
          return rows.map((row) => JSON.stringify(row));
        };
        const expected = logOf(1, false);
        expect(logOf(3, false)).toEqual(expected);
        expect(logOf(1_000, false)).toEqual(expected);
        expect(logOf(3, true)).toEqual(expected);
      }),
      { numRuns: RUNS },
    );
  });

  test("has every row of partitions that fall silent and speak up again, whatever is restarted", () => {
    fc.assert(
      fc.property(models, steps, (model, log) => {
        const runOf = (mayRestart: boolean): RekeyedRun => {
          const run = new RekeyedRun(planOf(model, false));
          drawnIds = 0;
          const everywhere = (time: number): void => {
            for (let upstream = 0; upstream < UPSTREAMS; upstream++) {
              const event = { key: `only-${upstream}`, time, amount: 0 };
              run.route(upstream, encode(topicOfUpstream(upstream), [event]));
            }
          };
          everywhere(-10);
          for (let upstream = 0; upstream < UPSTREAMS; upstream++) {
            run.route(upstream, encodeEvents(topicOfUpstream(upstream), [], FAR));
          }
          for (const [step, { upstream, events, chance }] of log.entries()) {
            const topic = topicOfUpstream(upstream);
            const keys = KEYS.filter((key) => laneOf(key, topic) === upstream);
            const sent = events.map(({ key, time, amount }) => {
              return { key: keys[key % keys.length]!, time: step * 10 + time, amount };
            });
            if (sent.length > 0) run.route(upstream, encode(topic, sent));
            else run.route(upstream, encodeEvents(topic, [], FAR + step * 10));
            if (chance.startsWith("relay")) takeChance(run, chance);
            else if (mayRestart && !chance.endsWith(" relay")) takeChance(run, chance);
          }
          everywhere(FAR);
          run.relay();
          return run;
        };
        const run = runOf(false);
        expect(run.deadLetters.filter(({ topic }) => topic === "payments")).toEqual([]);
        const restarted = runOf(true);
        expect(restarted.updates).toEqual(run.updates);
        expect(restarted.cores.map(digestHex)).toEqual(run.cores.map(digestHex));
      }),
      { numRuns: RUNS },
    );
  });
});

describe("when a row is known", () => {
  const WITHOUT_END: Model = {
    window: { kind: "tumbling", ms: 10 },
    latenessMs: 0,
    ttlMs: Infinity,
    deletedFrom: 1_000,
  };

  /** Of each kind that the intake refuses behind the event that closes the window. */
  test.each(["duplicate", "future"])(
    "does not depend on a %s event in the same record batch",
    (kind) => {
      const events = [
        { id: "a", key: "ann", time: 3 },
        { id: "b", key: "ann", time: 106 },
        kind === "duplicate"
          ? { id: "b", key: "ann", time: 106 }
          : { id: "c", key: "ann", time: FAR + 2e9 },
      ];
      const logOf = (size: number): readonly string[] => {
        const rows = routedRows(planOf(WITHOUT_END, false), events, size);
        return rows.map(({ id, eventTime }) => `${id} at ${eventTime}`);
      };
      expect(logOf(1)).toEqual(["0/10/0/1 at 10"]);
      expect(logOf(3)).toEqual(logOf(1));
    },
  );

  /** Nobody waits for a partition that is idle: the others are further when a tick closes its windows. */
  test("a row of a partition that was idle is there from the first moment that is not over", () => {
    const run = new RekeyedRun(planOf(WITHOUT_END, false));
    const [orders, payments] = [laneOf("ann", "orders"), laneOf("ann", "payments")];
    run.route(payments, encodeEvents("payments", [{ id: "p", key: "ann", time: 3, amount: 7 }]));
    run.route(payments, encodeEvents("payments", [], FAR + 1));
    for (let upstream = 0; upstream < UPSTREAMS; upstream++) {
      if (upstream === payments) continue;
      const id = `only-${upstream}`;
      run.route(upstream, encode(topicOfUpstream(upstream), [{ key: id, time: 300, amount: 0 }]));
    }
    run.relay();
    // Orders are at 99; now the window [0, 10) closes.
    run.route(payments, encodeEvents("payments", [], FAR + 50));
    run.relay();
    run.restart();
    for (const time of [101, 102]) {
      run.route(orders, encode("orders", [{ key: "ann", time, amount: time }]));
    }
    for (let upstream = 0; upstream < UPSTREAMS; upstream++) {
      const id = `only-${upstream}`;
      run.route(upstream, encode(topicOfUpstream(upstream), [{ key: id, time: FAR, amount: 0 }]));
    }
    run.relay();
    expect(run.deadLetters).toEqual([]);
    expect(
      run.updates
        .filter(({ key }) => key === "ann")
        .map(({ windowStart, values }) => [windowStart, ...values.map(({ kind }) => kind?.value)]),
    ).toEqual([
      [101, "101", "7", "10"],
      [102, "102", "7", "10"],
    ]);
  });
});

test("a plan has the partitions of both topics as upstreams", () => {
  const model: Model = {
    window: { kind: "tumbling", ms: 10 },
    latenessMs: 0,
    ttlMs: Infinity,
    deletedFrom: 3,
  };
  const { routes, upstreams, partitions } = rekeyOf(planOf(model, false));
  expect(routes.map(({ firstUpstream, firstType }) => [firstUpstream, firstType])).toEqual([
    [0, 0],
    [2, 1],
  ]);
  expect([upstreams, partitions]).toEqual([5, 3]);
});
