/**
 * Evaluates expressions a column at a time: one tight loop per operator over the whole batch.
 *
 * X1. Null follows SQL: see `projections/definition/expression.ts`. Division by zero is null, and so is
 *     a number that is not finite.
 * X2. An evaluator is pure; its vectors are reused by the next batch.
 */
import type {
  BinaryOperator,
  EnvelopeField,
  Expression,
  ExpressionType,
  LookupExpression,
  UnaryOperator,
} from "../../projections/definition/expression.ts";
import { LookupTable } from "../../projections/definition/lookup-table.ts";
import type { PlanBase } from "../../projections/definition/plan.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { indexOf } from "./lookup-index.ts";
import type { IndexedColumn, LookupIndex } from "./lookup-index.ts";
import { emptyVector, growOffsets, growValues } from "./vector.ts";
import type { Vector } from "./vector.ts";

export interface Evaluator {
  readonly type: ExpressionType;
  evaluate(batch: EventBatch): Vector;
}

/** What names in an expression are looked up in. */
export type EvaluatedPlan = Pick<PlanBase, "columns" | "topic">;

export const compileExpression = (expression: Expression, plan: EvaluatedPlan): Evaluator => {
  if ("field" in expression) return fieldEvaluator(expression.field, plan);
  if ("event" in expression) return envelopeEvaluator(expression.event, plan);
  if ("literal" in expression) return literalEvaluator(expression.literal);
  if ("lookup" in expression) {
    return lookupEvaluator(expression, compileExpression(expression.key, plan));
  }
  const left = compileExpression(expression.args[0], plan);
  if (expression.args.length === 1) return unaryEvaluator(expression.op as UnaryOperator, left);
  const right = compileExpression(expression.args[1], plan);
  return binaryEvaluator(expression.op as BinaryOperator, left, right);
};

const fieldEvaluator = (path: string, plan: EvaluatedPlan): Evaluator => {
  const column = plan.columns.find((candidate) => candidate.path === path);
  if (column === undefined) throw new Error(`invariant X: field ${path} is not in the plan`);
  const vector = emptyVector(column.type);
  return {
    type: column.type,
    evaluate: (batch) => {
      const source = batch.columns.get(path)!;
      vector.valid = source.valid;
      vector.values = source.values;
      vector.residuals = source.residuals;
      vector.bytes = batch.bytes;
      vector.starts = source.starts;
      vector.ends = source.ends;
      return vector;
    },
  };
};

const envelopeEvaluator = (field: EnvelopeField, plan: EvaluatedPlan): Evaluator => {
  if (field === "time") return timeEvaluator();
  if (field === "type") return typeEvaluator(plan);
  const vector = emptyVector("string");
  return {
    type: "string",
    evaluate: (batch) => {
      if (vector.valid.length < batch.count) {
        vector.valid = new Uint8Array(batch.verdicts.length).fill(1);
      }
      vector.bytes = batch.bytes;
      vector.starts = field === "key" ? batch.keyStarts : batch.idStarts;
      vector.ends = field === "key" ? batch.keyEnds : batch.idEnds;
      return vector;
    },
  };
};

const timeEvaluator = (): Evaluator => {
  const vector = emptyVector("integer");
  return {
    type: "integer",
    evaluate: (batch) => {
      if (vector.valid.length < batch.count) {
        vector.valid = new Uint8Array(batch.verdicts.length).fill(1);
      }
      vector.values = batch.eventTimes as Float64Array<ArrayBuffer>;
      return vector;
    },
  };
};

const typeEvaluator = (plan: EvaluatedPlan): Evaluator => {
  const vector = emptyVector("string");
  const encoder = new TextEncoder();
  const names = plan.topic.types.map((type) => encoder.encode(type.name));
  const nameStarts: number[] = [];
  let length = 0;
  for (const name of names) {
    nameStarts.push(length);
    length += name.length;
  }
  const bytes = new Uint8Array(length);
  names.forEach((name, index) => bytes.set(name, nameStarts[index]));
  vector.bytes = bytes;
  return {
    type: "string",
    evaluate: (batch) => {
      growOffsets(vector, batch.count);
      for (let row = 0; row < batch.count; row++) {
        const index = batch.typeIndexes[row]!;
        vector.valid[row] = index < 0 ? 0 : 1;
        vector.starts[row] = index < 0 ? 0 : nameStarts[index]!;
        vector.ends[row] = index < 0 ? 0 : nameStarts[index]! + names[index]!.length;
      }
      return vector;
    },
  };
};

const literalEvaluator = (literal: string | number | boolean): Evaluator => {
  const type: ExpressionType =
    typeof literal === "string"
      ? "string"
      : typeof literal === "boolean"
        ? "boolean"
        : Number.isInteger(literal)
          ? "integer"
          : "double";
  const vector = emptyVector(type);
  if (typeof literal === "string") vector.bytes = new TextEncoder().encode(literal);
  return {
    type,
    evaluate: (batch) => {
      if (vector.valid.length >= batch.count) return vector;
      if (typeof literal === "string") {
        growOffsets(vector, batch.count);
        vector.ends.fill(vector.bytes.length);
      } else {
        growValues(vector, batch.count);
        vector.values.fill(Number(literal));
      }
      vector.valid.fill(1);
      return vector;
    },
  };
};

const lookupEvaluator = ({ lookup, column }: LookupExpression, key: Evaluator): Evaluator => {
  if (!(lookup instanceof LookupTable)) throw new Error("invariant X: a table without its rows");
  const { type } = lookup.columns.get(column)!;
  const index = indexOf(lookup);
  const source = index.column(column);
  const out = emptyVector(type);
  out.bytes = source.bytes;
  const gather = type === "string" ? gatherStrings : gatherValues;
  return {
    type,
    evaluate: (batch) => {
      const keys = key.evaluate(batch);
      if (type === "string") growOffsets(out, batch.count);
      else growValues(out, batch.count);
      gather(index, source, keys, out, batch.count);
      return out;
    },
  };
};

const gatherValues = (
  index: LookupIndex,
  source: IndexedColumn,
  keys: Vector,
  out: Vector,
  count: number,
): void => {
  for (let row = 0; row < count; row++) {
    const found = index.find(keys, row);
    out.valid[row] = found < 0 ? 0 : source.valid[found]!;
    out.values[row] = found < 0 ? 0 : source.values[found]!;
  }
};

const gatherStrings = (
  index: LookupIndex,
  source: IndexedColumn,
  keys: Vector,
  out: Vector,
  count: number,
): void => {
  for (let row = 0; row < count; row++) {
    const found = index.find(keys, row);
    out.valid[row] = found < 0 ? 0 : source.valid[found]!;
    out.starts[row] = found < 0 ? 0 : source.starts[found]!;
    out.ends[row] = found < 0 ? 0 : source.ends[found]!;
  }
};

const unaryEvaluator = (op: UnaryOperator, operand: Evaluator): Evaluator => {
  const type: ExpressionType = op === "negate" ? operand.type : "boolean";
  const out = emptyVector(type);
  return {
    type,
    evaluate: (batch) => {
      const input = operand.evaluate(batch);
      const count = batch.count;
      growValues(out, count);
      const { valid, values } = out;
      if (op === "isNull") {
        for (let row = 0; row < count; row++) {
          valid[row] = 1;
          values[row] = input.valid[row] === 0 ? 1 : 0;
        }
      } else if (op === "not") {
        for (let row = 0; row < count; row++) {
          valid[row] = input.valid[row]!;
          values[row] = 1 - input.values[row]!;
        }
      } else {
        // 0 - x, since -0 would make equal sums differ in their bits.
        for (let row = 0; row < count; row++) {
          valid[row] = input.valid[row]!;
          values[row] = 0 - input.values[row]!;
        }
      }
      return out;
    },
  };
};

const binaryEvaluator = (op: BinaryOperator, left: Evaluator, right: Evaluator): Evaluator => {
  const arithmetic = op === "add" || op === "subtract" || op === "multiply" || op === "divide";
  const type: ExpressionType = !arithmetic
    ? "boolean"
    : op !== "divide" && left.type === "integer" && right.type === "integer"
      ? "integer"
      : "double";
  const out = emptyVector(type);
  return {
    type,
    evaluate: (batch) => {
      const a = left.evaluate(batch);
      const b = right.evaluate(batch);
      growValues(out, batch.count);
      if (op === "and" || op === "or") combine(op, a, b, out, batch.count);
      else if (arithmetic) calculate(op, a, b, out, batch.count);
      else if (a.type === "string") compareStrings(op, a, b, out, batch.count);
      else compareNumbers(op, a, b, out, batch.count);
      return out;
    },
  };
};

/** Three-valued logic: false and null is false, true or null is true. */
const combine = (op: "and" | "or", a: Vector, b: Vector, out: Vector, count: number): void => {
  const decisive = op === "and" ? 0 : 1;
  for (let row = 0; row < count; row++) {
    const aKnown = a.valid[row] === 1;
    const bKnown = b.valid[row] === 1;
    if ((aKnown && a.values[row] === decisive) || (bKnown && b.values[row] === decisive)) {
      out.valid[row] = 1;
      out.values[row] = decisive;
    } else {
      out.valid[row] = aKnown && bKnown ? 1 : 0;
      out.values[row] = 1 - decisive;
    }
  }
};

const calculate = (op: BinaryOperator, a: Vector, b: Vector, out: Vector, count: number): void => {
  const { valid, values } = out;
  switch (op) {
    case "add":
      for (let row = 0; row < count; row++) values[row] = a.values[row]! + b.values[row]!;
      break;
    case "subtract":
      for (let row = 0; row < count; row++) values[row] = a.values[row]! - b.values[row]!;
      break;
    case "multiply":
      for (let row = 0; row < count; row++) values[row] = a.values[row]! * b.values[row]!;
      break;
    default:
      for (let row = 0; row < count; row++) values[row] = a.values[row]! / b.values[row]!;
  }
  for (let row = 0; row < count; row++) {
    const known = a.valid[row]! & b.valid[row]!;
    valid[row] = known === 1 && Number.isFinite(values[row]!) ? 1 : 0;
  }
};

/** -1, 0 or 1 per row against the operator: which of the three outcomes make it true. */
const OUTCOMES: Record<string, readonly [less: 0 | 1, equal: 0 | 1, greater: 0 | 1]> = {
  eq: [0, 1, 0],
  ne: [1, 0, 1],
  lt: [1, 0, 0],
  le: [1, 1, 0],
  gt: [0, 0, 1],
  ge: [0, 1, 1],
};

const compareNumbers = (
  op: BinaryOperator,
  a: Vector,
  b: Vector,
  out: Vector,
  count: number,
): void => {
  const [less, equal, greater] = OUTCOMES[op]!;
  const exact = a.residuals !== undefined || b.residuals !== undefined;
  for (let row = 0; row < count; row++) {
    out.valid[row] = a.valid[row]! & b.valid[row]!;
    let difference = a.values[row]! - b.values[row]!;
    if (difference === 0 && exact) {
      difference = (a.residuals?.[row] ?? 0) - (b.residuals?.[row] ?? 0);
    }
    out.values[row] = difference < 0 ? less : difference > 0 ? greater : equal;
  }
};

/** By UTF-8 bytes, which is the order of code points. */
const compareStrings = (
  op: BinaryOperator,
  a: Vector,
  b: Vector,
  out: Vector,
  count: number,
): void => {
  const [less, equal, greater] = OUTCOMES[op]!;
  for (let row = 0; row < count; row++) {
    out.valid[row] = a.valid[row]! & b.valid[row]!;
    if (out.valid[row] === 0) continue;
    const aStart = a.starts[row]!;
    const bStart = b.starts[row]!;
    const aLength = a.ends[row]! - aStart;
    const bLength = b.ends[row]! - bStart;
    const shared = Math.min(aLength, bLength);
    let difference = 0;
    for (let i = 0; i < shared && difference === 0; i++) {
      difference = a.bytes[aStart + i]! - b.bytes[bStart + i]!;
    }
    if (difference === 0) difference = aLength - bLength;
    out.values[row] = difference < 0 ? less : difference > 0 ? greater : equal;
  }
};
