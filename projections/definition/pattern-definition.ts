/**
 * A pattern as data: what comes after what. `begin()` in `pattern-builder.ts` is the typed way to write
 * one. The terms are those of Flink's CEP; docs/DEFINITIONS.md has pictures of them.
 */
import type { BinaryOperator, Expression, UnaryOperator } from "./expression.ts";

/**
 * What may lie between two events of a match. `next`: nothing. `followedBy`: events that do not
 * satisfy the later step. `followedByAny`: any events, so one event can have several followers.
 */
export type Contiguity = "next" | "followedBy" | "followedByAny";

/** Of the events that a step has taken so far; null if there are none, except for count. */
export type StepFunction = "first" | "last" | "count" | "sum" | "min" | "max" | "mean";

export type PatternExpression =
  | Exclude<Expression, { readonly op: unknown }>
  | { readonly op: UnaryOperator; readonly args: readonly [PatternExpression] }
  | {
      readonly op: BinaryOperator;
      readonly args: readonly [PatternExpression, PatternExpression];
    }
  | StepValue
  | MatchValue;

/** `of` is evaluated for each event of the step; count has none. `collect` is a list, for values only. */
export interface StepValue {
  readonly step: string;
  readonly fn: StepFunction | "collect";
  readonly of?: Expression | undefined;
}

/** Of the whole match: times of its first and last event, ids of all; for values only. */
export interface MatchValue {
  readonly match: "start" | "end" | "ids" | "timedOut";
}

export interface Times {
  /** 1 or more; see `optional`. */
  readonly min: number;
  /** Left out: no bound. */
  readonly max?: number | undefined;
}

export interface PatternStep {
  readonly step: string;
  /** Left out: every event. */
  readonly where: PatternExpression | undefined;
  /** To what comes before; undefined for the first element of a pattern or group. */
  readonly contiguity: Contiguity | undefined;
  readonly times: Times;
  /** The step may be left out altogether. */
  readonly optional: boolean;
  /** Contiguity between repetitions. */
  readonly between: Contiguity;
  /** What follows takes no event that the step could still take. */
  readonly greedy: boolean;
  /** The event that ends the repetitions; it is not one of them. */
  readonly until: PatternExpression | undefined;
}

export interface PatternGroup {
  readonly group: readonly PatternElement[];
  readonly contiguity: Contiguity | undefined;
  readonly times: Times;
  readonly optional: boolean;
  readonly between: Contiguity;
}

/** Between two steps, or at the end of a pattern that has a `within`. */
export interface PatternNegation {
  readonly not: string;
  readonly where: PatternExpression | undefined;
  /** `next`: not the very next event. `followedBy`: none before the next step takes one. */
  readonly contiguity: "next" | "followedBy";
}

export type PatternElement = PatternStep | PatternGroup | PatternNegation;

/**
 * What a match takes away from other matches, once it is emitted. See docs/DEFINITIONS.md; all but
 * `noSkip` emit matches in the order of their starts.
 */
export type SkipDefinition =
  | { readonly strategy: "noSkip" | "skipToNext" | "skipPastLastEvent" }
  | { readonly strategy: "skipToFirst" | "skipToLast"; readonly step: string };

export const isStep = (element: PatternElement): element is PatternStep => "step" in element;
export const isGroup = (element: PatternElement): element is PatternGroup => "group" in element;
export const isNegation = (element: PatternElement): element is PatternNegation => "not" in element;
