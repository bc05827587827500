/**
 * The values of joined rows: pairs are gathered as a batch of their own, with the cells of both sides as
 * columns, and the expressions are evaluated over it like any others.
 *
 * V1. So an expression over two events gives what the same expression over one event would give.
 */
import type {
  Expression,
  ExpressionType,
  SideName,
} from "../../projections/definition/expression.ts";
import type { FieldColumn, JoinPlan, TopicPlan } from "../../projections/definition/plan.ts";
import { WINDOW_END, WINDOW_START } from "../../projections/definition/table-rows.ts";
import { compileExpression, type Evaluator } from "../expression/evaluator.ts";
import type { Vector } from "../expression/vector.ts";
import type { ColumnVector, EventBatch } from "../intake/event-batch.ts";
import { ByteWriter } from "../kernel/byte-writer.ts";
import { utf8 } from "../kernel/text.ts";
import type { OutputValue } from "../ordered/output-value.ts";
import type { Accepts } from "./interval-join.ts";
import type { JoinRow } from "./row-buffer.ts";
import { readCells, SideReader, type CellColumn } from "./side-reader.ts";

const SIDES: readonly SideName[] = ["left", "right"];
const ROWS_MIN = 16;
const WINDOW: readonly Expression[] = [WINDOW_START, WINDOW_END].map(({ name }) => ({
  field: name,
}));

/** What results need of each side: its fields and parts of the envelope that values mention, each once. */
const neededOf = (values: readonly Expression[], side: SideName): readonly Expression[] => {
  const needed = new Map<string, Expression>();
  const visit = (expression: Expression): void => {
    if ("op" in expression) expression.args.forEach(visit);
    else if ("lookup" in expression) visit(expression.key);
    else if ("field" in expression && expression.side === side) {
      needed.set(expression.field, { field: expression.field });
    } else if ("event" in expression && expression.side === side) {
      needed.set(`event.${expression.event}`, { event: expression.event });
    }
  };
  values.forEach(visit);
  return [...needed.values()];
};

/** Names no field can have: fields have no dots. */
const columnOf = (side: SideName, expression: Expression): string =>
  "field" in expression
    ? `${side}.${expression.field}`
    : `${side}.event.${"event" in expression ? expression.event : ""}`;

/** The same expression over columns of cells. */
const overCells = (expression: Expression): Expression => {
  if ("lookup" in expression) return { ...expression, key: overCells(expression.key) };
  if ("op" in expression) {
    const args: unknown = expression.args.map(overCells);
    return { ...expression, args } as Expression;
  }
  if ("literal" in expression || expression.side === undefined) return expression;
  return { field: columnOf(expression.side, expression) };
};

/** Pairs of rows as a batch, and expressions over it. */
class Pairs {
  readonly #batch: PairBatch;
  readonly #columns: Readonly<Record<SideName, readonly CellColumn[]>>;
  readonly #types: Readonly<Record<SideName, readonly ExpressionType[]>>;
  readonly #evaluators: readonly Evaluator[];
  readonly #strings = new ByteWriter(256);

  constructor(
    topic: TopicPlan,
    needed: Readonly<Record<SideName, readonly Expression[]>>,
    types: Readonly<Record<SideName, readonly ExpressionType[]>>,
    expressions: readonly Expression[],
  ) {
    const columns = new Map<string, CellColumn>();
    const known: FieldColumn[] = [];
    const columnsOf = (side: SideName) =>
      needed[side].map((expression, index) => {
        const path = columnOf(side, expression);
        const column = emptyColumn();
        columns.set(path, column);
        known.push({ path, type: types[side][index]!, fields: [] });
        return column;
      });
    this.#types = types;
    this.#columns = { left: columnsOf("left"), right: columnsOf("right") };
    this.#batch = new PairBatch(columns);
    this.#evaluators = expressions.map((expression) =>
      compileExpression(overCells(expression), { topic, columns: known }),
    );
  }

  get count(): number {
    return this.#batch.count;
  }

  clear(): void {
    this.#batch.count = 0;
    this.#strings.reset();
  }

  add(left: JoinRow | undefined, right: JoinRow | undefined): void {
    const at = this.#batch.count++;
    for (const side of SIDES) {
      const row = side === "left" ? left : right;
      const columns = this.#columns[side];
      for (const column of columns) growColumn(column, at + 1);
      if (row !== undefined) readCells(row.cells, this.#types[side], columns, at, this.#strings);
      else for (const column of columns) column.valid[at] = 0;
    }
  }

  evaluate(): readonly Vector[] {
    this.#batch.bytes = this.#strings.bytes;
    return this.#evaluators.map((evaluator) => evaluator.evaluate(this.#batch));
  }
}

export class JoinedValues {
  readonly left: SideReader;
  readonly right: SideReader;
  /** The pairs of a turn. */
  readonly #results: Pairs;
  /** One pair at a time, to be asked whether it is one. */
  readonly #candidate: Pairs | undefined;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  constructor(plan: JoinPlan) {
    const { topic, on } = plan;
    const values = plan.values;
    const mentioned = on === undefined ? values : [...values, on];
    // Of a result its window comes first: `readWindow`.
    const window = plan.right.table === undefined ? [] : WINDOW;
    const needed = {
      left: neededOf(mentioned, "left"),
      right: [...window, ...neededOf(mentioned, "right")],
    };
    this.left = new SideReader(plan.left, needed.left, topic);
    this.right = new SideReader(plan.right, needed.right, topic);
    const types = { left: this.left.types, right: this.right.types };
    this.#results = new Pairs(topic, needed, types, values);
    this.#candidate = on && new Pairs(topic, needed, types, [on]);
  }

  /** Whether two rows belong together; undefined where the join asks for no more than key and time. */
  get accepts(): Accepts | undefined {
    const candidate = this.#candidate;
    if (candidate === undefined) return undefined;
    return (left, right) => {
      candidate.clear();
      candidate.add(left, right);
      const on = candidate.evaluate()[0]!;
      return on.valid[0] === 1 && on.values[0] === 1;
    };
  }

  clear(): void {
    this.#results.clear();
  }

  add(start: number, end: number, left: JoinRow | undefined, right: JoinRow | undefined): void {
    const at = this.#results.count;
    this.#starts[at] = start;
    this.#ends[at] = end;
    this.#results.add(left, right);
  }

  /** Evaluates all that was added since the last clear, then hands each over with its values. */
  each(emit: (start: number, end: number, values: readonly OutputValue[]) => void): void {
    const { count } = this.#results;
    if (count === 0) return;
    const vectors = this.#results.evaluate();
    for (let at = 0; at < count; at++) {
      emit(
        this.#starts[at]!,
        this.#ends[at]!,
        vectors.map((vector) => outputOf(vector, at)),
      );
    }
  }
}

const outputOf = (vector: Vector, at: number): OutputValue => {
  if (vector.valid[at] === 0) return null;
  switch (vector.type) {
    case "string":
      return utf8.decode(vector.bytes.subarray(vector.starts[at], vector.ends[at]));
    case "boolean":
      return vector.values[at] === 1;
    case "double":
      return vector.values[at]!;
    case "integer": {
      const value = vector.values[at]!;
      const residual = vector.residuals?.[at] ?? 0;
      if (residual === 0 && Number.isSafeInteger(value)) return value;
      const exact = BigInt(value) + BigInt(residual);
      // What does not fit 64 bits is no integer of a result.
      return BigInt.asIntN(64, exact) === exact ? exact : null;
    }
  }
};

const emptyColumn = (): CellColumn => ({
  valid: new Uint8Array(ROWS_MIN),
  values: new Float64Array(ROWS_MIN),
  residuals: new Float64Array(ROWS_MIN),
  starts: new Int32Array(ROWS_MIN),
  ends: new Int32Array(ROWS_MIN),
});

const growColumn = (column: CellColumn, rows: number): void => {
  if (rows <= column.valid.length) return;
  const capacity = column.valid.length * 2;
  const grow = <Part extends Uint8Array | Float64Array | Int32Array>(part: Part): Part => {
    const grown = new (part.constructor as new (length: number) => Part)(capacity);
    grown.set(part);
    return grown;
  };
  column.valid = grow(column.valid);
  column.values = grow(column.values);
  column.residuals = grow(column.residuals);
  column.starts = grow(column.starts);
  column.ends = grow(column.ends);
};

const NO_BYTES = new Uint8Array(0);
const NO_TIMES = new Float64Array(0);
const NO_OFFSETS = new Int32Array(0);

/** As much of an event batch as expressions over columns read. */
class PairBatch implements EventBatch {
  count = 0;
  bytes: Uint8Array = NO_BYTES;
  readonly columns: ReadonlyMap<string, ColumnVector>;
  readonly sequence = 0;
  readonly ingestTime = 0;
  readonly verdicts = NO_BYTES;
  readonly eventTimes = NO_TIMES;
  readonly watermarks = NO_TIMES;
  readonly typeIndexes = NO_OFFSETS;
  readonly idStarts = NO_OFFSETS;
  readonly idEnds = NO_OFFSETS;
  readonly keyStarts = NO_OFFSETS;
  readonly keyEnds = NO_OFFSETS;
  readonly eventStarts = NO_OFFSETS;
  readonly eventEnds = NO_OFFSETS;
  readonly errors: ReadonlyMap<number, string> = new Map();
  readonly watermarkAfter = 0;
  readonly idle = false;
  readonly ingestClock = 0;

  constructor(columns: ReadonlyMap<string, ColumnVector>) {
    this.columns = columns;
  }
}
