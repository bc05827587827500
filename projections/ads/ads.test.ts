import { expect, it } from "vitest";
import { planProjection, planTopic } from "../definition/plan-projection.ts";
import { loadSchemas } from "../schema/schema-set.ts";
import { adDelivery, adUsers, clickSegments, impressionClicks } from "./ads.ts";

const schemas = loadSchemas(adDelivery.schemas);

it("gives the material of click-through rates: every impression, clicked or not", () => {
  const plan = planProjection(impressionClicks, planTopic(adDelivery, schemas));
  expect(plan).toMatchObject({ merged: false, mode: "left" });
  expect(plan.within).toEqual({ beforeMs: 0, afterMs: 600_000 });
  expect([plan.left.reads, plan.right.reads]).toEqual([
    [true, false],
    [false, true],
  ]);
  expect(plan.outputs).toEqual([
    { name: "campaign", type: "string" },
    { name: "user", type: "string" },
    { name: "costMicros", type: "integer" },
    { name: "clicked", type: "boolean" },
    { name: "msToClick", type: "integer" },
  ]);
});

it("looks segments up as of the click, for 90 days", () => {
  const plan = planProjection(clickSegments, planTopic(adUsers, schemas));
  expect(plan.asOf).toMatchObject({ ttlMs: 90 * 86_400_000, deleted: { op: "eq" } });
  expect(plan.outputs.map(({ name, type }) => [name, type])).toEqual([
    ["campaign", "string"],
    ["impression", "string"],
    ["segment", "string"],
    ["label", "string"],
    ["segmentAgeMs", "integer"],
  ]);
});
