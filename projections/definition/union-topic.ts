/**
 * Topics as one: what a projection reads whose events come from several, or from one by several keys. Their
 * types stand one after the other, so that a type index tells of which source an event is.
 *
 * U1. A type that two sources have is there twice: each event is decoded by the schema of its own topic.
 */
import type { FieldColumn, TopicPlan } from "./plan.ts";

export interface UnionPart {
  readonly topic: TopicPlan;
  /** Index of its first type among those of all. */
  readonly firstType: number;
}

export interface UnionTopic extends TopicPlan {
  readonly parts: readonly UnionPart[];
}

/** Named after the first; partitions, retention and out-of-orderness are the greatest. */
export const unionOfTopics = (topics: readonly TopicPlan[]): UnionTopic => {
  let firstType = 0;
  const parts = topics.map((topic) => {
    const part = { topic, firstType };
    firstType += topic.types.length;
    return part;
  });
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
