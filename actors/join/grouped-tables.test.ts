/**
 * Joins whose table is a projection of several stages (decision 026), as properties: merged from the partials of
 * all partitions, or re-keyed through a log of its own.
 */
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import type { ProjectionDefinition } from "../../projections/definition/definition.ts";
import { planProjection, planTopic } from "../../projections/definition/plan-projection.ts";
import type { ProjectionPlan, TopicPlan } from "../../projections/definition/plan.ts";
import { readingsOf } from "../../projections/definition/rekey.ts";
import { parseSchema } from "../../projections/schema/schema-set.ts";
import { Intake } from "../intake/intake.ts";
import type { AlignmentLimits } from "../rekey/watermark-alignment.ts";
import { imbalance } from "../task/books-keeper.ts";
import { makeCore, makeMergeCore } from "../task/cores.ts";
import { Lane, markerOf } from "../testkit/lane.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { alignments, chances, RekeyedRun, takeChance } from "../testkit/rekeyed-run.ts";

const RUNS = propertyRuns(60);
const FAR = 1_000_000;
const PARTITIONS = { orders: 2, payments: 3 };
type TopicName = keyof typeof PARTITIONS;
const STORES = ["berlin", "ü", "", "oslo"];

const SCHEMA = parseSchema(`
  syntax = "proto3";
  message Order { int64 number = 1; string store = 2; }
  message Payment { int64 number = 1; string store = 2; double cents = 3; }
`);

const topicOf = (
  name: TopicName,
  maxOutOfOrdernessMs: number,
  partitions = PARTITIONS[name],
): TopicPlan =>
  planTopic(
    {
      name,
      partitions,
      schemas: ["/shop.proto"],
      types: [name === "orders" ? "Order" : "Payment"],
      maxOutOfOrdernessMs,
      maxFutureSkewMs: 1e9,
      dedupeHorizonMs: 1e9,
      idleAfterMs: 1,
      retentionMs: 1,
      maxBytes: -1,
    },
    SCHEMA,
  );
const ORDERS = topicOf("orders", 1_000);

const field = (name: string, side?: "left" | "right") => ({ field: name, ...(side && { side }) });

interface Grouping {
  readonly kind: "tumbling" | "session";
  readonly ms: number;
  readonly latenessMs: number;
}

const tableOf = (
  payments: TopicPlan,
  { kind, ms, latenessMs }: Grouping,
  key: object = field("store"),
): ProjectionPlan =>
  planProjection(
    {
      name: "takings",
      topic: "payments",
      key,
      window:
        kind === "tumbling" ? { kind: "tumbling", sizeMs: ms } : { kind: "session", gapMs: ms },
      allowedLatenessMs: latenessMs,
      aggregates: { cents: { fn: "sum", of: field("cents") }, payments: { fn: "count" } },
      emit: { mode: "final" },
    } as unknown as ProjectionDefinition,
    payments,
  );

const joinOf = (payments: TopicPlan, table: ProjectionPlan): ProjectionPlan =>
  planProjection(
    {
      kind: "join",
      name: "orders-with-takings",
      left: { topic: "orders", key: field("store") },
      right: { projection: "takings" },
      asOf: {},
      mode: "left",
      values: {
        order: field("number", "left"),
        cents: field("cents", "right"),
        payments: field("payments", "right"),
        known: { event: "time", side: "right" },
      },
    } as unknown as ProjectionDefinition,
    ORDERS,
    [payments],
    [table],
  );

interface Sent {
  readonly store: string;
  readonly time: number;
  readonly number: number;
  readonly cents?: number;
}

let ids = 0;
const encode = (
  topic: TopicName,
  events: readonly Sent[],
  keyOf: (event: Sent) => string = ({ number }) => `k${number}`,
): Uint8Array =>
  RecordBatch.encode({
    ingestTime: FAR,
    events: events.map((event) => {
      const { store, time, number, cents } = event;
      const out = new BinaryWriter().uint32(8).int64(number).uint32(18).string(store);
      if (cents !== undefined) out.uint32(25).double(cents);
      return {
        id: `${++ids}`,
        type: topic === "orders" ? "Order" : "Payment",
        key: keyOf(event),
        eventTime: time,
        data: { $case: "protobuf" as const, value: Buffer.from(out.finish()) },
      };
    }),
    tick: undefined,
    rekeyed: undefined,
  }).finish();

const steps = fc.array(
  fc.record({
    topic: fc.constantFrom("orders" as const, "payments" as const, "payments" as const),
    partition: fc.nat(2),
    events: fc.array(
      fc.record({
        store: fc.constantFrom(...STORES),
        time: fc.nat(40),
        cents: fc.double({ min: -1e3, max: 1e3, noNaN: true }),
      }),
      { maxLength: 5 },
    ),
    chance: chances,
  }),
  { maxLength: 25 },
);
type Steps = ReturnType<typeof steps.generate>["value"];

const groupings: fc.Arbitrary<Grouping> = fc.record({
  kind: fc.constantFrom("tumbling" as const, "session" as const),
  ms: fc.integer({ min: 1, max: 20 }),
  latenessMs: fc.constantFrom(0, 10, 100),
});

interface RunOptions {
  readonly limits?: AlignmentLimits | undefined;
  readonly keyOf?: (event: Sent) => string;
}

/** A run of the join, and what it was given. */
interface Ran {
  readonly run: RekeyedRun;
  readonly orders: readonly Sent[];
  /** By partition. */
  readonly payments: readonly (readonly Sent[])[];
}

const LAST = 500;

/** Orders of every store at many times; payments whose times rise with the steps. */
const runOf = (plan: ProjectionPlan, log: Steps, { limits, keyOf }: RunOptions = {}): Ran => {
  const partitions = {
    ...PARTITIONS,
    payments: readingsOf(plan).find(({ topic }) => topic.definition.name === "payments")!.topic
      .definition.partitions,
  };
  const run = new RekeyedRun(plan, limits);
  const sent = { orders: [[], []] as Sent[][], payments: [[], [], []] as Sent[][] };
  const send = (topic: TopicName, partition: number, events: readonly Sent[]): void => {
    const lane = partition % partitions[topic];
    sent[topic][lane]!.push(...events);
    run.send(topic, lane, encode(topic, events, keyOf));
  };
  const everywhere = (time: number): void => {
    for (const topic of ["orders", "payments"] as const) {
      for (let partition = 0; partition < partitions[topic]; partition++) {
        send(topic, partition, [{ store: "nowhere", time, number: 0 }]);
      }
    }
  };
  everywhere(-1_000);
  const times = Array.from({ length: 120 }, (_, time) => time);
  for (const partition of [0, 1]) {
    const orders = times.flatMap((time) =>
      STORES.slice(partition * 2, partition * 2 + 2).map((store) => ({
        store,
        time,
        number: time,
      })),
    );
    send("orders", partition, orders);
  }
  for (const [step, { topic, partition, events, chance }] of log.entries()) {
    send(
      topic,
      partition,
      events.map(({ store, time, cents }) => ({
        store,
        time: topic === "orders" ? time * 4 : step * 3 + time,
        number: step,
        ...(topic === "payments" && { cents }),
      })),
    );
    takeChance(run, chance);
  }
  send(
    "orders",
    0,
    STORES.map((store) => ({ store, time: LAST, number: -1 })),
  );
  everywhere(FAR);
  // Partials and rows come with one flush, answers with the next.
  run.relay();
  run.relay();
  return { run, orders: sent.orders.flat(), payments: sent.payments };
};

interface Taking {
  start: number;
  end: number;
  payments: number;
}

/** Windows of a store, nothing being late. */
const takingsOf = (payments: readonly Sent[], { kind, ms }: Grouping): readonly Taking[] => {
  let takings: Taking[] = [];
  for (const { time } of payments.toSorted((a, b) => a.time - b.time)) {
    const start = kind === "session" ? time : Math.floor(time / ms) * ms;
    const end = start + ms;
    const last = takings.at(-1);
    const isSame =
      last !== undefined && (kind === "session" ? start <= last.end : start === last.start);
    if (isSame)
      takings = [...takings.slice(0, -1), { start: last.start, end, payments: last.payments + 1 }];
    else takings.push({ start, end, payments: 1 });
  }
  return takings;
};

const valueOf = (values: Update["values"], at: number) => values[at]?.kind?.value;

const booksBalance = ({ stage }: RekeyedRun): void => {
  for (const core of stage.cores) expect(imbalance(core.progress().books)).toBe(0);
};

/** The current result of each store's last window, by the projection's own tasks. */
const lastResults = (
  table: ProjectionPlan,
  payments: readonly (readonly Sent[])[],
): ReadonlyMap<string, Update> => {
  const updates: Update[] = [];
  const merge = makeMergeCore(table, 1);
  const taken = (core: { take(): { readonly fragments: readonly Uint8Array[] } }) =>
    Buffer.concat(core.take().fragments as Uint8Array[]);
  let sequence = 0;
  payments.forEach((events, partition) => {
    const lane = new Lane(
      () => new Intake(table.topic, table.columns),
      () => makeCore(table, 1, partition),
    );
    lane.apply(encode("payments", events));
    const data = Buffer.concat([taken(lane.core), markerOf(lane.core, partition)]);
    merge.apply({ sequence: ++sequence, commit: Commit.decode(data) });
    updates.push(...Commit.decode(taken(merge)).updates);
  });
  const last = new Map<string, Update>();
  for (const update of updates) {
    if (update.windowEnd > LAST || update.kind === Kind.KIND_RETRACTION) continue;
    const held = last.get(update.key);
    if (held === undefined || update.windowEnd >= held.windowEnd) last.set(update.key, update);
  }
  return last;
};

describe("a table that is grouped by a field", { timeout: 3_600_000 }, () => {
  test("is seen as of event time, whatever partitions, batches, relays and restarts do", () => {
    const payments = topicOf("payments", 1_000);
    fc.assert(
      fc.property(groupings, steps, alignments, (grouping, log, limits) => {
        const ran = runOf(joinOf(payments, tableOf(payments, grouping)), log, { limits });
        const takings = new Map(
          STORES.map((store) => [
            store,
            takingsOf(
              ran.payments.flat().filter((payment) => payment.store === store),
              grouping,
            ),
          ]),
        );
        const expected = ran.orders
          .filter(({ store }) => STORES.includes(store))
          .map(({ store, time, number }) => {
            const seen = takings.get(store)!.findLast(({ end }) => end <= time);
            return `${store} ${time} ${number}: ${seen?.payments} known at ${seen?.end}`;
          });
        const published = ran.run.updates
          .filter(({ key }) => STORES.includes(key))
          .map(({ key, windowStart, values }) => {
            const [order, , count, known] = [0, 1, 2, 3].map((at) => valueOf(values, at));
            return `${key} ${windowStart} ${String(order)}: ${String(count)} known at ${String(known)}`;
          });
        expect(published.toSorted()).toEqual(expected.toSorted());
        expect(ran.run.deadLetters).toEqual([]);
        booksBalance(ran.run);
      }),
      { numRuns: RUNS },
    );
  });

  test("over one partition gives what a table gives whose events have the field as their key", () => {
    const payments = topicOf("payments", 5, 1);
    fc.assert(
      fc.property(groupings, steps, (grouping, log) => {
        const byField = tableOf(payments, grouping);
        const byKey = tableOf(payments, grouping, { event: "key" });
        expect([byField, byKey].map(({ merged, rekeyed }) => merged || rekeyed)).toEqual([
          true,
          false,
        ]);
        const updatesOf = ({ run }: Ran) =>
          run.updates
            .map(({ key, windowStart, values }) => {
              const shown = [0, 1, 2, 3].map((at) => String(valueOf(values, at)));
              return [key, windowStart, ...shown].join(" ");
            })
            .toSorted();
        // What comes late may come to the two logs in another order.
        const inOrder = log.map((step) => ({ ...step, chance: "relay all" as const }));
        expect(updatesOf(runOf(joinOf(payments, byField), inOrder))).toEqual(
          updatesOf(runOf(joinOf(payments, byKey), inOrder, { keyOf: ({ store }) => store })),
        );
      }),
      { numRuns: RUNS },
    );
  });

  test("that is merged has the projection's own values, to the bit, and counts what it counts", () => {
    const payments = topicOf("payments", 5);
    let late = 0;
    fc.assert(
      fc.property(groupings, steps, alignments, ({ ms, latenessMs }, log, limits) => {
        const table = tableOf(payments, { kind: "tumbling", ms, latenessMs });
        const ran = runOf(joinOf(payments, table), log, { limits });
        const own = lastResults(table, ran.payments);
        const seen = ran.run.updates.filter(
          ({ key, windowStart }) => windowStart === LAST && STORES.includes(key),
        );
        expect(seen).toHaveLength(STORES.length);
        for (const { key, values } of seen) {
          const result = own.get(key);
          expect([valueOf(values, 1), valueOf(values, 2)]).toEqual([
            result && valueOf(result.values, 0),
            result && valueOf(result.values, 1),
          ]);
        }
        // Its own tasks tell of those.
        expect(ran.run.deadLetters).toEqual([]);
        for (const core of ran.run.stage.cores) late += core.progress().books.late;
        booksBalance(ran.run);
      }),
      { numRuns: RUNS },
    );
    expect(late).toBeGreaterThan(0);
  });
});
