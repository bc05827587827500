/**
 * Mean of non-null inputs as a double; null when there are none. The sum of integers is exact, so the
 * mean is rounded once for the sum and once for the division, whatever the order of events.
 */
import type { Vector } from "../expression/vector.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { writeDoubleValue } from "./accumulator.ts";
import type { Accumulator } from "./accumulator.ts";
import type { Sums } from "./sums.ts";

export class Mean implements Accumulator {
  readonly #sums: Sums;

  constructor(sums: Sums) {
    this.#sums = sums;
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
    // Of none 0 / 0, which is no number either.
    const mean = this.#sums.toNumber(slot) / this.#sums.counts[slot]!;
    if (Number.isFinite(mean)) writeDoubleValue(out, mean);
  }
}
