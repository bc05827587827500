/**
 * The life of a replay: a version is built beside the live one, held against it, and then either
 * takes its place or is given up.
 *
 * ```
 *             built              same                 promote
 *  building ────────▶ comparing ────────▶ promotable ─────────▶ promoted
 *     │                   │  │                │                    ▲
 *     │                   │  └─ incomparable ─┘                    │ promote, anyway
 *     │                   │ differs                                │
 *     │                   └────────────────▶ different ────────────┘
 *     │ fail              │ fail              │ abandon      promotable ── abandon ─▶ abandoned
 *     ▼                   ▼                   ▼
 *   failed              failed            abandoned
 * ```
 *
 * V1. Nothing is promoted that was not built to its end and held against the live version, unless
 *     the two cannot be compared because the definition has changed.
 * V2. A version that differs is promoted only by someone who says so.
 */
import { assign, initialTransition, setup, transition } from "xstate";
import type { SnapshotFrom } from "xstate";

export type ReplayEvent =
  | { readonly type: "built" }
  | { readonly type: "compared"; readonly differences: number }
  /** The definition has changed: other results are what is wanted. */
  | { readonly type: "incomparable" }
  | { readonly type: "promote"; readonly anyway: boolean }
  | { readonly type: "abandon" }
  | { readonly type: "fail"; readonly reason: string };

export type ReplayState =
  "building" | "comparing" | "promotable" | "different" | "promoted" | "abandoned" | "failed";

const machine = setup({
  types: { context: {} as { readonly reason: string | undefined }, events: {} as ReplayEvent },
  actions: {
    explain: assign({ reason: ({ event }) => ("reason" in event ? event.reason : undefined) }),
  },
  guards: {
    isSame: ({ event }) => event.type === "compared" && event.differences === 0,
    isMeant: ({ event }) => event.type === "promote" && event.anyway,
  },
}).createMachine({
  id: "replay",
  initial: "building",
  context: { reason: undefined },
  states: {
    building: {
      on: { built: "comparing", fail: { target: "failed", actions: "explain" } },
    },
    comparing: {
      on: {
        compared: [{ guard: "isSame", target: "promotable" }, { target: "different" }],
        incomparable: "promotable",
        fail: { target: "failed", actions: "explain" },
      },
    },
    promotable: { on: { promote: "promoted", abandon: "abandoned" } },
    different: {
      on: { promote: { guard: "isMeant", target: "promoted" }, abandon: "abandoned" },
    },
    promoted: { type: "final" },
    abandoned: { type: "final" },
    failed: { type: "final" },
  },
});

export interface ReplayLife {
  readonly state: ReplayState;
  readonly reason: string | undefined;
  readonly snapshot: SnapshotFrom<typeof machine>;
}

/** What was asked for is not possible where the replay stands. */
export class ReplayRefused extends Error {
  override readonly name = "ReplayRefused";
  constructor(state: ReplayState, event: ReplayEvent["type"]) {
    super(`a replay that is ${state} cannot take ${event}`);
  }
}

const lifeOf = (snapshot: SnapshotFrom<typeof machine>): ReplayLife => ({
  state: snapshot.value,
  reason: snapshot.context.reason,
  snapshot,
});

export const newReplayLife = (): ReplayLife => lifeOf(initialTransition(machine)[0]);

/** Throws ReplayRefused for an event that the state does not take. */
export const stepReplay = (life: ReplayLife, event: ReplayEvent): ReplayLife => {
  if (!life.snapshot.can(event)) throw new ReplayRefused(life.state, event.type);
  return lifeOf(transition(machine, life.snapshot, event)[0]);
};
