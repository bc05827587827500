/**
 * The life of a task as a pure statechart. The runtime steps it and does the work; the chart says
 * what may follow what, so that an illegal order of steps is an error and not a wrong result.
 *
 * ```
 *              acquired             restored            caughtUp
 *  acquiring ───────────▶ restoring ─────────▶ catchingUp ────────▶ live
 *      │                  │  ▲    │ differed        │                │
 *      │                  │  └────┘ (snapshot)      │                │
 *      │ drain            │ drain                   │ drain          │ drain
 *      └──────────────────┴────────────┬────────────┴────────────────┘
 *                                      ▼     drained
 *                                  draining ─────────▶ stopped
 *
 *  every state but the last ones ──fence──▶ fenced         another owner has written
 *  every state but the last ones ──quarantine──▶ quarantined   going on would be wrong
 *  restoring ──differed (from the log)──▶ quarantined
 * ```
 *
 * M1. Only a task that was `restored` may publish: its state has the digest that was committed.
 * M2. A digest that differs costs the snapshot once; a state rebuilt from the log must agree.
 * M3. `stopped`, `fenced` and `quarantined` are the end of this owner's task.
 */
import { assign, initialTransition, setup, transition } from "xstate";
import type { SnapshotFrom } from "xstate";

export type TaskEvent =
  | { readonly type: "acquired" }
  /** Where the state that will be brought up to the marker comes from. */
  | { readonly type: "loaded"; readonly from: "snapshot" | "log" }
  | { readonly type: "restored" }
  /** At the marker's position the digest was another one. */
  | { readonly type: "differed"; readonly reason: string }
  | { readonly type: "caughtUp" }
  | { readonly type: "drain" }
  | { readonly type: "drained" }
  | { readonly type: "fence"; readonly reason: string }
  | { readonly type: "quarantine"; readonly reason: string };

export const TASK_STATES = [
  "acquiring",
  "restoring",
  "catchingUp",
  "live",
  "draining",
  "stopped",
  "fenced",
  "quarantined",
] as const;
export type TaskState = (typeof TASK_STATES)[number];

interface TaskContext {
  readonly from: "snapshot" | "log";
  /** Why the task is fenced or quarantined. */
  readonly reason: string | undefined;
}

const machine = setup({
  types: { context: {} as TaskContext, events: {} as TaskEvent },
  actions: {
    explain: assign({ reason: ({ event }) => ("reason" in event ? event.reason : undefined) }),
    noteSource: assign({
      from: ({ context, event }) => (event.type === "loaded" ? event.from : context.from),
    }),
    rebuildFromLog: assign({ from: "log" }),
  },
  guards: { fromSnapshot: ({ context }) => context.from === "snapshot" },
}).createMachine({
  id: "task",
  initial: "acquiring",
  context: { from: "log", reason: undefined },
  states: {
    acquiring: {
      on: {
        acquired: "restoring",
        drain: "draining",
        fence: { target: "fenced", actions: "explain" },
        quarantine: { target: "quarantined", actions: "explain" },
      },
    },
    restoring: {
      on: {
        loaded: { actions: "noteSource" },
        restored: "catchingUp",
        differed: [
          { guard: "fromSnapshot", target: "restoring", actions: "rebuildFromLog" },
          { target: "quarantined", actions: "explain" },
        ],
        drain: "draining",
        fence: { target: "fenced", actions: "explain" },
        quarantine: { target: "quarantined", actions: "explain" },
      },
    },
    catchingUp: {
      on: {
        caughtUp: "live",
        drain: "draining",
        fence: { target: "fenced", actions: "explain" },
        quarantine: { target: "quarantined", actions: "explain" },
      },
    },
    live: {
      on: {
        drain: "draining",
        fence: { target: "fenced", actions: "explain" },
        quarantine: { target: "quarantined", actions: "explain" },
      },
    },
    draining: {
      on: {
        drained: "stopped",
        fence: { target: "fenced", actions: "explain" },
        quarantine: { target: "quarantined", actions: "explain" },
      },
    },
    stopped: { type: "final" },
    fenced: { type: "final" },
    quarantined: { type: "final" },
  },
});

/** Where a task stands in its life. */
export interface TaskLife {
  readonly state: TaskState;
  readonly reason: string | undefined;
  /** What `step` goes on from. */
  readonly snapshot: SnapshotFrom<typeof machine>;
}

/** The runtime asked for a step that the chart does not allow: a mistake in the runtime. */
export class IllegalTransition extends Error {
  override readonly name = "IllegalTransition";
  constructor(state: TaskState, event: TaskEvent["type"]) {
    super(`a task that is ${state} cannot take ${event}`);
  }
}

const lifeOf = (snapshot: SnapshotFrom<typeof machine>): TaskLife => ({
  state: snapshot.value,
  reason: snapshot.context.reason,
  snapshot,
});

export const newLife = (): TaskLife => lifeOf(initialTransition(machine)[0]);

/** Throws IllegalTransition for an event that the state does not take. */
export const step = (life: TaskLife, event: TaskEvent): TaskLife => {
  if (!life.snapshot.can(event)) throw new IllegalTransition(life.state, event.type);
  return lifeOf(transition(machine, life.snapshot, event)[0]);
};

/** Whether the task may publish (M1). */
export const mayPublish = (life: TaskLife): boolean =>
  life.state === "catchingUp" || life.state === "live";

/** Whether this owner is through with the task (M3). */
export const isOver = (life: TaskLife): boolean => life.snapshot.status === "done";
