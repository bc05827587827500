/** Checks what patterns have beside what all projections have. */
import type { Scope } from "./check-expression.ts";
import type { KindChecker } from "./checked-kind.ts";
import { checkPattern } from "./check-pattern.ts";
import { checkValue } from "./check-pattern-expression.ts";
import { NAME_RULE, OUTPUT_NAME } from "./output-name.ts";
import type { PatternExpression, SkipDefinition } from "./pattern-definition.ts";
import type { PatternPlan, PatternValuePlan } from "./plan.ts";
import { at, POSITIVE, shown, type Mistakes } from "./reading.ts";

export const PATTERN_VALUES_MAX = 100;
/** Of the values, those that are lists: they can be as long as a match. */
export const PATTERN_LISTS_MAX = 6;

export const STRATEGIES = [
  "noSkip",
  "skipToNext",
  "skipPastLastEvent",
  "skipToFirst",
  "skipToLast",
] as const satisfies readonly SkipDefinition["strategy"][];

/** Start, end and ids of the match; with timed-out ones also which it is. */
const defaultValues = (timedOut: boolean): Readonly<Record<string, PatternExpression>> => ({
  start: { match: "start" },
  end: { match: "end" },
  ids: { match: "ids" },
  ...(timedOut ? { timedOut: { match: "timedOut" } } : {}),
});

const checkSkip = (
  value: unknown,
  steps: readonly string[],
  mistakes: Mistakes,
): SkipDefinition | undefined => {
  const wanted = 'as noSkip() gives it, in JSON { "strategy": "noSkip" }';
  const given = mistakes.object(value, "skip", ["strategy", "step"], wanted);
  const strategy = given && mistakes.oneOf(given["strategy"], "skip.strategy", STRATEGIES);
  if (given === undefined || strategy === undefined) return undefined;
  if (strategy !== "skipToFirst" && strategy !== "skipToLast") {
    if (given["step"] !== undefined) {
      mistakes.add("skip.step", `only skipToFirst and skipToLast have it, not ${strategy}`);
    }
    return { strategy };
  }
  const step = mistakes.text(given["step"], "skip.step");
  if (step === undefined) return undefined;
  if (!steps.includes(step)) {
    const message = `the pattern has no step ${shown(step)}`;
    return mistakes.unknownName("skip.step", message, step, steps, "steps");
  }
  return { strategy, step };
};

const isList = (expression: PatternExpression): boolean =>
  ("match" in expression && expression.match === "ids") ||
  ("step" in expression && expression.fn === "collect");

const checkValues = (
  value: unknown,
  steps: readonly string[],
  mistakes: Mistakes,
  scope: Scope | undefined,
): readonly PatternValuePlan[] => {
  const given = mistakes.record(value, "values");
  if (given === undefined) return [];
  const names = Object.keys(given);
  if (names.length === 0) {
    mistakes.add("values", "is empty; name at least one, or leave it out for start, end and ids");
  }
  if (names.length > PATTERN_VALUES_MAX) {
    mistakes.add("values", `has ${names.length} values, more than ${PATTERN_VALUES_MAX}`);
  }
  const values = names.flatMap((name) => {
    const path = at("values", name);
    if (!OUTPUT_NAME.test(name)) {
      mistakes.add(path, `the name must be ${NAME_RULE}, not ${shown(name)}`);
    }
    const checked = checkValue(given[name], path, steps, mistakes, scope);
    return checked === undefined ? [] : [{ name, ...checked }];
  });
  const lists = values.filter(({ expression }) => isList(expression)).length;
  if (lists > PATTERN_LISTS_MAX) {
    mistakes.add("values", `has ${lists} lists (ids, collect), more than ${PATTERN_LISTS_MAX}`);
  }
  return values;
};

export const patternKind: KindChecker<PatternPlan> = {
  keys: ["pattern", "withinMs", "skip", "values", "onTimeout"],
  check: (given, { mistakes, scope }) => {
    const within = given["withinMs"] ?? undefined;
    const withinMs =
      within === undefined ? undefined : mistakes.duration(within, "withinMs", POSITIVE);
    const { elements, steps } = checkPattern(
      given["pattern"],
      "pattern",
      within !== undefined,
      mistakes,
      scope,
    );
    const skip = checkSkip(given["skip"] ?? { strategy: "noSkip" }, steps, mistakes);
    const onTimeout = mistakes.oneOf(given["onTimeout"] ?? "discard", "onTimeout", [
      "discard",
      "emit",
    ]);
    if (onTimeout === "emit" && within === undefined) {
      mistakes.add("onTimeout", "without within a partial match never times out; add within");
    }
    const wanted = given["values"] ?? defaultValues(onTimeout === "emit");
    const values = checkValues(wanted, steps, mistakes, scope);
    const definition = {
      kind: "pattern" as const,
      pattern: elements,
      withinMs,
      skip: skip!,
      values: Object.fromEntries(values.map(({ name, expression }) => [name, expression])),
      onTimeout: onTimeout!,
    };
    return {
      definition,
      plan: { kind: "pattern", elements, steps, values },
      outputs: values.map(({ name, type }) => ({ name, type })),
      covered: {
        ...definition,
        values: values.map(({ name, expression }) => ({ as: name, expression })),
      },
    };
  },
};
