/**
 * The typed way to write an {@link Expression}: `field("delay").gt(15).and(event.key.ne("JFK"))`.
 *
 * TypeScript knows numbers, strings and booleans apart, so that `sum(event.key)` or a `where` that is
 * a number does not compile. A field's own type is known only from its schema: `field()` fits
 * everywhere here, and planning checks it.
 */
import type { BinaryOperator, Expression, SideName, UnaryOperator } from "./expression.ts";
import { lookupTable, type LookupRows, type LookupTableDefinition } from "./lookup-table.ts";

/** Says in types alone what an expression evaluates to. */
interface Evaluates<Kind> {
  readonly kind?: Kind;
  /** The data form. */
  toJSON(): Expression;
  /** True where there is no value. */
  isNull(): BooleanExpression;
  isNotNull(): BooleanExpression;
}

interface NumberKind {
  readonly number: true;
}
interface StringKind {
  readonly string: true;
}
interface BooleanKind {
  readonly boolean: true;
}

export type NumberOperand = number | NumberExpression;
export type StringOperand = string | StringExpression;
export type BooleanOperand = boolean | BooleanExpression;
export type Operand = NumberOperand | StringOperand | BooleanOperand;

export interface NumberExpression extends Evaluates<NumberKind> {
  add(other: NumberOperand): NumberExpression;
  subtract(other: NumberOperand): NumberExpression;
  multiply(other: NumberOperand): NumberExpression;
  /** Null when `other` is zero. */
  divide(other: NumberOperand): NumberExpression;
  negate(): NumberExpression;
  eq(other: NumberOperand): BooleanExpression;
  ne(other: NumberOperand): BooleanExpression;
  lt(other: NumberOperand): BooleanExpression;
  le(other: NumberOperand): BooleanExpression;
  gt(other: NumberOperand): BooleanExpression;
  ge(other: NumberOperand): BooleanExpression;
  in(first: NumberOperand, ...others: readonly NumberOperand[]): BooleanExpression;
}

/** Strings are ordered by their UTF-8 bytes. */
export interface StringExpression extends Evaluates<StringKind> {
  eq(other: StringOperand): BooleanExpression;
  ne(other: StringOperand): BooleanExpression;
  lt(other: StringOperand): BooleanExpression;
  le(other: StringOperand): BooleanExpression;
  gt(other: StringOperand): BooleanExpression;
  ge(other: StringOperand): BooleanExpression;
  in(first: StringOperand, ...others: readonly StringOperand[]): BooleanExpression;
}

/** `and`, `or` and `not` follow SQL: false and null is false, true or null is true. */
export interface BooleanExpression extends Evaluates<BooleanKind> {
  and(other: BooleanOperand, ...others: readonly BooleanOperand[]): BooleanExpression;
  or(other: BooleanOperand, ...others: readonly BooleanOperand[]): BooleanExpression;
  not(): BooleanExpression;
  eq(other: BooleanOperand): BooleanExpression;
  ne(other: BooleanOperand): BooleanExpression;
}

/** A field of the payload: whatever its schema says. */
export interface FieldExpression extends Evaluates<NumberKind & StringKind & BooleanKind> {
  add(other: NumberOperand): NumberExpression;
  subtract(other: NumberOperand): NumberExpression;
  multiply(other: NumberOperand): NumberExpression;
  divide(other: NumberOperand): NumberExpression;
  negate(): NumberExpression;
  and(other: BooleanOperand, ...others: readonly BooleanOperand[]): BooleanExpression;
  or(other: BooleanOperand, ...others: readonly BooleanOperand[]): BooleanExpression;
  not(): BooleanExpression;
  eq(other: Operand): BooleanExpression;
  ne(other: Operand): BooleanExpression;
  lt(other: NumberOperand | StringOperand): BooleanExpression;
  le(other: NumberOperand | StringOperand): BooleanExpression;
  gt(other: NumberOperand | StringOperand): BooleanExpression;
  ge(other: NumberOperand | StringOperand): BooleanExpression;
  in(
    first: NumberOperand | StringOperand,
    ...others: readonly (NumberOperand | StringOperand)[]
  ): BooleanExpression;
}

export type AnyExpression = NumberExpression | StringExpression | BooleanExpression;

/** The data form of an operand: expressions as their data, plain values as literals. */
export const toExpression = (operand: unknown): Expression => {
  if (typeof operand !== "object" || operand === null) {
    return { literal: operand as string | number | boolean };
  }
  return "toJSON" in operand ? (operand as AnyExpression).toJSON() : (operand as Expression);
};

/**
 * An option that is an expression. A plain value is left as it is, to be refused: who writes `sum("cents")`
 * means the field, and would get the text.
 */
export const optionExpression = (given: unknown): Expression =>
  typeof given === "object" && given !== null ? toExpression(given) : (given as Expression);

class Node implements FieldExpression {
  readonly #data: Expression;

  constructor(data: Expression) {
    this.#data = data;
  }

  toJSON(): Expression {
    return this.#data;
  }

  #unary(op: UnaryOperator): Node {
    return new Node({ op, args: [this.#data] });
  }

  #binary(op: BinaryOperator, other: unknown): Node {
    return new Node({ op, args: [this.#data, toExpression(other)] });
  }

  #chain(op: BinaryOperator, others: readonly unknown[]): Node {
    return others.reduce<Node>((left, other) => left.#binary(op, other), this);
  }

  add(other: NumberOperand): Node {
    return this.#binary("add", other);
  }
  subtract(other: NumberOperand): Node {
    return this.#binary("subtract", other);
  }
  multiply(other: NumberOperand): Node {
    return this.#binary("multiply", other);
  }
  divide(other: NumberOperand): Node {
    return this.#binary("divide", other);
  }
  negate(): Node {
    return this.#unary("negate");
  }
  and(...others: readonly BooleanOperand[]): Node {
    return this.#chain("and", others);
  }
  or(...others: readonly BooleanOperand[]): Node {
    return this.#chain("or", others);
  }
  not(): Node {
    return this.#unary("not");
  }
  isNull(): Node {
    return this.#unary("isNull");
  }
  isNotNull(): Node {
    return this.isNull().not();
  }
  eq(other: Operand): Node {
    return this.#binary("eq", other);
  }
  ne(other: Operand): Node {
    return this.#binary("ne", other);
  }
  lt(other: Operand): Node {
    return this.#binary("lt", other);
  }
  le(other: Operand): Node {
    return this.#binary("le", other);
  }
  gt(other: Operand): Node {
    return this.#binary("gt", other);
  }
  ge(other: Operand): Node {
    return this.#binary("ge", other);
  }
  in(first: Operand, ...others: readonly Operand[]): Node {
    return others.reduce<Node>((any, other) => any.or(this.eq(other)), this.eq(first));
  }
}

/** The typed form of data, for kinds of projections that have expressions of their own. */
export const expressionOf = (data: Expression): FieldExpression => new Node(data);

/** A field of the payload, by its name in the .proto file: `field("delay")`. */
export const field = (name: string): FieldExpression => new Node({ field: name });

/** What every event has, whatever its type. `time` is milliseconds since the Unix epoch. */
export interface Envelope {
  readonly id: StringExpression;
  readonly type: StringExpression;
  readonly key: StringExpression;
  readonly time: NumberExpression;
}

const envelope = (side: { readonly side?: SideName } = {}): Envelope => ({
  id: new Node({ event: "id", ...side }),
  type: new Node({ event: "type", ...side }),
  key: new Node({ event: "key", ...side }),
  time: new Node({ event: "time", ...side }),
});

export const event: Envelope = envelope();

/** One event of a join: `left.field("campaign")`, `right.event.time`. Null where there is none. */
export interface Side {
  field(name: string): FieldExpression;
  readonly event: Envelope;
}

const sideOf = (side: SideName): Side => ({
  field: (name) => new Node({ field: name, side }),
  event: envelope({ side }),
});

/** In the `values` of a join: its left event. */
export const left: Side = sideOf("left");
/** In the `values` of a join: its right event, or the table's row. */
export const right: Side = sideOf("right");

/**
 * The row of a table whose key is this: `lookup(airports, field("origin")).field("city")`. Columns are null
 * where there is no such row. `table` is rows by key, or a `lookupTable()`.
 */
export const lookup = (
  table: LookupRows | LookupTableDefinition,
  key: StringExpression | NumberExpression | BooleanExpression,
): { field(column: string): FieldExpression } => {
  const definition = isDefinition(table) ? table : lookupTable(table);
  const row = { lookup: definition, key: toExpression(key) };
  return { field: (column) => new Node({ ...row, column }) };
};

/** Rows hold objects: a row whose key is "file" is no file. */
const isDefinition = (
  table: LookupRows | LookupTableDefinition,
): table is LookupTableDefinition => {
  const { file, rows } = table as Partial<Record<"file" | "rows", unknown>>;
  if (typeof file === "string") return true;
  return isRow(rows) && Object.keys(table).length === 1 && Object.values(rows).every(isRow);
};

const isRow = (value: unknown): value is object => typeof value === "object" && value !== null;

/** A constant. Plain values work as operands; this is for where an expression must begin with one. */
export function literal(value: number): NumberExpression;
export function literal(value: string): StringExpression;
export function literal(value: boolean): BooleanExpression;
export function literal(value: string | number | boolean): AnyExpression {
  return new Node({ literal: value });
}
