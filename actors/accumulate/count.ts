/** How many events. */
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { growFloats, writeIntValue } from "./accumulator.ts";
import type { Accumulator } from "./accumulator.ts";

export class Count implements Accumulator {
  #counts: Float64Array = new Float64Array(0);

  grow(capacity: number): void {
    this.#counts = growFloats(this.#counts, capacity);
  }

  clear(slot: number): void {
    this.#counts[slot] = 0;
  }

  accumulate(slots: Int32Array, _rows: Int32Array, count: number): void {
    const counts = this.#counts;
    for (let i = 0; i < count; i++) counts[slots[i]!]! += 1;
  }

  write(slot: number, out: ByteWriter): void {
    out.double(this.#counts[slot]!);
  }

  merge(slot: number, from: ByteReader): void {
    this.#counts[slot]! += from.double();
  }

  writeValue(slot: number, out: ByteWriter): void {
    writeIntValue(out, this.#counts[slot]!);
  }
}
