/** Checks what folds have beside what all projections have. */
import { checkEmit } from "./check-emit.ts";
import type { KindChecker } from "./checked-kind.ts";
import { checkFunction, checkVersion } from "./code.ts";
import type { FoldProjection, FoldValueDefinition } from "./definition.ts";
import type { ExpressionType } from "./expression.ts";
import { NAME_RULE, OUTPUT_NAME } from "./output-name.ts";
import type { FoldPlan, OutputColumn } from "./plan.ts";
import { at, POSITIVE, shown, type Mistakes } from "./reading.ts";

const VALUES_MAX = 100;

const TYPES: readonly ExpressionType[] = ["integer", "double", "string", "boolean"];

/** What other languages call them. A number is an integer or a double: that is for its author to say. */
const OTHER_NAMES: Readonly<Record<string, ExpressionType>> = {
  int64: "integer",
  bigint: "integer",
  float: "double",
  text: "string",
  bool: "boolean",
};

const checkValue = (
  value: unknown,
  path: string,
  mistakes: Mistakes,
): FoldValueDefinition | undefined => {
  const example = "(state) => state.count";
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return checkFunction(value, path, example, mistakes);
  }
  const given = mistakes.object(value, path, ["type", "of"])!;
  const type = mistakes.oneOf(given["type"], at(path, "type"), TYPES, OTHER_NAMES);
  const of = checkFunction(given["of"], at(path, "of"), example, mistakes);
  return type && of && { type, of };
};

const checkValues = (value: unknown, mistakes: Mistakes): FoldProjection["values"] => {
  if (value === undefined) return undefined;
  const given = mistakes.record(value, "values");
  if (given === undefined) return undefined;
  const names = Object.keys(given);
  if (names.length === 0 || names.length > VALUES_MAX) {
    mistakes.add("values", `must name 1 to ${VALUES_MAX} values, not ${names.length}`);
  }
  const values = names.flatMap((name) => {
    const path = at("values", name);
    if (!OUTPUT_NAME.test(name)) {
      mistakes.add(path, `the name must be ${NAME_RULE}, not ${shown(name)}`);
    }
    const value = checkValue(given[name], path, mistakes);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(values);
};

/** The result of a fold without `values`. */
const STATE_COLUMN: OutputColumn = { name: "state", type: "any" };

const outputsOf = (values: FoldProjection["values"]): readonly OutputColumn[] =>
  values === undefined
    ? [STATE_COLUMN]
    : Object.entries(values).map(([name, value]) => ({
        name,
        type: typeof value === "function" ? "any" : value.type,
      }));

export const foldKind: KindChecker<FoldPlan> = {
  keys: ["order", "state", "reduce", "ttlMs", "values", "emit", "version"],
  check: (given, { mistakes }) => {
    const order = mistakes.oneOf(given["order"] ?? "time", "order", ["time"]);
    const state = checkFunction(given["state"], "state", "() => ({ count: 0 })", mistakes);
    const example = "(state, event) => ({ count: state.count + 1 })";
    const reduce = checkFunction(given["reduce"], "reduce", example, mistakes);
    const ttl = given["ttlMs"] ?? undefined;
    const ttlMs = ttl === undefined ? undefined : mistakes.duration(ttl, "ttlMs", POSITIVE);
    const values = checkValues(given["values"] ?? undefined, mistakes);
    const emit = checkEmit(given["emit"] ?? { mode: "each" }, mistakes);
    const version = checkVersion(given["version"], "version", mistakes);
    return {
      definition: {
        kind: "fold",
        order: order!,
        state: state as FoldProjection["state"],
        reduce: reduce as FoldProjection["reduce"],
        ttlMs,
        values,
        emit: emit!,
        version: version!,
      },
      plan: { kind: "fold" },
      outputs: outputsOf(values),
      covered: {
        kind: "fold",
        order,
        state,
        reduce,
        ttlMs,
        values: values && Object.entries(values),
        emit,
        version,
      },
    };
  },
};
