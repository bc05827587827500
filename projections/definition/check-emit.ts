/** Checks when results are published, as data says it. */
import type { EmitDefinition } from "./definition.ts";
import { POSITIVE, shown, type Mistakes } from "./reading.ts";

export const checkEmit = (value: unknown, mistakes: Mistakes): EmitDefinition | undefined => {
  const given = mistakes.object(value, "emit", ["mode", "everyMs"]);
  const mode = given && mistakes.oneOf(given["mode"], "emit.mode", ["final", "early", "each"]);
  if (given === undefined || mode === undefined) return undefined;
  if (mode === "early") {
    const everyMs = mistakes.duration(given["everyMs"], "emit.everyMs", POSITIVE);
    return everyMs === undefined ? undefined : { mode, everyMs };
  }
  if (given["everyMs"] !== undefined) {
    mistakes.add("emit.everyMs", `only mode "early" has it, not ${shown(mode)}`);
  }
  return { mode };
};
