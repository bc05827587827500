/**
 * The typed way to write a pattern: `begin("first", where).followedBy("second", where).within("5 minutes")`.
 * Each call gives a new pattern. Quantifiers belong to the step or group before them.
 */
import { argument } from "./argument.ts";
import type { Duration } from "./duration.ts";
import { expressionOf, optionExpression, toExpression } from "./field-expression.ts";
import type {
  AnyExpression,
  BooleanExpression,
  FieldExpression,
  NumberExpression,
} from "./field-expression.ts";
import type {
  Contiguity,
  MatchValue,
  PatternElement,
  PatternExpression,
  SkipDefinition,
  StepValue,
} from "./pattern-definition.ts";
import { POSITIVE } from "./reading.ts";

type Element = Readonly<Record<string, unknown>>;

const whereOf = (where: BooleanExpression | undefined): unknown =>
  where === undefined ? undefined : optionExpression(where);

export class Pattern {
  readonly #elements: readonly Element[];
  readonly #withinMs: number | undefined;

  constructor(elements: readonly Element[], withinMs?: number) {
    this.#elements = elements;
    this.#withinMs = withinMs;
  }

  /** The elements as data; planning checks them. */
  get elements(): readonly PatternElement[] {
    return this.#elements as unknown as readonly PatternElement[];
  }

  get withinMs(): number | undefined {
    return this.#withinMs;
  }

  #then(
    contiguity: Contiguity,
    what: string | Pattern,
    where: BooleanExpression | undefined,
  ): Pattern {
    const element =
      what instanceof Pattern
        ? { group: what.#elements, contiguity }
        : { step: what, where: whereOf(where), contiguity };
    return new Pattern([...this.#elements, element], this.#withinMs);
  }

  #change(change: Element): Pattern {
    const before = this.#elements.slice(0, -1);
    return new Pattern([...before, { ...this.#elements.at(-1), ...change }], this.#withinMs);
  }

  /** The very next event of the key. Without `where` any event will do. */
  next(step: string, where?: BooleanExpression): Pattern;
  next(group: Pattern): Pattern;
  next(what: string | Pattern, where?: BooleanExpression): Pattern {
    return this.#then("next", what, where);
  }

  /** The next event that satisfies `where`; others may lie between. */
  followedBy(step: string, where?: BooleanExpression): Pattern;
  followedBy(group: Pattern): Pattern;
  followedBy(what: string | Pattern, where?: BooleanExpression): Pattern {
    return this.#then("followedBy", what, where);
  }

  /** Any later event that satisfies `where`, each in a match of its own. */
  followedByAny(step: string, where?: BooleanExpression): Pattern;
  followedByAny(group: Pattern): Pattern;
  followedByAny(what: string | Pattern, where?: BooleanExpression): Pattern {
    return this.#then("followedByAny", what, where);
  }

  /** The very next event does not satisfy `where`. */
  notNext(name: string, where?: BooleanExpression): Pattern {
    const element = { not: name, where: whereOf(where), contiguity: "next" };
    return new Pattern([...this.#elements, element], this.#withinMs);
  }

  /** No event satisfies `where` until the next step has taken one, or at the end until `within`. */
  notFollowedBy(name: string, where?: BooleanExpression): Pattern {
    const element = { not: name, where: whereOf(where), contiguity: "followedBy" };
    return new Pattern([...this.#elements, element], this.#withinMs);
  }

  /** Exactly `min` times, or `min` to `max` times. */
  times(min: number, max: number = min): Pattern {
    return this.#change({ times: { min, max } });
  }

  timesOrMore(min: number): Pattern {
    return this.#change({ times: { min } });
  }

  oneOrMore(): Pattern {
    return this.timesOrMore(1);
  }

  optional(): Pattern {
    return this.#change({ optional: true });
  }

  /** What follows takes no event that this step could still take. */
  greedy(): Pattern {
    return this.#change({ greedy: true });
  }

  /** Repetitions follow each other without any event between. */
  consecutive(): Pattern {
    return this.#change({ between: "next" });
  }

  /** Repetitions may leave out events that would be one. */
  allowCombinations(): Pattern {
    return this.#change({ between: "followedByAny" });
  }

  /** The event that ends the repetitions, and is none of them. */
  until(where: BooleanExpression): Pattern {
    return this.#change({ until: whereOf(where) });
  }

  /** All events of a match lie less than this after its first. */
  within(duration: Duration): Pattern {
    const withinMs = argument("within()", (mistakes) =>
      mistakes.duration(duration, "within", POSITIVE),
    );
    return new Pattern(this.#elements, withinMs);
  }
}

/** The first step of a pattern, or a group as its first element. */
export function begin(step: string, where?: BooleanExpression): Pattern;
export function begin(group: Pattern): Pattern;
export function begin(what: string | Pattern, where?: BooleanExpression): Pattern {
  return new Pattern([
    what instanceof Pattern ? { group: what.elements } : { step: what, where: whereOf(where) },
  ]);
}

export interface StepExpression {
  /** The field of the step's last event. */
  field(name: string): FieldExpression;
  first(of: AnyExpression): FieldExpression;
  last(of: AnyExpression): FieldExpression;
  count(): NumberExpression;
  sum(of: NumberExpression): NumberExpression;
  min(of: NumberExpression): NumberExpression;
  max(of: NumberExpression): NumberExpression;
  mean(of: NumberExpression): NumberExpression;
  /** All values as a list; a value of results, not an operand. */
  collect(of: AnyExpression): PatternValue;
}

/** A value of results that is no operand. */
export interface PatternValue {
  toJSON(): PatternExpression;
}

const reference = (data: StepValue | MatchValue): FieldExpression =>
  expressionOf(data as unknown as Parameters<typeof expressionOf>[0]);

/**
 * What a step has taken: in `values` all of it, in a condition what it has taken so far, without the
 * event at hand. Null, or 0 for `count`, when that is nothing.
 */
export const step = (name: string): StepExpression => {
  const of = (fn: StepValue["fn"]) => (value: AnyExpression) =>
    reference({ step: name, fn, of: toExpression(value) });
  return {
    field: (path) => reference({ step: name, fn: "last", of: { field: path } }),
    first: of("first"),
    last: of("last"),
    count: () => reference({ step: name, fn: "count" }),
    sum: of("sum"),
    min: of("min"),
    max: of("max"),
    mean: of("mean"),
    collect: (value) => ({
      toJSON: () => ({ step: name, fn: "collect", of: toExpression(value) }),
    }),
  };
};

/** The match as a whole. */
export const match: {
  /** Event time of its first event. */
  readonly start: NumberExpression;
  /** Event time of its last event. */
  readonly end: NumberExpression;
  /** The ids of its events, in their order; a value of results, not an operand. */
  readonly ids: PatternValue;
  /** Whether `within` has ended it unfinished; see `onTimeout`. No operand either. */
  readonly timedOut: PatternValue;
} = {
  start: reference({ match: "start" }),
  end: reference({ match: "end" }),
  ids: { toJSON: () => ({ match: "ids" }) },
  timedOut: { toJSON: () => ({ match: "timedOut" }) },
};

/** Every match is emitted. The default. */
export const noSkip = (): SkipDefinition => ({ strategy: "noSkip" });

/** After a match, no other that starts with the same event. */
export const skipToNext = (): SkipDefinition => ({ strategy: "skipToNext" });

/** After a match, none that starts before its last event has passed. */
export const skipPastLastEvent = (): SkipDefinition => ({ strategy: "skipPastLastEvent" });

/** After a match, none that starts before the first event of `step` in it. */
export const skipToFirst = (named: string): SkipDefinition => ({
  strategy: "skipToFirst",
  step: named,
});

/** After a match, none that starts before the last event of `step` in it. */
export const skipToLast = (named: string): SkipDefinition => ({
  strategy: "skipToLast",
  step: named,
});
