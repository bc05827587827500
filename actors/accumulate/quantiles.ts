/**
 * Quantiles of non-null inputs, estimated as doubles; null when there are none. See `ddsketch.ts`. An
 * integer beyond 2^53 counts as its nearest double.
 */
import type { Vector } from "../expression/vector.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { writeBytesValue, writeDoubleValue } from "./accumulator.ts";
import type { Accumulator } from "./accumulator.ts";
import { writeRecordValue } from "./composite.ts";
import { bitsFor, DDSketch } from "./ddsketch.ts";

export interface QuantilesOptions {
  /** Each with its name in a record; one without names is published alone. */
  readonly quantiles: readonly (readonly [name: string, q: number])[];
  readonly single: boolean;
  readonly relativeError: number;
  readonly sketch: boolean;
}

export class Quantiles implements Accumulator {
  readonly #options: QuantilesOptions;
  readonly #bits: number;
  /** Made when a slot's first value comes. */
  readonly #sketches: (DDSketch | undefined)[] = [];
  readonly #empty: DDSketch;

  constructor(options: QuantilesOptions) {
    this.#options = options;
    this.#bits = bitsFor(options.relativeError);
    this.#empty = new DDSketch(this.#bits);
  }

  grow(): void {}

  clear(slot: number): void {
    this.#sketches[slot] = undefined;
  }

  release(slot: number): void {
    this.clear(slot);
  }

  accumulate(slots: Int32Array, rows: Int32Array, count: number, input: Vector | undefined): void {
    const { valid, values } = input!;
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      if (valid[row] === 1) this.#sketchOf(slots[i]!).add(values[row]!);
    }
  }

  #sketchOf(slot: number): DDSketch {
    return (this.#sketches[slot] ??= new DDSketch(this.#bits));
  }

  write(slot: number, out: ByteWriter): void {
    (this.#sketches[slot] ?? this.#empty).write(out);
  }

  merge(slot: number, from: ByteReader): void {
    this.#sketchOf(slot).merge(from);
  }

  writeValue(slot: number, out: ByteWriter): void {
    const sketch = this.#sketches[slot] ?? this.#empty;
    if (sketch.count === 0) return;
    const { quantiles, single } = this.#options;
    if (single && !this.#options.sketch)
      return writeDoubleValue(out, sketch.quantile(quantiles[0]![1]));
    writeRecordValue(out, [
      ...quantiles.map(
        ([name, q]) =>
          [name, (value: ByteWriter) => writeDoubleValue(value, sketch.quantile(q))] as const,
      ),
      ...(this.#options.sketch
        ? [["sketch", (value: ByteWriter) => writeBytesValue(value, sketch.toProto())] as const]
        : []),
    ]);
  }
}
