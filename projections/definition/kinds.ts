/** The kinds of projections, each with its checker: the one place to add a kind to the language. */
import { statechartKind } from "./check-statechart.ts";
import { foldKind } from "./check-fold.ts";
import { patternKind } from "./check-pattern-projection.ts";
import { joinKind } from "./check-join.ts";
import { windowKind } from "./check-window-projection.ts";
import type { KindChecker } from "./checked-kind.ts";
import type { ProjectionKind, ProjectionPlan } from "./plan.ts";

type Checkers = {
  readonly [Kind in ProjectionKind]: KindChecker<Extract<ProjectionPlan, { readonly kind: Kind }>>;
};

export const KINDS: Checkers = {
  window: windowKind,
  fold: foldKind,
  statechart: statechartKind,
  pattern: patternKind,
  join: joinKind,
};

/** Of data without one. */
export const DEFAULT_KIND: ProjectionKind = "window";
