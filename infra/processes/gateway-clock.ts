/** The gateway's clock: the machine's. */
import type { GatewayClock } from "../../gateway/clock.ts";

export const systemClock: GatewayClock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};
