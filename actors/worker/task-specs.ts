/** Makes tasks from plans: which core runs, and under which name it commits. */
import { unionOfColumns } from "../../projections/definition/columns.ts";
import type { ProjectionPlan, RowsOf, TopicPlan } from "../../projections/definition/plan.ts";
import {
  inputOf,
  rekeyOf,
  rowUpstreamsOf,
  stagesOf,
  topicRoutesOf,
} from "../../projections/definition/rekey.ts";
import type { RekeyPlan, RoutePlan } from "../../projections/definition/rekey.ts";
import { routedTopic } from "../../proto/subjects.ts";
import type { TaskId } from "../../proto/subjects.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { Intake } from "../intake/intake.ts";
import type { RekeyedTopic } from "../ports/rekey-log.ts";
import { RekeyedIntake } from "../rekey/rekeyed-intake.ts";
import { PartialMergeCore } from "../rekey/partial-merge-core.ts";
import { OutputRoutingCore } from "../rekey/output-routing-core.ts";
import { PARTIALS } from "../rekey/partials-output.ts";
import { makeMergedRowCore, makePartialRowCore, makeRowCore } from "../rekey/row-core.ts";
import { RoutingCore } from "../rekey/routing-core.ts";
import type { RoutingOptions } from "../rekey/routing-core.ts";
import { TableRows } from "../rekey/table-rows-output.ts";
import { makeCore, makeMergeCore } from "../task/cores.ts";
import type { MergeInput } from "../task/merge-core.ts";
import type { BatchIntake } from "../task/partition-actor.ts";
import type { TaskCore } from "../task/task-core.ts";
import type { TaskSpec } from "../task/task-actor.ts";

/** Of a re-keyed projection: the task on a partition of its own log. */
export const partitionSpec = (
  plan: ProjectionPlan,
  version: number,
  partition: number,
): TaskSpec<EventBatch> => {
  const run = plan.rekeyed ? rekeyOf(plan).keyed : plan;
  const spec: TaskSpec<EventBatch> = {
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
  return plan.rowsOf === undefined ? spec : rowsSpec(run, plan.rowsOf, spec.id);
};

/** Of a table: its task that publishes results routes rows to the join instead. */
const rowsSpec = (
  plan: ProjectionPlan,
  { join, source, merges }: RowsOf,
  { version, partition }: TaskId,
): TaskSpec<EventBatch> => {
  const rekey = rekeyOf(join);
  const route = rekey.routes[source]!;
  return {
    id: {
      kind: "routing",
      projection: join.definition.name,
      version,
      partition: route.firstUpstream + partition,
    },
    definitionDigest: rekey.digest,
    table: tableNameOf(join),
    makeCore: () =>
      new OutputRoutingCore({
        rekey,
        core: merges
          ? new PartialMergeCore(makeMergedRowCore(plan, version))
          : makeRowCore(plan, version, partition),
        output: new TableRows(route),
      }),
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
  return routesFrom(topic, rekey).map((route) =>
    route.table === undefined
      ? {
          id: {
            kind: "routing",
            projection: plan.definition.name,
            version,
            partition: route.firstUpstream + partition,
          },
          definitionDigest: rekey.digest,
          table: tableNameOf(plan),
          makeCore: () => makeRoutingCore({ plan, rekey, route, version, partition }),
        }
      : partitionSpec(route.table, version, partition),
  );
};

const makeRoutingCore = (options: RoutingOptions): TaskCore<EventBatch> => {
  const { plan, rekey, version, partition } = options;
  if (plan.rowsOf?.merges !== true) return new RoutingCore(options);
  const core = makePartialRowCore(plan, version, partition);
  return new OutputRoutingCore({ rekey, core, output: PARTIALS });
};

const routesFrom = (topic: TopicPlan, rekey: RekeyPlan): readonly RoutePlan[] =>
  topicRoutesOf(rekey).filter((route) => route.topic.definition.name === topic.definition.name);

/** The log of its own that the tasks of one version read. */
export const rekeyedTopicOf = (plan: ProjectionPlan, version: number): RekeyedTopic => ({
  name: routedTopic(plan.definition.name, version),
  partitions: rekeyOf(plan).partitions,
  // Of several sources the longest.
  retentionMs: plan.topic.definition.retentionMs,
  ...(rowUpstreamsOf(rekeyOf(plan)).size > 0 && { compacted: true }),
});

export const mergeSpec = (plan: ProjectionPlan, version: number): TaskSpec<MergeInput> => ({
  id: { kind: "merge", projection: plan.definition.name, version, partition: 0 },
  definitionDigest: plan.digest,
  makeCore: () => makeMergeCore(plan, version),
});

/** The projections, and the tables of theirs that are re-keyed themselves. */
export const withStages = (plans: readonly ProjectionPlan[]): readonly ProjectionPlan[] =>
  plans.flatMap((plan) => [...stagesOf(plan), plan]);

/** One topic and the projections that read it. */
export interface TopicPlans {
  readonly topic: TopicPlan;
  readonly plans: readonly ProjectionPlan[];
}

export const byTopic = (plans: readonly ProjectionPlan[]): readonly TopicPlans[] => {
  const topics = new Map<string, { topic: TopicPlan; plans: Set<ProjectionPlan> }>();
  for (const plan of plans) {
    const sources = plan.rekeyed
      ? topicRoutesOf(rekeyOf(plan)).map((route) => inputOf(route).topic)
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
