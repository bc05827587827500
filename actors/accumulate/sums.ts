/**
 * Running sums of non-null inputs, exact for integers.
 *
 * An exact sum is the pair (high, low): high * 2^52 + low, with 0 <= low < 2^52. Both are integers that
 * a double holds exactly, so adding never rounds and the pair is canonical: any order of the same
 * inputs, and any merging of partial sums, gives the same bits.
 */
import type { Vector } from "../expression/vector.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { growFloats } from "./accumulator.ts";

const TWO_52 = 4_503_599_627_370_496;

/** What `sum` and `mean` share: a column of sums with a column of how many inputs each has. */
export interface Sums {
  readonly counts: Float64Array;
  grow(capacity: number): void;
  clear(slot: number): void;
  add(slots: Int32Array, rows: Int32Array, count: number, input: Vector): void;
  write(slot: number, out: ByteWriter): void;
  merge(slot: number, from: ByteReader): void;
  /** The nearest double. */
  toNumber(slot: number): number;
  /** The exact integer when it fits int64. */
  toInteger(slot: number): bigint | undefined;
}

export class ExactSums implements Sums {
  counts: Float64Array = new Float64Array(0);
  #highs: Float64Array = new Float64Array(0);
  #lows: Float64Array = new Float64Array(0);

  grow(capacity: number): void {
    this.counts = growFloats(this.counts, capacity);
    this.#highs = growFloats(this.#highs, capacity);
    this.#lows = growFloats(this.#lows, capacity);
  }

  clear(slot: number): void {
    this.counts[slot] = 0;
    this.#highs[slot] = 0;
    this.#lows[slot] = 0;
  }

  add(slots: Int32Array, rows: Int32Array, count: number, input: Vector): void {
    const { valid, values, residuals } = input;
    const { counts } = this;
    const lows = this.#lows;
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      if (valid[row] === 0) continue;
      const slot = slots[i]!;
      counts[slot]! += 1;
      const value = values[row]!;
      const low = lows[slot]! + value;
      if (low >= 0 && low < TWO_52) {
        lows[slot] = low;
      } else {
        this.#carry(slot, value);
      }
      const residual = residuals === undefined ? 0 : residuals[row]!;
      if (residual !== 0) this.#carry(slot, residual);
    }
  }

  /** Adds an integer of any size: its multiple of 2^52 to the high part, the rest to the low. */
  #carry(slot: number, value: number): void {
    const multiple = Math.floor(value / TWO_52);
    let high = this.#highs[slot]! + multiple;
    let low = this.#lows[slot]! + (value - multiple * TWO_52);
    if (low >= TWO_52) {
      low -= TWO_52;
      high += 1;
    }
    this.#highs[slot] = high;
    this.#lows[slot] = low;
  }

  write(slot: number, out: ByteWriter): void {
    out.double(this.counts[slot]!);
    out.double(this.#highs[slot]!);
    out.double(this.#lows[slot]!);
  }

  merge(slot: number, from: ByteReader): void {
    this.counts[slot]! += from.double();
    this.#highs[slot]! += from.double();
    this.#carry(slot, from.double());
  }

  /** The product is exact, so only the addition rounds. */
  toNumber(slot: number): number {
    return this.#highs[slot]! * TWO_52 + this.#lows[slot]!;
  }

  toInteger(slot: number): bigint | undefined {
    const exact = this.toBigInt(slot);
    return BigInt.asIntN(64, exact) === exact ? exact : undefined;
  }

  toBigInt(slot: number): bigint {
    return BigInt(this.#highs[slot]!) * BigInt(TWO_52) + BigInt(this.#lows[slot]!);
  }
}

/** Floating-point sums, added in log order. */
export class DoubleSums implements Sums {
  counts: Float64Array = new Float64Array(0);
  #sums: Float64Array = new Float64Array(0);

  grow(capacity: number): void {
    this.counts = growFloats(this.counts, capacity);
    this.#sums = growFloats(this.#sums, capacity);
  }

  clear(slot: number): void {
    this.counts[slot] = 0;
    this.#sums[slot] = 0;
  }

  add(slots: Int32Array, rows: Int32Array, count: number, input: Vector): void {
    const { valid, values } = input;
    const { counts } = this;
    const sums = this.#sums;
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      if (valid[row] === 0) continue;
      const slot = slots[i]!;
      counts[slot]! += 1;
      sums[slot]! += values[row]!;
    }
  }

  write(slot: number, out: ByteWriter): void {
    out.double(this.counts[slot]!);
    out.double(this.#sums[slot]!);
  }

  merge(slot: number, from: ByteReader): void {
    this.counts[slot]! += from.double();
    this.#sums[slot]! += from.double();
  }

  toNumber(slot: number): number {
    return this.#sums[slot]!;
  }

  toInteger(): undefined {
    return undefined;
  }
}
