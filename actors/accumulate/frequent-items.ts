/**
 * The most frequent values, with bounded error: Misra and Gries (1982) with the purge by the median of
 * Anderson et al. (2017), and with each value's own error as in lossy counting (Manku and Motwani 2002).
 *
 * A value that is held has a count since it was last taken in, and an error: how often at most it came
 * before. When more than `capacity` values are held, those whose count and error together are at or below
 * a new floor are let go; the floor rises by the median of what the values have above the old one.
 *
 * F1. A held value came at least `count` and at most `count + error` times; one that is not held came at
 *     most `floor` times.
 * F2. floor <= 2 n / (capacity + 1) after n values, whether counted here or merged in: each purge takes
 *     the median from at least half of capacity + 1 values, and n is all there is to take from.
 * F3. Values are held in the order in which they were taken in, which the log decides; `write` keeps it.
 *     Which are let go does not depend on it.
 */
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import type { KeyTable } from "../kernel/key-table.ts";

const CAPACITY_MIN = 8;

export interface FrequentItem {
  /** Valid until the next value is added to any sketch. */
  readonly bytes: Uint8Array;
  readonly count: number;
  readonly error: number;
}

export class FrequentItems {
  readonly #capacity: number;
  /** Holds the bytes of values; shared with other sketches. */
  readonly #keys: KeyTable;
  #ids = new Int32Array(CAPACITY_MIN);
  #counts = new Float64Array(CAPACITY_MIN);
  #errors = new Float64Array(CAPACITY_MIN);
  #size = 0;
  #floor = 0;
  /** Open addressing by id, at most half full: index + 1, or 0. */
  #table = new Int32Array(CAPACITY_MIN * 2);

  constructor(capacity: number, keys: KeyTable) {
    this.#capacity = capacity;
    this.#keys = keys;
  }

  get floor(): number {
    return this.#floor;
  }

  add(bytes: Uint8Array, start: number, end: number): void {
    const id = this.#keys.intern(bytes, start, end);
    const index = this.#find(id);
    if (index >= 0) this.#counts[index]! += 1;
    else this.#take(id, 1, this.#floor);
  }

  #find(id: number): number {
    const mask = this.#table.length - 1;
    for (let at = home(id) & mask; ; at = (at + 1) & mask) {
      const index = this.#table[at]! - 1;
      if (index < 0 || this.#ids[index] === id) return index;
    }
  }

  #take(id: number, count: number, error: number): void {
    if (this.#size === this.#ids.length) this.#grow();
    this.#keys.retain(id);
    this.#ids[this.#size] = id;
    this.#counts[this.#size] = count;
    this.#errors[this.#size] = error;
    this.#link(this.#size++);
    if (this.#size > this.#capacity) this.#purge();
  }

  #link(index: number): void {
    const mask = this.#table.length - 1;
    let at = home(this.#ids[index]!) & mask;
    while (this.#table[at] !== 0) at = (at + 1) & mask;
    this.#table[at] = index + 1;
  }

  #grow(): void {
    const size = this.#ids.length * 2;
    const ids = new Int32Array(size);
    ids.set(this.#ids);
    const counts = new Float64Array(size);
    counts.set(this.#counts);
    const errors = new Float64Array(size);
    errors.set(this.#errors);
    this.#ids = ids;
    this.#counts = counts;
    this.#errors = errors;
    this.#table = new Int32Array(size * 2);
    for (let i = 0; i < this.#size; i++) this.#link(i);
  }

  #purge(): void {
    const above = new Float64Array(this.#size);
    for (let i = 0; i < this.#size; i++) {
      above[i] = this.#counts[i]! + this.#errors[i]! - this.#floor;
    }
    above.sort();
    this.#floor += above[this.#size >>> 1]!;
    let kept = 0;
    for (let i = 0; i < this.#size; i++) {
      if (this.#counts[i]! + this.#errors[i]! <= this.#floor) {
        this.#keys.release(this.#ids[i]!);
        continue;
      }
      this.#ids[kept] = this.#ids[i]!;
      this.#counts[kept] = this.#counts[i]!;
      this.#errors[kept++] = this.#errors[i]!;
    }
    this.#size = kept;
    this.#table.fill(0);
    for (let i = 0; i < kept; i++) this.#link(i);
  }

  /** By count, the largest first; of equal counts by their bytes. */
  sorted(): FrequentItem[] {
    const items = Array.from({ length: this.#size }, (_, i) => ({
      bytes: this.#keys.bytesOf(this.#ids[i]!),
      count: this.#counts[i]!,
      error: this.#errors[i]!,
    }));
    return items.sort((a, b) => b.count - a.count || Buffer.compare(a.bytes, b.bytes));
  }

  /** Lets go of all values. */
  release(): void {
    for (let i = 0; i < this.#size; i++) this.#keys.release(this.#ids[i]!);
    this.#size = 0;
  }

  write(out: ByteWriter): void {
    out.varint(this.#floor);
    out.varint(this.#size);
    for (let i = 0; i < this.#size; i++) {
      const bytes = this.#keys.bytesOf(this.#ids[i]!);
      out.varint(bytes.length);
      out.raw(bytes);
      out.varint(this.#counts[i]!);
      out.varint(this.#errors[i]!);
    }
  }

  /** A value that only one side holds may have come up to the other's floor times there. */
  merge(from: ByteReader): void {
    const floor = from.varint();
    const items = from.varint();
    for (let i = 0; i < this.#size; i++) this.#errors[i]! += floor;
    this.#floor += floor;
    for (let i = 0; i < items; i++) {
      const bytes = from.raw(from.varint());
      const count = from.varint();
      const error = from.varint();
      const id = this.#keys.intern(bytes, 0, bytes.length);
      const index = this.#find(id);
      if (index < 0) {
        // Here it came at most as often as the floor was, or has risen to while merging.
        this.#take(id, count, error + this.#floor - floor);
      } else {
        this.#counts[index]! += count;
        this.#errors[index]! += error - floor;
      }
    }
  }
}

/** Where an id's search begins. */
const home = (id: number): number => Math.imul(id, 0x9e3779b1) >>> 7;
