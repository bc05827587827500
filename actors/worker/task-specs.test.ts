/** One decoder for all projections of a topic. */
import { expect, test } from "vitest";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { planProjection, planTopic } from "../../projections/definition/plan-projection.ts";
import { parseSchema } from "../../projections/schema/schema-set.ts";
import type { Intake } from "../intake/intake.ts";
import { intakeOf } from "./task-specs.ts";

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
