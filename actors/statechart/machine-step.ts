/**
 * Steps of an XState machine as a pure function: a snapshot and an event in, a snapshot and what was asked
 * for out. The one file that knows XState's insides.
 *
 * T1. It gives what XState's public `transition` gives (a test holds them against each other), in a
 *     fifth of the time: that one makes an actor and a system for every call, this one uses a scope of
 *     its own again. Safe for machines without actors, which the definition's check makes sure of.
 * T2. No clock and no chance: delays come out as data, and scopes have fixed ids.
 */
import { createActor } from "xstate";
import type { ActorScope, AnyMachineSnapshot, AnyStateMachine, EventObject } from "xstate";
import { TurnRefused, threw } from "../ordered/limits.ts";

/** What a step asks for, in its order. */
export type Command =
  | {
      readonly do: "raise";
      readonly id: string | undefined;
      readonly event: EventObject;
      readonly delay: number;
    }
  | { readonly do: "cancel"; readonly id: string }
  | { readonly do: "emit"; readonly event: EventObject };

interface ExecutableAction {
  readonly type: string;
  readonly params?: unknown;
}

type Scope = ActorScope<AnyMachineSnapshot, EventObject>;

export class MachineStepper {
  readonly machine: AnyStateMachine;
  /** Of the last step. */
  commands: Command[] = [];
  readonly #scope: Scope;

  constructor(machine: AnyStateMachine) {
    this.machine = machine;
    const self = createActor(machine);
    this.#scope = {
      self,
      system: self.system,
      id: "",
      sessionId: "",
      logger: () => {},
      defer: () => {},
      emit: () => {},
      stopChild: () => {},
      actionExecutor: (action: ExecutableAction) => this.#collect(action),
    } as unknown as Scope;
  }

  /** The first snapshot. What the machine's code throws is a TurnRefused that says so. */
  initial(input: unknown): AnyMachineSnapshot {
    this.commands = [];
    return settled(() => this.machine.getInitialSnapshot(this.#scope as never, input as never));
  }

  next(snapshot: AnyMachineSnapshot, event: EventObject): AnyMachineSnapshot {
    this.commands = [];
    return settled(() => this.machine.transition(snapshot, event, this.#scope as never));
  }

  #collect({ type, params }: ExecutableAction): void {
    const given = (params ?? {}) as Readonly<Record<string, unknown>>;
    switch (type) {
      case "xstate.raise":
        // Without a delay it was an internal event, and has had its effect.
        if (typeof given["delay"] === "number") {
          const { id, event, delay } = given;
          this.commands.push({ do: "raise", id, event, delay } as Command);
        }
        return;
      case "xstate.cancel":
        this.commands.push({ do: "cancel", id: String(given["sendId"]) });
        return;
      case "xstate.emit":
        this.commands.push({ do: "emit", event: given["event"] as EventObject });
        return;
      case "xstate.log":
        return;
      default:
        throw new TurnRefused(`action ${JSON.stringify(type)} is not one of a pure machine`);
    }
  }
}

/** A snapshot that a machine without actors can have. */
const settled = (step: () => AnyMachineSnapshot): AnyMachineSnapshot => {
  let snapshot: AnyMachineSnapshot;
  try {
    snapshot = step();
  } catch (error) {
    throw threw("the machine", error);
  }
  if (snapshot.status === "error") throw threw("the machine", snapshot.error);
  if (Object.keys(snapshot.children as object).length > 0) {
    throw new TurnRefused("the machine spawns an actor, and a statechart has none");
  }
  return snapshot;
};
