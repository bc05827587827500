/**
 * The k most frequent non-null inputs, as a list of records of value, count and error; empty when there
 * are none. See `frequent-items.ts`. Strings count by their first TOP_K_BYTES_MAX bytes.
 */
import type { ExpressionType } from "../../projections/definition/expression.ts";
import { TOP_K_BYTES_MAX } from "../../projections/definition/weight.ts";
import type { Vector } from "../expression/vector.ts";
import type { ByteReader } from "../kernel/byte-writer.ts";
import { ByteWriter } from "../kernel/byte-writer.ts";
import { KeyTable } from "../kernel/key-table.ts";
import { writeBytesValue, writeIntValue } from "./accumulator.ts";
import type { Accumulator } from "./accumulator.ts";
import { writeListValue, writeRecordValue } from "./composite.ts";
import { FrequentItems } from "./frequent-items.ts";
import { scalarBytes, writeScalarValue } from "./scalar.ts";

export { TOP_K_BYTES_MAX };

export interface TopKOptions {
  readonly k: number;
  /** How many values are watched. */
  readonly capacity: number;
  readonly sketch: boolean;
}

export class TopK implements Accumulator {
  readonly #options: TopKOptions;
  readonly #type: ExpressionType;
  readonly #keys = new KeyTable();
  /** Made when a slot's first value comes. */
  readonly #sketches: (FrequentItems | undefined)[] = [];
  readonly #empty: FrequentItems;

  constructor(options: TopKOptions, type: ExpressionType) {
    this.#options = options;
    this.#type = type;
    this.#empty = new FrequentItems(options.capacity, this.#keys);
  }

  grow(): void {}

  clear(slot: number): void {
    this.release(slot);
  }

  release(slot: number): void {
    this.#sketches[slot]?.release();
    this.#sketches[slot] = undefined;
  }

  accumulate(slots: Int32Array, rows: Int32Array, count: number, input: Vector | undefined): void {
    const { valid } = input!;
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      if (valid[row] === 0) continue;
      const { bytes, start, end } = scalarBytes(input!, row, TOP_K_BYTES_MAX);
      this.#sketchOf(slots[i]!).add(bytes, start, end);
    }
  }

  #sketchOf(slot: number): FrequentItems {
    return (this.#sketches[slot] ??= new FrequentItems(this.#options.capacity, this.#keys));
  }

  write(slot: number, out: ByteWriter): void {
    (this.#sketches[slot] ?? this.#empty).write(out);
  }

  merge(slot: number, from: ByteReader): void {
    this.#sketchOf(slot).merge(from);
  }

  writeValue(slot: number, out: ByteWriter): void {
    const sketch = this.#sketches[slot] ?? this.#empty;
    if (!this.#options.sketch) return this.#writeItems(sketch, this.#options.k, out);
    writeRecordValue(out, [
      ["top", (value) => this.#writeItems(sketch, this.#options.k, value)],
      ["sketch", (value) => writeBytesValue(value, this.#sketchBytes(sketch))],
    ]);
  }

  #writeItems(sketch: FrequentItems, limit: number, out: ByteWriter): void {
    const items = sketch.sorted().slice(0, limit);
    writeListValue(out, items.length, (item, i) => {
      const { bytes, count, error } = items[i]!;
      writeRecordValue(item, [
        ["value", (value) => writeScalarValue(this.#type, bytes, value)],
        ["count", (value) => writeIntValue(value, count)],
        ["error", (value) => writeIntValue(value, error)],
      ]);
    });
  }

  /** A tidemark.v1.Value: a record of `floor` and of all `items`. */
  #sketchBytes(sketch: FrequentItems): Uint8Array {
    const out = new ByteWriter(1024);
    writeRecordValue(out, [
      ["floor", (value) => writeIntValue(value, sketch.floor)],
      ["items", (value) => this.#writeItems(sketch, this.#options.capacity, value)],
    ]);
    return out.finish();
  }
}
