/** What an aggregate is fed: its expression, and for the aggregates that go by it, event time. */
import type { AggregatePlan, PlanBase } from "../../projections/definition/plan.ts";
import type { Expression } from "../../projections/definition/expression.ts";
import { compileExpression } from "./evaluator.ts";
import type { Evaluator } from "./evaluator.ts";
import { emptyVector } from "./vector.ts";

/** Undefined for an aggregate that counts events, not values. */
export const compileInput = (
  { definition }: AggregatePlan,
  plan: PlanBase,
): Evaluator | undefined => {
  if (definition.fn === "custom") return compileParts(Object.values(definition.inputs), plan);
  if (!("of" in definition)) return undefined;
  const of = compileExpression(definition.of, plan);
  if (definition.fn !== "first" && definition.fn !== "last") return of;
  return {
    type: of.type,
    evaluate: (batch) => {
      // The vector is this evaluator's own: no other aggregate sees the times.
      const vector = of.evaluate(batch);
      vector.times = batch.eventTimes;
      return vector;
    },
  };
};

/** Several expressions at once. */
const compileParts = (expressions: readonly Expression[], plan: PlanBase): Evaluator => {
  const parts = expressions.map((expression) => compileExpression(expression, plan));
  const vector = emptyVector("double");
  return {
    type: vector.type,
    evaluate: (batch) => {
      vector.parts = parts.map((part) => part.evaluate(batch));
      return vector;
    },
  };
};
