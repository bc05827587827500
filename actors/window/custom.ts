/**
 * Windows by a function of the user's. Whatever it returns or throws, an event gets sound windows or is
 * poison:
 *
 * Y1. At most `windowsMax` pairs of safe integers, `start <= time < end`, in strictly ascending order of
 *     start (Z2 as far as one event shows it; AlignedWindows compares with the windows that live).
 */
import type { AssignWindows } from "../../projections/definition/definition.ts";
import { describeThrown, describeValue } from "../../projections/definition/user-code.ts";
import type { WindowAssigner } from "./assigner.ts";

/** What `assign` returns for an event that is poison; `error` says why. */
export const POISONED = -1;

export class CustomWindows implements WindowAssigner {
  readonly windowsMax: number;
  readonly irregular = true;
  error = "";
  readonly #assign: AssignWindows;

  constructor(assign: AssignWindows, windowsMax: number) {
    this.windowsMax = windowsMax;
    this.#assign = assign;
  }

  assign(time: number, starts: Float64Array, ends: Float64Array): number {
    try {
      return this.#check(this.#assign(time), time, starts, ends);
    } catch (error) {
      return this.#refuse(describeThrown(error));
    }
  }

  #check(windows: unknown, time: number, starts: Float64Array, ends: Float64Array): number {
    if (!Array.isArray(windows)) {
      return this.#refuse(`returned ${describeValue(windows)}, not a list of [start, end]`);
    }
    if (windows.length > this.windowsMax) {
      return this.#refuse(
        `returned ${windows.length} windows; ${this.windowsMax} are the limit (windowsMax)`,
      );
    }
    for (let w = 0; w < windows.length; w++) {
      const window: unknown = windows[w];
      const [start, end] = Array.isArray(window) && window.length === 2 ? window : [];
      if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end)) {
        return this.#refuse(
          `returned ${describeValue(window)} as window ${w}, not [start, end] in whole milliseconds`,
        );
      }
      if (!(start <= time && time < end)) {
        return this.#refuse(`returned [${start}, ${end}), which does not hold the event's time`);
      }
      if (w > 0 && start <= starts[w - 1]!) {
        return this.#refuse(
          `returned [${start}, ${end}) after [${starts[w - 1]}, ${ends[w - 1]}): ` +
            "starts must ascend, and a start has one end",
        );
      }
      // + 0 turns -0 into 0.
      starts[w] = start + 0;
      ends[w] = end + 0;
    }
    return windows.length;
  }

  #refuse(what: string): number {
    this.error = `window.assign ${what}`;
    return POISONED;
  }
}
