import { describe, expect, it } from "vitest";
import { newReplayLife, ReplayRefused, stepReplay } from "./replay-machine.ts";
import type { ReplayEvent, ReplayState } from "./replay-machine.ts";

const same: ReplayEvent = { type: "compared", differences: 0 };
const differs: ReplayEvent = { type: "compared", differences: 3 };
const built: ReplayEvent = { type: "built" };
const promote: ReplayEvent = { type: "promote", anyway: false };
const promoteAnyway: ReplayEvent = { type: "promote", anyway: true };
const abandon: ReplayEvent = { type: "abandon" };
const incomparable: ReplayEvent = { type: "incomparable" };
const fail: ReplayEvent = { type: "fail", reason: "because" };

const EVENTS = { built, same, differs, incomparable, promote, promoteAnyway, abandon, fail };

const WAYS: Readonly<Record<ReplayState, readonly ReplayEvent[]>> = {
  building: [],
  comparing: [built],
  promotable: [built, same],
  different: [built, differs],
  promoted: [built, same, promote],
  abandoned: [built, same, abandon],
  failed: [fail],
};

/** All that is legal; whatever is not here is refused. */
const LEGAL: Readonly<Record<ReplayState, Partial<Record<keyof typeof EVENTS, ReplayState>>>> = {
  building: { built: "comparing", fail: "failed" },
  comparing: {
    same: "promotable",
    differs: "different",
    incomparable: "promotable",
    fail: "failed",
  },
  promotable: { promote: "promoted", promoteAnyway: "promoted", abandon: "abandoned" },
  different: { promoteAnyway: "promoted", abandon: "abandoned" },
  promoted: {},
  abandoned: {},
  failed: {},
};

describe("the life of a replay", () => {
  for (const [state, way] of Object.entries(WAYS) as [ReplayState, readonly ReplayEvent[]][]) {
    for (const [name, event] of Object.entries(EVENTS)) {
      const target = LEGAL[state][name as keyof typeof EVENTS];
      it(`${state} + ${name} -> ${target ?? "refused"}`, () => {
        const life = way.reduce(stepReplay, newReplayLife());
        expect(life.state).toBe(state);
        if (target === undefined) expect(() => stepReplay(life, event)).toThrow(ReplayRefused);
        else expect(stepReplay(life, event).state).toBe(target);
      });
    }
  }

  it("says why it failed", () => {
    expect(stepReplay(newReplayLife(), fail).reason).toBe("because");
  });
});
