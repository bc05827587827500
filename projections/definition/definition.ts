/**
 * What users write, as data. `projection()` in `projection.ts` is the typed way to make one; JSON is
 * another; both give this. All durations are milliseconds.
 */
import type { Expression, ExpressionType } from "./expression.ts";
import type { PatternElement, PatternExpression, SkipDefinition } from "./pattern-definition.ts";

export interface TumblingWindow {
  readonly kind: "tumbling";
  readonly sizeMs: number;
  /** Windows start at multiples of the size plus this offset. */
  readonly offsetMs: number;
}

export interface HoppingWindow {
  readonly kind: "hopping";
  readonly sizeMs: number;
  /** A window starts every so often. Beyond the size there are gaps: events in them are filtered out. */
  readonly advanceMs: number;
  readonly offsetMs: number;
}

export interface SessionWindow {
  readonly kind: "session";
  /** Events of a key that are at most this far apart are one session. */
  readonly gapMs: number;
}

export interface SlidingWindow {
  readonly kind: "sliding";
  /** For each time at which a key has an event: what happened in this long up to and with it. */
  readonly sizeMs: number;
}

/** One window for all time; results come as `emit` says, which cannot be `final`. */
export interface GlobalWindow {
  readonly kind: "global";
}

/** As ISO 8601 orders them. */
export const WEEKDAYS = [
  "monday",
  "tuesday",
  "wednesday",
  "thursday",
  "friday",
  "saturday",
  "sunday",
] as const;

/** Periods of local clocks in a time zone. What a unit does not have is left out. */
export interface CalendarWindow {
  readonly kind: "calendar";
  readonly unit: "hour" | "day" | "week" | "month" | "quarter" | "year";
  /** A name of the IANA time zone database. */
  readonly zone: string;
  /** Days, and what is made of them, begin at this time of the local clock: "06:00". */
  readonly dayStart?: string;
  readonly weekStart?: (typeof WEEKDAYS)[number];
  /** The month, 1 to 12, in which years and their quarters begin. */
  readonly yearStart?: number;
}

/** The windows of an event at `time`, each `[start, end)`, in ascending order of start; or none. */
export type AssignWindows = (time: number) => readonly (readonly [start: number, end: number])[];

/** Windows by a function of the event's time. Not in JSON. */
export interface CustomWindow {
  readonly kind: "custom";
  readonly assign: AssignWindows;
  /** Of one event. */
  readonly windowsMax: number;
  /** To be changed when the function does something else though its text is the same. */
  readonly version: string;
}

export type WindowDefinition =
  | TumblingWindow
  | HoppingWindow
  | SlidingWindow
  | SessionWindow
  | CalendarWindow
  | GlobalWindow
  | CustomWindow;

/**
 * Which results a join gives: `inner` pairs; `left`, `right` and `full` also the events of that side, or of
 * both, that have no partner; `semi` and `anti` only left events, those with and those without.
 */
export type JoinMode = "inner" | "left" | "right" | "full" | "semi" | "anti";

/** Events of one input of a join. */
export interface JoinSideDefinition {
  /** Undefined if its rows are the results of a projection. */
  readonly topic: string | undefined;
  /** The projection, by its name: only on the right, as of event time. */
  readonly projection: string | undefined;
  /** Event types that are on this side; all of the topic when empty. An event may be on both. */
  readonly types: readonly string[];
  readonly where: Expression | undefined;
  readonly key: Expression;
}

/** Bounds of the right event's time around the left one's, both included. May be negative. */
export interface IntervalDefinition {
  readonly beforeMs: number;
  readonly afterMs: number;
}

/** The right side as a table: each of its events gives its key a new row. */
export interface AsOfDefinition {
  /** Over right events: those that take the key's row away instead. */
  readonly deleted: Expression | undefined;
  /** How long a row is there unless another replaces it; for ever when undefined. */
  readonly ttlMs: number | undefined;
}

export type AggregateDefinition =
  | { readonly fn: "count" }
  | { readonly fn: "sum" | "min" | "max" | "mean"; readonly of: Expression }
  | {
      readonly fn: "variance" | "stddev";
      readonly of: Expression;
      /** Of all that there is, divided by n; otherwise of a sample, by n - 1. */
      readonly population: boolean;
    }
  /** By event time. */
  | { readonly fn: "first" | "last"; readonly of: Expression }
  | {
      readonly fn: "distinct";
      readonly of: Expression;
      /** The sketch has 2^precision registers. */
      readonly precision: number;
      /** Publishes the sketch beside the estimate. */
      readonly sketch: boolean;
    }
  | {
      readonly fn: "quantile";
      readonly of: Expression;
      /** 0 to 1: 0.5 is the median. */
      readonly q: number;
      readonly relativeError: number;
      readonly sketch: boolean;
    }
  | {
      readonly fn: "quantiles";
      readonly of: Expression;
      readonly qs: readonly number[];
      readonly relativeError: number;
      readonly sketch: boolean;
    }
  | {
      readonly fn: "topK";
      readonly of: Expression;
      readonly k: number;
      /** How many values are watched: counts are off by at most 2 / capacity of all. */
      readonly capacity: number;
      readonly sketch: boolean;
    }
  | { readonly fn: "collect"; readonly of: Expression; readonly limit: number }
  /** By functions. Not in JSON. */
  | {
      readonly fn: "custom";
      readonly inputs: Readonly<Record<string, Expression>>;
      readonly init: () => unknown;
      readonly add: (state: never, input: never) => unknown;
      readonly merge: (earlier: never, later: never) => unknown;
      readonly result: (state: never) => unknown;
      /** To be changed when a function does something else though its text is the same. */
      readonly version: string;
    };

/** What publishes open windows that have changed: any of these that is given, and one is. */
export interface EarlyTriggers {
  /** Each time that much ingest time has passed; looked at after each record batch. */
  readonly everyMs?: number;
  /** Each time the partition's event time has passed a multiple of this; between two events. */
  readonly everyEventTimeMs?: number;
  /** A window alone, at the event with which so many have come since it was last published. */
  readonly everyEvents?: number;
}

/**
 * Which updates of an open window are published besides the final one: `early` as its triggers say,
 * `each` by record batch. All are functions of the log, so a replay repeats them.
 */
export type EmitDefinition =
  | { readonly mode: "final" }
  | ({ readonly mode: "early" } & EarlyTriggers)
  | { readonly mode: "each" };

/** `key`: one subject a key. `bucket`: keys share `buckets` subjects by hash; for many keys. */
export type SubjectsDefinition =
  { readonly by: "key" } | { readonly by: "bucket"; readonly buckets: number };

/** What every kind of projection has. */
export interface ProjectionBase {
  readonly name: string;
  readonly description: string;
  readonly topic: string;
  /** Event types that it reads; all of the topic when empty. Others are filtered out. */
  readonly types: readonly string[];
  readonly where: Expression | undefined;
  /** What results are grouped by. When it is not the event's key, partials are merged. */
  readonly key: Expression;
  readonly subjects: SubjectsDefinition;
}

/** Aggregates of the events of a window. */
export interface WindowProjection extends ProjectionBase {
  /** Left out: data without a kind is this. */
  readonly kind?: "window";
  readonly window: WindowDefinition;
  readonly allowedLatenessMs: number;
  /** In order of declaration: the order of values in updates. */
  readonly aggregates: Readonly<Record<string, AggregateDefinition>>;
  readonly emit: EmitDefinition;
}

/** Events of a key that follow each other; each match is a result of its own. */
export interface PatternProjection extends ProjectionBase {
  readonly kind: "pattern";
  readonly pattern: readonly PatternElement[];
  /** All events of a match lie less than this after its first. */
  readonly withinMs: number | undefined;
  readonly skip: SkipDefinition;
  /** In order of declaration: the order of values in results. */
  readonly values: Readonly<Record<string, PatternExpression>>;
  /** Whether partial matches that `withinMs` has ended are results too. */
  readonly onTimeout: "discard" | "emit";
}

/** An event as code of users sees it. */
export interface FoldEvent {
  readonly id: string;
  /** Full name: "shop.Viewed". */
  readonly type: string;
  readonly key: string;
  /** Milliseconds since the Unix epoch. */
  readonly time: number;
  /** Every field of the payload by its name in the .proto file: see docs/DEFINITIONS.md. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** A value of a fold's results. Only one whose type is declared can be read where the fold is a table. */
export type FoldValueDefinition =
  | ((state: never) => unknown)
  | { readonly type: ExpressionType; readonly of: (state: never) => unknown };

/** A reducer of the events of a key, in event-time order. Holds functions: not in JSON. */
export interface FoldProjection extends ProjectionBase {
  readonly kind: "fold";
  readonly order: "time";
  /** The state before a key's first event. */
  readonly state: () => unknown;
  /** The next state; undefined forgets the key. */
  readonly reduce: (state: never, event: FoldEvent) => unknown;
  /** How long after a key's last event its state is forgotten; undefined: never. */
  readonly ttlMs: number | undefined;
  /** Values of results, as functions of the state; undefined: one, `state`. */
  readonly values: Readonly<Record<string, FoldValueDefinition>> | undefined;
  readonly emit: EmitDefinition;
  /** To be changed when a function does something else though its text is the same. */
  readonly version: string;
}

/** Pairs of events of a key: near each other in time, or an event and the table's row of its time. */
export interface JoinProjection extends ProjectionBase {
  readonly kind: "join";
  readonly left: JoinSideDefinition;
  readonly right: JoinSideDefinition;
  /** Over both sides: what pairs must be besides. */
  readonly on: Expression | undefined;
  /** Exactly one of these two. */
  readonly within: IntervalDefinition | undefined;
  readonly asOf: AsOfDefinition | undefined;
  readonly mode: JoinMode;
  /** Over both sides, in order of declaration: the order of values in results. */
  readonly values: Readonly<Record<string, Expression>>;
}

/** What XState's `createMachine` returns; its types are XState's. */
export interface StatechartMachine {
  readonly config: object;
  readonly implementations: object;
}

/** An XState machine per key, in event time. Holds functions: not in JSON. */
export interface StatechartProjection extends ProjectionBase {
  readonly kind: "statechart";
  readonly machine: StatechartMachine;
  /** What the machine is sent for an event; undefined: nothing. By default the event itself. */
  readonly toEvent: ((event: FoldEvent) => { readonly type: string } | undefined) | undefined;
  /** To be changed when a function does something else though its text is the same. */
  readonly version: string;
}

/** By `kind`. What a kind is to the language stands in `kinds.ts`, to the engine in `cores.ts`. */
export type ProjectionDefinition =
  WindowProjection | PatternProjection | FoldProjection | JoinProjection | StatechartProjection;

export interface TopicDefinition {
  readonly name: string;
  readonly partitions: number;
  /** Paths of .proto files, absolute or relative to the configuration file. */
  readonly schemas: readonly string[];
  /** Full names of the message types that are event types of this topic. */
  readonly types: readonly string[];
  readonly maxOutOfOrdernessMs: number;
  readonly maxFutureSkewMs: number;
  readonly dedupeHorizonMs: number;
  readonly idleAfterMs: number;
  readonly retentionMs: number;
  /**
   * Of each key the newest event is kept for ever: only events that a newer one replaces go after `retentionMs`.
   * Its rows can be the table of a join as of event time, and nothing else reads it.
   */
  readonly compacted?: boolean;
  /** Per partition; the log refuses more, which the gateway hands on as back-pressure. */
  readonly maxBytes: number;
}
