/** How many different non-null inputs there are, estimated; 0 when there are none. See `hyperloglog.ts`. */
import type { Vector } from "../expression/vector.ts";
import type { ByteReader } from "../kernel/byte-writer.ts";
import { ByteWriter } from "../kernel/byte-writer.ts";
import { murmur128 } from "../kernel/hash.ts";
import { writeBytesValue, writeIntValue } from "./accumulator.ts";
import type { Accumulator } from "./accumulator.ts";
import { writeRecordValue } from "./composite.ts";
import { HyperLogLog } from "./hyperloglog.ts";
import { scalarBytes } from "./scalar.ts";

export interface DistinctOptions {
  readonly precision: number;
  /** Publishes the sketch's bytes beside the estimate. */
  readonly sketch: boolean;
}

export class Distinct implements Accumulator {
  readonly #options: DistinctOptions;
  /** Made when a slot's first value comes. */
  readonly #sketches: (HyperLogLog | undefined)[] = [];
  readonly #lanes = new Int32Array(4);
  readonly #empty: HyperLogLog;
  readonly #scratch = new ByteWriter(256);

  constructor(options: DistinctOptions) {
    this.#options = options;
    this.#empty = new HyperLogLog(options.precision);
  }

  grow(): void {}

  clear(slot: number): void {
    this.#sketches[slot] = undefined;
  }

  release(slot: number): void {
    this.clear(slot);
  }

  accumulate(slots: Int32Array, rows: Int32Array, count: number, input: Vector | undefined): void {
    const { valid } = input!;
    const lanes = this.#lanes;
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      if (valid[row] === 0) continue;
      const { bytes, start, end } = scalarBytes(input!, row, Number.POSITIVE_INFINITY);
      murmur128(bytes, start, end, 0, lanes);
      this.#sketchOf(slots[i]!).add(lanes[0]!, lanes[1]!);
    }
  }

  #sketchOf(slot: number): HyperLogLog {
    return (this.#sketches[slot] ??= new HyperLogLog(this.#options.precision));
  }

  #bytesOf(slot: number): Uint8Array {
    const out = this.#scratch;
    out.reset();
    (this.#sketches[slot] ?? this.#empty).write(out);
    return out.bytes.subarray(0, out.length);
  }

  write(slot: number, out: ByteWriter): void {
    out.block(this.#bytesOf(slot));
  }

  merge(slot: number, from: ByteReader): void {
    this.#sketchOf(slot).merge(from.block());
  }

  writeValue(slot: number, out: ByteWriter): void {
    const estimate = (this.#sketches[slot] ?? this.#empty).estimate();
    if (!this.#options.sketch) return writeIntValue(out, estimate);
    writeRecordValue(out, [
      ["estimate", (value) => writeIntValue(value, estimate)],
      ["sketch", (value) => writeBytesValue(value, this.#bytesOf(slot))],
    ]);
  }
}
