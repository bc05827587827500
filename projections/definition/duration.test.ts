import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseByteSize } from "./byte-size.ts";
import { formatDuration, parseDuration } from "./duration.ts";

describe("durations", () => {
  it("reads what people write", () => {
    const read = {
      "500 ms": 500,
      "90 seconds": 90_000,
      "1 hour": 3_600_000,
      "7 days": 604_800_000,
      "2 weeks": 1_209_600_000,
      "1 hour 30 minutes": 5_400_000,
      "1.5 hours": 5_400_000,
      "10min": 600_000,
      " 5  S ": 5000,
      "-2 hours": -7_200_000,
      "0": 0,
    };
    for (const [text, ms] of Object.entries(read)) expect(parseDuration(text), text).toBe(ms);
    expect(parseDuration(1500)).toBe(1500);
  });

  it("refuses what is ambiguous or no duration", () => {
    const refused = ["", "5", "1 huor", "hour", "1 month", "1 hour and 2", "1.0001 s 1", "0.1 ms"];
    for (const text of refused) expect(parseDuration(text), text).toBeUndefined();
    for (const value of [1.5, Number.NaN, Infinity, null, undefined, {}, true]) {
      expect(parseDuration(value)).toBeUndefined();
    }
  });

  it("D1: reads back what it prints", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms);
      }),
    );
    expect(formatDuration(3_600_000)).toBe("1 hour");
    expect(formatDuration(90_000)).toBe("90 seconds");
    expect(formatDuration(1500)).toBe("1500 ms");
  });

  it("D1: reads every unit alike, whatever the number", () => {
    const units = fc.constantFrom(
      ["ms", 1],
      ["seconds", 1000],
      ["minutes", 60_000],
      ["hours", 3_600_000],
      ["days", 86_400_000],
    );
    fc.assert(
      fc.property(fc.nat(100_000), units, (amount, [unit, size]) => {
        expect(parseDuration(`${amount} ${unit}`)).toBe(amount * Number(size));
      }),
    );
  });
});

it("reads sizes in bytes", () => {
  expect(parseByteSize("256 KiB")).toBe(262_144);
  expect(parseByteSize("1.5 MiB")).toBe(1_572_864);
  expect(parseByteSize(10)).toBe(10);
  expect(parseByteSize("512")).toBe(512);
  for (const value of ["", "KiB", "10 KB", "-1 B", 0.5, null]) {
    expect(parseByteSize(value)).toBeUndefined();
  }
});
