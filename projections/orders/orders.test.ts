import { expect, it } from "vitest";
import { planProjection, planTopic } from "../definition/plan-projection.ts";
import { loadSchemas } from "../schema/schema-set.ts";
import { orders, revenueByStore } from "./orders.ts";

const schemas = loadSchemas(orders.schemas);
const plan = planProjection(revenueByStore, planTopic(orders, schemas));

it("adds whole cents of payments by store, merging partitions", () => {
  expect(plan).toMatchObject({ merged: true, reads: [true, false], key: { field: "store" } });
  expect(plan.aggregates.map(({ name, inputType }) => [name, inputType])).toEqual([
    ["payments", undefined],
    ["revenue", "integer"],
    ["items", "integer"],
    ["largest", "integer"],
  ]);
});

it("leaves test orders out", () => {
  expect(plan.columns.map((column) => column.path)).toEqual(["test", "amount", "store", "items"]);
  expect(plan.where).toMatchObject({
    op: "and",
    args: [{ op: "not", args: [{ field: "test" }] }, {}],
  });
});

it("holds amounts that a double could not", () => {
  const cents = '{"store":"s","amount":"9007199254740993"}';
  expect(schemas.toJson("orders.Paid", schemas.toBinary("orders.Paid", cents))).toBe(cents);
});
