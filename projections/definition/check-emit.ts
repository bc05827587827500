/** Checks when results are published, as data says it. */
import type { EarlyTriggers, EmitDefinition } from "./definition.ts";
import { at, POSITIVE, shown, type Mistakes, type Range } from "./reading.ts";

export const EVENTS: Range = { min: 1, max: 1_000_000_000 };

type Trigger = keyof EarlyTriggers;

/** How triggers are called where they are given, and in a definition. */
export type TriggerNames = Readonly<Record<string, Trigger>>;

/** Those of windows; other kinds of projections have the first alone. */
export const WINDOW_TRIGGERS = {
  everyMs: "everyMs",
  everyEventTimeMs: "everyEventTimeMs",
  everyEvents: "everyEvents",
} as const satisfies Record<Trigger, Trigger>;

export const TRIGGERS: TriggerNames = { everyMs: "everyMs" };

export const readEarly = (
  value: unknown,
  names: TriggerNames,
  path: string,
  mistakes: Mistakes,
): EmitDefinition | undefined => {
  const keys = Object.keys(names);
  const given = mistakes.object(value, path, path === "" ? keys : ["mode", ...keys]);
  if (given === undefined) return undefined;
  const triggers = Object.entries(names).flatMap(([name, key]) => {
    if (given[name] === undefined) return [];
    const where = at(path, name);
    const read =
      key === "everyEvents"
        ? mistakes.whole(given[name], where, EVENTS)
        : mistakes.duration(given[name], where, POSITIVE);
    return [[key, read] as const];
  });
  if (triggers.length === 0) {
    // What is mistyped has been noted already.
    if (Object.keys(given).some((key) => key !== "mode" && given[key] !== undefined))
      return undefined;
    const several = keys.length > 1 ? ", or several" : "";
    return mistakes.add(path, `says nothing of when: give ${keys.join(", ")}${several}`);
  }
  return triggers.every(([, read]) => read !== undefined)
    ? { mode: "early", ...Object.fromEntries(triggers) }
    : undefined;
};

export const checkEmit = (
  value: unknown,
  mistakes: Mistakes,
  triggers = TRIGGERS,
): EmitDefinition | undefined => {
  const named = mistakes.record(value, "emit", 'as each() gives it, in JSON { "mode": "each" }');
  const mode = named && mistakes.oneOf(named["mode"], "emit.mode", ["final", "early", "each"]);
  if (named === undefined || mode === undefined) return undefined;
  if (mode === "early") return readEarly(value, triggers, "emit", mistakes);
  const given = mistakes.object(value, "emit", ["mode", ...Object.keys(triggers)])!;
  for (const key of Object.keys(triggers)) {
    if (given[key] === undefined) continue;
    mistakes.add(`emit.${key}`, `only mode "early" has it, not ${shown(mode)}`);
  }
  return { mode };
};
