/**
 * Whether the log alone can give a projection's state again. Redis holds only what can be rebuilt
 * (SEMANTICS E5); state that lives for longer than its events are kept cannot be: see decision 010.
 */
import type {
  FoldProjection,
  JoinProjection,
  StatechartProjection,
  PatternProjection,
  TopicDefinition,
  WindowDefinition,
  WindowProjection,
} from "./definition.ts";
import { formatDuration } from "./duration.ts";

/** Of the longest; an hour can be two where clocks are put back. */
const DAYS_MAX = {
  hour: 1 / 12,
  day: 1.05,
  week: 7.05,
  month: 31.05,
  quarter: 92.05,
  year: 366.05,
};

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
    case "calendar":
      return DAYS_MAX[window.unit] * 86_400_000;
    case "global":
      return Infinity;
    default:
      return undefined;
  }
};

/** What is looked at of a plan. */
export interface Rebuildable {
  readonly definition:
    | Pick<WindowProjection, "kind" | "name" | "window" | "allowedLatenessMs">
    | Pick<PatternProjection, "kind" | "name" | "withinMs">
    | Pick<FoldProjection, "kind" | "name" | "ttlMs">
    | Pick<JoinProjection, "kind" | "name" | "within" | "asOf">
    | Pick<StatechartProjection, "kind" | "name" | "machine">;
  readonly topic: RetainedTopic;
  /** If there are several: their log is kept as long as the longest of them. */
  readonly sources?: readonly {
    readonly topic: RetainedTopic;
    /** Whose results are read: they are computed once more, so that its state is part of this one's. */
    readonly table?: Pick<Rebuildable, "definition">;
  }[];
}

interface RetainedTopic {
  readonly definition: Pick<
    TopicDefinition,
    "name" | "retentionMs" | "maxOutOfOrdernessMs" | "compacted"
  >;
}

interface StateConfig {
  readonly type?: unknown;
  readonly states?: Readonly<Record<string, StateConfig>>;
}

const hasFinal = ({ type, states = {} }: StateConfig): boolean =>
  type === "final" || Object.values(states).some(hasFinal);

interface Span {
  readonly lengthMs: number;
  /** Whose length that is, and why it may be without end. */
  readonly of: string;
  readonly forEver: string;
}

const spanOf = (definition: Rebuildable["definition"]): Span | undefined => {
  if (definition.kind === "join") {
    const { within, asOf } = definition;
    const forEver = "a table's rows without ttl";
    if (within === undefined) return { lengthMs: asOf?.ttlMs ?? Infinity, of: "ttl", forEver };
    const lengthMs = Math.max(within.beforeMs, within.afterMs, 0);
    return { lengthMs, of: "within", forEver };
  }
  if (definition.kind === "pattern") {
    const forEver = "a pattern without within";
    return { lengthMs: definition.withinMs ?? Infinity, of: "within", forEver };
  }
  // A key that has events for longer than that is the exception that monitoring must find.
  if (definition.kind === "fold") {
    return { lengthMs: definition.ttlMs ?? Infinity, of: "ttl", forEver: "a fold without ttl" };
  }
  if (definition.kind === "statechart") {
    // How long a machine is away from its end nobody can say; unless it has none.
    if (hasFinal(definition.machine.config)) return undefined;
    return { lengthMs: Infinity, of: "", forEver: "a statechart without a final state" };
  }
  const length = lengthMs(definition.window);
  if (length === undefined) return undefined;
  return {
    lengthMs: length + definition.allowedLatenessMs,
    of: "window, allowedLateness",
    forEver: "a global window",
  };
};

const SHORTENED = {
  window: "windows",
  pattern: "within",
  fold: "ttl",
  join: "within or ttl",
  statechart: "the life of machines",
} as const;

/** What lives longest of a projection and of its table, and what would make it shorter. */
const longestOf = (
  definition: Rebuildable["definition"],
  table: Rebuildable["definition"] | undefined,
): (Span & { readonly shorter: string }) | undefined => {
  const own = spanOf(definition);
  const computed = table && spanOf(table);
  // Rows of a fold go with its states.
  const ofOwn = table?.kind !== "fold" && (own?.lengthMs ?? 0) >= (computed?.lengthMs ?? 0);
  if (table === undefined || computed === undefined || ofOwn) {
    return own && { ...own, shorter: SHORTENED[definition.kind ?? "window"] };
  }
  const { lengthMs, of, forEver } = computed;
  const { name } = table;
  const shorter = `${SHORTENED[table.kind ?? "window"]} of ${name}`;
  return { lengthMs, of: `${of} of ${name}`, forEver: `${forEver}: ${name}`, shorter };
};

/** What an operator should know before Redis is lost; undefined when the log can give all of it. */
export const rebuildWarning = ({
  definition,
  topic,
  sources = [],
}: Rebuildable): string | undefined => {
  const { name } = definition;
  // Rows of a compacted topic are kept for as long as they are rows, in the join's own log too.
  if (sources.some((source) => source.topic.definition.compacted === true)) return undefined;
  const { retentionMs, maxOutOfOrdernessMs } = topic.definition;
  const longest = sources.find((source) => source.topic.definition.retentionMs === retentionMs);
  const { name: kept } = (longest?.topic ?? topic).definition;
  const table = sources.find((source) => source.table !== undefined)?.table?.definition;
  const span = longestOf(definition, table);
  if (span === undefined) return undefined;
  const liveMs = span.lengthMs + maxOutOfOrdernessMs;
  if (liveMs <= retentionMs) return undefined;
  const live = Number.isFinite(liveMs)
    ? `lives for ${formatDuration(liveMs)} (${span.of} and maxOutOfOrderness together)`
    : `lives for ever (${span.forEver})`;
  return (
    `state of projection ${name} ${live}, but topic ${kept} keeps events for ` +
    `${formatDuration(retentionMs)} (retention): if Redis loses its data, the log cannot give that state ` +
    `again. Keep events for longer, make ${span.shorter} shorter, or back Redis up`
  );
};
