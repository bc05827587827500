/**
 * Variance or standard deviation of non-null inputs, as a double. Null when there are none, for a sample
 * of one, and when doubles overflow. Of integers it is computed exactly and rounded at the end.
 */
import type { Vector } from "../expression/vector.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { writeDoubleValue } from "./accumulator.ts";
import type { Accumulator } from "./accumulator.ts";
import type { Spread } from "./spread.ts";

export interface VarianceOptions {
  readonly fn: "variance" | "stddev";
  readonly population: boolean;
}

export class Variance implements Accumulator {
  readonly #spread: Spread;
  readonly #options: VarianceOptions;

  constructor(spread: Spread, options: VarianceOptions) {
    this.#spread = spread;
    this.#options = options;
  }

  grow(capacity: number): void {
    this.#spread.grow(capacity);
  }

  clear(slot: number): void {
    this.#spread.clear(slot);
  }

  accumulate(slots: Int32Array, rows: Int32Array, count: number, input: Vector | undefined): void {
    this.#spread.add(slots, rows, count, input!);
  }

  write(slot: number, out: ByteWriter): void {
    this.#spread.write(slot, out);
  }

  merge(slot: number, from: ByteReader): void {
    this.#spread.merge(slot, from);
  }

  writeValue(slot: number, out: ByteWriter): void {
    const variance = this.#spread.variance(slot, this.#options.population);
    if (!Number.isFinite(variance)) return;
    writeDoubleValue(out, this.#options.fn === "stddev" ? Math.sqrt(variance) : variance);
  }
}
