/**
 * The core that computes a projection's results as rows of a table: the projection's own, which publishes
 * what makes rows, however often anybody wants to see its results (T2 of TableRows).
 *
 * R1. Of windows that end: what they hold when they close, and its corrections and retractions. Where the
 *     projection is merged, these are put together from partials.
 * R2. Of a fold: each state, from the first millisecond after the event that made it, and that there is none
 *     any more, from the first millisecond of which that is so.
 * R3. Of a global window: what its triggers publish, by events and by event time. Others go by record batches;
 *     where there are no more than those, each event publishes. Such a result's window ends a millisecond
 *     after the newest event in it, so that no row holds before what it tells of.
 */
import type { EmitDefinition } from "../../projections/definition/definition.ts";
import type {
  AggregatePlan,
  ProjectionPlan,
  WindowPlan,
} from "../../projections/definition/plan.ts";
import { isGlobal } from "../../projections/definition/table-rows.ts";
import type { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { FoldOperator } from "../ordered/fold-operator.ts";
import { EVERY_STATE } from "../ordered/keyed-operator.ts";
import { OrderedCore } from "../ordered/ordered-core.ts";
import { makeCore, makeMergeCore } from "../task/cores.ts";
import type { MergeCore } from "../task/merge-core.ts";
import type { TaskCore } from "../task/task-core.ts";

export const makeRowCore = (
  plan: ProjectionPlan,
  version: number,
  partition: number,
): TaskCore<EventBatch> => {
  switch (plan.kind) {
    case "window":
      return makeCore(isGlobal(plan) ? withNewest(plan) : onlyFinal(plan), version, partition);
    case "fold":
      return new OrderedCore(plan, version, partition, new FoldOperator(plan, EVERY_STATE));
    default:
      return makeCore(plan, version, partition);
  }
};

/** R1: of a projection that is merged, the task that makes partials of its windows, and the one that merges them. */
export const makePartialRowCore = (
  plan: ProjectionPlan,
  version: number,
  partition: number,
): TaskCore<EventBatch> => makeCore({ ...onlyFinal(plan), merged: true }, version, partition);

export const makeMergedRowCore = (plan: ProjectionPlan, version: number): MergeCore =>
  makeMergeCore(onlyFinal(plan), version);

/** Where the window of an update of that core ends. */
export const rowEndOf = (plan: ProjectionPlan): ((update: Update) => number) =>
  isGlobal(plan)
    ? ({ values }) => Number(values.at(-1)!.kind!.value) + 1
    : ({ windowEnd }) => windowEnd;

const onlyFinal = (plan: ProjectionPlan): ProjectionPlan =>
  plan.kind === "window" ? emitting(plan, { mode: "final" }) : plan;

const emitting = (plan: WindowPlan, emit: EmitDefinition): WindowPlan => ({
  ...plan,
  definition: { ...plan.definition, emit },
});

/** R3. Time of the newest event, after all other values. No value of a result has a name like this. */
const NEWEST: AggregatePlan = {
  name: "(newest)",
  definition: { fn: "max", of: { event: "time" } },
  inputType: "integer",
};

const withNewest = (plan: WindowPlan): WindowPlan => ({
  ...emitting(plan, triggersOf(plan.definition.emit)),
  aggregates: [...plan.aggregates, NEWEST],
  outputs: [...plan.outputs, { name: NEWEST.name, type: "integer" }],
});

const triggersOf = (emit: EmitDefinition): EmitDefinition => {
  const { everyEvents, everyEventTimeMs } = emit.mode === "early" ? emit : {};
  if (everyEvents === undefined && everyEventTimeMs === undefined) {
    return { mode: "early", everyEvents: 1 };
  }
  return {
    mode: "early",
    ...(everyEvents !== undefined && { everyEvents }),
    ...(everyEventTimeMs !== undefined && { everyEventTimeMs }),
  };
};
