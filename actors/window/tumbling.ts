/** Windows of one size, side by side: [start, start + size). */
import { floorTo } from "./assigner.ts";
import type { WindowAssigner } from "./assigner.ts";

export class TumblingWindows implements WindowAssigner {
  readonly windowsMax = 1;
  readonly #sizeMs: number;
  readonly #offsetMs: number;

  constructor(sizeMs: number, offsetMs: number) {
    this.#sizeMs = sizeMs;
    this.#offsetMs = offsetMs;
  }

  assign(time: number, starts: Float64Array, ends: Float64Array): number {
    const start = floorTo(time, this.#sizeMs, this.#offsetMs);
    starts[0] = start;
    ends[0] = start + this.#sizeMs;
    return 1;
  }
}
