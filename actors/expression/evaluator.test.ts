import fc from "fast-check";
import { expect, test } from "vitest";
import type { BinaryOperator, Expression } from "../../projections/definition/expression.ts";
import { Intake } from "../intake/intake.ts";
import { encodeBatch, salesPlan } from "../testkit/plans.ts";
import type { Sale } from "../testkit/plans.ts";
import { compileExpression } from "./evaluator.ts";

type Scalar = number | string | boolean | null;

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
      tie("number").map((arg): Expression => ({ op: "negate", args: [arg] })),
    ),
    string: fc.oneof(
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
