/**
 * What the variance of non-null inputs is made of: their number, sum and squares.
 *
 * Integers are exact: the sum is a pair of limbs (see `sums.ts`), the sum of squares three, so that
 * top * 2^104 + high * 2^52 + low is the integer and each limb one that a double holds exactly. Any
 * order and any merging give the same bits.
 *
 * Doubles follow Welford (1962), and merge as Chan, Golub and LeVeque (1979): no cancellation of large
 * squares. Their bits depend on the order of the log and of merging, which a replay repeats.
 */
import type { Vector } from "../expression/vector.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { growFloats } from "./accumulator.ts";
import { ExactSums } from "./sums.ts";

export interface Spread {
  grow(capacity: number): void;
  clear(slot: number): void;
  add(slots: Int32Array, rows: Int32Array, count: number, input: Vector): void;
  write(slot: number, out: ByteWriter): void;
  merge(slot: number, from: ByteReader): void;
  /** Sum of squared distances from the mean, divided by n or n - 1; NaN where there is none. */
  variance(slot: number, population: boolean): number;
}

const TWO_25 = 2 ** 25;
const TWO_26 = 2 ** 26;
const TWO_27 = 2 ** 27;
const TWO_52 = 2 ** 52;
const LIMB = 52n;
const LIMB_MASK = (1n << LIMB) - 1n;

export class ExactSpread implements Spread {
  readonly #sums = new ExactSums();
  #tops: Float64Array = new Float64Array(0);
  #highs: Float64Array = new Float64Array(0);
  #lows: Float64Array = new Float64Array(0);

  grow(capacity: number): void {
    this.#sums.grow(capacity);
    this.#tops = growFloats(this.#tops, capacity);
    this.#highs = growFloats(this.#highs, capacity);
    this.#lows = growFloats(this.#lows, capacity);
  }

  clear(slot: number): void {
    this.#sums.clear(slot);
    this.#tops[slot] = 0;
    this.#highs[slot] = 0;
    this.#lows[slot] = 0;
  }

  add(slots: Int32Array, rows: Int32Array, count: number, input: Vector): void {
    this.#sums.add(slots, rows, count, input);
    const { valid, values, residuals } = input;
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      if (valid[row] === 0) continue;
      const slot = slots[i]!;
      const size = Math.abs(values[row]!);
      if (size < TWO_26) {
        this.#carry(slot, 0, 0, size * size);
      } else if (size < TWO_52) {
        // (a * 2^26 + b)^2 with every product below 2^53, so that none is rounded.
        const a = Math.floor(size / TWO_26);
        const b = size - a * TWO_26;
        const middle = a * b;
        const carried = Math.floor(middle / TWO_25);
        this.#carry(slot, 0, a * a + carried, (middle - carried * TWO_25) * TWO_27);
        this.#carry(slot, 0, 0, b * b);
      } else {
        const residual = residuals === undefined ? 0 : residuals[row]!;
        const exact = BigInt(values[row]!) + BigInt(residual);
        const square = exact * exact;
        const high = Number((square >> LIMB) & LIMB_MASK);
        this.#carry(slot, Number(square >> (LIMB * 2n)), high, Number(square & LIMB_MASK));
      }
    }
  }

  /** Adds limbs below 2^53. */
  #carry(slot: number, top: number, high: number, low: number): void {
    let lows = this.#lows[slot]! + low;
    let highs = this.#highs[slot]! + high;
    let tops = this.#tops[slot]! + top;
    if (lows >= TWO_52) {
      lows -= TWO_52;
      highs += 1;
    }
    if (highs >= TWO_52) {
      highs -= TWO_52;
      tops += 1;
    }
    this.#lows[slot] = lows;
    this.#highs[slot] = highs;
    this.#tops[slot] = tops;
  }

  write(slot: number, out: ByteWriter): void {
    this.#sums.write(slot, out);
    out.double(this.#tops[slot]!);
    out.double(this.#highs[slot]!);
    out.double(this.#lows[slot]!);
  }

  merge(slot: number, from: ByteReader): void {
    this.#sums.merge(slot, from);
    const top = from.double();
    const high = from.double();
    this.#carry(slot, top, high, from.double());
  }

  variance(slot: number, population: boolean): number {
    const count = this.#sums.counts[slot]!;
    const divisor = population ? count : count - 1;
    const n = BigInt(count);
    const sum = this.#sums.toBigInt(slot);
    const high = (BigInt(this.#tops[slot]!) << LIMB) + BigInt(this.#highs[slot]!);
    const squares = (high << LIMB) + BigInt(this.#lows[slot]!);
    // Of none, and for a sample of one, 0 / 0: NaN.
    return Number(n * squares - sum * sum) / Number(n * BigInt(divisor));
  }
}

export class DoubleSpread implements Spread {
  #counts: Float64Array = new Float64Array(0);
  #means: Float64Array = new Float64Array(0);
  /** Sums of squared distances from the mean; Infinity once a value has overflowed, for good. */
  #squares: Float64Array = new Float64Array(0);

  grow(capacity: number): void {
    this.#counts = growFloats(this.#counts, capacity);
    this.#means = growFloats(this.#means, capacity);
    this.#squares = growFloats(this.#squares, capacity);
  }

  clear(slot: number): void {
    this.#counts[slot] = 0;
    this.#means[slot] = 0;
    this.#squares[slot] = 0;
  }

  add(slots: Int32Array, rows: Int32Array, count: number, input: Vector): void {
    const { valid, values } = input;
    const counts = this.#counts;
    const means = this.#means;
    const squares = this.#squares;
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      if (valid[row] === 0) continue;
      const slot = slots[i]!;
      const value = values[row]!;
      const distance = value - means[slot]!;
      const mean = means[slot]! + distance / ++counts[slot]!;
      this.#set(slot, mean, squares[slot]! + distance * (value - mean));
    }
  }

  /** Keeps overflow canonical: a NaN has many forms, and no bits of it may get into a digest. */
  #set(slot: number, mean: number, squares: number): void {
    const fits = squares < Number.POSITIVE_INFINITY && Number.isFinite(mean);
    this.#means[slot] = fits ? mean : 0;
    this.#squares[slot] = fits ? squares : Number.POSITIVE_INFINITY;
  }

  write(slot: number, out: ByteWriter): void {
    out.double(this.#counts[slot]!);
    out.double(this.#means[slot]!);
    out.double(this.#squares[slot]!);
  }

  merge(slot: number, from: ByteReader): void {
    const added = from.double();
    const mean = from.double();
    const squares = from.double();
    const held = this.#counts[slot]!;
    if (added === 0) return;
    this.#counts[slot] = held + added;
    // An empty slot takes the bits as they are: that is how snapshots are read.
    if (held === 0) return this.#set(slot, mean, squares);
    const distance = mean - this.#means[slot]!;
    const share = added / (held + added);
    this.#set(
      slot,
      this.#means[slot]! + distance * share,
      this.#squares[slot]! + squares + distance * distance * held * share,
    );
  }

  variance(slot: number, population: boolean): number {
    const count = this.#counts[slot]!;
    const divisor = population ? count : count - 1;
    return divisor <= 0 ? Number.NaN : this.#squares[slot]! / divisor;
  }
}
