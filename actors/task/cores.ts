/** Which core runs which kind of projection: the one place to add a kind to the engine. */
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { FoldOperator } from "../ordered/fold-operator.ts";
import { makeJoinOperator } from "../join/join-operator.ts";
import { OrderedCore } from "../ordered/ordered-core.ts";
import { PatternOperator } from "../pattern/pattern-operator.ts";
import { MergeCore } from "./merge-core.ts";
import { StatechartOperator } from "../statechart/statechart-operator.ts";
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
    case "statechart":
      return new OrderedCore(plan, version, partition, new StatechartOperator(plan));
    case "fold":
      return new OrderedCore(plan, version, partition, new FoldOperator(plan));
    case "join":
      return new OrderedCore(plan, version, partition, makeJoinOperator(plan));
    case "pattern":
      return new OrderedCore(plan, version, partition, new PatternOperator(plan));
  }
};

/** The task that puts the parts of all partitions together. */
export const makeMergeCore = (plan: ProjectionPlan, version: number): MergeCore => {
  if (plan.kind === "window") return new MergeCore(plan, version);
  throw new Error(`invariant: planning lets no ${plan.kind} be merged (key-locality.ts)`);
};
