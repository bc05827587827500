/** What the checker of one kind of projection is given, and what it gives. */
import type { Scope } from "./check-expression.ts";
import type { ProjectionBase } from "./definition.ts";
import type { OutputColumn, PlanBase, ProjectionPlan } from "./plan.ts";
import type { Fields, Mistakes } from "./reading.ts";

export interface KindContext {
  readonly mistakes: Mistakes;
  /** What fields are looked up in; undefined without a topic's plan. */
  readonly scope: Scope | undefined;
  /** Whether the projection is grouped by something other than the event's key. */
  readonly merged: boolean;
}

/** Meaningful only if no mistake was noted. */
export interface CheckedKind<Plan extends ProjectionPlan = ProjectionPlan> {
  /** The keys that only this kind has, with their defaults; resolved with a topic's plan. */
  readonly definition: Omit<Plan["definition"], keyof ProjectionBase>;
  /** What only plans of this kind have. */
  readonly plan: Omit<Plan, keyof PlanBase | "definition">;
  readonly outputs: readonly OutputColumn[];
  /** What results depend on, for the digest: see G1 and G2 there. */
  readonly covered: Readonly<Record<string, unknown>>;
}

export interface KindChecker<Plan extends ProjectionPlan = ProjectionPlan> {
  /** The keys that it has beside those of every projection. */
  readonly keys: readonly string[];
  check(given: Fields, context: KindContext): CheckedKind<Plan>;
}
