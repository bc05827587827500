/**
 * The first or last non-null input by event time; null when there are none.
 *
 * Of inputs of one event time the first is the one that came first in the log, and the last the one that
 * came last; over partitions their order decides. So a late event takes its place, and a replay
 * repeats it. A string is kept up to EDGE_BYTES_MAX.
 */
import type { ExpressionType } from "../../projections/definition/expression.ts";
import { EDGE_BYTES_MAX } from "../../projections/definition/weight.ts";
import type { Vector } from "../expression/vector.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { growFloats, writeStringValue } from "./accumulator.ts";
import type { Accumulator } from "./accumulator.ts";
import { cutAt, writeNumberValue } from "./scalar.ts";

export { EDGE_BYTES_MAX };

/** An empty slot's time is NaN, which no event's is. */
export class Edge implements Accumulator {
  readonly #last: boolean;
  readonly #type: ExpressionType;
  #times: Float64Array = new Float64Array(0);
  #values: Float64Array = new Float64Array(0);
  #residuals: Float64Array = new Float64Array(0);
  /** For strings: a buffer a slot, used again by longer and shorter ones, and how much is used. */
  #texts: (Uint8Array | undefined)[] = [];
  #lengths: Float64Array = new Float64Array(0);

  constructor(which: "first" | "last", type: ExpressionType) {
    this.#last = which === "last";
    this.#type = type;
  }

  grow(capacity: number): void {
    this.#times = growFloats(this.#times, capacity);
    if (this.#type === "string") {
      this.#lengths = growFloats(this.#lengths, capacity);
    } else {
      this.#values = growFloats(this.#values, capacity);
      this.#residuals = growFloats(this.#residuals, capacity);
    }
  }

  clear(slot: number): void {
    this.#times[slot] = Number.NaN;
  }

  release(slot: number): void {
    if (this.#type === "string") this.#texts[slot] = undefined;
  }

  /** Whether what comes after what the slot holds takes its place. */
  #yields(slot: number, time: number): boolean {
    const held = this.#times[slot]!;
    return !(this.#last ? time < held : time >= held);
  }

  accumulate(slots: Int32Array, rows: Int32Array, count: number, input: Vector | undefined): void {
    const { valid, values, residuals, bytes, starts, ends } = input!;
    const times = input!.times!;
    const string = this.#type === "string";
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      if (valid[row] === 0) continue;
      const slot = slots[i]!;
      const time = times[row]!;
      if (!this.#yields(slot, time)) continue;
      this.#times[slot] = time;
      if (string) {
        const start = starts[row]!;
        this.#setText(slot, bytes, start, cutAt(bytes, start, ends[row]!, EDGE_BYTES_MAX));
      } else {
        this.#values[slot] = values[row]!;
        this.#residuals[slot] = residuals === undefined ? 0 : residuals[row]!;
      }
    }
  }

  #setText(slot: number, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    let text = this.#texts[slot];
    if (text === undefined || text.length < length) {
      this.#texts[slot] = text = new Uint8Array(Math.max(16, length));
    }
    for (let i = 0; i < length; i++) text[i] = bytes[start + i]!;
    this.#lengths[slot] = length;
  }

  #textOf(slot: number): Uint8Array {
    return this.#texts[slot]!.subarray(0, this.#lengths[slot]);
  }

  write(slot: number, out: ByteWriter): void {
    const time = this.#times[slot]!;
    out.byte(Number.isNaN(time) ? 0 : 1);
    if (Number.isNaN(time)) return;
    out.double(time);
    if (this.#type === "string") return out.block(this.#textOf(slot));
    out.double(this.#values[slot]!);
    out.double(this.#residuals[slot]!);
  }

  merge(slot: number, from: ByteReader): void {
    if (from.byte() === 0) return;
    const time = from.double();
    const taken = this.#yields(slot, time);
    if (taken) this.#times[slot] = time;
    if (this.#type === "string") {
      const text = from.block();
      if (taken) this.#setText(slot, text, 0, text.length);
      return;
    }
    const value = from.double();
    const residual = from.double();
    if (!taken) return;
    this.#values[slot] = value;
    this.#residuals[slot] = residual;
  }

  writeValue(slot: number, out: ByteWriter): void {
    if (Number.isNaN(this.#times[slot]!)) return;
    if (this.#type === "string") return writeStringValue(out, this.#textOf(slot));
    const integer = this.#type === "integer";
    writeNumberValue(integer, this.#values[slot]!, this.#residuals[slot]!, out);
  }
}
