/** Small plans and record batches for tests of the engine, without files or servers. */
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { outputType } from "../../projections/definition/aggregate-output.ts";
import { windowMerges } from "../../projections/definition/check-window.ts";
import type {
  AggregateDefinition,
  WindowProjection,
} from "../../projections/definition/definition.ts";
import type {
  AggregatePlan,
  FieldColumn,
  FieldSchema,
  TopicPlan,
  WindowPlan,
} from "../../projections/definition/plan.ts";
import { zoneRules } from "../../projections/zone/zone-rules.ts";
import { BinaryWriter } from "@bufbuild/protobuf/wire";

const field = (number: number, name: string, scalar: FieldSchema["scalar"]): FieldSchema => ({
  number,
  name,
  scalar,
  repeated: false,
  optional: name !== "store",
});

/** message test.Sale { optional int64 cents = 1; optional double weight = 2; string store = 3; } */
export const SALE = {
  name: "test.Sale",
  fields: [field(1, "cents", "int64"), field(2, "weight", "double"), field(3, "store", "string")],
};
export const PULSE = { name: "test.Pulse", fields: [] };

export const topicPlan = (settings: Partial<TopicPlan["definition"]> = {}): TopicPlan => ({
  definition: {
    name: "sales",
    partitions: 1,
    schemas: [],
    types: [SALE.name, PULSE.name],
    maxOutOfOrdernessMs: 0,
    maxFutureSkewMs: 300_000,
    dedupeHorizonMs: 600_000,
    idleAfterMs: 30_000,
    retentionMs: 604_800_000,
    maxBytes: 1 << 30,
    ...settings,
  },
  types: [SALE, PULSE],
});

const COLUMNS: readonly FieldColumn[] = [
  { path: "cents", type: "integer", fields: [SALE.fields[0], undefined] },
  { path: "weight", type: "double", fields: [SALE.fields[1], undefined] },
  { path: "store", type: "string", fields: [SALE.fields[2], undefined] },
];

export const AGGREGATES: Readonly<Record<string, AggregateDefinition>> = {
  sales: { fn: "count" },
  cents: { fn: "sum", of: { field: "cents" } },
  least: { fn: "min", of: { field: "cents" } },
  greatest: { fn: "max", of: { field: "cents" } },
  meanWeight: { fn: "mean", of: { field: "weight" } },
};

const inputTypeOf = (aggregate: AggregateDefinition): AggregatePlan["inputType"] => {
  if (!("of" in aggregate)) return undefined;
  const { of } = aggregate;
  const column = "field" in of ? COLUMNS.find(({ path }) => path === of.field) : undefined;
  return column?.type ?? "integer";
};

export const salesPlan = (
  changes: Partial<WindowProjection> = {},
  topic: TopicPlan = topicPlan(),
): WindowPlan => {
  const definition: WindowProjection = {
    name: "sales-by-key",
    description: "",
    topic: topic.definition.name,
    types: [SALE.name],
    where: undefined,
    key: { event: "key" },
    window: { kind: "tumbling", sizeMs: 10, offsetMs: 0 },
    allowedLatenessMs: 0,
    aggregates: AGGREGATES,
    emit: { mode: "final" },
    subjects: { by: "key" },
    ...changes,
  };
  const aggregates: AggregatePlan[] = Object.entries(definition.aggregates).map(
    ([name, aggregate]) => ({
      name,
      definition: aggregate,
      inputType: inputTypeOf(aggregate),
    }),
  );
  const byField = !("event" in definition.key);
  const local = !windowMerges(definition.window.kind);
  return {
    kind: "window",
    definition,
    topic,
    reads: topic.types.map((type) => definition.types.includes(type.name)),
    columns: COLUMNS,
    where: definition.where,
    key: definition.key,
    aggregates,
    zone: definition.window.kind === "calendar" ? zoneRules(definition.window.zone) : undefined,
    outputs: aggregates.map((each) => ({ name: each.name, type: outputType(each) })),
    merged: byField && !local,
    rekeyed: byField && local,
    digest: new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]),
  };
};

export interface Sale {
  readonly id: string;
  readonly key: string;
  readonly time: number;
  readonly cents?: bigint | number;
  readonly weight?: number;
  readonly store?: string;
  readonly type?: string;
}

export const encodeSale = (sale: Sale): Buffer => {
  const out = new BinaryWriter();
  if (sale.cents !== undefined) out.uint32(8).int64(sale.cents.toString());
  if (sale.weight !== undefined) out.uint32(17).double(sale.weight);
  if (sale.store !== undefined) out.uint32(26).string(sale.store);
  return Buffer.from(out.finish());
};

export const encodeBatch = (
  sales: readonly Sale[],
  ingestTime = 1_000_000,
  tickTime?: number,
): Uint8Array =>
  RecordBatch.encode({
    ingestTime,
    events: sales.map((sale) => ({
      id: sale.id,
      type: sale.type ?? SALE.name,
      key: sale.key,
      eventTime: sale.time,
      data: { $case: "protobuf", value: encodeSale(sale) },
    })),
    tick: tickTime === undefined ? undefined : { time: tickTime },
    rekeyed: undefined,
  }).finish();
