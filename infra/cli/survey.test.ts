/** Where tasks read, told from their names alone. */
import { expect, test } from "vitest";
import type { Marker } from "../../actors/commit/marker.ts";
import type { ProjectionDefinition } from "../../projections/definition/definition.ts";
import type { StreamInfo } from "../nats/jetstream-api.ts";
import { placeTask } from "./survey.ts";
import type { Found, SurveyPlan } from "./survey.ts";

const PLAN = {
  topics: [{ name: "sales", partitions: 2 }],
  projections: [
    { name: "totals", topic: "sales" },
    {
      kind: "join",
      name: "joined",
      topic: "sales",
      left: { key: { field: "store" } },
      right: { projection: "totals" },
    } as unknown as ProjectionDefinition,
  ],
} as unknown as SurveyPlan;

const found = (root: Found["root"], projection: string, version: number, partition: number) => ({
  root,
  projection,
  version,
  partition,
  marker: { inputSequence: 3, sequence: 1 } as Marker,
});

const stream = (last: number) => ({ state: { last_seq: last } }) as StreamInfo;
const STREAMS = new Map([
  ["EVENTS_sales_0", stream(5)],
  ["EVENTS_via_joined_table_1_0", stream(7)],
  ["EVENTS_via_joined_1_0", stream(9)],
]);

const placed = (task: Found, live: number, all: readonly Found[]) => {
  const versions = new Map([[`joined`, { version: live, routing: live }]]);
  const { topic, inputPartition, lag } = placeTask(task, all, PLAN, STREAMS, versions);
  return { topic, inputPartition, lag };
};

test("a table's task reads a log of the table's own, or its topic, as that version of it does", () => {
  // In the first version the table was grouped by a field, in the second by the event's key.
  const all = [
    found("routed", "joined_table", 1, 0),
    found("routed", "joined", 1, 2),
    found("routed", "joined", 2, 2),
    found("results", "joined", 1, 0),
    found("results", "joined", 2, 0),
  ];
  const [, first, second, joined] = all;
  const own = { topic: "via_joined_table_1", inputPartition: 0, lag: 4 };
  expect(placed(first!, 1, all)).toEqual(own);
  expect(placed(second!, 2, all)).toEqual({ topic: "sales", inputPartition: 0, lag: 2 });
  expect(placed(joined!, 1, all)).toEqual({ topic: "via_joined_1", inputPartition: 0, lag: 6 });
});
