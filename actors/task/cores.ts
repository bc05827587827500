/** Which core runs which kind of projection: the one place to add a kind to the engine. */
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { ProjectionCore } from "./projection-core.ts";
import type { TaskCore } from "./task-core.ts";

/** The task of one partition. */
export const makeCore = (
  plan: ProjectionPlan,
  version: number,
  partition: number,
): TaskCore<EventBatch> => {
  switch (plan.kind) {
    case "window":
      return new ProjectionCore(plan, version, partition);
  }
};
