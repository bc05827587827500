import fc from "fast-check";
import { expect, test } from "vitest";
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
      { numRuns: 500 },
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
