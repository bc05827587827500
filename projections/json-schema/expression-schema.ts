/** The JSON Schema of expressions: their shape. Types of fields are known when a projection is planned. */
import {
  ENVELOPE,
  type EXPRESSION_KEYS,
  OPERATORS,
  SIDES,
  UNARY,
} from "../definition/check-expression.ts";
import { object, text, type Schema } from "./parts.ts";

export const EXPRESSION: Schema = { $ref: "#/$defs/expression" };

const EXACT = Number.MAX_SAFE_INTEGER;

/** Whole numbers beyond 2^53 are not exact; others are doubles. */
const NUMBER: Schema = {
  anyOf: [
    { type: "integer", minimum: -EXACT, maximum: EXACT },
    { type: "number", not: { type: "integer" } },
  ],
};

const SIDE: Schema = {
  description: "In the values of a join: which side's event.",
  enum: SIDES,
};

const CELL: Schema = { anyOf: [{ type: ["string", "boolean", "null"] }, NUMBER] };

const ROWS: Schema = {
  type: "object",
  minProperties: 1,
  additionalProperties: { type: "object", additionalProperties: CELL },
};

const TABLE: Schema = {
  anyOf: [
    object({ rows: ROWS }, ["rows"]),
    object({ file: { type: "string", pattern: "\\.json$" } }, ["file"]),
    object({ file: { type: "string", pattern: "\\.csv$" }, key: text }, ["file"]),
  ],
};

const operation = (operators: readonly string[], args: number, self: Schema): Schema =>
  object(
    {
      op: { enum: operators },
      args: { type: "array", items: self, minItems: args, maxItems: args },
    },
    ["op", "args"],
  );

type Forms = { readonly [Form in keyof typeof EXPRESSION_KEYS]: readonly Schema[] };

/** `self`: what operands may be. */
export const expressionForms = (self: Schema): Forms => ({
  field: [object({ field: text, side: SIDE }, ["field"])],
  event: [object({ event: { enum: Object.keys(ENVELOPE) }, side: SIDE }, ["event"])],
  literal: [object({ literal: { anyOf: [{ type: ["string", "boolean"] }, NUMBER] } }, ["literal"])],
  lookup: [object({ lookup: TABLE, key: self, column: text }, ["lookup", "key", "column"])],
  op: [
    operation(UNARY, 1, self),
    operation(
      OPERATORS.filter((op) => !(UNARY as readonly string[]).includes(op)),
      2,
      self,
    ),
  ],
});

export const EXPRESSION_DEFINITION: Schema = {
  description: 'For example {"field": "cents"}, or {"op": "gt", "args": [..., {"literal": 0}]}.',
  anyOf: Object.values(expressionForms(EXPRESSION)).flat(),
};
