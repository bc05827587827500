/**
 * What steps of an XState machine do to its active states, found out once: tables instead of the
 * algorithm of SCXML at each event.
 *
 * G1. Which states a transition leaves and enters, in which order, and what becomes of the history, depends
 *     on the active states, the history and the transitions taken; not on context or event. So it is recorded
 *     for each such case when it is first met, from XState itself: a machine of the same states, whose
 *     only actions write down that it was their turn, takes the step.
 * G2. Where a step ends, active states and the members of the value are in the order of the machine's
 *     configuration. XState leaves them in the order in which they were entered and takes transitions of several
 *     states in it; but no snapshot holds that order, so that a restart would change what comes next.
 * G3. What tables do not hold is left to XState: the last step of a machine, and whatever comes when there
 *     are CONFIGURATIONS_MAX or STEPS_MAX of them.
 */
import { createMachine } from "xstate";
import type { AnyMachineSnapshot, AnyStateMachine, EventObject } from "xstate";

/** Active states with a history, of one machine. */
const CONFIGURATIONS_MAX = 10_000;
/** Steps, of all configurations together. */
const STEPS_MAX = 50_000;
/** Event types whose transitions a configuration remembers: code of users can make up any number. */
const TYPES_MAX = 256;

type Config = Readonly<Record<string, unknown>>;
export type Action = string | { readonly type: string; readonly params?: unknown } | ActionFunction;
export type ActionFunction = ((...args: never[]) => unknown) & { readonly type?: unknown };

/** As much of XState's nodes and transitions as is read here. */
interface StateNode {
  readonly id: string;
  readonly type: "atomic" | "compound" | "parallel" | "final" | "history";
  readonly order: number;
  readonly parent: StateNode | undefined;
  readonly states: Readonly<Record<string, StateNode>>;
  readonly entry: readonly Action[];
  readonly exit: readonly Action[];
  readonly initial: { readonly actions: readonly Action[] };
  readonly output: unknown;
  readonly tags: readonly string[];
  readonly transitions: ReadonlyMap<string, readonly Transition[]>;
  readonly always: readonly Transition[] | undefined;
}

export interface Transition {
  readonly target: readonly StateNode[] | undefined;
  readonly source: StateNode;
  readonly actions: readonly Action[];
  readonly guard: unknown;
  readonly reenter: boolean;
}

type StateValue = string | { readonly [name: string]: StateValue };
type History = Readonly<Record<string, readonly StateNode[]>>;

/** As much of XState's snapshots as is read here. */
interface States {
  readonly _nodes: readonly StateNode[];
  readonly historyValue: History;
  readonly value: StateValue;
}

/**
 * Which transitions an event may take: one of each region, or else the first whose guard holds of those of
 * states around them, inner ones first.
 */
export interface Selection {
  readonly regions: readonly Selection[];
  readonly around: readonly Transition[];
}

/** What a step does, in its order: an action, or an event that says that a state is done. */
export type StepPart =
  { readonly action: Action } | { readonly done: string; readonly output: unknown };

export interface Step {
  readonly parts: readonly StepPart[];
  readonly next: Configuration;
  /** Whether XState makes a new snapshot, which need not have other states. */
  readonly changes: boolean;
}

export interface Configuration {
  /** As XState orders them. */
  readonly nodes: readonly StateNode[];
  readonly value: StateValue;
  readonly tags: Set<string>;
  readonly history: History;
  /** Transitions without an event: for each atomic state, its own and those around it. */
  readonly always: readonly (readonly Transition[])[];
  readonly selections: Map<string, Selection>;
  readonly steps: Map<Transition, Step | undefined>;
  readonly stepsOfSeveral: Map<string, Step | undefined>;
  /** The same, as G2 wants it; found when it is first asked for. */
  ordered: Configuration | undefined;
}

/** A part of a step of the recorded machine. */
interface Turn {
  readonly of: readonly Action[];
  readonly entered: StateNode | undefined;
  /** How many states had been done by then. */
  readonly done: number;
}

export class Configurations {
  readonly #machine: AnyStateMachine;
  readonly #byKey = new Map<string, Configuration>();
  readonly #numbers = new Map<Transition, number>();
  #steps = 0;
  /** The machine that is recorded, and its states for those of the user's machine and back. */
  readonly #recorded: AnyStateMachine;
  readonly #copies = new Map<StateNode, StateNode>();
  readonly #originals = new Map<StateNode, StateNode>();
  /** Of the step at hand. */
  #wanted: readonly Transition[] | undefined;
  #turns: Turn[] = [];
  #done: string[] = [];

  /** Throws for machines that XState's `createMachine` would not make of their states alone. */
  constructor(machine: AnyStateMachine) {
    this.#machine = machine;
    this.#recorded = createMachine(this.#statesOf(machine.config as Config) as never);
    this.#pair(machine.root as unknown as StateNode, this.#recorded.root as unknown as StateNode);
    this.#recorded.getTransitionData = ((_: unknown, { type }: EventObject) => {
      const wanted = this.#wanted;
      this.#wanted = undefined;
      if (wanted === undefined) this.#done.push(type);
      return wanted ?? [];
    }) as never;
  }

  /** Undefined when there are too many. */
  of(snapshot: AnyMachineSnapshot): Configuration | undefined {
    const { _nodes: nodes, historyValue, value } = snapshot as unknown as States;
    return this.#intern(nodes, historyValue, value);
  }

  /** The configuration as G2 wants it. Undefined when there are too many. */
  inOrder(configuration: Configuration): Configuration | undefined {
    const { history, value } = configuration;
    if (configuration.ordered === undefined) {
      const ordered = statesInOrder(this.#machine, value);
      configuration.ordered = this.#intern(ordered.nodes, history, ordered.value);
    }
    return configuration.ordered;
  }

  #intern(
    nodes: readonly StateNode[],
    history: History,
    value: StateValue,
  ): Configuration | undefined {
    const orders = (states: readonly StateNode[]) => states.map(({ order }) => order).join(" ");
    const histories = Object.entries(history).map(([id, states]) => `${id}=${orders(states)}`);
    const key = [orders(nodes), ...histories].join("\n");
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    if (this.#byKey.size >= CONFIGURATIONS_MAX) return undefined;
    const configuration: Configuration = {
      nodes,
      value,
      tags: new Set(nodes.flatMap(({ tags }) => tags)),
      history,
      always: alwaysOf(nodes),
      selections: new Map(),
      steps: new Map(),
      stepsOfSeveral: new Map(),
      ordered: undefined,
    };
    this.#byKey.set(key, configuration);
    return configuration;
  }

  selection(configuration: Configuration, type: string): Selection {
    const { selections } = configuration;
    const known = selections.get(type);
    if (known !== undefined) return known;
    const root = this.#machine.root as unknown as StateNode;
    const selection = selectionOf(root, configuration.value, type);
    if (selections.size < TYPES_MAX) selections.set(type, selection);
    return selection;
  }

  /** What taking these does; undefined for what is left to XState. */
  step(configuration: Configuration, transitions: readonly Transition[]): Step | undefined {
    const [first] = transitions;
    if (transitions.length === 1) {
      const { steps } = configuration;
      const known = steps.get(first!);
      if (known !== undefined || steps.has(first!)) return known;
      return this.#remember(steps, first!, configuration, transitions);
    }
    const { stepsOfSeveral: steps } = configuration;
    const key = transitions.map((each) => this.#numberOf(each)).join(" ");
    if (steps.has(key)) return steps.get(key);
    return this.#remember(steps, key, configuration, transitions);
  }

  #numberOf(transition: Transition): number {
    let number = this.#numbers.get(transition);
    if (number === undefined) this.#numbers.set(transition, (number = this.#numbers.size));
    return number;
  }

  #remember<Key>(
    steps: Map<Key, Step | undefined>,
    key: Key,
    configuration: Configuration,
    transitions: readonly Transition[],
  ): Step | undefined {
    if (this.#steps >= STEPS_MAX) return undefined;
    this.#steps++;
    const step = this.#record(configuration, transitions);
    steps.set(key, step);
    return step;
  }

  #record(configuration: Configuration, transitions: readonly Transition[]): Step | undefined {
    this.#turns = [];
    this.#done = [];
    this.#wanted = transitions.map((transition) => ({
      ...transition,
      target: transition.target?.map((each) => this.#copies.get(each)!),
      source: this.#copies.get(transition.source)!,
      actions: [this.#tellTurn(() => transition.actions)],
    }));
    const before = {
      status: "active",
      machine: this.#recorded,
      context: {},
      children: {},
      _nodes: configuration.nodes.map((node) => this.#copies.get(node)!),
      historyValue: among(configuration.history, this.#copies),
    } as unknown as AnyMachineSnapshot;
    const scope = { actionExecutor: () => {}, system: { _sendInspectionEvent: () => {} } };
    const after = this.#recorded.transition(before, { type: "" }, scope as never);
    if (after.status !== "active") return undefined;
    const next = after === before ? configuration : this.#originalOf(after);
    return next && { parts: this.#parts(), next, changes: after !== before };
  }

  #originalOf(snapshot: AnyMachineSnapshot): Configuration | undefined {
    const { _nodes, historyValue, value } = snapshot as unknown as States;
    const nodes = _nodes.map((node) => this.#originals.get(node)!);
    return this.#intern(nodes, among(historyValue, this.#originals), value);
  }

  /** The turns and the events of done states, as they came between them. */
  #parts(): readonly StepPart[] {
    const parts: StepPart[] = [];
    let done = 0;
    let entered: StateNode | undefined;
    const tellDone = (end: number): void => {
      for (; done < end; done++) parts.push(doneOf(this.#done[done]!, entered!));
    };
    for (const turn of this.#turns) {
      tellDone(turn.done);
      entered = turn.entered ?? entered;
      for (const action of turn.of) parts.push({ action });
    }
    tellDone(this.#done.length);
    return parts;
  }

  /** An action that writes down that it was its turn. XState asks `resolve` for what it does. */
  #tellTurn(of: () => readonly Action[], entered: () => StateNode | undefined = () => undefined) {
    const tell = (): void => {};
    return Object.assign(tell, {
      resolve: (
        _scope: unknown,
        snapshot: unknown,
        _args: unknown,
        _params: unknown,
        _action: unknown,
        { internalQueue }: { readonly internalQueue: readonly unknown[] },
      ) => {
        this.#turns.push({ of: of(), entered: entered(), done: internalQueue.length });
        return [snapshot, undefined, undefined];
      },
    });
  }

  /** A state's configuration without all that does not concern which states are active. */
  #statesOf(config: Config): Config {
    const { id, type, history, target, initial, states } = config;
    // Whose turn it is, is known when both machines are there.
    const node: { self?: StateNode } = {};
    const kept: Record<string, unknown> = {
      meta: node,
      entry: this.#tellTurn(
        () => node.self!.entry,
        () => node.self,
      ),
      exit: this.#tellTurn(() => node.self!.exit),
    };
    for (const [name, value] of Object.entries({ id, type, history, target })) {
      if (value !== undefined) kept[name] = value;
    }
    if (initial !== undefined) {
      const first = typeof initial === "string" ? initial : (initial as Config)["target"];
      kept["initial"] = {
        target: first,
        actions: this.#tellTurn(() => node.self!.initial.actions),
      };
    }
    if (states !== undefined) {
      const inner = Object.entries(states as Readonly<Record<string, Config>>);
      kept["states"] = Object.fromEntries(
        inner.map(([name, each]) => [name, this.#statesOf(each)]),
      );
    }
    return kept;
  }

  #pair(original: StateNode, copy: StateNode): void {
    this.#copies.set(original, copy);
    this.#originals.set(copy, original);
    (copy as unknown as { readonly meta: { self?: StateNode } }).meta.self = original;
    for (const [name, inner] of Object.entries(original.states)) {
      this.#pair(inner, copy.states[name]!);
    }
  }
}

/** The states of a value, and the value itself, as G2 wants them. */
const statesInOrder = (machine: AnyStateMachine, value: StateValue) => {
  const resolved = machine.resolveState({ value } as never) as unknown as States;
  const root = machine.root as unknown as StateNode;
  return {
    nodes: resolved._nodes.toSorted((a, b) => a.order - b.order),
    value: valueInOrder(root, resolved.value),
  };
};

const valueInOrder = ({ states }: StateNode, value: StateValue): StateValue =>
  typeof value === "string"
    ? value
    : Object.fromEntries(
        Object.keys(states)
          .filter((name) => Object.hasOwn(value, name))
          .map((name) => [name, valueInOrder(states[name]!, value[name]!)]),
      );

/** The snapshot as G2 wants it: itself, if it is that. */
export const inOrder = (snapshot: AnyMachineSnapshot): AnyMachineSnapshot => {
  const before = snapshot as unknown as States;
  const { nodes, value } = statesInOrder(snapshot.machine as AnyStateMachine, before.value);
  const same =
    nodes.length === before._nodes.length && nodes.every((node, i) => node === before._nodes[i]);
  if (same) return snapshot;
  const tags = new Set(nodes.flatMap((node) => node.tags));
  return { ...snapshot, _nodes: nodes, value, tags } as unknown as AnyMachineSnapshot;
};

const among = (history: History, nodes: ReadonlyMap<StateNode, StateNode>): History =>
  Object.fromEntries(
    Object.entries(history).map(([id, states]) => [id, states.map((each) => nodes.get(each)!)]),
  );

/** Only what is around the final state tells its output; regions that are done with it do not. */
const doneOf = (type: string, { parent, output }: StateNode): StepPart => {
  const own = parent?.type === "compound" && type === `xstate.done.state.${parent.id}`;
  return { done: type, output: own ? output : undefined };
};

const alwaysOf = (nodes: readonly StateNode[]): readonly (readonly Transition[])[] =>
  nodes
    .filter(({ type }) => type === "atomic" || type === "final")
    .map((node) => {
      const transitions: Transition[] = [];
      for (let at: StateNode | undefined = node; at !== undefined; at = at.parent) {
        transitions.push(...(at.always ?? []));
      }
      return transitions;
    })
    .filter((transitions) => transitions.length > 0);

const selectionOf = (node: StateNode, value: StateValue, type: string): Selection => {
  const values: readonly (readonly [string, StateValue])[] =
    typeof value === "string" ? [[value, {}]] : Object.entries(value);
  const inner = values
    .map(([name, each]) => selectionOf(node.states[name]!, each, type))
    .filter(({ regions, around }) => regions.length > 0 || around.length > 0);
  const own = candidatesOf(node, type);
  if (inner.length !== 1) return { regions: inner, around: own };
  const [{ regions, around }] = inner as [Selection];
  return { regions, around: [...around, ...own] };
};

/** As XState orders them: of the event's own type, then by the length of what matches it. */
const candidatesOf = ({ transitions }: StateNode, type: string): readonly Transition[] => {
  const matching = [...transitions.keys()]
    .filter((descriptor) => descriptor !== type && matches(type, descriptor))
    .sort((a, b) => b.length - a.length);
  const own = transitions.get(type) ?? [];
  return [...own, ...matching.flatMap((descriptor) => transitions.get(descriptor)!)];
};

/** `*` is all types, `a.b.*` those that begin with the words a and b. */
const matches = (type: string, descriptor: string): boolean => {
  if (descriptor === "*") return true;
  if (!descriptor.endsWith(".*")) return false;
  const words = type.split(".");
  const first = descriptor.split(".").slice(0, -1);
  return first.every((word, i) => word !== "*" && word === words[i]);
};
