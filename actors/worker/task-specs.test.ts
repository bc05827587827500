/** What runs on which log: one decoder for all projections of a topic, routing tasks for each source. */
import { expect, test } from "vitest";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { planProjection, planTopic } from "../../projections/definition/plan-projection.ts";
import { parseSchema } from "../../projections/schema/schema-set.ts";
import type { Intake } from "../intake/intake.ts";
import { rebuildWarning } from "../../projections/definition/rebuild.ts";
import { byTopic, intakeOf, partitionsOf, rekeyedTopicOf, routingSpecs } from "./task-specs.ts";

const schemas = parseSchema(`
  syntax = "proto3";
  message Paid { string store = 1; int64 cents = 2; }
  message Refunded { int64 cents = 1; string store = 2; }
`);
const topic = planTopic(
  {
    name: "orders",
    partitions: 1,
    schemas: ["/orders.proto"],
    types: ["Paid", "Refunded"],
    maxOutOfOrdernessMs: 0,
    maxFutureSkewMs: 0,
    dedupeHorizonMs: 0,
    idleAfterMs: 1,
    retentionMs: 1,
    maxBytes: -1,
  },
  schemas,
);
const plan = (type: string) =>
  planProjection(
    {
      name: type.toLowerCase(),
      topic: "orders",
      types: [type],
      window: { kind: "tumbling", sizeMs: 10 },
      aggregates: { cents: { fn: "sum", of: { field: "cents" } } },
    } as never,
    topic,
  );

test("projections of different types may mention one field: each has its own", () => {
  const intake = intakeOf({ topic, plans: [plan("Paid"), plan("Refunded")] }) as Intake;
  const events = ["Paid", "Refunded"].map((type, index) => ({
    id: type,
    type,
    key: "k",
    eventTime: 5,
    data: {
      $case: "protobuf" as const,
      value: Buffer.from(
        new BinaryWriter()
          .uint32(type === "Paid" ? 16 : 8)
          .int64(index + 70)
          .finish(),
      ),
    },
  }));
  const batch = intake.read(
    1,
    RecordBatch.encode({ ingestTime: 10, events, tick: undefined, rekeyed: undefined }).finish(),
  );
  const { valid, values } = batch.columns.get("cents")!;
  expect([...valid.subarray(0, 2)]).toEqual([1, 1]);
  expect([...values.subarray(0, 2)]).toEqual([70, 71]);
});

test("a join of two topics is routed from both, into a log as wide and as long as either", () => {
  const DAY = 86_400_000;
  const changed = { partitions: 3, retentionMs: 2 * DAY, maxOutOfOrdernessMs: DAY };
  const paid = { ...topic, definition: { ...topic.definition, retentionMs: DAY } };
  const refunds = {
    ...topic,
    definition: { ...topic.definition, name: "refunds", ...changed },
  };
  const join = planProjection(
    {
      kind: "join",
      name: "refunded",
      left: { topic: "orders", types: ["Paid"] },
      right: { topic: "refunds", types: ["Refunded"], key: { field: "store" } },
      within: { afterMs: 1.5 * DAY },
      values: { at: { event: "time", side: "right" } },
    } as never,
    paid,
    [refunds],
  );
  const plans = [join, plan("Paid")];
  expect(
    byTopic(plans).map(({ topic: of, plans: readers }) => [of.definition.name, readers]),
  ).toEqual([
    ["orders", plans],
    ["refunds", [join]],
  ]);
  const partitions = (of: typeof topic, partition: number) =>
    routingSpecs(join, 1, of, partition).map(({ id }) => id.partition);
  expect([partitions(paid, 0), partitions(refunds, 0), partitions(refunds, 2)]).toEqual([
    [0],
    [1],
    [3],
  ]);
  expect(partitionsOf(join)).toBe(3);
  expect(rekeyedTopicOf(join, 4)).toEqual({
    name: "via_refunded_4",
    partitions: 3,
    retentionMs: 2 * DAY,
  });
  // What lives for a day and a half, and may come a day late, is longer than the log of its own is kept.
  expect(rebuildWarning(join)).toContain("topic refunds keeps events for 2 days");
});
