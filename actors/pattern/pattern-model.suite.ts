/**
 * What a pattern means, written down once more: all ways to choose events are tried, by recursion over the
 * elements, and every rule about what may lie between two events is checked against all events between
 * them. No automaton, no state, nothing shared with the matcher but the definition.
 */
import type { Expression } from "../../projections/definition/expression.ts";
import type {
  Contiguity,
  PatternElement,
  PatternExpression,
  PatternGroup,
  PatternStep,
  SkipDefinition,
} from "../../projections/definition/pattern-definition.ts";

type Plain = number | boolean | string | null;

export interface ModelEvent {
  readonly time: number;
  readonly fields: Readonly<Record<string, Plain>>;
}

export interface ModelPattern {
  readonly elements: readonly PatternElement[];
  readonly withinMs: number | undefined;
  readonly skip: SkipDefinition;
}

interface Took {
  readonly index: number;
  readonly step: string;
}
type Path = readonly Took[];

/** Whether an event in (from, to] forbids the passage. */
type Forbids = (from: number, to: number, path: Path) => boolean;

interface Gap {
  readonly forbids: readonly Forbids[];
  readonly forbidsNext: readonly Forbids[];
}
const FREE: Gap = { forbids: [], forbidsNext: [] };

/** A place at which a path waits: for a step to take, or for nothing but time. */
interface Wait {
  readonly path: Path;
  readonly aliveAt: (index: number) => boolean;
  readonly ends: boolean;
}

export const evaluatePlain = (
  expression: PatternExpression,
  event: ModelEvent | undefined,
  taken: (step: string) => readonly ModelEvent[],
): Plain => {
  if ("literal" in expression) return expression.literal as Plain;
  if ("field" in expression) return event!.fields[expression.field] ?? null;
  if ("event" in expression) return event!.time;
  if ("match" in expression || "lookup" in expression) throw new Error("not in the model");
  if ("step" in expression) {
    const events = taken(expression.step);
    if (expression.fn === "count") return events.length;
    const of = expression.of as Expression;
    const values = events.map((each) => evaluatePlain(of, each, taken));
    if (expression.fn === "last") return values.at(-1) ?? null;
    if (expression.fn === "first") return values[0] ?? null;
    const numbers = values.filter((value) => typeof value === "number");
    return numbers.length === 0 ? null : numbers.reduce((a, b) => a + b, 0);
  }
  const args = expression.args.map((arg) => evaluatePlain(arg, event, taken));
  const [a, b] = args as [Plain, Plain];
  switch (expression.op) {
    case "not":
      return a === null ? null : !a;
    case "and":
      return a === false || b === false ? false : a === null || b === null ? null : true;
    case "or":
      return a === true || b === true ? true : a === null || b === null ? null : false;
    case "ge":
      return a === null || b === null ? null : a >= b;
    case "lt":
      return a === null || b === null ? null : a < b;
    default:
      throw new Error(`the model has no ${expression.op}`);
  }
};

const keyOf = (path: Path): string => path.map(({ index, step }) => `${index}${step}`).join(" ");

const inOrder = (paths: readonly Path[], steps: readonly string[]): readonly Path[] => {
  const different = [...new Map(paths.map((path) => [keyOf(path), path])).values()];
  return different.sort((left, right) => {
    const shared = Math.min(left.length, right.length);
    for (let i = 0; i < shared; i++) {
      if (left[i]!.index !== right[i]!.index) return left[i]!.index - right[i]!.index;
    }
    if (left.length !== right.length) return left.length - right.length;
    for (let i = 0; i < shared; i++) {
      const difference = steps.indexOf(left[i]!.step) - steps.indexOf(right[i]!.step);
      if (difference !== 0) return difference;
    }
    return 0;
  });
};

class Enumeration {
  /** Complete with their last event. */
  readonly matches: Path[] = [];
  /** Complete with the event after, if it does not forbid it, or else when time is up. */
  readonly withNext: { readonly path: Path; readonly forbidden: boolean }[] = [];
  readonly waits: Wait[] = [];
  readonly #events: readonly ModelEvent[];
  readonly #withinMs: number;

  constructor(pattern: ModelPattern, events: readonly ModelEvent[]) {
    this.#events = events;
    this.#withinMs = pattern.withinMs ?? Number.POSITIVE_INFINITY;
    this.#sequence(pattern.elements, 0, [], FREE, undefined, (path, gap) => this.#end(path, gap));
  }

  #is(where: PatternExpression | undefined, index: number, path: Path): boolean {
    if (where === undefined) return true;
    const taken = (step: string) =>
      path.filter((took) => took.step === step).map((took) => this.#events[took.index]!);
    return evaluatePlain(where, this.#events[index], taken) === true;
  }

  #fits(step: PatternStep, index: number, path: Path): boolean {
    if (step.until !== undefined && this.#is(step.until, index, path)) return false;
    return this.#is(step.where, index, path);
  }

  #forbidden(gap: Gap, from: number, to: number, path: Path): boolean {
    if (to === from) return false;
    const next = gap.forbidsNext.some((forbids) => forbids(from, from + 1, path));
    return next || gap.forbids.some((forbids) => forbids(from, to, path));
  }

  #some(test: (index: number, path: Path) => boolean): Forbids {
    return (from, to, path) => {
      for (let index = from + 1; index <= to; index++) if (test(index, path)) return true;
      return false;
    };
  }

  #end(path: Path, gap: Gap): void {
    if (gap.forbids.length === 0 && gap.forbidsNext.length === 0) {
      this.matches.push(path);
      return;
    }
    const last = path.at(-1)!.index;
    const nextOnly = gap.forbids.length === 0;
    if (nextOnly && last + 1 < this.#events.length) {
      this.withNext.push({ path, forbidden: this.#forbidden(gap, last, last + 1, path) });
    }
    this.waits.push({
      path,
      ends: true,
      aliveAt: (index) =>
        index >= last && (!nextOnly || index === last) && !this.#forbidden(gap, last, index, path),
    });
  }

  #take(
    step: PatternStep,
    contiguity: Contiguity,
    path: Path,
    gap: Gap,
    then: (path: Path) => void,
  ): void {
    const events = this.#events;
    const extended = (index: number): Path => [...path, { index, step: step.step }];
    if (path.length === 0) {
      events.forEach((_, index) => {
        if (!this.#forbidden(gap, index - 1, index, path) && this.#fits(step, index, path)) {
          then(extended(index));
        }
      });
      return;
    }
    const last = path.at(-1)!.index;
    const blocks = (index: number): boolean =>
      contiguity === "next" || (contiguity === "followedBy" && this.#fits(step, index, path));
    const open = (index: number): boolean => {
      for (let between = last + 1; between <= index; between++) if (blocks(between)) return false;
      return true;
    };
    this.waits.push({
      path,
      ends: false,
      aliveAt: (index) => index >= last && open(index) && !this.#forbidden(gap, last, index, path),
    });
    const start = events[path[0]!.index]!.time;
    for (let index = last + 1; index < events.length; index++) {
      if (events[index]!.time - start >= this.#withinMs) return;
      if (!open(index - 1) || this.#forbidden(gap, last, index, path)) continue;
      if (this.#fits(step, index, path)) then(extended(index));
    }
  }

  #sequence(
    elements: readonly PatternElement[],
    at: number,
    path: Path,
    gap: Gap,
    enter: Contiguity | undefined,
    then: (path: Path, gap: Gap) => void,
  ): void {
    const element = elements[at];
    if (element === undefined) return then(path, gap);
    const entered = path.length;
    const on = (next: Path, nextGap: Gap): void =>
      this.#sequence(
        elements,
        at + 1,
        next,
        nextGap,
        next.length === entered ? enter : undefined,
        then,
      );
    if ("not" in element) {
      const forbids = this.#some((index, inner) => this.#is(element.where, index, inner));
      return element.contiguity === "next"
        ? on(path, { ...gap, forbidsNext: [...gap.forbidsNext, forbids] })
        : on(path, { ...gap, forbids: [...gap.forbids, forbids] });
    }
    const contiguity = enter ?? element.contiguity ?? "followedBy";
    if ("group" in element) return this.#group(element, contiguity, 0, path, gap, on);
    return this.#step(element, contiguity, 0, path, gap, on);
  }

  #step(
    step: PatternStep,
    contiguity: Contiguity,
    count: number,
    path: Path,
    gap: Gap,
    then: (path: Path, gap: Gap) => void,
  ): void {
    const { min, max } = step.times;
    const more = max === undefined || count < max;
    if (count >= min || (count === 0 && step.optional)) {
      const before = count === 0 ? gap : FREE;
      then(path, step.greedy && more ? this.#greedy(step, count, before) : before);
    }
    if (!more) return;
    const again: Gap =
      step.until === undefined
        ? FREE
        : { ...FREE, forbids: [this.#some((index, inner) => this.#is(step.until, index, inner))] };
    this.#take(
      step,
      count === 0 ? contiguity : step.between,
      path,
      count === 0 ? gap : again,
      (next) => this.#step(step, contiguity, count + 1, next, FREE, then),
    );
  }

  /** What follows takes nothing that the step could still take: up to the event that ended it. */
  #greedy(step: PatternStep, count: number, gap: Gap): Gap {
    const forbids: Forbids = (from, to, path) => {
      for (let index = from + 1; index <= to; index++) {
        if (count > 0 && step.until !== undefined && this.#is(step.until, index, path))
          return false;
        if (this.#fits(step, index, path)) return true;
      }
      return false;
    };
    const own = count === 0 ? (step.contiguity ?? "followedBy") : step.between;
    return own === "next"
      ? { ...gap, forbidsNext: [...gap.forbidsNext, forbids] }
      : { ...gap, forbids: [...gap.forbids, forbids] };
  }

  #group(
    group: PatternGroup,
    contiguity: Contiguity,
    count: number,
    path: Path,
    gap: Gap,
    then: (path: Path, gap: Gap) => void,
  ): void {
    const { min, max } = group.times;
    if (count >= min || (count === 0 && group.optional)) then(path, gap);
    if (max !== undefined && count >= max) return;
    const enter = count === 0 ? contiguity : group.between;
    this.#sequence(group.group, 0, path, gap, enter, (next, nextGap) =>
      this.#group(group, contiguity, count + 1, next, nextGap, then),
    );
  }
}

const bound = (skip: SkipDefinition, path: Path): number => {
  switch (skip.strategy) {
    case "noSkip":
      return -1;
    case "skipToNext":
      return path[0]!.index;
    case "skipPastLastEvent":
      return path.at(-1)!.index;
    default: {
      const own = path.filter(({ step }) => step === skip.step);
      const found = skip.strategy === "skipToFirst" ? own[0] : own.at(-1);
      return found === undefined ? -1 : found.index - 1;
    }
  }
};

/** What is emitted, in order: `0a 1b @7` is a match that time 7 decided, `0a ... @7` one cut short. */
export const modelMatches = (
  pattern: ModelPattern,
  steps: readonly string[],
  events: readonly ModelEvent[],
): readonly string[] => {
  const { matches, withNext, waits } = new Enumeration(pattern, events);
  const within = pattern.withinMs ?? Number.POSITIVE_INFINITY;
  const emitted: string[] = [];
  const gone = new Set<number>();
  let held: { readonly path: Path; readonly decided: number }[] = [];
  const startOf = (path: Path): number => path[0]!.index;
  const timeOf = (path: Path): number => events[startOf(path)]!.time;

  const settle = (complete: readonly Path[], now: number, decided: number): void => {
    const ordered = inOrder(
      complete.filter((path) => !gone.has(startOf(path))),
      steps,
    );
    if (pattern.skip.strategy === "noSkip") {
      emitted.push(...ordered.map((path) => `${keyOf(path)} @${decided}`));
      return;
    }
    held.push(...ordered.map((path) => ({ path, decided })));
    for (;;) {
      const earliest = Math.min(...held.map(({ path }) => startOf(path)));
      const chosen = held.find(({ path }) => startOf(path) === earliest);
      if (chosen === undefined) return;
      const blocked = waits.some(
        ({ path, aliveAt }) =>
          timeOf(path) < events[earliest]!.time && !gone.has(startOf(path)) && aliveAt(now),
      );
      if (blocked) return;
      emitted.push(`${keyOf(chosen.path)} @${chosen.decided}`);
      const last = bound(pattern.skip, chosen.path);
      for (let start = 0; start <= last; start++) gone.add(start);
      held = held.filter((other) => other !== chosen && startOf(other.path) > last);
    }
  };

  const expire = (time: number, now: number): void => {
    const over = waits.filter(
      ({ path, aliveAt }) =>
        !gone.has(startOf(path)) && events[startOf(path)]!.time + within <= time && aliveAt(now),
    );
    const complete = over.filter(({ ends }) => ends).map(({ path }) => path);
    const been = new Set([...matches, ...complete].map(keyOf));
    const cut = over.map(({ path }) => path).filter((path) => !been.has(keyOf(path)));
    // What is over waits no more, and so holds nobody back either.
    waits.push(...waits.splice(0).filter((wait) => !over.includes(wait)));
    settle(complete, now, time);
    emitted.push(...inOrder(cut, steps).map((path) => `${keyOf(path)} ... @${time}`));
  };

  const ends = Number.isFinite(within) ? events.map(({ time }) => time + within) : [];
  const dues = [...new Set(ends)].sort((a, b) => a - b);
  events.forEach((event, index) => {
    while (dues.length > 0 && dues[0]! <= event.time) expire(dues.shift()!, index - 1);
    settle(
      [
        ...matches.filter((path) => path.at(-1)!.index === index),
        ...withNext
          .filter(({ path, forbidden }) => !forbidden && path.at(-1)!.index === index - 1)
          .map(({ path }) => path)
          .filter((path) => event.time - events[startOf(path)]!.time < within),
      ],
      index,
      event.time,
    );
  });
  for (const due of dues) expire(due, events.length - 1);
  return emitted;
};
