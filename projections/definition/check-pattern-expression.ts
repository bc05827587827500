/**
 * Checks the expressions of a pattern: conditions, which may look back at what steps have taken, and
 * values of results, which know nothing but what steps have taken.
 */
import {
  article,
  checkExpression,
  isNumeric,
  printExpression,
  type CheckedExpression,
  type ExtraForms,
  type Scope,
} from "./check-expression.ts";
import type { Expression, ExpressionType } from "./expression.ts";
import type {
  MatchValue,
  PatternExpression,
  StepFunction,
  StepValue,
} from "./pattern-definition.ts";
import type { OutputColumn } from "./plan.ts";
import { at, type Fields, type Mistakes } from "./reading.ts";

export const STEP_FUNCTIONS: readonly StepFunction[] = [
  "first",
  "last",
  "count",
  "sum",
  "min",
  "max",
  "mean",
];
const NUMERIC: readonly StepFunction[] = ["sum", "min", "max", "mean"];
const MATCH_VALUES: readonly MatchValue["match"][] = ["start", "end", "ids", "timedOut"];
const MATCH_TYPES: Readonly<Record<MatchValue["match"], OutputColumn["type"]>> = {
  start: "integer",
  end: "integer",
  ids: "any",
  timedOut: "boolean",
};

/** A value of results that is no operand. */
const standsAlone = (value: unknown): value is Fields =>
  typeof value === "object" &&
  value !== null &&
  (["ids", "timedOut"].includes((value as Fields)["match"] as string) ||
    (value as Fields)["fn"] === "collect");

interface Checked {
  readonly expression: StepValue | MatchValue;
  readonly type: OutputColumn["type"] | undefined;
}

const checkStepName = (
  value: unknown,
  path: string,
  steps: readonly string[],
  mistakes: Mistakes,
): string | undefined => {
  const name = mistakes.text(value, path);
  if (name === undefined || steps.includes(name)) return name;
  return mistakes.unknownName(
    path,
    `no step ${JSON.stringify(name)} comes before this`,
    name,
    steps,
    "steps",
  );
};

const stepType = (
  fn: StepValue["fn"],
  of: CheckedExpression | undefined,
  path: string,
  mistakes: Mistakes,
): OutputColumn["type"] | undefined => {
  if (fn === "count") return "integer";
  if (fn === "collect") return "any";
  const type = of?.type;
  if (type === undefined) return undefined;
  if (NUMERIC.includes(fn) && !isNumeric(type)) {
    return mistakes.add(
      path,
      `"${fn}" takes a number, but ${printExpression(of!.expression)} is ${article(type)}`,
    );
  }
  return fn === "mean" ? "double" : type;
};

const checkStepValue = (
  given: Fields,
  path: string,
  steps: readonly string[],
  functions: readonly StepValue["fn"][],
  mistakes: Mistakes,
  scope: Scope | undefined,
): Checked | undefined => {
  const step = checkStepName(given["step"], at(path, "step"), steps, mistakes);
  const fn = mistakes.oneOf(given["fn"] ?? "last", at(path, "fn"), functions, { avg: "mean" });
  if (fn === "count") {
    if (given["of"] !== undefined)
      mistakes.add(at(path, "of"), `"count" counts events; leave it out`);
    return step === undefined ? undefined : { expression: { step, fn }, type: "integer" };
  }
  const of = checkExpression(given["of"], at(path, "of"), mistakes, scope);
  if (step === undefined || fn === undefined || of === undefined) return undefined;
  const type = stepType(fn, of, at(path, "of"), mistakes);
  return { expression: { step, fn, of: of.expression }, type };
};

const scalar = (checked: Checked | undefined): CheckedExpression | undefined =>
  checked && {
    expression: checked.expression as unknown as Expression,
    type: checked.type as ExpressionType | undefined,
  };

const stepForm = (steps: readonly string[]): ExtraForms => ({
  step: {
    keys: ["step", "fn", "of"],
    check: (given, path, mistakes, scope) =>
      scalar(checkStepValue(given, path, steps, STEP_FUNCTIONS, mistakes, scope)),
  },
});

/** `steps`: those that it may look back at. A condition that is left out is always true. */
export const checkCondition = (
  value: unknown,
  path: string,
  steps: readonly string[],
  mistakes: Mistakes,
  scope: Scope | undefined,
): PatternExpression | undefined => {
  if (value === undefined || value === null) return undefined;
  const checked = checkExpression(value, path, mistakes, scope, stepForm(steps));
  if (checked?.type !== undefined && checked.type !== "boolean") {
    mistakes.add(
      path,
      `must be a boolean, but ${printExpression(checked.expression)} is ${article(checked.type)}`,
    );
  }
  return checked?.expression as PatternExpression | undefined;
};

/** Notes fields of no step: of all the events of a match, which one would be meant? */
const refuseBareFields = (
  expression: PatternExpression,
  path: string,
  steps: readonly string[],
  mistakes: Mistakes,
): void => {
  if ("op" in expression) {
    expression.args.forEach((arg, index) =>
      refuseBareFields(arg, at(at(path, "args"), index), steps, mistakes),
    );
  } else if ("field" in expression || "event" in expression || "lookup" in expression) {
    const name = steps[0] ?? "first";
    const shown = printExpression(expression as Expression);
    const right =
      "field" in expression ? `.field(${JSON.stringify(expression.field)})` : `.last(${shown})`;
    mistakes.add(
      path,
      `${shown} is of a single event, and a match has several; say of which step, ` +
        `for example step(${JSON.stringify(name)})${right}`,
    );
  }
};

export const checkValue = (
  value: unknown,
  path: string,
  steps: readonly string[],
  mistakes: Mistakes,
  scope: Scope | undefined,
): { readonly expression: PatternExpression; readonly type: OutputColumn["type"] } | undefined => {
  if (standsAlone(value)) {
    const part = value["match"] as MatchValue["match"] | undefined;
    mistakes.object(value, path, part === undefined ? ["step", "fn", "of"] : ["match"]);
    if (part !== undefined) return { expression: { match: part }, type: MATCH_TYPES[part] };
    const checked = checkStepValue(value, path, steps, ["collect"], mistakes, scope);
    return checked && { expression: checked.expression, type: "any" };
  }
  const forms: ExtraForms = {
    ...stepForm(steps),
    match: {
      keys: ["match"],
      check: (given, inner, noted) => {
        const part = noted.oneOf(given["match"], at(inner, "match"), MATCH_VALUES);
        if (part === undefined) return undefined;
        if (part === "ids" || part === "timedOut") {
          return noted.add(inner, `match.${part} stands alone; it cannot be an operand`);
        }
        return scalar({ expression: { match: part }, type: MATCH_TYPES[part] });
      },
    },
  };
  const checked = checkExpression(value, path, mistakes, scope, forms);
  if (checked === undefined) return undefined;
  const expression = checked.expression as PatternExpression;
  refuseBareFields(expression, path, steps, mistakes);
  return { expression, type: checked.type ?? "any" };
};
