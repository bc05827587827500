/**
 * What results need of the events of one side: which events are on it, and their cells. A cell is a value of
 * a field or of the envelope, encoded; a row's cells stand one after the other.
 *
 * S1. The bytes of cells depend on the values alone: they are part of a state's canonical bytes.
 */
import type { Expression, ExpressionType } from "../../projections/definition/expression.ts";
import type { JoinSidePlan, TopicPlan } from "../../projections/definition/plan.ts";
import { compileExpression, type Evaluator } from "../expression/evaluator.ts";
import type { Vector } from "../expression/vector.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import type { VersionWindow } from "./as-of-join.ts";
import { JOIN_ROW_BYTES_MAX, JoinLimit } from "./limits.ts";

const NULL = 0;
const VALUE = 1;
/** An integer beyond 2^53: its nearest double, and what is missing to it. */
const WIDE = 2;

export class SideReader {
  readonly types: readonly ExpressionType[];
  readonly #reads: readonly boolean[];
  readonly #where: Evaluator | undefined;
  readonly #cells: readonly Evaluator[];
  readonly #out = new ByteWriter(256);
  #batch: EventBatch | undefined;
  #passes: Vector | undefined;
  #vectors: readonly Vector[] = [];

  constructor(side: JoinSidePlan, needed: readonly Expression[], topic: TopicPlan) {
    const plan = { topic, columns: side.columns };
    this.#reads = side.reads;
    this.#where = side.where === undefined ? undefined : compileExpression(side.where, plan);
    this.#cells = needed.map((expression) => compileExpression(expression, plan));
    this.types = this.#cells.map(({ type }) => type);
  }

  begin(batch: EventBatch): void {
    this.#batch = batch;
    this.#passes = this.#where?.evaluate(batch);
    this.#vectors = this.#cells.map((cell) => cell.evaluate(batch));
  }

  /** The cells of a row; undefined if the event is not on this side. */
  take(row: number): Uint8Array | undefined {
    if (this.#reads[this.#batch!.typeIndexes[row]!] !== true) return undefined;
    const passes = this.#passes;
    if (passes !== undefined && (passes.valid[row] === 0 || passes.values[row] === 0)) {
      return undefined;
    }
    const out = this.#out;
    out.reset();
    for (const vector of this.#vectors) writeCell(vector, row, out);
    if (out.length > JOIN_ROW_BYTES_MAX) {
      throw new JoinLimit(
        `what results need of the event has ${out.length} bytes; ` +
          `${JOIN_ROW_BYTES_MAX} are the limit (JOIN_ROW_BYTES_MAX)`,
      );
    }
    return out.finish();
  }
}

const writeCell = (vector: Vector, row: number, out: ByteWriter): void => {
  if (vector.valid[row] === 0) {
    out.byte(NULL);
  } else if (vector.type === "string") {
    const start = vector.starts[row]!;
    const end = vector.ends[row]!;
    out.byte(VALUE);
    out.uint32(end - start);
    out.raw(vector.bytes, start, end);
  } else {
    const residual = vector.residuals?.[row] ?? 0;
    out.byte(residual === 0 ? VALUE : WIDE);
    // + 0 turns -0 into 0: equal values have equal bytes.
    out.double(vector.values[row]! + 0);
    if (residual !== 0) out.double(residual);
  }
};

/** Of a row that is a result: its first two cells (`joined-values.ts`). */
export const readWindow = (cells: Uint8Array): VersionWindow => {
  const from = new ByteReader(cells);
  from.byte();
  const start = from.double();
  from.byte();
  return { start, end: from.double() };
};

/** A column of cells, as vectors are: what `PairBatch` fills. */
export interface CellColumn {
  valid: Uint8Array;
  values: Float64Array;
  residuals: Float64Array;
  starts: Int32Array;
  ends: Int32Array;
}

/** Reads a row's cells into row `at` of the columns; their strings go to the end of `strings`. */
export const readCells = (
  cells: Uint8Array,
  types: readonly ExpressionType[],
  columns: readonly CellColumn[],
  at: number,
  strings: ByteWriter,
): void => {
  const from = new ByteReader(cells);
  for (let i = 0; i < types.length; i++) {
    const column = columns[i]!;
    const tag = from.byte();
    column.valid[at] = tag === NULL ? 0 : 1;
    column.values[at] = 0;
    column.residuals[at] = 0;
    if (tag === NULL) continue;
    if (types[i] === "string") {
      const bytes = from.block();
      column.starts[at] = strings.length;
      strings.raw(bytes);
      column.ends[at] = strings.length;
    } else {
      column.values[at] = from.double();
      if (tag === WIDE) column.residuals[at] = from.double();
    }
  }
};
