/**
 * A projection as it runs within the join whose table it is (decisions 023 and 026): once more, under a name of the
 * join's. What the last of its tasks publish goes to the join as rows.
 *
 * T1. Nothing but what it is called tells its definition from the projection's.
 * T2. Grouped by a field it has a log of its own, by its groups: of events, or, where the projection is merged, of
 *     the partials of all partitions. So its values are those of the projection, to the bit. But not of a window
 *     without an end: what its triggers show, put together, would depend on when partials were committed.
 * T3. The tasks of one version of it feed the log of the same version of the join.
 */
import type { ProjectionPlan, RowsOf } from "./plan.ts";
import { isGlobal } from "./table-rows.ts";

/** Users' names have no "_", so this is nobody's. */
const TABLE_SUFFIX = "_table";

export const tableStageName = (join: string): string => `${join}${TABLE_SUFFIX}`;

/** Of the join that a name given by `tableStageName` was made from; undefined for every other name. */
export const joinOfTableStage = (name: string): string | undefined =>
  name.endsWith(TABLE_SUFFIX) ? name.slice(0, -TABLE_SUFFIX.length) : undefined;

/** The projection that people know by a name of tasks: that of a table runs within a join. */
export const projectionOfTasks = (name: string): string => {
  const join = joinOfTableStage(name);
  return join === undefined ? name : projectionOfTasks(join);
};

export const tableStageOf = (
  table: ProjectionPlan,
  rowsOf: Omit<RowsOf, "merges">,
): ProjectionPlan =>
  ({
    ...table,
    definition: { ...table.definition, name: tableStageName(rowsOf.join.definition.name) },
    merged: false,
    rekeyed: table.merged || table.rekeyed,
    rowsOf: { ...rowsOf, merges: table.merged && !isGlobal(table) },
  }) as ProjectionPlan;
