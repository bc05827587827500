import { expect, it } from "vitest";
import { planProjection, planTopic } from "../definition/plan-projection.ts";
import type { FoldEvent } from "../index.ts";
import { loadSchemas } from "../schema/schema-set.ts";
import { preferences, shopping } from "./preferences.ts";

const WEEK = 7 * 86_400_000;
const reduce = preferences.reduce as (state: unknown, event: FoldEvent) => unknown;

const after = (...acts: readonly (readonly [time: number, type: string, data: object])[]) =>
  acts.reduce<unknown>((state, [time, type, data]) => {
    const event = { id: "", key: "ada", type: `shopping.${type}`, time, data };
    return reduce(state, event as FoldEvent);
  }, preferences.state()) as Record<string, unknown>;

const product = { product: "p1", category: "shoes", brand: "acme", price: 5_000n };

it("is a plan whose results are the parts of the model", () => {
  const plan = planProjection(preferences, planTopic(shopping, loadSchemas(shopping.schemas)));
  expect(plan.kind).toBe("fold");
  expect(plan.outputs[0]).toEqual({ name: "favourite", type: "string" });
  expect(plan.outputs.map(({ name }) => name)).toEqual([
    "favourite",
    "categories",
    "brands",
    "prices",
    "viewed",
    "searches",
    "purchases",
    "updated",
  ]);
});

it("weighs acts, and keeps what is strongest and newest first", () => {
  const hats = { ...product, product: "p2", category: "hats", price: 900n };
  const state = after(
    [1, "Viewed", product],
    [1, "Viewed", hats],
    [1, "Clicked", hats],
    [1, "Searched", { query: "red hat", category: "hats" }],
    [1, "Viewed", product],
  );
  expect(state).toEqual({
    categories: [
      { name: "hats", affinity: 6 },
      { name: "shoes", affinity: 2 },
    ],
    brands: [{ name: "acme", affinity: 6 }],
    prices: { min: 900n, max: 5_000n },
    viewed: ["p1", "p2"],
    searches: ["red hat"],
    purchases: [],
    updated: 1,
  });
});

it("counts every item of a purchase", () => {
  const items = [product, { ...product, product: "p3", category: "socks" }];
  const state = after([5, "Purchased", { items }]);
  expect(state).toMatchObject({
    categories: [
      { name: "shoes", affinity: 10 },
      { name: "socks", affinity: 10 },
    ],
    brands: [{ name: "acme", affinity: 20 }],
    purchases: ["p3", "p1"],
  });
});

it("lets an interest halve every week", () => {
  const bought = [0, "Purchased", { items: [product] }] as const;
  const nothing = { query: "", category: "" };
  const affinity = (time: number) =>
    (after(bought, [time, "Searched", nothing])["categories"] as { affinity: number }[])[0]!
      .affinity;
  expect(affinity(WEEK)).toBe(5);
  expect(affinity(2 * WEEK)).toBe(2.5);
  expect(affinity(WEEK / 2)).toBe(7.5);
  expect(affinity(3 * WEEK + WEEK / 4)).toBe(1.09375);
  // After three hundred years nothing is left, and that is found at once.
  expect(affinity(1.1e13)).toBe(0);
});

it("keeps a bounded number of everything", () => {
  const acts = Array.from({ length: 60 }, (_, i) => {
    const data = { product: `p${i}`, category: `c${i}`, brand: `b${i}`, price: 1n };
    return [i, "Viewed", data] as const;
  });
  const state = after(...acts);
  expect(state["categories"]).toHaveLength(20);
  expect(state["brands"]).toHaveLength(20);
  expect(state["viewed"]).toHaveLength(10);
});
