/** Dead letters of turns: of an event that has waited, and of a timer. */
import { DeadLetter_Reason } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { DeadLetter } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import { Event } from "../../proto/gen/tidemark/v1/event.ts";
import type { Window } from "../../proto/gen/tidemark/v1/result.ts";
import { topicOfSource } from "../task/dead-letter.ts";
import type { TaskOfPlan } from "../task/event-gate.ts";
import { CODE_VERSION } from "../version.ts";
import type { Buffered } from "./event-buffer.ts";

const letterOf = (
  { plan, version, partition }: TaskOfPlan,
  about: {
    readonly sequence: number;
    readonly index: number;
    readonly watermark: number;
    readonly error: string;
  },
): DeadLetter => ({
  reason: DeadLetter_Reason.REASON_POISON,
  topic: plan.topic.definition.name,
  projection: plan.definition.name,
  version,
  position: { partition, sequence: about.sequence, index: about.index },
  eventId: "",
  eventType: "",
  eventKey: "",
  eventTime: 0,
  ingestTime: 0,
  window: undefined,
  watermark: about.watermark,
  lateness: 0,
  error: about.error,
  codeVersion: CODE_VERSION,
  event: Buffer.alloc(0),
});

/** The event's turn threw. */
export const bufferedLetter = (
  task: TaskOfPlan,
  { sequence, index, origin, encoded }: Buffered,
  { watermark, error }: { readonly watermark: number; readonly error: string },
): DeadLetter => {
  const { id, type, key, eventTime } = Event.decode(encoded);
  return {
    ...letterOf(task, { sequence, index, watermark, error }),
    topic: topicOfSource(task.plan, origin.source),
    position: { partition: origin.partition, sequence: origin.sequence, index: origin.index },
    eventId: id,
    eventType: type,
    eventKey: key,
    eventTime: eventTime ?? 0,
    ingestTime: origin.ingestTime,
    event: Buffer.from(encoded),
  };
};

/** A result that cannot be published, and that no event is to blame for: its key and its window. */
export const resultLetter = (
  task: TaskOfPlan,
  about: { readonly key: string; readonly time: number; readonly window: Window },
  verdict: {
    readonly watermark: number;
    readonly sequence: number;
    readonly index: number;
    readonly error: string;
  },
): DeadLetter => ({
  ...letterOf(task, verdict),
  eventKey: about.key,
  eventTime: about.time,
  window: about.window,
});

/** The timer's turn threw. There is no event to blame: the position is that of the last one read. */
export const timerLetter = (
  task: TaskOfPlan,
  key: string,
  due: number,
  verdict: {
    readonly timer: string;
    readonly watermark: number;
    readonly sequence: number;
    readonly index: number;
    readonly error: string;
  },
): DeadLetter => ({
  ...letterOf(task, {
    ...verdict,
    error: `timer ${JSON.stringify(verdict.timer)}: ${verdict.error}`,
  }),
  eventKey: key,
  eventTime: due,
});
