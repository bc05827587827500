/** What the JSON Schema of patterns has beside what all projections have. */
import {
  CONTIGUITIES,
  COUNT,
  type GROUP_KEYS,
  type NEGATION_KEYS,
  type STEP_KEYS,
} from "../definition/check-pattern.ts";
import { STEP_FUNCTIONS } from "../definition/check-pattern-expression.ts";
import { PATTERN_VALUES_MAX, STRATEGIES } from "../definition/check-pattern-projection.ts";
import type { PatternProjection } from "../definition/definition.ts";
import { OUTPUT_NAME } from "../definition/output-name.ts";
import { POSITIVE } from "../definition/reading.ts";
import { EXPRESSION, expressionForms } from "./expression-schema.ts";
import { described, duration, flag, object, optional, text, whole } from "./parts.ts";
import type { KindForm, Schema } from "./parts.ts";

type Keys<K extends readonly string[]> = { readonly [Key in K[number]]: Schema };

const name: Schema = { type: "string", pattern: OUTPUT_NAME.source };
const CONDITION: Schema = { $ref: "#/$defs/patternCondition" };
const VALUE: Schema = { $ref: "#/$defs/patternValue" };
const ELEMENTS: Schema = { $ref: "#/$defs/patternElements" };

/** What a step has taken. */
const STEP_VALUES: readonly Schema[] = [
  object({ step: text, fn: { const: "count" } }, ["step", "fn"]),
  object(
    {
      step: text,
      fn: optional({ enum: STEP_FUNCTIONS.filter((fn) => fn !== "count") }),
      of: EXPRESSION,
    },
    ["step", "of"],
  ),
];

const { literal, op } = expressionForms(VALUE);

/** A match has several events, so a value says of which step it is; lists and the like stand alone. */
const RESULT: Schema = {
  anyOf: [
    VALUE,
    object({ match: { enum: ["ids", "timedOut"] } }, ["match"]),
    object({ step: text, fn: { const: "collect" }, of: EXPRESSION }, ["step", "fn", "of"]),
  ],
};

const repeated = {
  times: optional(
    object({ min: whole({ ...COUNT, min: 0 }), max: optional(whole(COUNT)) }, ["min"]),
  ),
  optional: optional(flag),
  between: optional({ enum: CONTIGUITIES }),
};

const stepOf = (contiguity: Schema): Schema =>
  object(
    {
      step: name,
      where: optional(CONDITION),
      contiguity,
      ...repeated,
      greedy: optional(flag),
      until: optional(CONDITION),
    } satisfies Keys<typeof STEP_KEYS>,
    ["step"],
  );

const groupOf = (contiguity: Schema): Schema =>
  object({ group: ELEMENTS, contiguity, ...repeated } satisfies Keys<typeof GROUP_KEYS>, ["group"]);

const negation: Schema = object(
  {
    not: name,
    where: optional(CONDITION),
    contiguity: optional({ enum: CONTIGUITIES.filter((each) => each !== "followedByAny") }),
  } satisfies Keys<typeof NEGATION_KEYS>,
  ["not"],
);

const nothing: Schema = { type: "null" };
const follows = optional({ enum: CONTIGUITIES });

/** `$defs` that patterns need. */
export const PATTERN_DEFINITIONS: Readonly<Record<string, Schema>> = {
  patternCondition: {
    anyOf: [...Object.values(expressionForms(CONDITION)).flat(), ...STEP_VALUES],
  },
  patternValue: {
    anyOf: [
      ...literal,
      ...op,
      ...STEP_VALUES,
      object({ match: { enum: ["start", "end"] } }, ["match"]),
    ],
  },
  // The first follows nothing, and takes an event.
  patternElements: {
    type: "array",
    minItems: 1,
    prefixItems: [{ anyOf: [stepOf(nothing), groupOf(nothing)] }],
    items: { anyOf: [stepOf(follows), groupOf(follows), negation] },
  },
};

const withStep = ["skipToFirst", "skipToLast"];

export const PATTERN: KindForm<PatternProjection> = {
  options: {
    pattern: described("What comes after what.", ELEMENTS),
    withinMs: described("From the first event of a match.", optional(duration(POSITIVE))),
    skip: optional({
      anyOf: [
        object({ strategy: { enum: STRATEGIES.filter((each) => !withStep.includes(each)) } }, [
          "strategy",
        ]),
        object({ strategy: { enum: withStep }, step: text }, ["strategy", "step"]),
      ],
    }),
    values: optional({
      type: "object",
      minProperties: 1,
      maxProperties: PATTERN_VALUES_MAX,
      patternProperties: { [OUTPUT_NAME.source]: RESULT },
      additionalProperties: false,
    }),
    onTimeout: optional({ enum: ["discard", "emit"] }),
  },
  required: ["pattern"],
  // What has no end never times out.
  rules: {
    if: {
      type: "object",
      properties: { onTimeout: { const: "emit" } },
      required: ["onTimeout"],
    },
    // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
    then: { properties: { withinMs: { not: { type: "null" } } }, required: ["withinMs"] },
  },
};
