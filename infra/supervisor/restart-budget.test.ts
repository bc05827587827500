import { expect, test } from "vitest";
import { RestartBudget } from "./restart-budget.ts";

const policy = { restartsMax: 4, windowMs: 1_000, backoffMinMs: 100, backoffMaxMs: 300 };

test("each restart within the window waits twice as long, up to the bound", () => {
  const budget = new RestartBudget(policy);
  expect([0, 1, 2, 3].map((nowMs) => budget.take(nowMs))).toEqual([100, 200, 300, 300]);
});

test("no restart is left when the window holds the most that are allowed", () => {
  const budget = new RestartBudget(policy);
  for (let i = 0; i < 4; i++) budget.take(i);
  expect(budget.take(999)).toBeUndefined();
});

test("restarts come back as they leave the window, and the first is quick again", () => {
  const budget = new RestartBudget(policy);
  for (let i = 0; i < 4; i++) budget.take(i);
  expect(budget.take(1_000)).toBe(300);
  expect(budget.take(1_000)).toBeUndefined();
  expect(budget.take(5_000)).toBe(100);
});
