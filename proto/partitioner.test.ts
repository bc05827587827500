import { describe, expect, it } from "vitest";
import { murmur2, partitionOf, partitionOfBytes } from "./partitioner.ts";

const hash = (text: string): number => {
  const bytes = Buffer.from(text, "utf8");
  return murmur2(bytes, 0, bytes.length);
};

describe("the partitioner", () => {
  it.each([
    // The vectors of Kafka's own test, UtilsTest.testMurmur2.
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107],
  ])("hashes %j as the publication does", (text, expected) => {
    expect(hash(text)).toBe(expected);
  });

  it("keeps these partitions for ever (H2)", () => {
    const keys = ["ATL", "ORD", "DFW", "LAX", "a", "ab", "abc", "abcd", "Zürich", "東京", "🛩"];
    expect(keys.map((key) => partitionOf(key, 4))).toMatchInlineSnapshot(`
      [
        3,
        3,
        1,
        0,
        0,
        2,
        3,
        0,
        1,
        3,
        3,
      ]
    `);
    expect(keys.map((key) => partitionOf(key, 12))).toMatchInlineSnapshot(`
      [
        3,
        7,
        1,
        8,
        4,
        2,
        3,
        8,
        1,
        7,
        11,
      ]
    `);
  });

  it("hashes a range in place as it hashes the same bytes alone", () => {
    const bytes = Buffer.from("--Zürich--", "utf8");
    const start = 2;
    const end = bytes.length - 2;
    expect(partitionOfBytes(bytes, start, end, 64)).toBe(partitionOf("Zürich", 64));
  });

  it("spreads keys evenly", () => {
    const counts = new Array<number>(16).fill(0);
    for (let i = 0; i < 16_000; i++) counts[partitionOf(`key-${i}`, 16)] += 1;
    expect(Math.min(...counts)).toBeGreaterThan(850);
    expect(Math.max(...counts)).toBeLessThan(1150);
  });
});
