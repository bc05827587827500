/**
 * Field expressions: data, so that they can be validated, versioned, sent and compiled.
 *
 * Null follows SQL: a field that the event does not carry is null, arithmetic and comparisons with
 * null are null, `where` keeps only true, and aggregates skip nulls (count() counts events).
 */

import type { LookupTable, LookupTableDefinition } from "./lookup-table.ts";

export type UnaryOperator = "not" | "isNull" | "negate";
export type ArithmeticOperator = "add" | "subtract" | "multiply" | "divide";
export type ComparisonOperator = "eq" | "ne" | "lt" | "le" | "gt" | "ge";
export type LogicalOperator = "and" | "or";
export type BinaryOperator = ArithmeticOperator | ComparisonOperator | LogicalOperator;

/** The parts of an event that every type has. */
export type EnvelopeField = "id" | "type" | "key" | "time";

/** The two inputs of a join. */
export type SideName = "left" | "right";

/** `side` only where an expression reads both events of a join. */
export type Expression =
  | { readonly field: string; readonly side?: SideName }
  | { readonly event: EnvelopeField; readonly side?: SideName }
  | { readonly literal: string | number | boolean }
  | LookupExpression
  | { readonly op: UnaryOperator; readonly args: readonly [Expression] }
  | { readonly op: BinaryOperator; readonly args: readonly [Expression, Expression] };

/** A column of the table's row whose key is this; null where there is no such row. */
export interface LookupExpression {
  /** As defined; in a plan, with the table's rows. */
  readonly lookup: LookupTableDefinition | LookupTable;
  readonly key: Expression;
  readonly column: string;
}

/**
 * What an expression evaluates to. `integer` is exact 64-bit when it is a bare field. Adding,
 * subtracting, multiplying and negating integers gives an integer that was computed as a double, so
 * exact up to 2^53; dividing gives a double.
 */
export type ExpressionType = "integer" | "double" | "string" | "boolean";
