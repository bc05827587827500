import fc from "fast-check";
import { expect, test } from "vitest";
import { Value } from "../../proto/gen/tidemark/v1/result.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { Bench, plain, seeded } from "./accumulators.suite.ts";

const definition = (k: number, capacity: number, sketch = false) =>
  ({ fn: "topK", of: { field: "x" }, k, capacity, sketch }) as const;

interface Item {
  readonly value: string;
  readonly count: bigint;
  readonly error: bigint;
}

const itemsOf = (bench: Bench): Item[] => bench.value() as Item[];

const exactCounts = (inputs: readonly string[]): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const input of inputs) counts.set(input, (counts.get(input) ?? 0) + 1);
  return counts;
};

/** F1 and F2 of everything that the sketch holds and does not hold. */
const expectBounds = (bench: Bench, inputs: readonly string[], capacity: number): void => {
  const counts = exactCounts(inputs);
  const bound = (2 * inputs.length) / (capacity + 1);
  const record = bench.value() as { readonly sketch: Buffer };
  const { floor, items } = plain(Value.decode(record.sketch)) as {
    readonly floor: bigint;
    readonly items: Item[];
  };
  expect(Number(floor)).toBeLessThanOrEqual(bound);
  expect(items.length).toBeLessThanOrEqual(capacity);
  for (const { value, count, error } of items) {
    const exact = counts.get(value)!;
    expect(Number(count)).toBeLessThanOrEqual(exact);
    expect(Number(count + error)).toBeGreaterThanOrEqual(exact);
    expect(Number(error)).toBeLessThanOrEqual(Number(floor));
    counts.delete(value);
  }
  for (const exact of counts.values()) expect(exact).toBeLessThanOrEqual(Number(floor));
};

const words = fc.array(
  fc.nat(30).map((n) => `word-${Math.floor(n / (1 + (n % 5)))}`),
  { maxLength: 200 },
);

test("F1, F2: counts and errors bound the truth, whole and merged in parts", () => {
  fc.assert(
    fc.property(words, fc.nat(200), fc.integer({ min: 2, max: 12 }), (inputs, cut, capacity) => {
      const make = () => new Bench(definition(2, capacity, true), "string");
      expectBounds(make().add(inputs), inputs, capacity);
      const parts = make().add(inputs.slice(0, cut));
      parts.add(inputs.slice(cut), 1).merge(parts.state(1));
      expectBounds(parts, inputs, capacity);
    }),
    { numRuns: propertyRuns(500) },
  );
});

test("F3: a restored sketch goes on as the one that was saved", () => {
  fc.assert(
    fc.property(words, fc.nat(200), (inputs, cut) => {
      const make = () => new Bench(definition(3, 5), "string");
      const restored = make().merge(make().add(inputs.slice(0, cut)).state());
      restored.add(inputs.slice(cut));
      const whole = make().add(inputs);
      expect(restored.state()).toEqual(whole.state());
      expect(restored.value()).toEqual(whole.value());
    }),
    { numRuns: propertyRuns(300) },
  );
});

test("is exact while there are no more different values than capacity", () => {
  fc.assert(
    fc.property(words, (inputs) => {
      const expected = [...exactCounts(inputs)]
        .sort(([a, m], [b, n]) => n - m || Buffer.compare(Buffer.from(a), Buffer.from(b)))
        .slice(0, 4)
        .map(([value, count]) => ({ value, count: BigInt(count), error: 0n }));
      expect(itemsOf(new Bench(definition(4, 31), "string").add(inputs))).toEqual(expected);
    }),
  );
});

const random = seeded(3);
const many = (make: (i: number) => string) => Array.from({ length: 50_000 }, (_, i) => make(i));
const DATA_SETS = {
  uniform: many(() => `p${Math.floor(random() * 5_000)}`),
  zipf: many(() => `p${Math.floor(1 / (1 - random()))}`),
  sorted: many((i) => `p${String(Math.floor(i / 7)).padStart(6, "0")}`),
  constant: many(() => "p"),
};

test.for(Object.entries(DATA_SETS))("%s data keep the bounds", ([name, inputs]) => {
  expectBounds(new Bench(definition(10, 256, true), "string").add(inputs), inputs, 256);
  if (name !== "zipf") return;
  const top = itemsOf(new Bench(definition(10, 256), "string").add(inputs));
  const exact = [...exactCounts(inputs)].sort(([, m], [, n]) => n - m).slice(0, 10);
  expect(top.map((item) => item.value)).toEqual(exact.map(([value]) => value));
});

test("of integers, beyond 2^53 too", () => {
  const bench = new Bench(definition(2, 8), "integer").add([2n ** 63n - 1n, 5n, 2n ** 63n - 1n]);
  expect(bench.value()).toEqual([
    { value: 2n ** 63n - 1n, count: 2n, error: 0n },
    { value: 5n, count: 1n, error: 0n },
  ]);
  expect(new Bench(definition(2, 8), "double").add([0, -0, 0.5]).value()).toEqual([
    { value: 0, count: 2n, error: 0n },
    { value: 0.5, count: 1n, error: 0n },
  ]);
  expect(new Bench(definition(2, 8), "double").value()).toEqual([]);
});

test("slots share their values' bytes, and let them go apart", () => {
  const bench = new Bench(definition(3, 8), "string").add(["a", "b"]).add(["b", "c"], 1);
  bench.accumulator.clear(0);
  bench.add(["d"], 0);
  expect(itemsOf(bench).map((item) => item.value)).toEqual(["d"]);
  expect((bench.value(1) as Item[]).map((item) => item.value)).toEqual(["b", "c"]);
});
