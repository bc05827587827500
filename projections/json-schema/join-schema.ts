/** What the JSON Schema of joins has beside what all projections have. */
import {
  AS_OF_MODES,
  INTERVAL_MODES,
  JOIN_VALUES_MAX,
  type SIDE_KEYS,
} from "../definition/check-join.ts";
import type { JoinProjection } from "../definition/definition.ts";
import { OUTPUT_NAME } from "../definition/output-name.ts";
import { ANY_SIGN, POSITIVE } from "../definition/reading.ts";
import { EXPRESSION } from "./expression-schema.ts";
import { described, duration, object, optional, text } from "./parts.ts";
import type { KindForm, Schema } from "./parts.ts";

type SideKeys = { readonly [Key in (typeof SIDE_KEYS)[number]]: Schema };

const nothing: Schema = { type: "null" };

const SIDE: Schema = object(
  {
    topic: optional(text),
    projection: nothing,
    types: optional({ type: "array", items: text }),
    where: optional(EXPRESSION),
    key: optional(EXPRESSION),
  } satisfies SideKeys,
  [],
);

/** What a topic's events would have, a table has only as its default. */
const TABLE: Schema = object(
  {
    topic: nothing,
    projection: described("The projection whose results are the rows.", text),
    types: optional({ type: "array", maxItems: 0 }),
    where: nothing,
    key: optional({ const: { event: "key" } }),
  } satisfies SideKeys,
  ["projection"],
);

const bound = duration(ANY_SIGN);
const something: Schema = { not: nothing };
const named = (key: string): Schema => ({
  type: "object",
  properties: { [key]: something },
  required: [key],
});

export const JOIN: KindForm<JoinProjection> = {
  options: {
    left: described("Which events are on the left side.", SIDE),
    right: described("Which events are on the right side, or whose results.", {
      anyOf: [SIDE, TABLE],
    }),
    on: described("What pairs must be besides, over both sides.", optional(EXPRESSION)),
    within: described(
      "left.time - before <= right.time <= left.time + after.",
      optional({
        ...(object({ beforeMs: optional(bound), afterMs: optional(bound) }, []) as object),
        anyOf: ["beforeMs", "afterMs"].map(named),
      }),
    ),
    asOf: described(
      "The right side is a table: its latest event of the key at the time of the left one.",
      optional(object({ deleted: optional(EXPRESSION), ttlMs: optional(duration(POSITIVE)) }, [])),
    ),
    mode: described('By default "inner".', optional({ enum: INTERVAL_MODES })),
    values: {
      description: "Named values of each result, over both sides.",
      type: "object",
      minProperties: 1,
      maxProperties: JOIN_VALUES_MAX,
      patternProperties: { [OUTPUT_NAME.source]: EXPRESSION },
      additionalProperties: false,
    },
  },
  required: ["left", "right", "values"],
  topicInParts: true,
  rules: {
    allOf: [
      {
        anyOf: [
          named("topic"),
          { properties: { left: named("topic"), right: named("topic") } },
          { properties: { left: named("topic"), right: named("projection") } },
        ],
      },
    ],
    anyOf: [
      {
        properties: {
          within: something,
          asOf: nothing,
          right: { type: "object", properties: { projection: nothing } },
        },
        required: ["within"],
      },
      {
        properties: {
          within: nothing,
          asOf: something,
          mode: optional({ enum: AS_OF_MODES }),
        },
        required: ["asOf"],
      },
    ],
  },
};
