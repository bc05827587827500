/** Makes tasks from plans: which core runs, and under which name it commits. */
import { unionOfColumns } from "../../projections/definition/columns.ts";
import type { ProjectionPlan, TopicPlan } from "../../projections/definition/plan.ts";
import { inputOf, rekeyOf } from "../../projections/definition/rekey.ts";
import type { RekeyPlan, RoutePlan } from "../../projections/definition/rekey.ts";
import { routedTopic } from "../../proto/subjects.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { Intake } from "../intake/intake.ts";
import type { RekeyedTopic } from "../ports/rekey-log.ts";
import { RekeyedIntake } from "../rekey/rekeyed-intake.ts";
import { makeRoutingCore } from "../rekey/table-core.ts";
import { makeCore, makeMergeCore } from "../task/cores.ts";
import type { MergeInput } from "../task/merge-core.ts";
import type { BatchIntake } from "../task/partition-actor.ts";
import type { TaskSpec } from "../task/task-actor.ts";

/** Of a re-keyed projection: the task on a partition of its own log. */
export const partitionSpec = (
  plan: ProjectionPlan,
  version: number,
  partition: number,
): TaskSpec<EventBatch> => {
  const run = plan.rekeyed ? rekeyOf(plan).keyed : plan;
  return {
    id: {
      kind: plan.merged ? "partial" : "window",
      projection: plan.definition.name,
      version,
      partition,
    },
    definitionDigest: plan.digest,
    table: tableNameOf(plan),
    makeCore: () => makeCore(run, version, partition),
  };
};

const tableNameOf = ({ sources = [] }: ProjectionPlan): string | undefined =>
  sources.find(({ table }) => table !== undefined)?.table?.definition.name;

/** How many partitions the tasks of `partitionSpec` have: those of the log that they read. */
export const partitionsOf = (plan: ProjectionPlan): number =>
  plan.rekeyed ? rekeyOf(plan).partitions : plan.topic.definition.partitions;

/** The tasks that route a partition of a topic for a re-keyed projection. */
export const routingSpecs = (
  plan: ProjectionPlan,
  version: number,
  topic: TopicPlan,
  partition: number,
): readonly TaskSpec<EventBatch>[] => {
  const rekey = rekeyOf(plan);
  return routesFrom(topic, rekey).map((route) => ({
    id: {
      kind: "routing",
      projection: plan.definition.name,
      version,
      partition: route.firstUpstream + partition,
    },
    definitionDigest: rekey.digest,
    table: tableNameOf(plan),
    makeCore: () => makeRoutingCore({ plan, rekey, route, version, partition }),
  }));
};

const routesFrom = (topic: TopicPlan, { routes }: RekeyPlan): readonly RoutePlan[] =>
  routes.filter((route) => route.topic.definition.name === topic.definition.name);

/** The log of its own that the tasks of one version read. */
export const rekeyedTopicOf = (plan: ProjectionPlan, version: number): RekeyedTopic => ({
  name: routedTopic(plan.definition.name, version),
  partitions: rekeyOf(plan).partitions,
  // Of several sources the longest.
  retentionMs: plan.topic.definition.retentionMs,
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
  const topics = new Map<string, { topic: TopicPlan; plans: Set<ProjectionPlan> }>();
  for (const plan of plans) {
    const sources = plan.rekeyed
      ? rekeyOf(plan).routes.map((route) => inputOf(route).topic)
      : [plan.topic];
    for (const topic of sources) {
      const { name } = topic.definition;
      const known = topics.get(name);
      if (known === undefined) topics.set(name, { topic, plans: new Set([plan]) });
      else known.plans.add(plan);
    }
  }
  return [...topics.values()].map(({ topic, plans: readers }) => ({ topic, plans: [...readers] }));
};

/** An intake that decodes what any of the projections reads, each field once. */
export const intakeOf = ({ topic, plans }: TopicPlans): BatchIntake =>
  new Intake(
    topic,
    unionOfColumns(
      plans.flatMap((plan) =>
        plan.rekeyed
          ? routesFrom(topic, rekeyOf(plan)).map((route) => inputOf(route).columns)
          : [plan.columns],
      ),
    ),
  );

/** The same for the log of a re-keyed projection. */
export const rekeyedIntakeOf = (plan: ProjectionPlan): BatchIntake =>
  new RekeyedIntake(plan, rekeyOf(plan));
