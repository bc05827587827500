/**
 * A definition after validation: names resolved to field numbers, expressions typed, all that the
 * engine needs and nothing it must look up. Made by `plan-projection.ts`, run by `actors/`.
 */
import type {
  AggregateDefinition,
  FoldProjection,
  StatechartProjection,
  PatternProjection,
  AsOfDefinition,
  IntervalDefinition,
  JoinMode,
  JoinProjection,
  TopicDefinition,
  WindowProjection,
} from "./definition.ts";
import type { ZoneRules } from "../zone/zone-rules.ts";
import type { Expression, ExpressionType } from "./expression.ts";
import type { PatternElement, PatternExpression } from "./pattern-definition.ts";

/** Scalar types of Protobuf fields that expressions can read. */
export type ScalarType =
  | "double"
  | "float"
  | "int32"
  | "int64"
  | "uint32"
  | "uint64"
  | "sint32"
  | "sint64"
  | "fixed32"
  | "fixed64"
  | "sfixed32"
  | "sfixed64"
  | "bool"
  | "string"
  | "bytes"
  | "enum"
  | "message";

export interface FieldSchema {
  readonly number: number;
  readonly name: string;
  readonly scalar: ScalarType;
  readonly repeated: boolean;
  /** Explicit presence: absent means null. Without it absent means the type's zero. */
  readonly optional: boolean;
  /** Why expressions cannot read it, and what to do, where there is more to say than its type does. */
  readonly unreadable?: string;
  /** Enums: the number of each value's name. */
  readonly values?: Readonly<Record<string, number>>;
  /** Messages: their fields. A function, since a message may hold itself. */
  readonly message?: () => EventTypeSchema;
  /** A map: a list of messages with the fields `key` and `value`. */
  readonly map?: true;
  /** A message that is encoded as a group. */
  readonly delimited?: true;
}

export interface EventTypeSchema {
  /** Full name: "flights.Departure". */
  readonly name: string;
  readonly fields: readonly FieldSchema[];
}

export interface TopicPlan {
  readonly definition: TopicDefinition;
  /** The index of a type here is its type index everywhere in the engine. */
  readonly types: readonly EventTypeSchema[];
}

/** A payload field that a projection reads, in every event type that has it. */
export interface FieldColumn {
  readonly path: string;
  readonly type: ExpressionType;
  /** By type index: the field there; undefined where that type is not read or does not have it. */
  readonly fields: readonly (FieldSchema | undefined)[];
}

export interface AggregatePlan {
  readonly name: string;
  readonly definition: AggregateDefinition;
  /** Type of the aggregated expression; undefined for count. */
  readonly inputType: ExpressionType | undefined;
}

/** One side of a join; its columns may differ from those of the same names on the other side. */
export interface JoinSidePlan {
  /** Of a side whose rows are results of a projection: see `table-rows.ts`. */
  readonly table?: {
    /** Type index. */
    readonly retraction: number;
    /** Rows of a key come in the order of their windows' ends (R3 there). */
    readonly inOrder: boolean;
  };
  /** By type index: whether events of that type are on this side. */
  readonly reads: readonly boolean[];
  readonly where: Expression | undefined;
  readonly columns: readonly FieldColumn[];
}

/** A value of every result; `any` may hold lists and records. */
export interface OutputColumn {
  readonly name: string;
  readonly type: ExpressionType | "any";
}

/** Where events of a projection come from, if not all from one topic by one key. */
export interface SourcePlan {
  readonly topic: TopicPlan;
  /** By type index of that topic, as the columns are. */
  readonly reads: readonly boolean[];
  /** Every payload field of it that expressions mention. */
  readonly columns: readonly FieldColumn[];
  readonly where: Expression | undefined;
  readonly key: Expression;
  /** Its events are the results of this projection, which `topic` describes as events: `table-rows.ts`. */
  readonly table?: ProjectionPlan;
}

/** Whose table a projection's results are, where it runs within a join: see `table-stage.ts`. */
export interface RowsOf {
  readonly join: ProjectionPlan;
  /** Which of the join's sources. */
  readonly source: number;
  /** Whether partials of its windows are routed, not events: it is one that is merged. */
  readonly merges: boolean;
}

/** What the plans of all kinds have. */
export interface PlanBase {
  /** Of several sources the union: see `union-topic.ts`. */
  readonly topic: TopicPlan;
  /** In the order of the union; undefined where all events come from `topic`, by `key`. */
  readonly sources?: readonly SourcePlan[];
  /** By type index: whether the projection reads that type. */
  readonly reads: readonly boolean[];
  /** Every payload field that its expressions mention, each once. */
  readonly columns: readonly FieldColumn[];
  /**
   * As defined, but with names of enum values replaced by their numbers; so is `key`. Of several
   * sources each has its own.
   */
  readonly where: Expression | undefined;
  readonly key: Expression;
  /** The values of results, in their order. */
  readonly outputs: readonly OutputColumn[];
  /** Grouped by something other than the event's key: partial tasks and a merging task. */
  readonly merged: boolean;
  /** Grouped like that, and impossible to merge: events are routed to a log of their own first. */
  readonly rekeyed: boolean;
  readonly rowsOf?: RowsOf;
  /**
   * First 8 bytes of the SHA-256 of the canonical JSON of the definition and of the fields it
   * reads: what a commit names, so that a changed definition never goes on from old state.
   */
  readonly digest: Uint8Array;
}

export interface WindowPlan extends PlanBase {
  readonly kind: "window";
  readonly definition: WindowProjection;
  /** Resolved, like `where`. */
  readonly aggregates: readonly AggregatePlan[];
  /** Of a calendar window. */
  readonly zone: ZoneRules | undefined;
}

export interface PatternValuePlan {
  readonly name: string;
  readonly expression: PatternExpression;
  readonly type: OutputColumn["type"];
}

export interface PatternPlan extends PlanBase {
  readonly kind: "pattern";
  readonly definition: PatternProjection;
  /** Resolved, like `where`; so are the values. */
  readonly elements: readonly PatternElement[];
  /** Names of its steps; the index of one here is the step's number everywhere in the engine. */
  readonly steps: readonly string[];
  readonly values: readonly PatternValuePlan[];
}

export interface FoldPlan extends PlanBase {
  readonly kind: "fold";
  readonly definition: FoldProjection;
}

export interface JoinPlan extends PlanBase {
  readonly kind: "join";
  readonly definition: JoinProjection;
  readonly left: JoinSidePlan;
  readonly right: JoinSidePlan;
  /** Resolved, like `where`; so are the rows' `deleted` and the values. */
  readonly on: Expression | undefined;
  /** Exactly one of these two. */
  readonly within: IntervalDefinition | undefined;
  readonly asOf: AsOfDefinition | undefined;
  readonly mode: JoinMode;
  /** In the order of the outputs. */
  readonly values: readonly Expression[];
}

export interface StatechartPlan extends PlanBase {
  readonly kind: "statechart";
  readonly definition: StatechartProjection;
}

export type ProjectionPlan = WindowPlan | PatternPlan | FoldPlan | JoinPlan | StatechartPlan;

export type ProjectionKind = ProjectionPlan["kind"];
