/**
 * Windows of one size that start every `advance`: [start, start + size). They overlap when the advance
 * is less than the size; when it is more there are gaps, and an event in a gap belongs to no window.
 */
import { floorTo } from "./assigner.ts";
import type { WindowAssigner } from "./assigner.ts";

export class HoppingWindows implements WindowAssigner {
  readonly windowsMax: number;
  readonly #sizeMs: number;
  readonly #advanceMs: number;
  readonly #offsetMs: number;

  constructor(sizeMs: number, advanceMs: number, offsetMs: number) {
    this.windowsMax = Math.ceil(sizeMs / advanceMs);
    this.#sizeMs = sizeMs;
    this.#advanceMs = advanceMs;
    this.#offsetMs = offsetMs;
  }

  assign(time: number, starts: Float64Array, ends: Float64Array): number {
    const last = floorTo(time, this.#advanceMs, this.#offsetMs);
    let count = 0;
    for (let hop = this.windowsMax - 1; hop >= 0; hop--) {
      const start = last - hop * this.#advanceMs;
      if (start + this.#sizeMs <= time) continue;
      starts[count] = start;
      ends[count] = start + this.#sizeMs;
      count++;
    }
    return count;
  }
}
