/**
 * XState machines as data of a definition: recognised and looked through, without XState.
 *
 * M1. A machine is run as a pure function. What is more than that (actors that it invokes, spawns or
 *     sends to, and actions that are functions of the user's, which would have side effects) is
 *     refused, wherever it stands in the machine.
 */
import type { StatechartMachine } from "./definition.ts";
import { at, type Mistakes } from "./reading.ts";

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
    if (typeof type === "string" && PURE.has(type)) return;
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

export const checkMachine = (value: unknown, mistakes: Mistakes): StatechartMachine | undefined => {
  if (!isMachine(value)) {
    return mistakes.wrong(
      "machine",
      "a machine of XState 5, such as setup({ ... }).createMachine({ ... })",
      value,
    );
  }
  new MachineReader(value, mistakes).state(value.config as Config, "machine");
  return value;
};
