/**
 * Counts by bin, for bins that lie next to each other: a sliding array of at most `binsMax`.
 *
 * K1. What it holds is a function of the bins and counts that were added, not of their order: bins more
 *     than `binsMax` below the greatest are one with the lowest that is kept.
 */
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";

const BINS_MIN = 32;

export class BinStore {
  readonly #binsMax: number;
  #counts: Float64Array = new Float64Array(0);
  /** The bin of counts[0]. */
  #base = 0;
  /** The lowest and the greatest bin with a count; meaningless while the total is 0. */
  lowest = 0;
  greatest = 0;
  total = 0;

  constructor(binsMax: number) {
    this.#binsMax = binsMax;
  }

  add(bin: number, count: number): void {
    if (this.total === 0) {
      this.#cover(bin, bin);
      this.lowest = bin;
      this.greatest = bin;
    } else if (bin > this.greatest) {
      this.#raise(bin);
    } else if (bin < this.lowest) {
      const kept = Math.max(bin, this.greatest - this.#binsMax + 1);
      this.#cover(kept, this.greatest);
      this.lowest = kept;
    }
    const at = Math.max(bin, this.lowest) - this.#base;
    this.#counts[at]! += count;
    this.total += count;
  }

  #raise(bin: number): void {
    const floor = bin - this.#binsMax + 1;
    let collapsed = 0;
    if (this.lowest < floor) {
      const end = Math.min(floor, this.greatest + 1);
      for (let low = this.lowest; low < end; low++) {
        collapsed += this.#counts[low - this.#base]!;
        this.#counts[low - this.#base] = 0;
      }
      this.lowest = floor;
    }
    this.#cover(this.lowest, bin);
    this.#counts[this.lowest - this.#base]! += collapsed;
    this.greatest = bin;
  }

  /** Makes room for the bins of [low, high], keeping what lies within. */
  #cover(low: number, high: number): void {
    const size = this.#counts.length;
    if (low >= this.#base && high < this.#base + size) return;
    const span = high - low + 1;
    let capacity = Math.max(BINS_MIN, size);
    while (capacity < span) capacity *= 2;
    const base = low - Math.floor((capacity - span) / 2);
    const counts = new Float64Array(capacity);
    const from = Math.max(base, this.#base);
    const to = Math.min(base + capacity, this.#base + size);
    if (from < to) {
      counts.set(this.#counts.subarray(from - this.#base, to - this.#base), from - base);
    }
    this.#counts = counts;
    this.#base = base;
  }

  countOf(bin: number): number {
    return this.#counts[bin - this.#base]!;
  }

  /** The bin of the value with `rank` values below it, in ascending order of bins. */
  binAt(rank: number): number {
    let below = 0;
    for (let bin = this.lowest; bin < this.greatest; bin++) {
      below += this.countOf(bin);
      if (below > rank) return bin;
    }
    return this.greatest;
  }

  /** Counts are even numbers, runs of empty bins odd ones. */
  write(out: ByteWriter): void {
    out.varint(this.total);
    if (this.total === 0) return;
    out.uint32(this.lowest | 0);
    out.varint(this.greatest - this.lowest + 1);
    let empty = 0;
    for (let bin = this.lowest; bin <= this.greatest; bin++) {
      const count = this.countOf(bin);
      if (count === 0) {
        empty++;
        continue;
      }
      if (empty > 0) out.varint(empty * 2 + 1);
      out.varint(count * 2);
      empty = 0;
    }
  }

  merge(from: ByteReader): void {
    if (from.varint() === 0) return;
    const lowest = from.uint32() | 0;
    const bins = from.varint();
    for (let i = 0; i < bins;) {
      const step = from.varint();
      if (step % 2 === 1) i += (step - 1) / 2;
      else this.add(lowest + i++, step / 2);
    }
  }
}
