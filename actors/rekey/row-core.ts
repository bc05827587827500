/**
 * The core that computes a projection's results as rows of a table: the projection's own, which publishes
 * what makes rows, however often anybody wants to see its results (T3 of TableCore).
 *
 * R1. Of windows: what they hold when they close, and its corrections and retractions.
 * R2. Of a fold: each state, from the first millisecond after the event that made it, and that there is none
 *     any more, from the first millisecond of which that is so.
 */
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { FoldOperator } from "../ordered/fold-operator.ts";
import { EVERY_STATE } from "../ordered/keyed-operator.ts";
import { OrderedCore } from "../ordered/ordered-core.ts";
import { makeCore } from "../task/cores.ts";
import type { TaskCore } from "../task/task-core.ts";

export const makeRowCore = (
  plan: ProjectionPlan,
  version: number,
  partition: number,
): TaskCore<EventBatch> => {
  switch (plan.kind) {
    case "window": {
      const definition = { ...plan.definition, emit: { mode: "final" } } as const;
      return makeCore({ ...plan, definition }, version, partition);
    }
    case "fold":
      return new OrderedCore(plan, version, partition, new FoldOperator(plan, EVERY_STATE));
    default:
      return makeCore(plan, version, partition);
  }
};
