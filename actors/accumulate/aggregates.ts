/** Which accumulator runs which aggregate: the one place to add an aggregate to the engine. */
import type { AggregatePlan } from "../../projections/definition/plan.ts";
import { quantileName } from "../../projections/definition/check-aggregate.ts";
import type { Accumulator } from "./accumulator.ts";
import { Collect } from "./collect.ts";
import { Count } from "./count.ts";
import { Custom } from "./custom.ts";
import { Distinct } from "./distinct.ts";
import { Edge } from "./edge.ts";
import { Extreme } from "./extreme.ts";
import { Mean } from "./mean.ts";
import { Quantiles } from "./quantiles.ts";
import { Sum } from "./sum.ts";
import { DoubleSums, ExactSums } from "./sums.ts";
import { TopK } from "./top-k.ts";
import { DoubleSpread, ExactSpread } from "./spread.ts";
import { Variance } from "./variance.ts";

export const makeAccumulator = (aggregate: AggregatePlan): Accumulator => {
  const integer = aggregate.inputType === "integer";
  const { definition } = aggregate;
  switch (definition.fn) {
    case "count":
      return new Count();
    case "sum":
      return new Sum(integer ? new ExactSums() : new DoubleSums(), integer);
    case "mean":
      return new Mean(integer ? new ExactSums() : new DoubleSums());
    case "min":
    case "max":
      return new Extreme(definition.fn, integer);
    case "first":
    case "last":
      return new Edge(definition.fn, aggregate.inputType!);
    case "distinct":
      return new Distinct(definition);
    case "quantile":
      return new Quantiles({
        ...definition,
        quantiles: [["estimate", definition.q]],
        single: true,
      });
    case "quantiles":
      return new Quantiles({
        ...definition,
        quantiles: definition.qs.map((q) => [quantileName(q), q]),
        single: false,
      });
    case "topK":
      return new TopK(definition, aggregate.inputType!);
    case "collect":
      return new Collect(definition.limit, aggregate.inputType!);
    case "custom":
      return new Custom(aggregate.name, definition);
    case "variance":
    case "stddev":
      return new Variance(integer ? new ExactSpread() : new DoubleSpread(), definition);
  }
};
