/** No accumulator, and no value, is larger than its definition says (H1), whatever it was given. */
import { describe, expect, test } from "vitest";
import { Value } from "../../proto/gen/tidemark/v1/result.ts";
import type { AggregateDefinition } from "../../projections/definition/definition.ts";
import type { ExpressionType } from "../../projections/definition/expression.ts";
import { RESULT_BYTES_MAX, weightOf } from "../../projections/definition/weight.ts";
import { ByteWriter } from "../kernel/byte-writer.ts";
import { Bench, seeded } from "./accumulators.suite.ts";
import type { Input } from "./accumulators.suite.ts";

const of = { field: "x" };
const AGGREGATES: readonly (readonly [ExpressionType, AggregateDefinition])[] = [
  ["integer", { fn: "sum", of }],
  ["integer", { fn: "max", of }],
  ["double", { fn: "mean", of }],
  ["integer", { fn: "variance", of, population: true }],
  ["string", { fn: "first", of }],
  ["integer", { fn: "last", of }],
  ["string", { fn: "distinct", of, precision: 8, sketch: true }],
  ["string", { fn: "distinct", of, precision: 14, sketch: true }],
  ["double", { fn: "quantile", of, q: 0.5, relativeError: 0.01, sketch: true }],
  ["double", { fn: "quantiles", of, qs: [0, 0.5, 0.999], relativeError: 0.1, sketch: true }],
  ["double", { fn: "quantile", of, q: 0.5, relativeError: 0.001, sketch: true }],
  ["string", { fn: "topK", of, k: 100, capacity: 256, sketch: true }],
  ["string", { fn: "topK", of, k: 1, capacity: 2_048, sketch: false }],
  ["integer", { fn: "topK", of, k: 10, capacity: 256, sketch: true }],
  ["string", { fn: "collect", of, limit: 1_000 }],
  ["string", { fn: "collect", of, limit: 3 }],
  ["integer", { fn: "collect", of, limit: 1_000 }],
];

/** As long, as different and as far apart as inputs can be. */
const extremes = (type: ExpressionType): readonly Input[] => {
  const random = seeded(7);
  return Array.from({ length: 6_000 }, (_, i) => {
    if (type === "string") return `${i} `.padEnd(2_000, "x");
    if (type === "integer") return 9_007_199_254_740_993n + BigInt(i) * 2n;
    const size = 2 ** (1_000 - 64 * random());
    return i % 2 === 0 ? size : -size;
  });
};

describe("weights hold for", () => {
  for (const [type, definition] of AGGREGATES) {
    test(`${JSON.stringify(definition)} of ${type}`, () => {
      const inputs = extremes(type);
      const bench = new Bench(definition, type);
      bench.add(
        inputs,
        0,
        inputs.map((_, i) => i),
      );
      const value = new ByteWriter();
      bench.accumulator.writeValue(0, value);
      expect(Value.decode(value.finish()).kind).toBeDefined();
      const weight = weightOf(definition, type);
      expect(bench.state().length).toBeLessThanOrEqual(weight);
      expect(value.length).toBeLessThanOrEqual(weight);
      expect(weight).toBeLessThan(RESULT_BYTES_MAX);
    });
  }
});
