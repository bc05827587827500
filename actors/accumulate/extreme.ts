/** Least or greatest non-null input; null when there are none. Exact for 64-bit integers. */
import type { Vector } from "../expression/vector.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { growFloats } from "./accumulator.ts";
import type { Accumulator } from "./accumulator.ts";
import { writeNumberValue } from "./scalar.ts";

/** An empty slot holds NaN, which no input is. */
export class Extreme implements Accumulator {
  #values: Float64Array = new Float64Array(0);
  #residuals: Float64Array = new Float64Array(0);
  /** 1 for the greatest, -1 for the least. */
  readonly #sign: 1 | -1;
  readonly #integer: boolean;

  constructor(which: "min" | "max", integer: boolean) {
    this.#sign = which === "max" ? 1 : -1;
    this.#integer = integer;
  }

  grow(capacity: number): void {
    this.#values = growFloats(this.#values, capacity);
    this.#residuals = growFloats(this.#residuals, capacity);
  }

  clear(slot: number): void {
    this.#values[slot] = Number.NaN;
    this.#residuals[slot] = 0;
  }

  /** Whether the slot's extreme gives way to another; none, which is NaN, always does. */
  #yields(slot: number, value: number, residual: number): boolean {
    const difference = (value - this.#values[slot]!) * this.#sign;
    if (difference === 0) return (residual - this.#residuals[slot]!) * this.#sign > 0;
    return !(difference < 0);
  }

  accumulate(slots: Int32Array, rows: Int32Array, count: number, input: Vector | undefined): void {
    const { valid, values, residuals } = input!;
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      if (valid[row] === 0) continue;
      const slot = slots[i]!;
      const residual = residuals === undefined ? 0 : residuals[row]!;
      if (!this.#yields(slot, values[row]!, residual)) continue;
      // + 0 turns -0 into 0: equal extremes have equal bits whichever came first.
      this.#values[slot] = values[row]! + 0;
      this.#residuals[slot] = residual;
    }
  }

  write(slot: number, out: ByteWriter): void {
    const value = this.#values[slot]!;
    out.byte(Number.isNaN(value) ? 0 : 1);
    out.double(Number.isNaN(value) ? 0 : value);
    out.double(this.#residuals[slot]!);
  }

  merge(slot: number, from: ByteReader): void {
    const present = from.byte() === 1;
    const value = from.double();
    const residual = from.double();
    if (!present || !this.#yields(slot, value, residual)) return;
    this.#values[slot] = value;
    this.#residuals[slot] = residual;
  }

  writeValue(slot: number, out: ByteWriter): void {
    const value = this.#values[slot]!;
    if (Number.isNaN(value)) return;
    writeNumberValue(this.#integer, value, this.#residuals[slot]!, out);
  }
}
