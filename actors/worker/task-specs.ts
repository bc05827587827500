/** Makes tasks from plans: which core runs, and under which name it commits. */
import { unionOfColumns } from "../../projections/definition/columns.ts";
import type { ProjectionPlan, TopicPlan } from "../../projections/definition/plan.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { Intake } from "../intake/intake.ts";
import { makeCore, makeMergeCore } from "../task/cores.ts";
import type { MergeInput } from "../task/merge-core.ts";
import type { BatchIntake } from "../task/partition-actor.ts";
import type { TaskSpec } from "../task/task-actor.ts";

export const partitionSpec = (
  plan: ProjectionPlan,
  version: number,
  partition: number,
): TaskSpec<EventBatch> => ({
  id: {
    kind: plan.merged ? "partial" : "window",
    projection: plan.definition.name,
    version,
    partition,
  },
  definitionDigest: plan.digest,
  makeCore: () => makeCore(plan, version, partition),
});

export const mergeSpec = (plan: ProjectionPlan, version: number): TaskSpec<MergeInput> => ({
  id: { kind: "merge", projection: plan.definition.name, version, partition: 0 },
  definitionDigest: plan.digest,
  makeCore: () => makeMergeCore(plan, version),
});

/** One topic and the projections that read it. */
export interface TopicPlans {
  readonly topic: TopicPlan;
  readonly plans: readonly ProjectionPlan[];
}

export const byTopic = (plans: readonly ProjectionPlan[]): readonly TopicPlans[] => {
  const topics = new Map<string, { topic: TopicPlan; plans: ProjectionPlan[] }>();
  for (const plan of plans) {
    const { name } = plan.topic.definition;
    const known = topics.get(name);
    if (known === undefined) topics.set(name, { topic: plan.topic, plans: [plan] });
    else known.plans.push(plan);
  }
  return [...topics.values()];
};

/** An intake that decodes what any of the projections reads, each field once. */
export const intakeOf = ({ topic, plans }: TopicPlans): BatchIntake =>
  new Intake(topic, unionOfColumns(plans.map((plan) => plan.columns)));
