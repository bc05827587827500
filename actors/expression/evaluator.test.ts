import fc from "fast-check";
import { expect, test } from "vitest";
import { checkExpression } from "../../projections/definition/check-expression.ts";
import type {
  BinaryOperator,
  Expression,
  LookupExpression,
} from "../../projections/definition/expression.ts";
import type { LookupTable } from "../../projections/definition/lookup-table.ts";
import { Mistakes } from "../../projections/definition/reading.ts";
import { Intake } from "../intake/intake.ts";
import { encodeBatch, salesPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { compileExpression } from "./evaluator.ts";

type Scalar = number | string | boolean | null;

/** By strings that sales have and do not have, by numbers, and by booleans. */
const ROWS: Readonly<
  Record<string, { n?: number | null; d?: number; s?: string; b?: boolean | null }>
> = {
  a: { n: 1, d: 0.5, s: "á", b: true },
  b: { n: 2, s: "" },
  ab: { n: null, d: -1, s: "test.Sale" },
  "": { n: 4, b: false },
  "0": { n: 5, d: 5, s: "zero", b: null },
  "-3": { s: "b", b: true },
  "7": { n: -7 },
  true: { n: 8, s: "a", b: false },
};

const tableOf = (keys: RegExp): LookupTable => {
  const rows = Object.fromEntries(Object.entries(ROWS).filter(([key]) => keys.test(key)));
  const mistakes = new Mistakes();
  const scope = { types: [], columns: new Map() };
  const checked = checkExpression(
    { lookup: { rows }, key: { literal: "" }, column: "n" },
    "",
    mistakes,
    scope,
  );
  expect(mistakes.list).toEqual([]);
  return (checked!.expression as LookupExpression).lookup as LookupTable;
};
const BY_TEXT = tableOf(/^/);
const BY_NUMBER = tableOf(/^-?\d+$/);
const BY_BOOLEAN = tableOf(/^true$/);

/** The same language, one event at a time. */
const naive = (expression: Expression, sale: Sale): Scalar => {
  if ("field" in expression) {
    const value = sale[expression.field as "cents" | "weight" | "store"];
    return value === undefined ? (expression.field === "store" ? "" : null) : (value as Scalar);
  }
  if ("event" in expression) {
    return expression.event === "type" ? "test.Sale" : (sale[expression.event] as Scalar);
  }
  if ("literal" in expression) return expression.literal;
  if ("lookup" in expression) {
    const key = naive(expression.key, sale);
    return (key === null ? null : ROWS[String(key)]?.[expression.column as "n"]) ?? null;
  }
  const [left, right] = expression.args.map((arg) => naive(arg, sale)) as [Scalar, Scalar];
  switch (expression.op) {
    case "isNull":
      return left === null;
    case "not":
      return left === null ? null : !left;
    case "negate":
      return left === null ? null : 0 - (left as number);
    case "and":
      return left === false || right === false
        ? false
        : left === null || right === null
          ? null
          : true;
    case "or":
      return left === true || right === true
        ? true
        : left === null || right === null
          ? null
          : false;
  }
  if (left === null || right === null) return null;
  const [a, b] = [left as number, right as number];
  const finite = (value: number) => (Number.isFinite(value) ? value : null);
  switch (expression.op) {
    case "add":
      return finite(a + b);
    case "subtract":
      return finite(a - b);
    case "multiply":
      return finite(a * b);
    case "divide":
      return finite(a / b);
    case "eq":
      return a === b;
    case "ne":
      return a !== b;
    case "lt":
      return a < b;
    case "le":
      return a <= b;
    case "gt":
      return a > b;
    case "ge":
      return a >= b;
  }
};

const looked = (
  key: fc.Arbitrary<unknown>,
  table: LookupTable,
  ...columns: readonly string[]
): fc.Arbitrary<Expression> =>
  fc
    .tuple(key, fc.constantFrom(...columns))
    .map(([key, column]): Expression => ({ lookup: table, key: key as Expression, column }));

const { number, string, boolean } = fc.letrec<{
  number: Expression;
  string: Expression;
  boolean: Expression;
}>((tie) => {
  const binary = (ops: readonly BinaryOperator[], operand: "number" | "string" | "boolean") =>
    fc
      .tuple(fc.constantFrom(...ops), tie(operand), tie(operand))
      .map(([op, a, b]): Expression => ({ op, args: [a, b] }));
  return {
    number: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<Expression>({ field: "cents" }, { field: "weight" }, { event: "time" }),
      fc.integer({ min: -5, max: 5 }).map((literal): Expression => ({ literal })),
      binary(["add", "subtract", "multiply", "divide"], "number"),
      looked(tie("string"), BY_TEXT, "n", "d"),
      looked(tie("number"), BY_NUMBER, "n", "d"),
      looked(tie("boolean"), BY_BOOLEAN, "n"),
      tie("number").map((arg): Expression => ({ op: "negate", args: [arg] })),
    ),
    string: fc.oneof(
      { maxDepth: 4 },
      looked(fc.constantFrom({ field: "store" }, { event: "key" }), BY_TEXT, "s"),
      looked(tie("number"), BY_NUMBER, "s"),
      fc.constantFrom<Expression>(
        { field: "store" },
        { event: "key" },
        { event: "id" },
        { event: "type" },
      ),
      fc.constantFrom("a", "b", "", "test.Sale").map((literal): Expression => ({ literal })),
    ),
    boolean: fc.oneof(
      { maxDepth: 4 },
      binary(["eq", "ne", "lt", "le", "gt", "ge"], "number"),
      binary(["eq", "ne", "lt", "le", "gt", "ge"], "string"),
      binary(["and", "or"], "boolean"),
      looked(tie("string"), BY_TEXT, "b"),
      tie("boolean").map((arg): Expression => ({ op: "not", args: [arg] })),
      fc
        .oneof(tie("number"), tie("string"))
        .map((arg): Expression => ({ op: "isNull", args: [arg] })),
      fc.boolean().map((literal): Expression => ({ literal })),
    ),
  };
});

const saleArbitrary: fc.Arbitrary<Sale> = fc.record(
  {
    id: fc.uuid(),
    key: fc.constantFrom("a", "b", "ab", "é"),
    time: fc.integer({ min: -9, max: 9 }),
    cents: fc.integer({ min: -9, max: 9 }),
    weight: fc.constantFrom(0, 0.5, -2.25, 1e300),
    store: fc.constantFrom("", "a", "b"),
  },
  { requiredKeys: ["id", "key", "time"] },
);

test("columns give what one event at a time would give", () => {
  const plan = salesPlan();
  fc.assert(
    fc.property(
      fc.oneof(number, string, boolean),
      fc.uniqueArray(saleArbitrary, { minLength: 1, maxLength: 12, selector: (sale) => sale.id }),
      (expression, sales) => {
        const batch = new Intake(plan.topic, plan.columns).read(1, encodeBatch(sales));
        const evaluator = compileExpression(expression, plan);
        const vector = evaluator.evaluate(batch);
        const values = sales.map((_, row): Scalar => {
          if (vector.valid[row] === 0) return null;
          if (evaluator.type === "string") {
            return Buffer.from(
              vector.bytes.subarray(vector.starts[row], vector.ends[row]),
            ).toString();
          }
          return evaluator.type === "boolean" ? vector.values[row] === 1 : vector.values[row]! + 0;
        });
        const expected = sales.map((sale) => {
          const value = naive(expression, sale);
          return typeof value === "number" ? value + 0 : value;
        });
        expect(values).toEqual(expected);
      },
    ),
    { numRuns: 2000 },
  );
});
