/**
 * Checks an expression that came as data, types it and resolves its fields, noting every mistake
 * with its path.
 *
 * X1. Without a scope only the shape is checked: no type is known then.
 * X2. A mistake is noted once, where it is: an operand that is wrong has no type, and what has no
 *     type is never blamed for it.
 */
import { WINDOW_FIELDS } from "./table-rows.ts";
import { checkLookup } from "./check-lookup.ts";
import { suggestion } from "./did-you-mean.ts";
import type {
  BinaryOperator,
  EnvelopeField,
  Expression,
  ExpressionType,
  SideName,
  UnaryOperator,
} from "./expression.ts";
import type { MatchValue, StepValue } from "./pattern-definition.ts";
import type { EventTypeSchema, FieldColumn, FieldSchema, ScalarType } from "./plan.ts";
import { at, shown, type Fields, type Mistakes } from "./reading.ts";

type PatternReference = StepValue | MatchValue;

/** What the fields of an expression are looked up in. Gathers the columns that are mentioned. */
export interface Scope {
  /** By type index; undefined where the projection does not read that type. */
  readonly types: readonly (EventTypeSchema | undefined)[];
  readonly columns: Map<string, FieldColumn>;
  /** Values of a join: what the fields of each side are looked up in; without a side that has none. */
  readonly sides?: Readonly<Partial<Record<SideName, Scope>>>;
  /** Its fields are the values of this projection's results. */
  readonly rowsOf?: string | undefined;
}

export const SIDES: readonly SideName[] = ["left", "right"];

/** An expression that only one kind of projection has, told by a key of its own. */
export interface ExtraForm {
  readonly keys: readonly string[];
  check(
    given: Fields,
    path: string,
    mistakes: Mistakes,
    scope: Scope | undefined,
  ): CheckedExpression | undefined;
}

/** By the key that tells them. */
export type ExtraForms = Readonly<Record<string, ExtraForm>>;

export interface CheckedExpression {
  readonly expression: Expression;
  /** Undefined without a scope, or after a mistake. */
  readonly type: ExpressionType | undefined;
  /** A bare enum field: the number of each name. */
  readonly values?: Readonly<Record<string, number>> | undefined;
}

export const ENVELOPE: Readonly<Record<EnvelopeField, ExpressionType>> = {
  id: "string",
  type: "string",
  key: "string",
  time: "integer",
};
export const UNARY: readonly UnaryOperator[] = ["not", "isNull", "negate"];
const ARITHMETIC: readonly BinaryOperator[] = ["add", "subtract", "multiply", "divide"];
const COMPARISON: readonly BinaryOperator[] = ["eq", "ne", "lt", "le", "gt", "ge"];
const LOGICAL: readonly BinaryOperator[] = ["and", "or"];
export const OPERATORS: readonly string[] = [...UNARY, ...ARITHMETIC, ...COMPARISON, ...LOGICAL];
const FORMS = ["field", "event", "literal", "lookup", "op"] as const;
/** The keys of each form. */
export const EXPRESSION_KEYS: Readonly<Record<(typeof FORMS)[number], readonly string[]>> = {
  field: ["field", "side"],
  event: ["event", "side"],
  literal: ["literal"],
  lookup: ["lookup", "key", "column"],
  op: ["op", "args"],
};
const NO_FORMS: ExtraForms = {};
const DEPTH_MAX = 100;

const SCALAR_TYPES: Readonly<Partial<Record<ScalarType, ExpressionType>>> = {
  double: "double",
  float: "double",
  int32: "integer",
  int64: "integer",
  uint32: "integer",
  uint64: "integer",
  sint32: "integer",
  sint64: "integer",
  fixed32: "integer",
  fixed64: "integer",
  sfixed32: "integer",
  sfixed64: "integer",
  enum: "integer",
  bool: "boolean",
  string: "string",
};

const SYMBOLS: Readonly<Record<string, string>> = {
  add: "+",
  subtract: "-",
  multiply: "*",
  divide: "/",
  eq: "==",
  ne: "!=",
  lt: "<",
  le: "<=",
  gt: ">",
  ge: ">=",
};

const sided = (side: SideName | undefined, name: string): string =>
  side === undefined ? name : `${side}.${name}`;

/** Of a pattern: see `pattern-definition.ts`. */
const printReference = (reference: PatternReference): string => {
  if ("match" in reference) return `match.${reference.match}`;
  const { step, fn, of } = reference;
  return `${fn} of ${step}${of === undefined ? "" : `.${printExpression(of)}`}`;
};

/** An expression as an error shows it: `delay > 15 and event.key != "JFK"`. */
export const printExpression = (expression: Expression | PatternReference): string => {
  if ("field" in expression) return sided(expression.side, expression.field);
  if ("event" in expression) return sided(expression.side, `event.${expression.event}`);
  if ("literal" in expression) return JSON.stringify(expression.literal);
  if ("lookup" in expression)
    return `lookup(${printExpression(expression.key)}).${expression.column}`;
  if (!("op" in expression)) return printReference(expression);
  const inner = expression.args.map((arg) =>
    "op" in arg && arg.args.length === 2 ? `(${printExpression(arg)})` : printExpression(arg),
  );
  if (inner.length === 1) {
    return expression.op === "isNull" ? `${inner[0]} is null` : `${expression.op} ${inner[0]}`;
  }
  return `${inner[0]} ${SYMBOLS[expression.op] ?? expression.op} ${inner[1]}`;
};

export const article = (type: ExpressionType): string =>
  type === "integer" ? "an integer" : `a ${type}`;

export const isNumeric = (type: ExpressionType): boolean => type === "integer" || type === "double";

const unsupported = (field: FieldSchema): string | undefined => {
  if (field.unreadable !== undefined) return field.unreadable;
  if (field.repeated) return "is repeated; expressions read single values only";
  if (field.scalar === "message") return "is a message; expressions read single values only";
  if (field.scalar === "bytes") return "is of type bytes, which expressions cannot read";
  return undefined;
};

/** Looks a field up in every type that is read, and notes its column. */
const checkField = (
  name: string,
  path: string,
  scope: Scope,
  mistakes: Mistakes,
): FieldColumn | undefined => {
  const known = scope.columns.get(name);
  if (known !== undefined) return known;
  const read = scope.types.filter((type) => type !== undefined);
  if (name.includes(".")) {
    return mistakes.add(
      path,
      `fields inside messages, such as ${JSON.stringify(name)}, are not supported in expressions; ` +
        "give the event type a field of its own for it",
    );
  }
  const fields = scope.types.map((type) => type?.fields.find((field) => field.name === name));
  const first = fields.findIndex((field) => field !== undefined);
  if (first === -1) {
    // Types that there are none of have been noted already (X2).
    if (read.length === 0 && mistakes.list.length > 0) return undefined;
    const rows = scope.rowsOf;
    const have =
      rows !== undefined
        ? `results of projection ${rows} have no value ${JSON.stringify(name)}`
        : read.length === 1
          ? `event type ${read[0]!.name} has no field ${JSON.stringify(name)}`
          : `none of the event types ${read.map((type) => type.name).join(", ")} has a field ${JSON.stringify(name)}`;
    const candidates = new Set(read.flatMap((type) => type.fields.map((field) => field.name)));
    if (rows !== undefined) for (const bound of WINDOW_FIELDS) candidates.delete(bound);
    const what = rows === undefined ? "fields" : "values";
    return mistakes.add(path, have + suggestion(name, candidates, what));
  }
  for (const [index, field] of fields.entries()) {
    if (field === undefined) continue;
    const reason = unsupported(field);
    if (reason !== undefined) {
      const owner = scope.types[index]!.name;
      return mistakes.add(path, `field ${JSON.stringify(name)} of ${owner} ${reason}`);
    }
    if (SCALAR_TYPES[field.scalar] !== SCALAR_TYPES[fields[first]!.scalar]) {
      return mistakes.add(
        path,
        `field ${JSON.stringify(name)} is ${fields[first]!.scalar} in ${scope.types[first]!.name} but ` +
          `${field.scalar} in ${scope.types[index]!.name}; name in "types" those that agree`,
      );
    }
  }
  const column: FieldColumn = {
    path: name,
    type: SCALAR_TYPES[fields[first]!.scalar]!,
    fields,
  };
  scope.columns.set(name, column);
  return column;
};

/** Names of enum values that mean the same number in every type that has the field. */
const enumValues = (column: FieldColumn): Readonly<Record<string, number>> | undefined => {
  const enums = column.fields.filter((field) => field !== undefined).map((field) => field.values);
  if (enums.some((values) => values === undefined)) return undefined;
  const [first, ...others] = enums as Readonly<Record<string, number>>[];
  return Object.fromEntries(
    Object.entries(first!).filter(([name, number]) =>
      others.every((other) => other[name] === number),
    ),
  );
};

const checkLiteral = (value: unknown, path: string, mistakes: Mistakes) => {
  if (typeof value === "string") return { expression: { literal: value }, type: "string" as const };
  if (typeof value === "boolean") {
    return { expression: { literal: value }, type: "boolean" as const };
  }
  if (typeof value !== "number") {
    return mistakes.add(path, `must be a number, text, true or false, not ${shown(value)}`);
  }
  if (!Number.isFinite(value)) return mistakes.add(path, `must be a finite number, not ${value}`);
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    return mistakes.add(path, `${value} is beyond 2^53, where numbers are no longer exact`);
  }
  const type: ExpressionType = Number.isInteger(value) ? "integer" : "double";
  // Minus zero is no different value, but would be a different digest.
  return { expression: { literal: value === 0 ? 0 : value }, type };
};

/** Replaces the name of an enum value by its number where it is compared with an enum field. */
const resolveEnumName = (
  side: CheckedExpression,
  other: CheckedExpression,
  path: string,
  mistakes: Mistakes,
): CheckedExpression => {
  if (other.values === undefined || !("literal" in side.expression)) return side;
  const name = side.expression.literal;
  if (typeof name !== "string") return side;
  const number = Object.hasOwn(other.values, name) ? other.values[name]! : undefined;
  if (number !== undefined) return { expression: { literal: number }, type: "integer" };
  const field = JSON.stringify(printExpression(other.expression));
  mistakes.add(
    at(path, "literal"),
    `${JSON.stringify(name)} is no value of the enum ${field}` +
      suggestion(name, Object.keys(other.values), "values"),
  );
  return { expression: side.expression, type: undefined };
};

const checkUnary = (
  op: UnaryOperator,
  arg: CheckedExpression,
  path: string,
  mistakes: Mistakes,
): ExpressionType | undefined => {
  if (op === "isNull") return arg.type === undefined ? undefined : "boolean";
  const fits = op === "not" ? arg.type === "boolean" : arg.type && isNumeric(arg.type);
  if (arg.type !== undefined && !fits) {
    const wanted = op === "not" ? "a boolean" : "a number";
    mistakes.add(
      path,
      `"${op}" takes ${wanted}, but ${printExpression(arg.expression)} is ${article(arg.type)}`,
    );
  }
  return op === "not" ? "boolean" : arg.type;
};

const checkBinary = (
  op: BinaryOperator,
  [left, right]: readonly [CheckedExpression, CheckedExpression],
  path: string,
  mistakes: Mistakes,
): ExpressionType | undefined => {
  if (COMPARISON.includes(op)) {
    if (left.type === undefined || right.type === undefined) return "boolean";
    const agree = left.type === right.type || (isNumeric(left.type) && isNumeric(right.type));
    if (!agree) {
      mistakes.add(
        path,
        `cannot compare ${printExpression(left.expression)}, ${article(left.type)}, ` +
          `with ${printExpression(right.expression)}, ${article(right.type)}`,
      );
    } else if (left.type === "boolean" && op !== "eq" && op !== "ne") {
      mistakes.add(path, `"${op}" cannot compare booleans; they have no order. Use "eq" or "ne"`);
    }
    return "boolean";
  }
  const logical = LOGICAL.includes(op);
  for (const [index, { type, expression }] of [left, right].entries()) {
    if (type === undefined || (logical ? type === "boolean" : isNumeric(type))) continue;
    mistakes.add(
      at(at(path, "args"), index),
      `"${op}" takes ${logical ? "booleans" : "numbers"}, but ${printExpression(expression)} is ${article(type)}`,
    );
  }
  if (logical) return "boolean";
  const exact = op !== "divide" && left.type === "integer" && right.type === "integer";
  return exact ? "integer" : "double";
};

/** Text may be meant as a field or as itself; other values can only be themselves. */
const howToWrite = (value: unknown): string => {
  const text = JSON.stringify(typeof value === "string" ? value.slice(0, 60) : "x");
  const field = `field(${text}), in JSON { "field": ${text} }`;
  if (typeof value === "string") {
    return `; a field is ${field}, and the text itself literal(${text}), { "literal": ${text} }`;
  }
  return typeof value === "number" || typeof value === "boolean"
    ? `; write literal(${value}), in JSON { "literal": ${value} }`
    : `, such as ${field}`;
};

/** What other languages call the operators. */
const OTHER_NAMES: Readonly<Record<string, UnaryOperator | BinaryOperator>> = {
  "=": "eq",
  "==": "eq",
  "===": "eq",
  equals: "eq",
  "!=": "ne",
  "<>": "ne",
  neq: "ne",
  notequals: "ne",
  "<": "lt",
  "<=": "le",
  lte: "le",
  ">": "gt",
  ">=": "ge",
  gte: "ge",
  "&&": "and",
  "||": "or",
  "!": "not",
  "+": "add",
  plus: "add",
  "-": "subtract",
  minus: "subtract",
  "*": "multiply",
  times: "multiply",
  "/": "divide",
};

/** The expression with its type, or undefined when its shape is wrong. Mistakes say the rest. */
export const checkExpression = (
  value: unknown,
  path: string,
  mistakes: Mistakes,
  scope: Scope | undefined,
  extra: ExtraForms = NO_FORMS,
  depth = 0,
): CheckedExpression | undefined => {
  if (depth > DEPTH_MAX) return mistakes.add(path, `is nested more than ${DEPTH_MAX} deep`);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return mistakes.wrong(path, "an expression", value, howToWrite(value));
  }
  const given = value as Fields;
  const extraKeys = Object.keys(extra);
  const known: readonly string[] = [...FORMS.slice(0, -1), ...extraKeys, "op"];
  const forms = known.filter((form) => given[form] !== undefined);
  if (forms.length !== 1) {
    const found = Object.keys(given)[0];
    const hint = found === undefined ? "" : suggestion(found, known, "forms");
    const listing = known.slice(0, -1).map((form) => `"${form}"`);
    return mistakes.add(
      path,
      forms.length === 0
        ? `is no expression: it needs ${listing.join(", ")} or "${known.at(-1)}"${hint}`
        : `is more than one expression: it has both ${forms.map((form) => `"${form}"`).join(" and ")}`,
    );
  }
  const other = extraKeys.includes(forms[0]!) ? extra[forms[0]!] : undefined;
  const form = forms[0] as (typeof FORMS)[number];
  mistakes.object(given, path, other?.keys ?? EXPRESSION_KEYS[form]);
  if (other !== undefined) return other.check(given, path, mistakes, scope);
  switch (form) {
    case "literal":
      return checkLiteral(given["literal"], at(path, "literal"), mistakes);
    case "event": {
      const part = mistakes.oneOf(
        given["event"],
        at(path, "event"),
        Object.keys(ENVELOPE) as EnvelopeField[],
      );
      const side = checkSide(given["side"], path, mistakes, scope);
      if (part === undefined || side === undefined) return undefined;
      return { expression: { event: part, ...side.named }, type: scope && ENVELOPE[part] };
    }
    case "field": {
      const name = mistakes.text(given["field"], at(path, "field"));
      const side = checkSide(given["side"], path, mistakes, scope);
      if (name === undefined || side === undefined) return undefined;
      const column = side.scope && checkField(name, at(path, "field"), side.scope, mistakes);
      return {
        expression: { field: name, ...side.named },
        type: column?.type,
        values: column && enumValues(column),
      };
    }
    case "lookup": {
      const keyPath = at(path, "key");
      const key = checkExpression(given["key"], keyPath, mistakes, scope, NO_FORMS, depth + 1);
      return checkLookup(given, key, path, mistakes, scope);
    }
    case "op":
      return checkOperation(given["op"], given["args"], path, mistakes, scope, extra, depth);
  }
};

/** Which side's events a field is of. Undefined after a mistake. */
const checkSide = (
  value: unknown,
  path: string,
  mistakes: Mistakes,
  scope: Scope | undefined,
): { readonly named: { side?: SideName }; readonly scope: Scope | undefined } | undefined => {
  if (value === undefined) {
    if (scope?.sides === undefined) return { named: {}, scope };
    return mistakes.add(
      path,
      'must say of which side: left.field("x") or right.field("x"), in JSON "side": "left" or "right"',
    );
  }
  const side = mistakes.oneOf(value, at(path, "side"), SIDES);
  if (side === undefined) return undefined;
  if (scope === undefined) return { named: { side }, scope };
  if (scope.sides === undefined) {
    return mistakes.add(at(path, "side"), "only values of a join have sides; leave it out");
  }
  const own = scope.sides[side];
  if (own === undefined) {
    return mistakes.add(at(path, "side"), `results here have no event of the ${side} side`);
  }
  return { named: { side }, scope: own };
};

const checkOperation = (
  givenOp: unknown,
  givenArgs: unknown,
  path: string,
  mistakes: Mistakes,
  scope: Scope | undefined,
  extra: ExtraForms,
  depth: number,
): CheckedExpression | undefined => {
  const op = mistakes.oneOf(givenOp, at(path, "op"), OPERATORS, OTHER_NAMES) as
    UnaryOperator | BinaryOperator | undefined;
  const items = mistakes.items(givenArgs, at(path, "args"));
  if (op === undefined || items === undefined) return undefined;
  const unary = UNARY.find((known) => known === op);
  const arity = unary === undefined ? 2 : 1;
  if (items.length !== arity) {
    const wanted = arity === 1 ? "one expression" : "two expressions";
    return mistakes.add(at(path, "args"), `"${op}" takes ${wanted}, not ${items.length}`);
  }
  const argPath = (index: number): string => at(at(path, "args"), index);
  const args = items.map((item, index) =>
    checkExpression(item, argPath(index), mistakes, scope, extra, depth + 1),
  );
  const [left, right] = args;
  if (left === undefined || (arity === 2 && right === undefined)) return undefined;
  if (unary !== undefined) {
    const type = scope && checkUnary(unary, left, path, mistakes);
    return { expression: { op: unary, args: [left.expression] }, type };
  }
  let pair: readonly [CheckedExpression, CheckedExpression] = [left, right!];
  if (COMPARISON.includes(op as BinaryOperator)) {
    pair = [
      resolveEnumName(left, right!, argPath(0), mistakes),
      resolveEnumName(right!, left, argPath(1), mistakes),
    ];
  }
  const type = scope && checkBinary(op as BinaryOperator, pair, path, mistakes);
  return {
    expression: { op: op as BinaryOperator, args: [pair[0].expression, pair[1].expression] },
    type,
  };
};
