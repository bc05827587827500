/** What the checker of one kind of projection is given, and what it gives. */
import type { Scope } from "./check-expression.ts";
import type { ProjectionBase } from "./definition.ts";
import type { OutputColumn, PlanBase, ProjectionPlan, SourcePlan, TopicPlan } from "./plan.ts";
import type { Fields, Mistakes } from "./reading.ts";
import type { UnionTopic } from "./union-topic.ts";

export interface KindContext {
  readonly mistakes: Mistakes;
  /** What fields are looked up in; undefined without a topic's plan. */
  readonly scope: Scope | undefined;
  /** Whether the projection is grouped by something other than the event's key. */
  readonly merged: boolean;
  /** Whether its events come from several sources, which have a `where` and a key of their own. */
  readonly apart: boolean;
  /** What it reads, with the types that it leaves out; undefined without the topic's plan. */
  readonly topic: TopicPlan | undefined;
  /** Of these; undefined without the topics' plans. */
  readonly union: UnionTopic | undefined;
}

/** What a projection says of where its events come from. */
export interface Inputs {
  /** With the topic and the key of the whole projection, where only its parts tell them. */
  readonly given: Fields;
  /** Its sources, with the paths that name them; undefined for one topic by one key. */
  readonly apart: readonly NamedSource[] | undefined;
}

/** A topic, or a projection whose results are read. */
export interface NamedSource {
  readonly path: string;
  readonly topic: unknown;
  readonly projection: unknown;
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
  /** Of a projection whose events come from several. */
  readonly sources?: readonly SourcePlan[] | undefined;
}

export interface KindChecker<Plan extends ProjectionPlan = ProjectionPlan> {
  /** The keys that it has beside those of every projection. */
  readonly keys: readonly string[];
  /** Of a kind that may have several sources. */
  inputs?(given: Fields, mistakes: Mistakes): Inputs;
  check(given: Fields, context: KindContext): CheckedKind<Plan>;
}
