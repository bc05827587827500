/**
 * What re-keying makes of a plan. A projection that is grouped by a field and cannot be merged from
 * partials runs in two stages: routing tasks, one for each partition of its sources, find the group
 * of each event; its own tasks then read a log in which all events of a group are in one partition
 * (SEMANTICS section 6).
 *
 * K1. What users wrote stays as it is: both stages are made from the plan, here and nowhere else.
 * K2. The second stage reads the same payloads. Only its key is another column, the group, and what
 *     did not pass `where` is not there.
 * K3. A table, whose events are the results of a projection, has a route like any source. What passes its rows on
 *     are the tasks that publish these results (`actors/rekey/output-routing-core.ts`). Where these read a log of the table's
 *     own it is re-keyed itself, beside the join (`stagesOf`), and its route's upstreams are partitions of that log.
 * K4. A route for each source. Where there are several, the type of an event in the second stage tells by
 *     which of them it came: an event that came by two is there twice.
 */
import { createHash } from "node:crypto";
import { isCompacted } from "./compacted-source.ts";
import { canonicalJson, coveredOf } from "./digest.ts";
import type { Expression } from "./expression.ts";
import type { FieldColumn, ProjectionPlan, SourcePlan } from "./plan.ts";
import { tableStageOf } from "./table-stage.ts";

/** The column of the group in the second stage. No field of a payload has a name like this. */
export const GROUP_COLUMN: FieldColumn = { path: "(group)", type: "string", fields: [] };

/** How the events of one source find the partition of their group. Its columns are what `where` and `key` read. */
export interface RoutePlan extends Omit<SourcePlan, "table"> {
  /** As it runs within the join: see `table-stage.ts`. */
  readonly table?: ProjectionPlan;
  /** Number of its partition 0 among the upstreams: the partitions of all sources, numbered through. */
  readonly firstUpstream: number;
  /** Of its type 0 in the second stage, whose types are those of all sources. */
  readonly firstType: number;
}

/** What is decoded for a route: of a table the events that its results are made from. */
export const inputOf = (route: RoutePlan): Pick<RoutePlan, "topic" | "columns"> =>
  route.table ?? route;

/** Those whose upstreams are the partitions of a topic. */
export const topicRoutesOf = ({ routes }: RekeyPlan): readonly RoutePlan[] =>
  routes.filter(({ table }) => table?.rekeyed !== true);

/** The others: their upstreams are the tasks of a table that read a log of the table's own. */
export const stagedRoutesOf = ({ routes }: RekeyPlan): readonly StagedRoute[] =>
  routes.filter((route): route is StagedRoute => route.table?.rekeyed === true);

/** A topic that a projection reads, and which of its types. */
export type TopicReading = Pick<SourcePlan, "topic" | "reads">;

/** One for each task that reads a partition of the topic; of tables those that they read. */
export const readingsOf = (plan: ProjectionPlan): readonly TopicReading[] =>
  plan.rekeyed
    ? rekeyOf(plan).routes.flatMap((route) =>
        route.table === undefined ? route : readingsOf(route.table),
      )
    : [plan];

/** Tables that are re-keyed themselves; before each those that it needs. */
export const stagesOf = (plan: ProjectionPlan): readonly ProjectionPlan[] =>
  plan.rekeyed
    ? rekeyOf(plan).routes.flatMap(({ table }) =>
        table?.rekeyed === true ? [...stagesOf(table), table] : [],
      )
    : [];

/** The route of a table that is re-keyed itself. */
export type StagedRoute = RoutePlan & { readonly table: ProjectionPlan };

/** Upstreams whose events are rows of a compacted topic. */
export const rowUpstreamsOf = ({ routes }: RekeyPlan): ReadonlySet<number> =>
  new Set(
    routes.flatMap(({ topic, table, firstUpstream }) =>
      table === undefined && isCompacted(topic)
        ? Array.from({ length: topic.definition.partitions }, (_, at) => firstUpstream + at)
        : [],
    ),
  );

export interface RekeyPlan {
  readonly routes: readonly RoutePlan[];
  /** Partitions of all sources together. */
  readonly upstreams: number;
  /** Partitions of the projection's own log. */
  readonly partitions: number;
  /** What its tasks on that log run. */
  readonly keyed: ProjectionPlan;
  /** 8 bytes, of all that routing depends on: versions that route alike share a log. */
  readonly digest: Uint8Array;
}

const mentions = (expression: Expression | undefined, path: string): boolean => {
  if (expression === undefined) return false;
  if ("field" in expression) return expression.field === path;
  if ("lookup" in expression) return mentions(expression.key, path);
  if ("op" in expression) return expression.args.some((inner) => mentions(inner, path));
  return false;
};

/** What is routed of a projection that is merged is made by its whole definition, not by its routes alone. */
const partialsOf = ({ rowsOf, digest }: ProjectionPlan): string | undefined =>
  rowsOf?.merges === true ? digest.join() : undefined;

const digestOfRoutes = (
  plan: ProjectionPlan,
  routes: readonly SourcePlan[],
  partitions: number,
): Uint8Array => {
  const covered = { partitions, routes: routes.map(coveredOf), partials: partialsOf(plan) };
  const hash = createHash("sha256").update(canonicalJson(covered)).digest();
  return new Uint8Array(hash.subarray(0, 8));
};

const made = new WeakMap<ProjectionPlan, RekeyPlan>();

/** Of a plan that is `rekeyed`; the same object each time. */
export const rekeyOf = (plan: ProjectionPlan): RekeyPlan => {
  let rekey = made.get(plan);
  if (rekey === undefined) {
    rekey = makeRekey(plan);
    made.set(plan, rekey);
  }
  return rekey;
};

const makeRekey = (plan: ProjectionPlan): RekeyPlan => {
  let upstreams = 0;
  let types = 0;
  const { topic, reads, columns, where, key } = plan;
  const own: SourcePlan = { topic, reads, columns, where, key };
  const sources = (plan.sources ?? [own]).map((source): SourcePlan => {
    // Partials hold what all expressions give.
    if (plan.rowsOf?.merges === true) return source;
    const mentioned = source.columns.filter(
      ({ path }) => mentions(source.where, path) || mentions(source.key, path),
    );
    return { ...source, columns: mentioned };
  });
  const routes = sources.map(({ table, ...source }, index): RoutePlan => {
    const route = { ...source, firstUpstream: upstreams, firstType: types };
    upstreams += source.topic.definition.partitions;
    types += source.topic.types.length;
    if (table === undefined) return route;
    return { ...route, table: tableStageOf(table, { join: plan, source: index }) };
  });
  const { partitions } = topic.definition;
  return {
    routes,
    upstreams,
    partitions,
    keyed: {
      ...plan,
      where: undefined,
      key: { field: GROUP_COLUMN.path },
      columns: [...plan.columns, GROUP_COLUMN],
      rekeyed: false,
    },
    digest: digestOfRoutes(plan, sources, partitions),
  };
};
