/**
 * Splits what a pattern asks of events into what can be known when an event arrives and what depends
 * on the partial match at hand.
 *
 * K1. The part of a condition that looks at nothing but the event is a prefilter: a bit of the event's
 *     mask. The rest is a program over captured values, run only where the bit is set.
 * K2. A captured expression is evaluated for an event only if a bit of the capture's mask is set, or
 *     the mask is 0: without it nobody can ask for it.
 */
import { canonicalJson } from "../../projections/definition/digest.ts";
import type {
  BinaryOperator,
  Expression,
  UnaryOperator,
} from "../../projections/definition/expression.ts";
import type { PatternExpression } from "../../projections/definition/pattern-definition.ts";
import { binary, unary, type Scalar } from "./scalar.ts";
import { stepValue } from "./step-value.ts";
import type { PatternEvent, Taken } from "./taken.ts";

/** Of the event at hand and what was taken before it. */
export type Program = (event: PatternEvent, taken: Taken | undefined) => Scalar;

export interface Condition {
  /** The prefilter's bit; 0 if every event passes. */
  readonly bit: number;
  readonly program: Program | undefined;
}

export interface Capture {
  readonly expression: Expression;
  /** 0: of every event. */
  readonly mask: number;
}

export const holds = (
  condition: Condition,
  event: PatternEvent,
  taken: Taken | undefined,
): boolean =>
  (condition.bit === 0 || (event.mask & condition.bit) !== 0) &&
  (condition.program === undefined || condition.program(event, taken) === true);

/** Whether it asks for what steps have taken. */
const looksBack = (expression: PatternExpression): boolean =>
  "op" in expression
    ? expression.args.some(looksBack)
    : "step" in expression || "match" in expression;

const conjuncts = (expression: PatternExpression): readonly PatternExpression[] =>
  "op" in expression && expression.op === "and" ? expression.args.flatMap(conjuncts) : [expression];

const conjunction = (parts: readonly PatternExpression[]): PatternExpression | undefined =>
  parts.reduce<PatternExpression | undefined>(
    (left, right) => (left === undefined ? right : { op: "and", args: [left, right] }),
    undefined,
  );

interface GrowingCapture {
  readonly expression: Expression;
  readonly integer: boolean;
  /** Undefined: nobody has asked yet. */
  mask: number | undefined;
}

export class Conditions {
  readonly #steps: readonly string[];
  readonly #isInteger: (expression: Expression) => boolean;
  readonly #bits = new Map<string, number>();
  readonly #prefilters: Expression[] = [];
  readonly #captures = new Map<string, GrowingCapture>();
  /** By step: the bits that its events can have; see K2. */
  readonly #stepBits: number[];

  constructor(steps: readonly string[], isInteger: (expression: Expression) => boolean) {
    this.#steps = steps;
    this.#isInteger = isInteger;
    this.#stepBits = steps.map(() => 0);
  }

  /** By bit: what is evaluated for every event. */
  get prefilters(): readonly Expression[] {
    return this.#prefilters;
  }

  get captures(): readonly Capture[] {
    return [...this.#captures.values()].map(({ expression, mask }) => ({
      expression,
      mask: mask ?? 0,
    }));
  }

  /** Called for all steps before any condition that looks back is made. */
  stepTakes(step: number, where: PatternExpression | undefined): void {
    this.#stepBits[step] = this.#prefilter(where);
  }

  condition(where: PatternExpression | undefined): Condition {
    const bit = this.#prefilter(where);
    const rest = where && conjunction(conjuncts(where).filter(looksBack));
    return { bit, program: rest && this.#program(rest, bit) };
  }

  /** A program over nothing but what was taken: a value of results. */
  value(expression: PatternExpression): (taken: Taken) => Scalar {
    const program = this.#program(expression, 0);
    return (taken) => program(taken.event, taken);
  }

  /** Where the values of `expression` stand in the events of a step, or with undefined of any step. */
  capture(expression: Expression, step: number | undefined): number {
    const bits = step === undefined ? this.#stepBits : [this.#stepBits[step]!];
    return this.#capture(expression, bits);
  }

  #capture(expression: Expression, bits: readonly number[]): number {
    const key = canonicalJson(expression);
    const known = this.#captures.get(key) ?? {
      expression,
      integer: this.#isInteger(expression),
      mask: undefined,
    };
    this.#captures.set(key, known);
    for (const bit of bits) {
      known.mask = bit === 0 || known.mask === 0 ? 0 : (known.mask ?? 0) | bit;
    }
    return [...this.#captures.keys()].indexOf(key);
  }

  #prefilter(where: PatternExpression | undefined): number {
    const part = where && conjunction(conjuncts(where).filter((each) => !looksBack(each)));
    if (part === undefined) return 0;
    const key = canonicalJson(part);
    let index = this.#bits.get(key);
    if (index === undefined) {
      index = this.#prefilters.push(part as Expression) - 1;
      this.#bits.set(key, index);
    }
    return 1 << index;
  }

  #program(expression: PatternExpression, bit: number): Program {
    if ("literal" in expression) return () => expression.literal;
    if ("match" in expression) return this.#matchValue(expression.match);
    if ("step" in expression) {
      const step = this.#steps.indexOf(expression.step);
      const { fn, of } = expression;
      if (fn === "collect") throw new Error("invariant K: a list is no operand");
      const capture = of === undefined ? -1 : this.capture(of, step);
      const value = stepValue(fn, step, capture, of !== undefined && this.#isInteger(of));
      return (_, taken) => value(taken);
    }
    if (!looksBack(expression)) {
      const index = this.#capture(expression as Expression, [bit]);
      return (event) => event.values[index]!;
    }
    const operation = expression as Extract<PatternExpression, { readonly op: unknown }>;
    const left = this.#program(operation.args[0], bit);
    if (operation.args.length === 1) {
      const { op } = operation;
      return (event, taken) => unary(op as UnaryOperator, left(event, taken));
    }
    const op = operation.op as BinaryOperator;
    const right = this.#program(operation.args[1], bit);
    return (event, taken) => binary(op, left(event, taken), right(event, taken));
  }

  #matchValue(part: "start" | "end" | "ids" | "timedOut"): Program {
    if (part === "start") return (_, taken) => taken!.startTime;
    if (part === "end") return (_, taken) => taken!.time;
    throw new Error(`invariant K: match.${part} is no program`);
  }
}
