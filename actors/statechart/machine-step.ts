/**
 * Steps of an XState machine as a pure function: a snapshot and an event in, a snapshot and what was asked
 * for out. With `configurations.ts`, what knows XState's insides.
 *
 * T1. It gives what XState's public `transition` gives, but for the order of active states (G2 of
 *     Configurations), in a small part of the time: that one makes an actor and a system for every call,
 *     and works out anew which states are left and entered. Tests hold them against each other, on random
 *     machines too.
 * T2. No clock and no chance: delays come out as data, and scopes have fixed ids.
 * T3. What goes wrong on the short way, or has no place on it, goes the long way, through XState's own
 *     `machine.transition`: so errors have its words. Code of machines is pure, so that it may run twice.
 *     It is safe for machines without actors, which the definition's check makes sure of.
 */
import { assign, createActor, createMachine } from "xstate";
import type { ActorScope, AnyMachineSnapshot, AnyStateMachine, EventObject } from "xstate";
import { evaluateGuard } from "xstate/guards";
import { MICROSTEPS_OF_TURN_MAX, TurnRefused, threw } from "../ordered/limits.ts";
import { Configurations, inOrder } from "./configurations.ts";
import type {
  Action,
  ActionFunction,
  Configuration,
  Selection,
  Step,
  Transition,
} from "./configurations.ts";

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

/** An action that XState knows how to do. */
interface Builtin extends ActionFunction {
  readonly type: string;
  readonly assignment?: unknown;
  readonly execute?: unknown;
  readonly resolve: (
    scope: unknown,
    snapshot: unknown,
    args: unknown,
    params: unknown,
    action: unknown,
    extra: { readonly internalQueue: EventObject[] },
  ) => readonly [unknown, unknown, readonly Action[] | undefined];
}

type Scope = ActorScope<AnyMachineSnapshot, EventObject>;
type Code = (args: object, params: unknown) => unknown;

const CONFIGURATION = Symbol("configuration");
const NO_CHILDREN: object = Object.freeze({});
const ASSIGN = (assign({}) as unknown as Builtin).resolve;
/** Those whose `resolve` reads nothing of a snapshot but its machine. */
const MACHINE_ONLY = new Set(["xstate.raise", "xstate.cancel", "xstate.emit", "xstate.log"]);

/** Not for the short way. */
class TakeLongWay extends Error {}

export class MachineStepper {
  readonly machine: AnyStateMachine;
  /** Of the last step. */
  commands: Command[] = [];
  /** How many steps XState itself has taken. */
  longSteps = 0;
  readonly #scope: Scope;
  readonly #microstepsMax: number;
  /** Undefined for a machine that always goes the long way. */
  readonly #configurations: Configurations | undefined;
  /** What all snapshots have alike. */
  readonly #machineOnly: { readonly machine: AnyStateMachine };
  #alike: AnyMachineSnapshot | undefined;
  /** Of the step at hand. */
  #context: unknown;
  #configuration!: Configuration;
  #event!: EventObject;
  #changed = false;
  #spawned = false;
  readonly #queue: EventObject[] = [];
  readonly #extra = { internalQueue: this.#queue };

  constructor(given: AnyStateMachine) {
    const machine = bounded(given);
    this.machine = machine;
    this.#machineOnly = { machine };
    this.#microstepsMax = maxIterationsOf(machine);
    this.#configurations = configurationsOf(machine);
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

  /** A snapshot of which this has been kept: of a machine that goes on, whatever its states look like. */
  restored(
    kept: Pick<AnyMachineSnapshot, "value" | "context" | "historyValue">,
  ): AnyMachineSnapshot {
    const resolved: AnyMachineSnapshot = this.machine.resolveState(kept as never);
    return inOrder({ ...resolved, status: "active" } as AnyMachineSnapshot);
  }

  /** From a snapshot that another step or `restored` gave. */
  next(snapshot: AnyMachineSnapshot, event: EventObject): AnyMachineSnapshot {
    this.commands = [];
    try {
      return this.#step(snapshot, event);
    } catch {
      // T3.
    }
    this.longSteps++;
    this.commands = [];
    return settled(() => this.machine.transition(snapshot, event, this.#scope as never));
  }

  /** XState's macrostep. */
  #step(snapshot: AnyMachineSnapshot, event: EventObject): AnyMachineSnapshot {
    this.#begin(snapshot, event);
    const queue = this.#queue;
    this.#take(this.#select(event.type));
    for (let eventless = true, microsteps = 1; ; microsteps++) {
      // XState says so in its words, and counts in the same way.
      if (microsteps > this.#microstepsMax) throw new TakeLongWay();
      let transitions: readonly Transition[] = eventless ? this.#selectEventless() : NONE;
      const taken = transitions.length > 0;
      if (!taken) {
        if (queue.length === 0) break;
        this.#event = queue.shift()!;
        transitions = this.#select(this.#event.type);
      }
      const changed = this.#take(transitions);
      // After an eventless transition that changed nothing, none will be enabled that was not before.
      eventless = changed || !taken;
    }
    if (this.#spawned) throw new TakeLongWay();
    if (!this.#changed) return snapshot;
    const ordered = this.#configurations!.inOrder(this.#configuration);
    if (ordered === undefined) throw new TakeLongWay();
    this.#configuration = ordered;
    return this.#snapshotOf();
  }

  #begin(snapshot: AnyMachineSnapshot, event: EventObject): void {
    const known = (snapshot as { readonly [CONFIGURATION]?: Configuration })[CONFIGURATION];
    const configuration = known ?? this.#configurations?.of(snapshot);
    const { type } = event;
    if (configuration === undefined || snapshot.status !== "active") throw new TakeLongWay();
    if (type === "xstate.stop" || type === "xstate.init" || type.startsWith("xstate.error.actor")) {
      throw new TakeLongWay();
    }
    this.#alike ??= snapshot;
    this.#configuration = configuration;
    this.#context = snapshot.context;
    this.#event = event;
    this.#changed = false;
    this.#spawned = false;
    if (this.#queue.length > 0) this.#queue.length = 0;
  }

  #select(type: string): readonly Transition[] {
    const selection = this.#configurations!.selection(this.#configuration, type);
    if (selection.regions.length === 0 && selection.around.length === 0) return NONE;
    const transitions: Transition[] = [];
    this.#selectInto(transitions, selection);
    return transitions;
  }

  #selectInto(transitions: Transition[], { regions, around }: Selection): void {
    const { length } = transitions;
    for (const region of regions) this.#selectInto(transitions, region);
    if (transitions.length > length) return;
    const first = this.#firstEnabled(around);
    if (first !== undefined) transitions.push(first);
  }

  #selectEventless(): readonly Transition[] {
    const { always } = this.#configuration;
    if (always.length === 0) return NONE;
    const transitions = new Set<Transition>();
    for (const each of always) {
      const first = this.#firstEnabled(each);
      if (first !== undefined) transitions.add(first);
    }
    return [...transitions];
  }

  #firstEnabled(transitions: readonly Transition[]): Transition | undefined {
    for (const transition of transitions) {
      if (transition.guard === undefined || this.#holds(transition.guard)) return transition;
    }
    return undefined;
  }

  #holds(guard: unknown): boolean {
    const { guards } = this.machine.implementations as { readonly guards: Record<string, unknown> };
    const code = typeof guard === "string" ? guards[guard] : guard;
    const context = this.#context;
    const event = this.#event;
    if (typeof code === "function" && !("check" in code)) {
      return Boolean((code as Code)({ context, event }, undefined));
    }
    return Boolean(evaluateGuard(guard as never, context as never, event, this.#snapshotOf()));
  }

  /** XState's microstep; tells whether it changed anything. */
  #take(transitions: readonly Transition[]): boolean {
    if (transitions.length === 0) return false;
    const step: Step | undefined = this.#configurations!.step(this.#configuration, transitions);
    if (step === undefined) throw new TakeLongWay();
    let changed = step.changes;
    for (const part of step.parts) {
      if ("done" in part) this.#queue.push(this.#doneOf(part.done, part.output));
      else if (this.#act(part.action)) changed = true;
    }
    this.#configuration = step.next;
    if (changed) this.#changed = true;
    return changed;
  }

  #doneOf(type: string, output: unknown): EventObject {
    const { self } = this.#scope;
    const args = { context: this.#context, event: this.#event, self };
    const told = typeof output === "function" ? (output as Code)(args, undefined) : output;
    return { type, output: told } as EventObject;
  }

  /** Does an action, and tells whether it changed the context. */
  #act(action: Action): boolean {
    const { actions } = this.machine.implementations as { readonly actions: Config };
    const inline = typeof action === "function";
    const name = inline ? undefined : typeof action === "string" ? action : action.type;
    const code = inline ? action : actions[name!];
    const params = typeof action === "object" ? this.#paramsOf(action) : undefined;
    if (code === undefined || !("resolve" in code)) {
      this.#collect({ type: name ?? (code?.name || "(anonymous)"), params });
      return false;
    }
    return this.#builtin(code as Builtin, params);
  }

  #builtin(code: Builtin, params: unknown): boolean {
    const { self, system } = this.#scope;
    const args = { context: this.#context, event: this.#event, self, system };
    if (code.resolve === ASSIGN) return this.#assign(code.assignment, params);
    const { type } = code;
    if (MACHINE_ONLY.has(type)) {
      const [, resolved] = code.resolve(
        this.#scope,
        this.#machineOnly,
        args,
        params,
        code,
        this.#extra,
      );
      this.#collect({ type, params: resolved });
      return false;
    }
    if (type !== "xstate.enqueueActions") throw new TakeLongWay();
    const snapshot = this.#snapshotOf();
    const [, , more] = code.resolve(this.#scope, snapshot, args, params, code, this.#extra);
    let changed = false;
    for (const each of more ?? []) if (this.#act(each)) changed = true;
    return changed;
  }

  #assign(assignment: unknown, params: unknown): true {
    const { self, system } = this.#scope;
    const context = this.#context as object;
    const args = { context, event: this.#event, spawn: this.#spawn, self, system };
    let update: Record<string, unknown> = {};
    if (typeof assignment === "function") {
      update = (assignment as Code)(args, params) as typeof update;
    } else {
      const members = assignment as Readonly<Record<string, unknown>>;
      for (const name of Object.keys(members)) {
        const value = members[name];
        update[name] = typeof value === "function" ? (value as Code)(args, params) : value;
      }
    }
    this.#context = Object.assign({}, context, update);
    return true;
  }

  readonly #spawn = (): never => {
    this.#spawned = true;
    throw new TakeLongWay();
  };

  #paramsOf({ params }: Exclude<Action, string | ActionFunction>): unknown {
    if (typeof params !== "function") return params;
    return (params as Code)({ context: this.#context, event: this.#event }, undefined);
  }

  /** The snapshot that XState would have by now. */
  #snapshotOf(): AnyMachineSnapshot {
    const { nodes, value, tags, history } = this.#configuration;
    const { matches, hasTag, can, getMeta, toJSON } = this.#alike!;
    return {
      status: "active",
      output: undefined,
      error: undefined,
      machine: this.machine,
      context: this.#context,
      _nodes: nodes,
      value,
      tags,
      children: NO_CHILDREN,
      historyValue: history,
      matches,
      hasTag,
      can,
      getMeta,
      toJSON,
      [CONFIGURATION]: this.#configuration,
    } as unknown as AnyMachineSnapshot;
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

type Config = Readonly<Record<string, ActionFunction | undefined>>;

const NONE: readonly Transition[] = [];

const maxIterationsOf = ({ options }: AnyStateMachine): number =>
  (options as { readonly maxIterations?: number }).maxIterations ?? Number.POSITIVE_INFINITY;

/** The machine, with at most MICROSTEPS_OF_TURN_MAX a turn: XState has no limit unless it is told. */
const bounded = (machine: AnyStateMachine): AnyStateMachine => {
  if (maxIterationsOf(machine) <= MICROSTEPS_OF_TURN_MAX) return machine;
  const { config, implementations } = machine;
  const options = { ...config.options, maxIterations: MICROSTEPS_OF_TURN_MAX };
  return createMachine({ ...config, options } as never, implementations as never);
};

const configurationsOf = (machine: AnyStateMachine): Configurations | undefined => {
  try {
    return new Configurations(machine);
  } catch {
    return undefined;
  }
};

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
  return inOrder(snapshot);
};
