/** Makes the dead letter of one row of a batch (SEMANTICS section 8). */
import type { DeadLetter, DeadLetter_Reason } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { Window } from "../../proto/gen/tidemark/v1/result.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { EVENT_TIME_MAX } from "../kernel/record-batch-scanner.ts";
import { CODE_VERSION } from "../version.ts";

const decoder = new TextDecoder();

export const deadLetterOf = (
  task: { readonly plan: ProjectionPlan; readonly version: number; readonly partition: number },
  batch: EventBatch,
  row: number,
  verdict: {
    readonly reason?: DeadLetter_Reason;
    readonly window?: Window;
    readonly lateness?: number;
    readonly error: string;
  },
): DeadLetter => {
  const { bytes } = batch;
  const text = (start: number, end: number) => decoder.decode(bytes.subarray(start, end));
  const eventTime = batch.eventTimes[row]!;
  const watermark = batch.watermarks[row]!;
  return {
    reason: verdict.reason ?? 0,
    topic: task.plan.topic.definition.name,
    projection: task.plan.definition.name,
    version: task.version,
    position: { partition: task.partition, sequence: batch.sequence, index: row },
    eventId: text(batch.idStarts[row]!, batch.idEnds[row]!),
    eventType: task.plan.topic.types[batch.typeIndexes[row]!]?.name ?? "",
    eventKey: text(batch.keyStarts[row]!, batch.keyEnds[row]!),
    eventTime: Math.abs(eventTime) <= EVENT_TIME_MAX ? eventTime : 0,
    ingestTime: batch.ingestTime,
    window: verdict.window,
    watermark: Number.isFinite(watermark) ? watermark : undefined,
    lateness: verdict.lateness ?? 0,
    error: verdict.error,
    codeVersion: CODE_VERSION,
    event: Buffer.from(bytes.slice(batch.eventStarts[row]!, batch.eventEnds[row]!)),
  };
};
