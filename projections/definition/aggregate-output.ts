/** The type of an aggregate's value in results. */
import type { AggregatePlan, OutputColumn } from "./plan.ts";

export const outputType = ({ definition, inputType }: AggregatePlan): OutputColumn["type"] => {
  if ("sketch" in definition && definition.sketch) return "any";
  switch (definition.fn) {
    case "count":
    case "distinct":
      return "integer";
    case "sum":
    case "min":
    case "max":
    case "first":
    case "last":
      return inputType ?? "any";
    case "mean":
    case "variance":
    case "stddev":
    case "quantile":
      return "double";
    default:
      return "any";
  }
};
