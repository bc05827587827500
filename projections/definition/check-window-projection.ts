/** Checks what windowed projections have beside what all projections have. */
import { outputType } from "./aggregate-output.ts";
import { checkAggregate, type CheckedAggregate } from "./check-aggregate.ts";
import { checkEmit, WINDOW_TRIGGERS } from "./check-emit.ts";
import type { Scope } from "./check-expression.ts";
import { checkWindow } from "./check-window.ts";
import type { KindChecker } from "./checked-kind.ts";
import { NAME_RULE, OUTPUT_NAME } from "./output-name.ts";
import { zoneRules } from "../zone/zone-rules.ts";
import type { WindowPlan } from "./plan.ts";
import { at, NOT_NEGATIVE, shown, type Mistakes } from "./reading.ts";
import { overweight } from "./weight.ts";

const checkAggregates = (
  value: unknown,
  mistakes: Mistakes,
  scope: Scope | undefined,
): readonly CheckedAggregate[] => {
  const wanted = "aggregates by their names, such as { events: count() }";
  const given = value === undefined ? {} : mistakes.record(value, "aggregates", wanted);
  if (given === undefined) return [];
  const names = Object.keys(given);
  if (names.length === 0) {
    mistakes.add("aggregates", "is empty; name at least one, for example { events: count() }");
  }
  return names.flatMap((name) => {
    const path = at("aggregates", name);
    if (!OUTPUT_NAME.test(name)) {
      mistakes.add(path, `the name must be ${NAME_RULE}, not ${shown(name)}`);
    }
    return checkAggregate(name, given[name], path, mistakes, scope) ?? [];
  });
};

export const windowKind: KindChecker<WindowPlan> = {
  keys: ["window", "allowedLatenessMs", "aggregates", "emit"],
  check: (given, { mistakes, scope }) => {
    const window = checkWindow(given["window"], mistakes);
    const lateness = given["allowedLatenessMs"] ?? 0;
    const allowedLatenessMs = mistakes.duration(lateness, "allowedLatenessMs", NOT_NEGATIVE);
    const aggregates = checkAggregates(given["aggregates"], mistakes, scope);
    const heavy = mistakes.list.length === 0 ? overweight(aggregates) : undefined;
    if (heavy !== undefined) mistakes.add("aggregates", heavy);
    const emit = checkEmit(given["emit"] ?? { mode: "final" }, mistakes, WINDOW_TRIGGERS);
    if (window?.kind === "global" && emit?.mode === "final") {
      mistakes.add(
        "emit",
        "a global window never closes, so nothing would ever be published: say when, with " +
          "early({ everyEvents: 100 }), early({ every: ... }), early({ everyEventTime: ... }) or each()",
      );
    }
    const zone =
      scope !== undefined && window?.kind === "calendar" ? zoneRules(window.zone) : undefined;
    return {
      definition: {
        window: window!,
        allowedLatenessMs: allowedLatenessMs!,
        aggregates: Object.fromEntries(aggregates.map((each) => [each.name, each.definition])),
        emit: emit!,
      },
      plan: { kind: "window", aggregates, zone },
      outputs: aggregates.map((each) => ({ name: each.name, type: outputType(each) })),
      covered: {
        window,
        allowedLatenessMs,
        aggregates: aggregates.map(({ name, definition }) => ({ as: name, ...definition })),
        emit,
        zone: zone?.digest,
      },
    };
  },
};
