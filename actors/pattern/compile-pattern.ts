/**
 * From the elements of a pattern to its automaton, as Glushkov did it for regular expressions: each
 * element is a fragment with entries, exits and perhaps a way past it, and fragments are joined.
 *
 * P1. What must not come, and what a greedy step could still take, travels with the exit (or with the way
 *     past an optional element) to the next state that is entered, and no further.
 */
import {
  isGroup,
  isNegation,
  type Contiguity,
  type PatternElement,
  type PatternGroup,
  type PatternStep,
} from "../../projections/definition/pattern-definition.ts";
import { ACCEPT, type Automaton, type Kill, type Lift, type Transition } from "./automaton.ts";
import type { Condition, Conditions } from "./conditions.ts";

/** What holds between leaving a state and entering the next. */
interface Passage {
  readonly kills: readonly Kill[];
  readonly killsNext: readonly Kill[];
}

interface Entry extends Passage {
  readonly state: number;
  readonly contiguity: Contiguity;
}

interface Exit extends Passage {
  readonly state: number;
}

interface Fragment {
  readonly entries: readonly Entry[];
  readonly exits: readonly Exit[];
  /** The way past it; undefined if it must take an event. */
  readonly past: Passage | undefined;
}

const FREE: Passage = { kills: [], killsNext: [] };

const both = (a: Passage, b: Passage): Passage => ({
  kills: [...new Set([...a.kills, ...b.kills])],
  killsNext: [...new Set([...a.killsNext, ...b.killsNext])],
});

interface GrowingState {
  readonly step: number;
  readonly take: Condition;
  readonly unless: Condition | undefined;
  accepts: boolean;
  readonly out: Set<number>;
}

class Compiler {
  readonly states: GrowingState[] = [];
  readonly transitions: Transition[] = [];
  readonly #steps: readonly string[];
  readonly #conditions: Conditions;
  readonly #kills = new Map<Kill, number>();
  readonly #known = new Map<string, number>();
  /** Copies of a group share the conditions of its steps. */
  readonly #made = new Map<unknown, Condition>();

  constructor(steps: readonly string[], conditions: Conditions) {
    this.#steps = steps;
    this.#conditions = conditions;
  }

  #condition(
    owner: PatternElement,
    where: PatternStep["where"],
    part: "where" | "until",
  ): Condition {
    const key = part === "where" ? owner : (owner as PatternStep).until;
    let condition = this.#made.get(key);
    if (condition === undefined) {
      condition = this.#conditions.condition(where);
      this.#made.set(key, condition);
    }
    return condition;
  }

  /** One number for each transition that differs from all others. */
  #transition(to: number, contiguity: Contiguity, passage: Passage): number {
    const numbers = (kills: readonly Kill[]): readonly number[] =>
      kills
        .map((kill) => {
          if (!this.#kills.has(kill)) this.#kills.set(kill, this.#kills.size);
          return this.#kills.get(kill)!;
        })
        .sort((a, b) => a - b);
    const key = JSON.stringify([
      to,
      contiguity,
      numbers(passage.kills),
      numbers(passage.killsNext),
    ]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const lifts: Lift[] = [];
    const index = this.transitions.push({ to, contiguity, ...passage, lifts }) - 1;
    this.#known.set(key, index);
    for (const kill of passage.kills) {
      if (!kill.lifts || kill.unless === undefined) continue;
      const kills = passage.kills.filter((other) => other !== kill);
      lifts.push({
        when: kill.unless,
        to: this.#transition(to, contiguity, { ...passage, kills }),
      });
    }
    return index;
  }

  join(exits: readonly Exit[], entries: readonly Entry[]): void {
    for (const exit of exits) {
      for (const entry of entries) {
        const passage = both(exit, entry);
        const transition = this.#transition(entry.state, entry.contiguity, passage);
        this.states[exit.state]!.out.add(transition);
      }
    }
  }

  accept(exits: readonly Exit[]): void {
    for (const exit of exits) {
      const state = this.states[exit.state]!;
      if (exit.kills.length === 0 && exit.killsNext.length === 0) state.accepts = true;
      else {
        const contiguity = exit.kills.length === 0 ? "next" : "followedByAny";
        state.out.add(this.#transition(ACCEPT, contiguity, { ...exit }));
      }
    }
  }

  sequence(elements: readonly PatternElement[]): Fragment {
    let whole: Fragment = { entries: [], exits: [], past: FREE };
    for (const element of elements) {
      if (isNegation(element)) {
        const when = this.#condition(element, element.where, "where");
        const kill: Kill = { when, unless: undefined, lifts: false };
        const negation: Passage =
          element.contiguity === "next"
            ? { kills: [], killsNext: [kill] }
            : { kills: [kill], killsNext: [] };
        whole = {
          entries: whole.entries,
          exits: whole.exits.map((exit) => ({ state: exit.state, ...both(exit, negation) })),
          past: whole.past && both(whole.past, negation),
        };
      } else {
        const contiguity = element.contiguity ?? "followedBy";
        const part = isGroup(element)
          ? this.#group(element, contiguity)
          : this.#step(element, contiguity);
        whole = this.#followed(whole, part);
      }
    }
    return whole;
  }

  #followed(left: Fragment, right: Fragment): Fragment {
    this.join(left.exits, right.entries);
    const { past } = left;
    const passed = right.past;
    return {
      entries: [
        ...left.entries,
        ...(past === undefined
          ? []
          : right.entries.map((entry) => ({ ...entry, ...both(past, entry) }))),
      ],
      exits: [
        ...(passed === undefined
          ? []
          : left.exits.map((exit) => ({ state: exit.state, ...both(exit, passed) }))),
        ...right.exits,
      ],
      past: past && passed && both(past, passed),
    };
  }

  #step(element: PatternStep, contiguity: Contiguity): Fragment {
    const take = this.#condition(element, element.where, "where");
    const unless =
      element.until === undefined ? undefined : this.#condition(element, element.until, "until");
    const { min, max } = element.times;
    const step = this.#steps.indexOf(element.step);
    const copies = max ?? min;
    const first = this.states.length;
    for (let i = 0; i < copies; i++) {
      this.states.push({ step, take, unless, accepts: false, out: new Set() });
    }
    const ends: readonly Kill[] =
      unless === undefined ? [] : [{ when: unless, unless: undefined, lifts: false }];
    const again = (state: number): Entry => ({
      state,
      contiguity: element.between,
      kills: ends,
      killsNext: [],
    });
    const from = (state: number): Exit => ({ state, ...FREE });
    for (let i = 1; i < copies; i++) this.join([from(first + i - 1)], [again(first + i)]);
    const last = first + copies - 1;
    if (max === undefined) this.join([from(last)], [again(last)]);

    const more = this.#greedy(element, take, unless, element.between, true);
    const exits: Exit[] = [];
    for (let i = min - 1; i < copies; i++) {
      const full = max !== undefined && i === copies - 1;
      exits.push({ state: first + i, ...(full ? FREE : more) });
    }
    return {
      entries: [{ state: first, contiguity, ...FREE }],
      exits,
      past: element.optional ? this.#greedy(element, take, unless, contiguity, false) : undefined,
    };
  }

  /** Leaving a greedy step while it could take more: not with an event that it could take. */
  #greedy(
    { greedy }: PatternStep,
    take: Condition,
    unless: Condition | undefined,
    contiguity: Contiguity,
    lifts: boolean,
  ): Passage {
    if (!greedy) return FREE;
    const kill: Kill = { when: take, unless, lifts: lifts && unless !== undefined };
    return contiguity === "next"
      ? { kills: [], killsNext: [kill] }
      : { kills: [kill], killsNext: [] };
  }

  #group(element: PatternGroup, contiguity: Contiguity): Fragment {
    const { min, max } = element.times;
    const copies = max ?? min;
    const again = (entry: Entry): Entry => ({ ...entry, contiguity: element.between });
    const exits: Exit[] = [];
    let entries: readonly Entry[] = [];
    let before: readonly Exit[] = [];
    for (let i = 0; i < copies; i++) {
      const copy = this.sequence(element.group);
      if (i === 0) entries = copy.entries.map((entry) => ({ ...entry, contiguity }));
      else this.join(before, copy.entries.map(again));
      if (max === undefined && i === copies - 1) this.join(copy.exits, copy.entries.map(again));
      if (i >= min - 1) exits.push(...copy.exits);
      before = copy.exits;
    }
    return { entries, exits, past: element.optional ? FREE : undefined };
  }
}

export const compilePattern = (
  elements: readonly PatternElement[],
  steps: readonly string[],
  conditions: Conditions,
): Automaton => {
  const declare = (inner: readonly PatternElement[]): void => {
    for (const element of inner) {
      if (isGroup(element)) declare(element.group);
      else if (!isNegation(element))
        conditions.stepTakes(steps.indexOf(element.step), element.where);
    }
  };
  declare(elements);
  const compiler = new Compiler(steps, conditions);
  const whole = compiler.sequence(elements);
  compiler.accept(whole.exits);
  return {
    states: compiler.states.map((state) => ({ ...state, out: [...state.out] })),
    transitions: compiler.transitions,
    start: whole.entries.map(({ state, kills, killsNext }) => ({
      state,
      kills: [...kills, ...killsNext],
    })),
  };
};
