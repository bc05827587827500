import fc from "fast-check";
import { expect, test } from "vitest";
import { propertyRuns } from "../testkit/property-runs.ts";
import { Bench, type Input } from "./accumulators.suite.ts";
import { COLLECT_BYTES_MAX, COLLECT_STRING_BYTES_MAX } from "./collect.ts";

const definition = (limit: number) => ({ fn: "collect", of: { field: "x" }, limit }) as const;

const KINDS: Readonly<Record<string, fc.Arbitrary<Input>>> = {
  integer: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  double: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
  string: fc.string({ unit: "binary" }),
};

test.for(Object.entries(KINDS))(
  "of %s: a prefix and the total, whole and in parts",
  ([type, one]) => {
    const inputs = fc.array(fc.option(one, { nil: undefined }), { maxLength: 30 });
    fc.assert(
      fc.property(inputs, fc.nat(30), fc.integer({ min: 1, max: 20 }), (all, cut, limit) => {
        const make = () => new Bench(definition(limit), type as "string");
        const present = all.filter((input) => input !== undefined);
        const whole = make().add(all);
        expect(whole.value()).toEqual({
          values: present.slice(0, limit),
          total: BigInt(present.length),
        });
        const parts = make().add(all.slice(0, cut));
        parts.add(all.slice(cut), 1).merge(parts.state(1));
        expect(parts.state()).toEqual(whole.state());
        expect(make().merge(whole.state()).state()).toEqual(whole.state());
      }),
      { numRuns: propertyRuns(500) },
    );
  },
);

test("L1, L2: bytes are bounded, and what is left out shows in the total", () => {
  const long = "é".repeat(2_000);
  const bench = new Bench(definition(1_000), "string").add(Array.from({ length: 600 }, () => long));
  bench.add(["short"]);
  const { values, total } = bench.value() as { values: string[]; total: bigint };
  expect(total).toBe(601n);
  expect(values[0]).toBe("é".repeat(COLLECT_STRING_BYTES_MAX / 2));
  expect(values.length).toBe(Math.floor(COLLECT_BYTES_MAX / (COLLECT_STRING_BYTES_MAX + 2)));
  expect(values).not.toContain("short");
  expect(bench.state().length).toBeLessThan(COLLECT_BYTES_MAX + 16);
});

const text = (length: number) => "x".repeat(length);
/** Each takes its length, of two bytes, and COLLECT_STRING_BYTES_MAX. */
const FULL = Math.floor(COLLECT_BYTES_MAX / (COLLECT_STRING_BYTES_MAX + 2));
const ROOM = COLLECT_BYTES_MAX - FULL * (COLLECT_STRING_BYTES_MAX + 2);
const full = Array.from({ length: FULL }, () => text(COLLECT_STRING_BYTES_MAX));
const collected = (inputs: readonly Input[], limit = 1_000) =>
  new Bench(definition(limit), "string").add(inputs);
const countsOf = (bench: Bench) => {
  const { values, total } = bench.value() as { values: string[]; total: bigint };
  return [values.length, Number(total)];
};

test("L2: a value that fills the bytes to the last is kept, one longer by a byte is not", () => {
  expect(countsOf(collected([...full, text(ROOM)]))).toEqual([FULL + 1, FULL + 1]);
  expect(countsOf(collected([...full, text(ROOM + 1)]))).toEqual([FULL, FULL + 1]);
});

test("L1: after a value that was left out, shorter ones are too, whole and merged", () => {
  const inputs = [...full, text(ROOM + 1), "short"];
  expect(countsOf(collected(inputs))).toEqual([FULL, FULL + 2]);
  for (let cut = FULL - 1; cut <= inputs.length; cut++) {
    const parts = collected(inputs.slice(0, cut)).add(inputs.slice(cut), 1);
    // Compared as buffers: a matcher would take its time for each byte.
    const whole = collected(inputs).state();
    expect(Buffer.compare(parts.merge(parts.state(1)).state(), whole)).toBe(0);
  }
});

test("L1: a part that left values out ends what is kept, however much room there is", () => {
  // Each part keeps two; what follows the third of the first part stays out.
  const first = new Bench(definition(2), "string").add(["a", "b", "c"]);
  const into = collected(["z"]).merge(first.state());
  expect(into.value()).toEqual({ values: ["z", "a", "b"], total: 4n });
  into.merge(collected(["d"]).state()).add(["e"]);
  expect(into.value()).toEqual({ values: ["z", "a", "b"], total: 6n });
});

test("L2: `limit` values are kept, whole and merged", () => {
  expect(collected(["a", "b", "c"], 3).value()).toEqual({ values: ["a", "b", "c"], total: 3n });
  expect(collected(["a", "b", "c"], 2).value()).toEqual({ values: ["a", "b"], total: 3n });
  const into = collected(["a"], 2).merge(collected(["b", "c"], 2).state());
  expect(into.value()).toEqual({ values: ["a", "b"], total: 3n });
});

test("L2: of a long string its first bytes are kept, and it counts as kept", () => {
  const { values } = collected([text(COLLECT_STRING_BYTES_MAX + 1), "b"]).value() as {
    values: string[];
  };
  expect(values).toEqual([text(COLLECT_STRING_BYTES_MAX), "b"]);
});

test("the state is the total, how many are kept, and each with its length", () => {
  expect([...collected(["a", undefined, "bc", "d"], 2).state()]).toEqual([3, 2, 1, 97, 2, 98, 99]);
  expect([...collected([]).state()]).toEqual([0, 0]);
});

test("a slot that is let go holds nothing any more", () => {
  const bench = collected(["a", "b"]);
  bench.accumulator.release!(0);
  expect([...bench.state()]).toEqual([0, 0]);
});
