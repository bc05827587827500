import { expect, test } from "vitest";
import { compareVersions, isNewEnough } from "./binary.ts";

test("versions compare by number, part by part", () => {
  expect(compareVersions("2.9.10", "2.12.0")).toBeLessThan(0);
  expect(compareVersions("2.12.0", "2.12.0")).toBe(0);
  expect(compareVersions("10.0.0", "9.9.9")).toBeGreaterThan(0);
});

test("a pre-release counts as its release", () => {
  expect(compareVersions("2.12.0-RC.1", "2.12.0")).toBe(0);
});

test("Debian 12's nats-server is too old, its redis-server is not", () => {
  expect(isNewEnough("nats-server", "2.9.10")).toBe(false);
  expect(isNewEnough("nats-server", "2.15.1")).toBe(true);
  expect(isNewEnough("redis-server", "7.0.15")).toBe(true);
  expect(isNewEnough("redis-server", "6.0.16")).toBe(false);
});
