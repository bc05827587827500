/**
 * Who may read a compacted topic: the table side of a join as of event time, and nobody else. Its log lacks
 * events that a newer one of their key replaced; what depends on each event, or on another key than the
 * event's own, would find holes when it is computed again. See decision 027.
 */
import { isEventKey } from "./check-key.ts";
import type { Expression, SideName } from "./expression.ts";
import type { TopicPlan } from "./plan.ts";
import { at, shown, type Mistakes } from "./reading.ts";

export const isCompacted = ({ definition }: Pick<TopicPlan, "definition">): boolean =>
  definition.compacted === true;

const INSTEAD =
  'read it as the right side of a join with "asOf", whose left side is another topic, or leave ' +
  '"compacted" out of the topic';

/** A projection of any kind whose only source is the topic. */
export const refuseCompacted = (topic: TopicPlan, path: string, mistakes: Mistakes): void => {
  if (!isCompacted(topic)) return;
  mistakes.add(
    path,
    `topic ${shown(topic.definition.name)} is compacted: its log does not keep every event, so only a table ` +
      `can be made of it. Either ${INSTEAD}`,
  );
};

/** What is said of a side of a join whose topic is compacted. */
export interface CompactedSide {
  readonly side: SideName;
  readonly topic: TopicPlan;
  /** Whether the join is as of event time. */
  readonly asOf: boolean;
  readonly key: Expression;
  /** Of the side, and of the whole join. */
  readonly where: Expression | undefined;
  readonly whereOfJoin: Expression | undefined;
}

/** A side of a join of two topics or keys. */
export const checkCompactedSide = (
  { side, topic, asOf, key, where, whereOfJoin }: CompactedSide,
  mistakes: Mistakes,
): void => {
  if (!isCompacted(topic)) return;
  if (side === "left" || !asOf) return refuseCompacted(topic, at(side, "topic"), mistakes);
  const { name } = topic.definition;
  const replaced =
    `an event of compacted topic ${shown(name)} replaces the one before it in the log, ` +
    "also where it does not pass";
  const dropped =
    'say in "asOf.deleted" which events take the row away, or in "on" when there is none';
  if (where !== undefined) {
    mistakes.add(at(side, "where"), `${replaced}: ${dropped}`);
  }
  if (whereOfJoin !== undefined) {
    mistakes.add("where", `${replaced}: put it on the left side, and for the right one ${dropped}`);
  }
  if (!isEventKey(key)) {
    mistakes.add(
      at(side, "key"),
      `compacted topic ${shown(name)} keeps the newest event of each event.key; a table by another key would ` +
        "lose rows. Leave it out, and publish the rows under the key by which they are looked up",
    );
  }
};
