/** Makes the dead letter of one row of a batch (SEMANTICS section 8). */
import { DeadLetter_Reason, type DeadLetter } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { Window } from "../../proto/gen/tidemark/v1/result.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import type { EventBatch, EventOrigin } from "../intake/event-batch.ts";
import { EVENT_TIME_MAX } from "../kernel/record-batch-scanner.ts";
import { utf8 } from "../kernel/text.ts";
import type { Publication } from "./draft-writer.ts";
import { CODE_VERSION } from "../version.ts";

/** Whose dead letter it is. */
export interface DeadLetterTask {
  readonly plan: Pick<ProjectionPlan, "definition" | "topic" | "sources">;
  readonly version: number;
  readonly partition: number;
}

export interface DeadLetterVerdict {
  readonly reason?: DeadLetter_Reason;
  readonly window?: Window;
  readonly lateness?: number;
  readonly error: string;
}

/** Where a row stands in its topic's log: there, unless it was re-keyed, where the batch does. */
export const originOf = (batch: EventBatch, row: number, partition: number): EventOrigin =>
  batch.originOf?.(row) ?? {
    source: 0,
    partition,
    sequence: batch.sequence,
    index: row,
    ingestTime: batch.ingestTime,
  };

/** The topic of an event's own log. */
export const topicOfSource = ({ topic, sources }: DeadLetterTask["plan"], source: number): string =>
  (sources?.[source]?.topic ?? topic).definition.name;

/** Position and ingest time are those of the topic's log, also where the event was re-keyed. */
export const deadLetterOf = (
  task: DeadLetterTask,
  batch: EventBatch,
  row: number,
  verdict: DeadLetterVerdict,
): DeadLetter => {
  const { bytes } = batch;
  const text = (start: number, end: number) => utf8.decode(bytes.subarray(start, end));
  const eventTime = batch.eventTimes[row]!;
  const watermark = batch.watermarks[row]!;
  const { source, ingestTime, ...position } = originOf(batch, row, task.partition);
  return {
    reason: verdict.reason ?? 0,
    topic: topicOfSource(task.plan, source),
    projection: task.plan.definition.name,
    version: task.version,
    position,
    eventId: text(batch.idStarts[row]!, batch.idEnds[row]!),
    eventType: task.plan.topic.types[batch.typeIndexes[row]!]?.name ?? "",
    eventKey: text(batch.keyStarts[row]!, batch.keyEnds[row]!),
    eventTime: Math.abs(eventTime) <= EVENT_TIME_MAX ? eventTime : 0,
    ingestTime,
    window: verdict.window,
    watermark: Number.isFinite(watermark) ? watermark : undefined,
    lateness: verdict.lateness ?? 0,
    error: verdict.error,
    codeVersion: CODE_VERSION,
    event: Buffer.from(bytes.slice(batch.eventStarts[row]!, batch.eventEnds[row]!)),
  };
};

/** Of a result that has a null where code of the user's failed to merge states that are sound. */
export const failedResultOf = (
  task: { readonly plan: ProjectionPlan; readonly version: number },
  publication: Publication,
  ingestTime: number,
  error: string,
): DeadLetter => {
  const { windowStart, windowEnd, partition, sequence, index } = publication;
  return {
    reason: DeadLetter_Reason.REASON_POISON,
    topic: task.plan.topic.definition.name,
    projection: task.plan.definition.name,
    version: task.version,
    position: { partition, sequence, index },
    eventId: "",
    eventType: "",
    eventKey: utf8.decode(publication.key),
    eventTime: Math.abs(windowStart) <= EVENT_TIME_MAX ? windowStart : 0,
    ingestTime,
    window: { start: windowStart, end: windowEnd },
    watermark: publication.watermark,
    lateness: 0,
    error: `${error}; the value was published as null`,
    codeVersion: CODE_VERSION,
    event: Buffer.alloc(0),
  };
};
