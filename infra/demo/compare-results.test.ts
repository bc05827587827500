import { expect, it } from "vitest";
import { Kind, type Result, type Value } from "../../proto/gen/tidemark/v1/result.ts";
import { compareResults, isRight, sameValue } from "./compare-results.ts";
import type { ExpectedResult } from "./expected-results.ts";

const HOUR_MS = 3_600_000;

const expected = (key: string, hour: number, departures: bigint): ExpectedResult => ({
  key,
  windowStart: hour * HOUR_MS,
  windowEnd: (hour + 1) * HOUR_MS,
  values: { departures: { kind: "integer", value: departures } },
});

const actual = (key: string, hour: number, departures: string): Result => ({
  projection: "p",
  version: 1,
  key,
  window: { start: hour * HOUR_MS, end: (hour + 1) * HOUR_MS },
  kind: Kind.KIND_FINAL,
  revision: 1,
  ordinal: 0,
  watermark: 0,
  position: undefined,
  values: [{ name: "departures", value: { kind: { $case: "intValue", value: departures } } }],
});

async function* sequence<Item>(...items: Item[]): AsyncGenerator<Item> {
  yield* items;
}

it("finds nothing wrong in equal results", async () => {
  const comparison = await compareResults(
    "p",
    sequence(expected("ATL", 1, 3n), expected("ATL", 2, 4n), expected("BOS", 1, 5n)),
    sequence(actual("ATL", 1, "3"), actual("ATL", 2, "4"), actual("BOS", 1, "5")),
  );
  expect(isRight(comparison)).toBe(true);
  expect(comparison).toMatchObject({ compared: 3, right: 3, differences: [] });
});

it("tells missing, unexpected and wrong windows apart", async () => {
  const comparison = await compareResults(
    "p",
    sequence(expected("ATL", 1, 3n), expected("ATL", 2, 4n), expected("CLT", 1, 5n)),
    sequence(
      actual("ATL", 2, "9"),
      actual("BOS", 1, "5"),
      actual("CLT", 1, "5"),
      actual("DEN", 1, "1"),
    ),
  );
  expect(comparison).toEqual({
    projection: "p",
    compared: 2,
    right: 1,
    wrong: 1,
    missing: 1,
    unexpected: 2,
    differences: [
      "ATL 1970-01-01T01:00:00.000Z: is missing",
      "ATL 1970-01-01T02:00:00.000Z: departures is 9, but departures must be 4",
      "BOS 1970-01-01T01:00:00.000Z: must not exist",
      "DEN 1970-01-01T01:00:00.000Z: must not exist",
    ],
  });
});

it("takes a window that is not final for wrong", async () => {
  const early = { ...actual("ATL", 1, "3"), kind: Kind.KIND_EARLY };
  const comparison = await compareResults("p", sequence(expected("ATL", 1, 3n)), sequence(early));
  expect(comparison.wrong).toBe(1);
});

it("compares values bit for bit and by type", () => {
  const double = (value: number): Value => ({ kind: { $case: "doubleValue", value } });
  const int = (value: string): Value => ({ kind: { $case: "intValue", value } });
  expect(sameValue({ kind: "double", value: 1 / 3 }, double(1 / 3))).toBe(true);
  expect(sameValue({ kind: "double", value: 1 / 3 }, double(1 / 3 + 2 ** -54))).toBe(false);
  expect(sameValue({ kind: "double", value: 0 }, double(-0))).toBe(false);
  expect(sameValue({ kind: "integer", value: -7n }, int("-7"))).toBe(true);
  expect(sameValue({ kind: "integer", value: 7n }, double(7))).toBe(false);
  expect(sameValue({ kind: "null" }, { kind: undefined })).toBe(true);
  expect(sameValue({ kind: "null" }, int("0"))).toBe(false);
});
