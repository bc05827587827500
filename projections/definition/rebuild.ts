/**
 * Whether the log alone can give a projection's state again. Redis holds only what can be rebuilt
 * (SEMANTICS E5); state that lives for longer than its events are kept cannot be: see decision 010.
 */
import type { ProjectionDefinition, TopicDefinition, WindowDefinition } from "./definition.ts";
import { formatDuration } from "./duration.ts";

/** From the first event that a window may hold to its end, in event time; undefined if nobody can say. */
const lengthMs = (window: WindowDefinition): number | undefined => {
  switch (window.kind) {
    case "tumbling":
    case "hopping":
    case "sliding":
      return window.sizeMs;
    // A session that goes on for longer is the exception that monitoring must find.
    case "session":
      return window.gapMs;
    case "global":
      return Infinity;
    default:
      return undefined;
  }
};

/** What is looked at of a plan. */
export interface Rebuildable {
  readonly definition: Pick<ProjectionDefinition, "name" | "window" | "allowedLatenessMs">;
  readonly topic: {
    readonly definition: Pick<TopicDefinition, "name" | "retentionMs" | "maxOutOfOrdernessMs">;
  };
}

/** What an operator should know before Redis is lost; undefined when the log can give all of it. */
export const rebuildWarning = ({ definition, topic }: Rebuildable): string | undefined => {
  const { allowedLatenessMs, name } = definition;
  const { retentionMs, maxOutOfOrdernessMs } = topic.definition;
  const length = lengthMs(definition.window);
  if (length === undefined) return undefined;
  const liveMs = length + allowedLatenessMs + maxOutOfOrdernessMs;
  if (liveMs <= retentionMs) return undefined;
  const live = Number.isFinite(liveMs)
    ? `lives for ${formatDuration(liveMs)} (window, allowedLateness and maxOutOfOrderness together)`
    : `lives for ever (a global window)`;
  return (
    `state of projection ${name} ${live}, but topic ${topic.definition.name} keeps events for ` +
    `${formatDuration(retentionMs)} (retention): if Redis loses its data, the log cannot give that state ` +
    `again. Keep events for longer, make windows shorter, or back Redis up`
  );
};
