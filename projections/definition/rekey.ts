/**
 * What re-keying makes of a plan. A projection that is grouped by a field and cannot be merged from
 * partials runs in two stages: routing tasks, one for each partition of its sources, find the group
 * of each event; its own tasks then read a log in which all events of a group are in one partition
 * (SEMANTICS section 6).
 *
 * K1. What users wrote stays as it is: both stages are made from the plan, here and nowhere else.
 * K2. The second stage reads the same payloads. Only its key is another column, the group, and what
 *     did not pass `where` is not there.
 */
import { createHash } from "node:crypto";
import { canonicalJson } from "./digest.ts";
import type { Expression } from "./expression.ts";
import type { FieldColumn, ProjectionPlan, TopicPlan } from "./plan.ts";

/** The column of the group in the second stage. No field of a payload has a name like this. */
export const GROUP_COLUMN: FieldColumn = { path: "(group)", type: "string", fields: [] };

/** How the events of one source find the partition of their group. */
export interface RoutePlan {
  readonly topic: TopicPlan;
  readonly reads: readonly boolean[];
  /** What `where` and `key` read. */
  readonly columns: readonly FieldColumn[];
  readonly where: Expression | undefined;
  readonly key: Expression;
  /** Number of its partition 0 among the upstreams: the partitions of all sources, numbered through. */
  readonly firstUpstream: number;
}

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

/** As `digestOf` covers a whole definition. */
const coveredBy = ({ topic, reads, columns, where, key }: RoutePlan) => {
  const { name, partitions, maxOutOfOrdernessMs, maxFutureSkewMs, dedupeHorizonMs } =
    topic.definition;
  const fieldsOf = ({ fields }: FieldColumn) =>
    Object.fromEntries(
      fields.flatMap((field, index) => {
        if (field === undefined) return [];
        const { number, scalar, optional } = field;
        return [[topic.types[index]!.name, { number, scalar, optional }]];
      }),
    );
  return {
    topic: { name, partitions, maxOutOfOrdernessMs, maxFutureSkewMs, dedupeHorizonMs },
    types: topic.types
      .filter((_, index) => reads[index])
      .map((type) => type.name)
      .sort(),
    columns: columns.map((column) => ({ path: column.path, fields: fieldsOf(column) })),
    where,
    key,
  };
};

const digestOfRoutes = (routes: readonly RoutePlan[], partitions: number): Uint8Array => {
  const covered = { partitions, routes: routes.map(coveredBy) };
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
  const { topic, reads, where, key } = plan;
  const { partitions } = topic.definition;
  const columns = plan.columns.filter(({ path }) => mentions(where, path) || mentions(key, path));
  const routes: readonly RoutePlan[] = [{ topic, reads, columns, where, key, firstUpstream: 0 }];
  return {
    routes,
    upstreams: partitions,
    partitions,
    keyed: {
      ...plan,
      where: undefined,
      key: { field: GROUP_COLUMN.path },
      columns: [...plan.columns, GROUP_COLUMN],
      rekeyed: false,
    },
    digest: digestOfRoutes(routes, partitions),
  };
};
