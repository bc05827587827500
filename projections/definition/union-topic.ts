/**
 * Topics as one: what a projection reads whose events come from several, or from one by several keys. Their
 * types stand one after the other, so that a type index tells of which source an event is.
 *
 * U1. A type that two sources have is there twice: each event is decoded by the schema of its own topic.
 */
import type { FieldColumn, ProjectionPlan, TopicPlan } from "./plan.ts";
import { rowTopicOf } from "./table-rows.ts";

export interface UnionPart {
  readonly topic: TopicPlan;
  /** Index of its first type among those of all. */
  readonly firstType: number;
  /** If its events are results: `topic` describes them. */
  readonly table: ProjectionPlan | undefined;
}

/** A topic, or a projection whose results are read. */
export type UnionSource = { readonly topic: TopicPlan } | { readonly table: ProjectionPlan };

export interface UnionTopic extends TopicPlan {
  readonly parts: readonly UnionPart[];
}

/** Named after the first; partitions, retention and out-of-orderness are the greatest. */
export const unionOf = (sources: readonly UnionSource[]): UnionTopic => {
  let firstType = 0;
  const parts = sources.map((source): UnionPart => {
    const table = "table" in source ? source.table : undefined;
    const topic = "table" in source ? rowTopicOf(source.table) : source.topic;
    const part = { topic, firstType, table };
    firstType += topic.types.length;
    return part;
  });
  const topics = parts.map(({ topic }) => topic);
  const types = topics.flatMap((topic) => topic.types);
  const definitions = topics.map(({ definition }) => definition);
  return {
    definition: {
      ...definitions[0]!,
      types: [...new Set(types.map(({ name }) => name))],
      partitions: Math.max(...definitions.map(({ partitions }) => partitions)),
      maxOutOfOrdernessMs: Math.max(
        ...definitions.map(({ maxOutOfOrdernessMs }) => maxOutOfOrdernessMs),
      ),
      retentionMs: Math.max(...definitions.map(({ retentionMs }) => retentionMs)),
    },
    types,
    parts,
  };
};

/** Whether a type is of a table's rows: those are always read. */
export const isTableType = ({ parts }: UnionTopic, type: number): boolean =>
  parts.findLast(({ firstType }) => firstType <= type)?.table !== undefined;

/** Of what goes by type index, the share of one source. */
const shareOf = <T>({ topic, firstType }: UnionPart, byType: readonly T[]): readonly T[] =>
  byType.slice(firstType, firstType + topic.types.length);

export const readsOf = (part: UnionPart, reads: readonly boolean[]): readonly boolean[] =>
  shareOf(part, reads);

export const columnsOf = (
  part: UnionPart,
  columns: readonly FieldColumn[],
): readonly FieldColumn[] =>
  columns.map((column) => ({ ...column, fields: shareOf(part, column.fields) }));
