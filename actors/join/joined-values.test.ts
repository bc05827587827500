/** Values over two events: from payloads to what is published. */
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import type { JoinProjection } from "../../projections/definition/definition.ts";
import {
  event,
  field,
  left,
  lookup,
  right,
} from "../../projections/definition/field-expression.ts";
import { planProjection, planTopic } from "../../projections/definition/plan-projection.ts";
import { parseSchema } from "../../projections/schema/schema-set.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { Intake } from "../intake/intake.ts";
import type { OutputValue } from "../ordered/output-value.ts";
import { JoinedValues } from "./joined-values.ts";
import { JOIN_ROW_BYTES_MAX } from "./limits.ts";
import type { JoinRow } from "./row-buffer.ts";

const schemas = parseSchema(`
  syntax = "proto3";
  message Order { int64 amount = 1; string store = 2; optional double rate = 3; bool test = 4; }
  message Payment { string amount = 1; string store = 2; sint32 fee = 3; Way way = 4; }
  enum Way { UNKNOWN = 0; CARD = 1; CASH = 2; }
`);
const topic = planTopic(
  {
    name: "orders",
    partitions: 1,
    schemas: ["/orders.proto"],
    types: ["Order", "Payment"],
    maxOutOfOrdernessMs: 0,
    maxFutureSkewMs: 1e9,
    dedupeHorizonMs: 0,
    idleAfterMs: 1,
    retentionMs: 1,
    maxBytes: -1,
  },
  schemas,
);

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const joined = (values: object, more: object = {}) => {
  const given = {
    kind: "join",
    name: "payments",
    topic: "orders",
    left: { types: ["Order"] },
    right: { types: ["Payment"] },
    within: { afterMs: 10 },
    values,
    ...more,
  };
  const plan = planProjection(plain(given) as JoinProjection, topic);
  return {
    values: new JoinedValues(plan),
    read: (bytes: Uint8Array) => new Intake(topic, plan.columns).read(1, bytes),
  };
};

const order = (write: (out: BinaryWriter) => BinaryWriter) => ({ type: "Order", write });
const payment = (write: (out: BinaryWriter) => BinaryWriter) => ({ type: "Payment", write });

const batchOf = (events: readonly ReturnType<typeof order>[]): Uint8Array =>
  RecordBatch.encode({
    ingestTime: 0,
    events: events.map(({ type, write }, index) => ({
      id: `e${index}`,
      type,
      key: "k",
      eventTime: 100 + 7 * index,
      data: { $case: "protobuf" as const, value: Buffer.from(write(new BinaryWriter()).finish()) },
    })),
    tick: undefined,
    rekeyed: undefined,
  }).finish();

/** The values of a pair, or of one event alone. */
const valuesOf = (
  { values, read }: ReturnType<typeof joined>,
  l: ReturnType<typeof order> | undefined,
  r: ReturnType<typeof payment> | undefined,
): readonly OutputValue[] => {
  const batch = read(batchOf([l, r].filter((each) => each !== undefined)));
  expect([...batch.errors]).toEqual([]);
  values.left.begin(batch);
  values.right.begin(batch);
  const row = (cells: Uint8Array): JoinRow => ({ time: 0, cells, matched: false });
  const leftRow = l && row(values.left.take(0)!);
  const rightRow = r && row(values.right.take(l === undefined ? 0 : 1)!);
  let result: readonly OutputValue[] = [];
  values.clear();
  // Three of one turn: the middle one is looked at, the others have nothing.
  values.add(0, 1, undefined, undefined);
  values.add(2, 3, leftRow, rightRow);
  values.add(4, 5, undefined, undefined);
  values.each((start, _end, each) => {
    if (start === 2) result = each;
    else expect(each.every((value) => value === null || typeof value === "boolean")).toBe(true);
  });
  return result;
};

const PAID = payment((out) =>
  out
    .uint32(10)
    .string("12,50")
    .uint32(18)
    .string("köln")
    .uint32(24)
    .sint32(-3)
    .uint32(32)
    .int32(2),
);
const ORDERED = order((out) =>
  out.uint32(8).int64("9007199254740993").uint32(18).string("köln").uint32(25).double(0.5),
);

test("fields of one name are of their own sides, whatever their types", () => {
  const join = joined({ l: left.field("amount"), r: right.field("amount") });
  expect(valuesOf(join, ORDERED, PAID)).toEqual([9007199254740993n, "12,50"]);
  expect(
    valuesOf(
      join,
      order((out) => out.uint32(8).int64(12)),
      PAID,
    ),
  ).toEqual([12, "12,50"]);
});

test("a side without an event is null, and so is what is computed from it", () => {
  const join = joined({
    store: left.field("store"),
    paid: right.event.id.isNotNull(),
    fee: right.field("fee").add(1),
    waited: right.event.time.subtract(left.event.time),
    same: left.field("store").eq(right.field("store")),
  });
  expect(valuesOf(join, ORDERED, PAID)).toEqual(["köln", true, -2, 7, true]);
  expect(valuesOf(join, ORDERED, undefined)).toEqual(["köln", false, null, null, null]);
  expect(valuesOf(join, undefined, PAID)).toEqual([null, true, -2, null, null]);
});

test("absent fields follow their schema, on either side", () => {
  const join = joined({
    rate: left.field("rate"),
    test: left.field("test"),
    fee: right.field("fee"),
    store: right.field("store"),
  });
  const empty = (out: BinaryWriter) => out;
  expect(valuesOf(join, order(empty), payment(empty))).toEqual([null, false, 0, ""]);
});

test("names of enum values, lookups and parts of the envelope work over sides", () => {
  const cities = { köln: { country: "DE" } };
  const join = joined({
    cash: right.field("way").eq("CASH" as never),
    country: lookup(cities, left.field("store")).field("country"),
    type: right.event.type,
    key: left.event.key,
    id: right.event.id,
  });
  expect(valuesOf(join, ORDERED, PAID)).toEqual([true, "DE", "Payment", "k", "e1"]);
});

test("integers that arithmetic made too large for 64 bits are null", () => {
  const big = left.field("amount").multiply(1000);
  const join = joined({ big, bigger: big.multiply(1000) });
  expect(valuesOf(join, ORDERED, PAID)).toEqual([9007199254740992000n, null]);
});

test("an event is on a side by its type and the side's where", () => {
  const { values, read } = joined(
    { store: left.field("store"), way: right.field("way") },
    { left: { types: ["Order"], where: field("amount").gt(5).and(event.key.eq("k")) } },
  );
  const amount = (cents: number) => order((out) => out.uint32(8).int64(cents));
  const batch = read(batchOf([amount(6), amount(5), PAID]));
  values.left.begin(batch);
  values.right.begin(batch);
  const taken = [0, 1, 2].map((row) => [values.left.take(row), values.right.take(row)]);
  expect(taken.map((sides) => sides.map((cells) => cells !== undefined))).toEqual([
    [true, false],
    [false, false],
    [false, true],
  ]);
});

test("an event of which too much is needed is refused", () => {
  const { values, read } = joined({ store: left.field("store") });
  const long = order((out) => out.uint32(18).string("x".repeat(JOIN_ROW_BYTES_MAX)));
  values.left.begin(read(batchOf([long])));
  expect(() => values.left.take(0)).toThrow(
    /65541 bytes; 65536 are the limit \(JOIN_ROW_BYTES_MAX\)/,
  );
});
