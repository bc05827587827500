/** The JSON Schema of when results are published. */
import { EVENTS, type TriggerNames } from "../definition/check-emit.ts";
import type { EarlyTriggers } from "../definition/definition.ts";
import { POSITIVE } from "../definition/reading.ts";
import { described, duration, object, whole, type Schema } from "./parts.ts";

const TRIGGER_SCHEMAS: { readonly [Key in keyof EarlyTriggers]-?: Schema } = {
  everyMs: described("Of ingest time.", duration(POSITIVE)),
  everyEventTimeMs: described("Of event time.", duration(POSITIVE)),
  everyEvents: described("So many events of a window.", whole(EVENTS)),
};

/** With the triggers that a kind of projection has. */
export const emitSchema = (triggers: TriggerNames): Schema => {
  const early = Object.entries(triggers).map(([name, key]) => [name, TRIGGER_SCHEMAS[key]]);
  return {
    anyOf: [
      object({ mode: { enum: ["final", "each"] } }, ["mode"]),
      {
        ...(object({ mode: { const: "early" }, ...Object.fromEntries(early) }, ["mode"]) as object),
        minProperties: 2,
      },
    ],
  };
};
