/**
 * The values of a result, of what a match has taken.
 *
 * R1. They never fail: what does not fit its column is null.
 */
import type { PatternValuePlan } from "../../projections/definition/plan.ts";
import type { OutputValue } from "../ordered/output-value.ts";
import type { Conditions } from "./conditions.ts";
import type { Scalar } from "./scalar.ts";
import { collectValues } from "./step-value.ts";
import { pathOf, type Taken } from "./taken.ts";

export type MatchValueOf = (last: Taken, timedOut: boolean) => OutputValue;

const INT64 = 2n ** 63n;

/** Arithmetic with integers is done in doubles, which may be beyond what an integer column takes. */
const asInteger = (value: Scalar): OutputValue => {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  if (typeof value !== "number" && typeof value !== "bigint") return value;
  const integer = BigInt(value);
  return integer >= -INT64 && integer < INT64 ? integer : null;
};

export const compileMatchValue = (
  { expression, type }: PatternValuePlan,
  steps: readonly string[],
  conditions: Conditions,
): MatchValueOf => {
  if ("match" in expression && expression.match === "timedOut") return (_, timedOut) => timedOut;
  if ("match" in expression && expression.match === "ids") {
    const id = conditions.capture({ event: "id" }, undefined);
    return (last) => pathOf(last).map((taken) => taken.event.values[id]!);
  }
  if ("step" in expression && expression.fn === "collect") {
    const step = steps.indexOf(expression.step);
    const capture = conditions.capture(expression.of!, step);
    return (last) => collectValues(last, step, capture);
  }
  const value = conditions.value(expression);
  return type === "integer" ? (last) => asInteger(value(last)) : value;
};
