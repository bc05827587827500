/** What the JSON Schema of windowed projections has beside what all projections have. */
import { WINDOW_TRIGGERS } from "../definition/check-emit.ts";
import type { WindowProjection } from "../definition/definition.ts";
import { OUTPUT_NAME } from "../definition/output-name.ts";
import { NOT_NEGATIVE } from "../definition/reading.ts";
import { emitSchema } from "./emit-schema.ts";
import { described, duration, optional, type KindForm, type Schema } from "./parts.ts";

const withOne = (key: string, of: string, schema: Schema): Schema => ({
  type: "object",
  properties: { [key]: { type: "object", properties: { [of]: schema }, required: [of] } },
  required: [key],
});

export const WINDOW_PROJECTION: KindForm<WindowProjection> = {
  options: {
    window: { $ref: "#/$defs/window" },
    allowedLatenessMs: described(
      "How long after its close a window takes late events. By default 0.",
      optional(duration(NOT_NEGATIVE)),
    ),
    aggregates: {
      description: "Named values of each result.",
      type: "object",
      minProperties: 1,
      patternProperties: { [OUTPUT_NAME.source]: { $ref: "#/$defs/aggregate" } },
      additionalProperties: false,
    },
    emit: described(
      "When results are published. By default when a window closes.",
      optional(emitSchema(WINDOW_TRIGGERS)),
    ),
  },
  required: ["window", "aggregates"],
  // A global window never closes, so `final` alone would never publish anything.
  rules: {
    if: withOne("window", "kind", { const: "global" }),
    // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
    then: withOne("emit", "mode", { enum: ["early", "each"] }),
  },
};
