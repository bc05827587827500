/**
 * XState machines as data of a definition: recognised and looked through, without XState.
 *
 * M1. A machine is run as a pure function. What is more than that (actors that it invokes, spawns or
 *     sends to, and actions that are functions of the user's, which would have side effects) is
 *     refused, wherever it stands in the machine.
 * M2. An event that can never come, and is named almost as one that can, is a mistake. A name that is
 *     like no other is left alone, and so is every name where the machine computes what it raises.
 */
import type { StatechartMachine } from "./definition.ts";
import { nearest } from "./did-you-mean.ts";
import type { TopicPlan } from "./plan.ts";
import { at, shown, type Mistakes } from "./reading.ts";

export const isMachine = (value: unknown): value is StatechartMachine =>
  typeof value === "object" &&
  value !== null &&
  (value as { readonly __xstatenode?: unknown }).__xstatenode === true &&
  "implementations" in value;

type Config = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Config => typeof value === "object" && value !== null;

/** Actions that only compute: what they ask for comes back as data. */
const PURE = new Set([
  "xstate.assign",
  "xstate.raise",
  "xstate.cancel",
  "xstate.emit",
  "xstate.log",
  "xstate.enqueueActions",
]);

const listOf = (value: unknown): readonly unknown[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

class MachineReader {
  readonly #actions: Config;
  readonly #mistakes: Mistakes;
  /** Of the transitions, each with the place of its `on`. */
  readonly #events: { readonly name: string; readonly path: string }[] = [];
  readonly #raised = new Set<string>();
  #computesRaised = false;

  constructor(machine: StatechartMachine, mistakes: Mistakes) {
    const { actions } = machine.implementations as { readonly actions?: Config };
    this.#actions = actions ?? {};
    this.#mistakes = mistakes;
  }

  state(config: Config, path: string): void {
    if (config["invoke"] !== undefined) {
      this.#mistakes.add(
        at(path, "invoke"),
        "a statechart runs no actors: it is a pure function of the events of its key. Let events tell " +
          "what the invoked actor would have found out",
      );
    }
    this.#actionsAt(config["entry"], at(path, "entry"));
    this.#actionsAt(config["exit"], at(path, "exit"));
    for (const key of ["on", "after"]) {
      const transitions = config[key];
      if (!isObject(transitions)) continue;
      for (const [name, each] of Object.entries(transitions)) {
        this.#transitions(each, at(at(path, key), name));
        if (key === "on") this.#events.push({ name, path: at(path, key) });
      }
    }
    for (const key of ["always", "onDone"]) this.#transitions(config[key], at(path, key));
    if (isObject(config["initial"])) this.#transitions(config["initial"], at(path, "initial"));
    const { states } = config;
    if (!isObject(states)) return;
    for (const [name, each] of Object.entries(states)) {
      if (isObject(each)) this.state(each, at(at(path, "states"), name));
    }
  }

  /** Notes what breaks M2, once every state was read. */
  events({ definition, types }: TopicPlan): void {
    if (this.#computesRaised) return;
    const known = types.map((type) => type.name);
    for (const { name, path } of this.#events) {
      const isPattern = name === "*" || name.endsWith(".*");
      if (isPattern || name.startsWith("xstate.") || this.#raised.has(name)) continue;
      if (known.includes(name)) continue;
      const near = nearest(name, known);
      if (near === undefined) continue;
      this.#mistakes.add(
        path,
        `topic ${shown(definition.name)} has no event type ${shown(name)}, and the machine does not ` +
          `raise it; did you mean ${shown(near)}?`,
      );
    }
  }

  /** What an action may raise. */
  #raises(action: object): void {
    const { type, event } = action as { readonly type?: unknown; readonly event?: unknown };
    if (type === "xstate.enqueueActions") this.#computesRaised = true;
    if (type !== "xstate.raise") return;
    const raised = isObject(event) ? event["type"] : undefined;
    if (typeof raised === "string") this.#raised.add(raised);
    else this.#computesRaised = true;
  }

  #transitions(value: unknown, path: string): void {
    for (const each of listOf(value)) {
      if (isObject(each)) this.#actionsAt(each["actions"], at(path, "actions"));
    }
  }

  #actionsAt(value: unknown, path: string): void {
    for (const each of listOf(value)) this.#action(each, path);
  }

  #action(action: unknown, path: string): void {
    const name = isObject(action) ? action["type"] : action;
    const found = typeof name === "string" ? this.#actions[name] : action;
    const what = typeof name === "string" ? `action ${JSON.stringify(name)}` : "an action";
    if (found === undefined) return this.#mistakes.add(path, `${what} is not implemented`);
    const type = (found as { readonly type?: unknown }).type;
    if (typeof type === "string" && PURE.has(type)) return this.#raises(found as object);
    if (typeof type === "string" && type.startsWith("xstate.")) {
      this.#mistakes.add(
        path,
        `${type.slice("xstate.".length)} needs other actors, and a statechart has none`,
      );
      return;
    }
    this.#mistakes.add(
      path,
      `${what} is a function that would do something outside the machine. Actions of a statechart ` +
        "are assign, raise, cancel, emit, log and enqueueActions",
    );
  }
}

/** With the topic whose events the machine is sent as they are; undefined where nobody knows them. */
export const checkMachine = (
  value: unknown,
  mistakes: Mistakes,
  sent: TopicPlan | undefined,
): StatechartMachine | undefined => {
  if (!isMachine(value)) {
    return mistakes.wrong(
      "machine",
      "a machine of XState 5, such as setup({ ... }).createMachine({ ... })",
      value,
    );
  }
  const reader = new MachineReader(value, mistakes);
  reader.state(value.config as Config, "machine");
  if (sent !== undefined) reader.events(sent);
  return value;
};
