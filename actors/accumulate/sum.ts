/**
 * Sum of non-null inputs; null when there are none. Integers are exact and reported as int64; a sum
 * beyond int64 is reported as the nearest double, its state still exact. A floating-point sum that
 * overflows is null.
 */
import type { Vector } from "../expression/vector.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { writeBigIntValue, writeDoubleValue, writeIntValue } from "./accumulator.ts";
import type { Accumulator } from "./accumulator.ts";
import type { Sums } from "./sums.ts";

export class Sum implements Accumulator {
  readonly #sums: Sums;
  readonly #integer: boolean;

  constructor(sums: Sums, integer: boolean) {
    this.#sums = sums;
    this.#integer = integer;
  }

  grow(capacity: number): void {
    this.#sums.grow(capacity);
  }

  clear(slot: number): void {
    this.#sums.clear(slot);
  }

  accumulate(slots: Int32Array, rows: Int32Array, count: number, input: Vector | undefined): void {
    this.#sums.add(slots, rows, count, input!);
  }

  write(slot: number, out: ByteWriter): void {
    this.#sums.write(slot, out);
  }

  merge(slot: number, from: ByteReader): void {
    this.#sums.merge(slot, from);
  }

  writeValue(slot: number, out: ByteWriter): void {
    if (this.#sums.counts[slot] === 0) return;
    const value = this.#sums.toNumber(slot);
    if (this.#integer && Number.isSafeInteger(value)) return writeIntValue(out, value);
    const exact = this.#sums.toInteger(slot);
    if (exact !== undefined) writeBigIntValue(out, exact);
    else if (Number.isFinite(value)) writeDoubleValue(out, value);
  }
}
