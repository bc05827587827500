/** One window for all time. It never closes: results come early, as the emission mode says. */
import type { WindowAssigner } from "./assigner.ts";

/** Beyond every event time, and exact in a double. */
export const GLOBAL_START = Number.MIN_SAFE_INTEGER;
export const GLOBAL_END = Number.MAX_SAFE_INTEGER;

export class GlobalWindow implements WindowAssigner {
  readonly windowsMax = 1;

  assign(_time: number, starts: Float64Array, ends: Float64Array): number {
    starts[0] = GLOBAL_START;
    ends[0] = GLOBAL_END;
    return 1;
  }
}
