import { expect, it } from "vitest";
import { planProjection, planTopic } from "../definition/plan-projection.ts";
import type { TopicPlan } from "../definition/plan.ts";
import { loadSchemas } from "../schema/schema-set.ts";
import { rekeyOf } from "../definition/rekey.ts";
import { adClicks, adImpressions, adSegments, clickSegments, impressionClicks } from "./ads.ts";

const schemas = loadSchemas(adClicks.schemas);
const [impressions, clicks, segments] = [adImpressions, adClicks, adSegments].map((topic) =>
  planTopic(topic, schemas),
) as [TopicPlan, TopicPlan, TopicPlan];

it("gives the material of click-through rates: every impression, clicked or not", () => {
  const plan = planProjection(impressionClicks, impressions, [clicks]);
  expect(plan).toMatchObject({ merged: false, rekeyed: true, mode: "left" });
  expect(plan.within).toEqual({ beforeMs: 0, afterMs: 600_000 });
  expect(rekeyOf(plan).routes).toMatchObject([
    { topic: impressions, key: { event: "key" }, where: undefined },
    { topic: clicks, key: { field: "impression" }, where: { op: "not" } },
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
  const plan = planProjection(clickSegments, clicks, [segments]);
  expect(plan.asOf).toMatchObject({ ttlMs: 90 * 86_400_000, deleted: { op: "eq" } });
  expect(plan.outputs.map(({ name, type }) => [name, type])).toEqual([
    ["campaign", "string"],
    ["impression", "string"],
    ["segment", "string"],
    ["label", "string"],
    ["segmentAgeMs", "integer"],
  ]);
});
