/** Checks what folds have beside what all projections have. */
import { checkEmit } from "./check-emit.ts";
import type { KindChecker } from "./checked-kind.ts";
import { checkFunction, checkVersion } from "./code.ts";
import type { FoldProjection } from "./definition.ts";
import { NAME_RULE, OUTPUT_NAME } from "./output-name.ts";
import type { FoldPlan } from "./plan.ts";
import { at, POSITIVE, shown, type Mistakes } from "./reading.ts";

const VALUES_MAX = 100;

const checkValues = (value: unknown, mistakes: Mistakes): FoldProjection["values"] => {
  if (value === undefined) return undefined;
  const given = mistakes.record(value, "values");
  if (given === undefined) return undefined;
  const names = Object.keys(given);
  if (names.length === 0 || names.length > VALUES_MAX) {
    mistakes.add("values", `must name 1 to ${VALUES_MAX} values, not ${names.length}`);
  }
  for (const name of names) {
    const path = at("values", name);
    if (!OUTPUT_NAME.test(name)) {
      mistakes.add(path, `the name must be ${NAME_RULE}, not ${shown(name)}`);
    }
    checkFunction(given[name], path, "(state) => state.count", mistakes);
  }
  return given as FoldProjection["values"];
};

/** The result of a fold without `values`. */
const STATE_COLUMN = "state";

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
      outputs: (values === undefined ? [STATE_COLUMN] : Object.keys(values)).map((name) => ({
        name,
        type: "any",
      })),
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
