/**
 * The first non-null inputs in log order, up to a limit, and how many there were: a record of `values`
 * and `total`. Parts follow each other as they are merged: partitions by number, sessions by start.
 *
 * L1. What is kept is a prefix of what came: once one is left out, so are all that follow. So
 *     `total` is greater than the number of values when, and only when, some were left out.
 * L2. At most `limit` values and COLLECT_BYTES_MAX bytes are kept; of a string its first
 *     COLLECT_STRING_BYTES_MAX.
 */
import type { ExpressionType } from "../../projections/definition/expression.ts";
import {
  COLLECT_BYTES_MAX,
  COLLECT_STRING_BYTES_MAX,
} from "../../projections/definition/weight.ts";
import type { Vector } from "../expression/vector.ts";
import { ByteReader } from "../kernel/byte-writer.ts";
import { ByteWriter } from "../kernel/byte-writer.ts";
import { growFloats, writeIntValue } from "./accumulator.ts";
import type { Accumulator } from "./accumulator.ts";
import { writeListValue, writeRecordValue } from "./composite.ts";
import { scalarBytes, writeScalarValue } from "./scalar.ts";

export { COLLECT_BYTES_MAX, COLLECT_STRING_BYTES_MAX };

const NOTHING = new Uint8Array(0);

export class Collect implements Accumulator {
  readonly #limit: number;
  readonly #type: ExpressionType;
  #totals: Float64Array = new Float64Array(0);
  #kept: Float64Array = new Float64Array(0);
  /** By slot: the values, each with its length in front. */
  readonly #values: (ByteWriter | undefined)[] = [];

  constructor(limit: number, type: ExpressionType) {
    this.#limit = limit;
    this.#type = type;
  }

  grow(capacity: number): void {
    this.#totals = growFloats(this.#totals, capacity);
    this.#kept = growFloats(this.#kept, capacity);
  }

  clear(slot: number): void {
    this.#totals[slot] = 0;
    this.#kept[slot] = 0;
    this.#values[slot] = undefined;
  }

  release(slot: number): void {
    this.clear(slot);
  }

  accumulate(slots: Int32Array, rows: Int32Array, count: number, input: Vector | undefined): void {
    const { valid } = input!;
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      if (valid[row] === 0) continue;
      const slot = slots[i]!;
      if (this.#kept[slot] === this.#totals[slot]! && this.#kept[slot]! < this.#limit) {
        const { bytes, start, end } = scalarBytes(input!, row, COLLECT_STRING_BYTES_MAX);
        this.#append(slot, bytes, start, end);
      }
      this.#totals[slot]! += 1;
    }
  }

  /** Keeps a value if there is room for it. */
  #append(slot: number, bytes: Uint8Array, start: number, end: number): void {
    const values = (this.#values[slot] ??= new ByteWriter(64));
    if (values.length + (end - start) > COLLECT_BYTES_MAX) return;
    values.varint(end - start);
    values.raw(bytes, start, end);
    this.#kept[slot]! += 1;
  }

  write(slot: number, out: ByteWriter): void {
    const values = this.#values[slot];
    out.varint(this.#totals[slot]!);
    out.varint(this.#kept[slot]!);
    if (values !== undefined) out.raw(values.bytes, 0, values.length);
  }

  merge(slot: number, from: ByteReader): void {
    const total = from.varint();
    const kept = from.varint();
    const before = this.#totals[slot]!;
    for (let i = 0; i < kept; i++) {
      const bytes = from.raw(from.varint());
      // Open while all so far are kept: before this part, and of this part.
      if (this.#kept[slot] === before + i && this.#kept[slot]! < this.#limit) {
        this.#append(slot, bytes, 0, bytes.length);
      }
    }
    this.#totals[slot] = before + total;
  }

  writeValue(slot: number, out: ByteWriter): void {
    const reader = new ByteReader(this.#values[slot]?.bytes ?? NOTHING);
    writeRecordValue(out, [
      [
        "values",
        (value) =>
          writeListValue(value, this.#kept[slot]!, (item) =>
            writeScalarValue(this.#type, reader.raw(reader.varint()), item),
          ),
      ],
      ["total", (value) => writeIntValue(value, this.#totals[slot]!)],
    ]);
  }
}
