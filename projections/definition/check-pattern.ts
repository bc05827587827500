/**
 * Checks the elements of a pattern and fills their defaults.
 *
 * L1. What is checked here always compiles: see `actors/pattern/compile-pattern.ts`.
 * L2. A pattern takes at least one event, and so does each repetition of a group.
 */
import type { Scope } from "./check-expression.ts";
import { checkCondition } from "./check-pattern-expression.ts";
import { NAME_RULE, OUTPUT_NAME } from "./output-name.ts";
import {
  isGroup,
  isNegation,
  isStep,
  type Contiguity,
  type PatternElement,
  type PatternGroup,
  type PatternNegation,
  type PatternStep,
  type Times,
} from "./pattern-definition.ts";
import { at, shown, type Fields, type Mistakes } from "./reading.ts";

/** Conditions of steps, of what must not come, and of until, in all. */
export const CONDITIONS_MAX = 32;
/** Steps, each as often as it is repeated; without an upper bound, as its lower one. */
export const POSITIONS_MAX = 256;
export const GROUPS_DEEP_MAX = 8;

export const CONTIGUITIES = ["next", "followedBy", "followedByAny"] as const;
/** What papers on patterns call them. */
const OTHER_NAMES: Readonly<Record<string, Contiguity>> = {
  strict: "next",
  relaxed: "followedBy",
  nondeterministic: "followedByAny",
};
export const STEP_KEYS = [
  "step",
  "where",
  "contiguity",
  "times",
  "optional",
  "between",
  "greedy",
  "until",
] as const satisfies readonly (keyof PatternStep)[];
export const GROUP_KEYS = [
  "group",
  "contiguity",
  "times",
  "optional",
  "between",
] as const satisfies readonly (keyof PatternGroup)[];
export const NEGATION_KEYS = [
  "not",
  "where",
  "contiguity",
] as const satisfies readonly (keyof PatternNegation)[];

export const COUNT = { min: 1, max: POSITIONS_MAX };

class PatternCheck {
  readonly names: string[] = [];
  readonly steps: string[] = [];
  conditions = 0;
  readonly #mistakes: Mistakes;
  readonly #scope: Scope | undefined;

  constructor(mistakes: Mistakes, scope: Scope | undefined) {
    this.#mistakes = mistakes;
    this.#scope = scope;
  }

  elements(value: unknown, path: string, depth: number): readonly PatternElement[] {
    const items = this.#mistakes.items(value, path) ?? [];
    if (Array.isArray(value) && items.length === 0) {
      this.#mistakes.add(
        path,
        'is empty; a pattern begins with a step, for example { "step": "first" }',
      );
    }
    if (depth > GROUPS_DEEP_MAX) {
      this.#mistakes.add(path, `groups are nested more than ${GROUPS_DEEP_MAX} deep`);
      return [];
    }
    const elements = items.flatMap((item, index) => {
      const element = this.#element(item, at(path, index), index === 0, depth);
      return element === undefined ? [] : [element];
    });
    if (elements.length > 0 && elements.length === items.length && !takesEvents(elements)) {
      this.#mistakes.add(
        path,
        "every step is optional, so that it could match without an event; make one of them not optional",
      );
    }
    return elements;
  }

  #element(
    value: unknown,
    path: string,
    first: boolean,
    depth: number,
  ): PatternElement | undefined {
    const fields = this.#mistakes.record(value, path, 'a step, such as { "step": "first" }');
    if (fields === undefined) return undefined;
    if (fields["not"] !== undefined) return this.#negation(fields, path, first);
    if (fields["group"] !== undefined) return this.#group(fields, path, first, depth);
    if (fields["step"] !== undefined) return this.#step(fields, path, first);
    return this.#mistakes.add(path, 'needs one of "step", "group" and "not"');
  }

  #name(value: unknown, path: string): string {
    const name = this.#mistakes.text(value, path) ?? "";
    if (!OUTPUT_NAME.test(name)) {
      this.#mistakes.add(path, `the name must be ${NAME_RULE}, not ${shown(value)}`);
    } else if (this.names.includes(name)) {
      this.#mistakes.add(path, `${shown(name)} is the name of two elements; each needs its own`);
    }
    this.names.push(name);
    return name;
  }

  #condition(value: unknown, path: string) {
    this.conditions++;
    return checkCondition(value, path, this.steps, this.#mistakes, this.#scope);
  }

  #contiguity(fields: Fields, path: string, first: boolean): Contiguity | undefined {
    const value = fields["contiguity"] ?? undefined;
    if (!first) {
      const known = value ?? "followedBy";
      return this.#mistakes.oneOf(known, at(path, "contiguity"), CONTIGUITIES, OTHER_NAMES);
    }
    if (value === undefined) return undefined;
    return this.#mistakes.add(
      at(path, "contiguity"),
      "the first element follows nothing; leave it out",
    );
  }

  #step(fields: Fields, path: string, first: boolean): PatternStep {
    const mistakes = this.#mistakes;
    mistakes.object(fields, path, STEP_KEYS);
    const step = this.#name(fields["step"], at(path, "step"));
    this.steps.push(step);
    const repeated = this.#repeated(fields, path);
    const until = fields["until"] ?? undefined;
    if (until !== undefined && repeated.times.max === 1) {
      mistakes.add(
        at(path, "until"),
        "ends repetitions, and the step has none; add times or oneOrMore()",
      );
    }
    return {
      step,
      where: this.#condition(fields["where"], at(path, "where")),
      contiguity: this.#contiguity(fields, path, first),
      ...repeated,
      greedy: mistakes.boolean(fields["greedy"] ?? false, at(path, "greedy")) ?? false,
      until: until === undefined ? undefined : this.#condition(until, at(path, "until")),
    };
  }

  #group(fields: Fields, path: string, first: boolean, depth: number): PatternGroup {
    for (const key of ["greedy", "until"]) {
      if (fields[key] === undefined) continue;
      this.#mistakes.add(at(path, key), "groups do not have it; give it to a step of the group");
    }
    this.#mistakes.object(fields, path, [...GROUP_KEYS, "greedy", "until"]);
    return {
      group: this.elements(fields["group"], at(path, "group"), depth + 1),
      contiguity: this.#contiguity(fields, path, first),
      ...this.#repeated(fields, path),
    };
  }

  #negation(fields: Fields, path: string, first: boolean): PatternNegation | undefined {
    const mistakes = this.#mistakes;
    mistakes.object(fields, path, NEGATION_KEYS);
    const not = this.#name(fields["not"], at(path, "not"));
    const where = this.#condition(fields["where"], at(path, "where"));
    if (first) {
      return mistakes.add(
        path,
        "a pattern or group begins with a step that takes an event, not with what must not come",
      );
    }
    const contiguity = mistakes.oneOf(
      fields["contiguity"] ?? "followedBy",
      at(path, "contiguity"),
      ["next", "followedBy"],
    );
    return { not, where, contiguity: contiguity ?? "followedBy" };
  }

  #repeated(fields: Fields, path: string) {
    const mistakes = this.#mistakes;
    const optional = mistakes.boolean(fields["optional"] ?? false, at(path, "optional")) ?? false;
    const between = mistakes.oneOf(
      fields["between"] ?? "followedBy",
      at(path, "between"),
      CONTIGUITIES,
      OTHER_NAMES,
    );
    const { times, none } = this.#times(fields["times"] ?? { min: 1, max: 1 }, at(path, "times"));
    return { times, optional: optional || none, between: between ?? "followedBy" };
  }

  /** `none`: it may also come not at all, which is said as `optional`. */
  #times(value: unknown, path: string): { readonly times: Times; readonly none: boolean } {
    const fallback = { times: { min: 1, max: 1 }, none: false };
    const mistakes = this.#mistakes;
    const given = mistakes.object(
      value,
      path,
      ["min", "max"],
      'how often, such as { "min": 1, "max": 3 }',
    );
    if (given === undefined) return fallback;
    const unbounded = given["max"] === undefined || given["max"] === null;
    const max = unbounded ? undefined : mistakes.whole(given["max"], at(path, "max"), COUNT);
    const min = mistakes.whole(given["min"], at(path, "min"), { ...COUNT, min: 0 });
    if (min === undefined || (max === undefined && !unbounded)) return fallback;
    if (max !== undefined && max < min) {
      mistakes.add(path, `at least ${min} and at most ${max} times is never`);
      return fallback;
    }
    return { times: { min: Math.max(1, min), max }, none: min === 0 };
  }
}

export const positionsOf = (elements: readonly PatternElement[]): number =>
  elements.reduce((sum, element) => {
    if (isNegation(element)) return sum;
    const copies = element.times.max ?? element.times.min;
    return sum + copies * (isGroup(element) ? positionsOf(element.group) : 1);
  }, 0);

const takesEvents = (elements: readonly PatternElement[]): boolean =>
  elements.some((element) => !isNegation(element) && !element.optional);

/** Notes what may not be last, at every place where a match can end. */
const checkEnd = (
  elements: readonly PatternElement[],
  path: string,
  within: boolean,
  mistakes: Mistakes,
): void => {
  for (let i = elements.length - 1; i >= 0; i--) {
    const element = elements[i]!;
    const here = at(path, i);
    if (isNegation(element)) {
      if (within) continue;
      mistakes.add(
        here,
        "a match that ends with what must not come needs to know for how long; add within, or a step " +
          "that is not optional",
      );
      continue;
    }
    if (isGroup(element)) checkEnd(element.group, at(here, "group"), within, mistakes);
    else if (element.greedy && (element.optional || element.times.max !== element.times.min)) {
      mistakes.add(
        at(here, "greedy"),
        "a match can end here, and then nothing says whether more will come; let a step follow that " +
          "is not optional, or leave greedy out",
      );
    }
    if (!element.optional) return;
  }
};

export interface CheckedPattern {
  readonly elements: readonly PatternElement[];
  /** Names of steps, in order. */
  readonly steps: readonly string[];
}

export const checkPattern = (
  value: unknown,
  path: string,
  within: boolean,
  mistakes: Mistakes,
  scope: Scope | undefined,
): CheckedPattern => {
  const check = new PatternCheck(mistakes, scope);
  const elements = check.elements(value, path, 0);
  if (check.conditions > CONDITIONS_MAX) {
    mistakes.add(
      path,
      `has ${check.conditions} conditions (steps, negations and until), more than ${CONDITIONS_MAX}; ` +
        "split it into several patterns",
    );
  }
  const positions = positionsOf(elements);
  if (positions > POSITIONS_MAX) {
    mistakes.add(
      path,
      `has ${positions} steps, repetitions counted, more than ${POSITIONS_MAX}; to count many events use ` +
        "a window, or oneOrMore() and a condition with step(...).count()",
    );
  }
  if (elements.every((element) => isStep(element) || isGroup(element) || isNegation(element))) {
    checkEnd(elements, path, within, mistakes);
  }
  return { elements, steps: check.steps };
};
