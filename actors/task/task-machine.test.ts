import { describe, expect, it } from "vitest";
import {
  IllegalTransition,
  isOver,
  mayPublish,
  newLife,
  step,
  TASK_STATES,
} from "./task-machine.ts";
import type { TaskEvent, TaskLife, TaskState } from "./task-machine.ts";

const reason = "because";
const EVENTS: readonly TaskEvent[] = [
  { type: "acquired" },
  { type: "loaded", from: "snapshot" },
  { type: "restored" },
  { type: "differed", reason },
  { type: "caughtUp" },
  { type: "drain" },
  { type: "drained" },
  { type: "fence", reason },
  { type: "quarantine", reason },
];

/** A shortest way to each state. */
const WAYS: Readonly<Record<TaskState, readonly TaskEvent[]>> = {
  acquiring: [],
  restoring: [{ type: "acquired" }],
  catchingUp: [{ type: "acquired" }, { type: "restored" }],
  live: [{ type: "acquired" }, { type: "restored" }, { type: "caughtUp" }],
  draining: [{ type: "drain" }],
  stopped: [{ type: "drain" }, { type: "drained" }],
  fenced: [{ type: "fence", reason }],
  quarantined: [{ type: "quarantine", reason }],
};

/** All that is legal; whatever is not here is refused. */
const LEGAL: Readonly<Record<TaskState, Partial<Record<TaskEvent["type"], TaskState>>>> = {
  acquiring: {
    acquired: "restoring",
    drain: "draining",
    fence: "fenced",
    quarantine: "quarantined",
  },
  restoring: {
    loaded: "restoring",
    restored: "catchingUp",
    differed: "quarantined",
    drain: "draining",
    fence: "fenced",
    quarantine: "quarantined",
  },
  catchingUp: {
    caughtUp: "live",
    drain: "draining",
    fence: "fenced",
    quarantine: "quarantined",
  },
  live: { drain: "draining", fence: "fenced", quarantine: "quarantined" },
  draining: { drained: "stopped", fence: "fenced", quarantine: "quarantined" },
  stopped: {},
  fenced: {},
  quarantined: {},
};

const walk = (events: readonly TaskEvent[]): TaskLife => events.reduce(step, newLife());

describe("the life of a task", () => {
  for (const state of TASK_STATES) {
    for (const event of EVENTS) {
      const target = LEGAL[state][event.type];
      it(`${state} + ${event.type} -> ${target ?? "refused"}`, () => {
        const life = walk(WAYS[state]);
        expect(life.state).toBe(state);
        if (target === undefined) expect(() => step(life, event)).toThrow(IllegalTransition);
        else expect(step(life, event).state).toBe(target);
      });
    }
  }

  it("forgives a snapshot once, the log never (M2)", () => {
    const restoring = walk([{ type: "acquired" }, { type: "loaded", from: "snapshot" }]);
    const again = step(restoring, { type: "differed", reason });
    expect(again.state).toBe("restoring");
    const end = step(again, { type: "differed", reason });
    expect(end.state).toBe("quarantined");
    expect(end.reason).toBe(reason);
  });

  it("publishes only between restored and drain (M1)", () => {
    const publishing = TASK_STATES.filter((state) => mayPublish(walk(WAYS[state])));
    expect(publishing).toEqual(["catchingUp", "live"]);
  });

  it("ends in stopped, fenced or quarantined (M3)", () => {
    const ends = TASK_STATES.filter((state) => isOver(walk(WAYS[state])));
    expect(ends).toEqual(["stopped", "fenced", "quarantined"]);
  });
});
