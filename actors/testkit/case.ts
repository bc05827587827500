/**
 * A test case as its author writes it: in YAML, in JSON or in TypeScript, the same data. What each part
 * means is in docs/TESTKIT.md; `check-case.ts` turns it into a {@link CheckedCase} or says what is wrong.
 */
import type {
  ProjectionDefinition,
  TopicDefinition,
} from "../../projections/definition/definition.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { at } from "../../projections/definition/reading.ts";
import type { CaseTopic } from "./case-plan.ts";

/** Milliseconds since 1970, or ISO 8601 with a zone: "2024-01-01T08:00:00Z". */
export type Time = number | string;

/** Milliseconds, or text: "30 seconds". */
export type Span = number | string;

/** The value of an aggregate or of a payload's field. */
export type Scalar = number | bigint | string | boolean | null;

/** What an output holds: also lists and records, such as those of `topK` and `quantiles`. Bytes are base64. */
export type CaseValue = Scalar | readonly CaseValue[] | { readonly [field: string]: CaseValue };

/** A decoded output: its fields in the order in which they are shown; aggregates as "values.<name>". */
export type Row = ReadonlyMap<string, CaseValue>;

/** All other keys are fields of the payload. */
export interface EventStep {
  readonly key: string | number;
  readonly time: Time;
  /** Default: one of its own. */
  readonly id?: string;
  /** Default: the first type that the projection reads. */
  readonly type?: string;
  /** Default: by the hash of the key, as the gateway does. */
  readonly partition?: number;
  /** Of a projection that reads several: the topic. Default: the one that has the type. */
  readonly topic?: string;
  /** Sets the gateway's clock, for this event and those after it. */
  readonly ingest?: Time;
  /** The payload, where its fields have names that a step uses itself. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** The payload as hexadecimal bytes, right or wrong. */
  readonly raw?: string;
  readonly [field: string]: unknown;
}

export type Step =
  | EventStep
  | "restart"
  | "tick"
  | { readonly batch: readonly EventStep[] }
  | { readonly watermark: Time; readonly topic?: string; readonly partition?: number }
  | { readonly tick: Span; readonly topic?: string; readonly partition?: number }
  | { readonly wait: Span }
  | { readonly expect: Expectation };

/** All other keys are values of aggregates. What is not given is not compared. */
export interface ExpectedUpdate {
  readonly key?: string | number;
  /** Its start, or its start and end. */
  readonly window?: Time | readonly [Time, Time];
  readonly kind?: "early" | "final" | "correction" | "retraction";
  readonly revision?: number;
  readonly ordinal?: number;
  readonly watermark?: Time;
  readonly partition?: number;
  /** Values of aggregates whose names an update uses itself. */
  readonly values?: Readonly<Record<string, CaseValue>>;
  readonly [aggregate: string]: unknown;
}

export interface ExpectedDeadLetter {
  readonly reason?: "late" | "future" | "invalid" | "poison";
  readonly id?: string;
  readonly type?: string;
  readonly key?: string | number;
  readonly time?: Time;
  readonly window?: Time | readonly [Time, Time];
  readonly watermark?: Time;
  readonly lateness?: number;
  readonly topic?: string;
  readonly partition?: number;
  /** A part of its text. */
  readonly error?: string;
}

export type Account =
  | "events"
  | "counted"
  | "late"
  | "duplicate"
  | "conflict"
  | "future"
  | "invalid"
  | "filtered"
  | "poison";

export interface Expectations {
  readonly updates?: readonly ExpectedUpdate[];
  readonly deadLetters?: readonly ExpectedDeadLetter[];
  readonly results?: readonly ExpectedUpdate[];
  readonly books?: Readonly<Partial<Record<Account, number>>>;
  /** Null: minus infinity. */
  readonly watermark?: Time | null;
}

/** `nothing`: no update and no dead letter. A list: updates. */
export type Expectation = "nothing" | readonly ExpectedUpdate[] | Expectations;

/** Fields of a message by name, each as in a .proto file: `{ cents: "int64", rating: "optional uint32" }`. */
export type InlineTypes = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** A topic that stands in the case itself. */
export type InlineTopic = Partial<Omit<TopicDefinition, "types">> & {
  /** Messages with their fields, or names of messages that `proto` declares. */
  readonly types?: InlineTypes | readonly string[];
  /** The text of a .proto file. */
  readonly proto?: string;
};

export interface Case {
  /** What the case is about, for people. */
  readonly name?: string;
  /** The name of a projection, or a definition. */
  readonly projection: string | ProjectionDefinition | Readonly<Record<string, unknown>>;
  readonly topic?: InlineTopic;
  /** In place of `topic`, by their names, for a projection that reads several. */
  readonly topics?: Readonly<Record<string, Omit<InlineTopic, "name">>>;
  /** Of a definition that stands in the case: the projection that is its table. */
  readonly tables?: readonly (ProjectionDefinition | Readonly<Record<string, unknown>>)[];
  /** What the gateway's clock says at first. Default: the latest event time of the case. */
  readonly clock?: Time;
  readonly steps: readonly Step[];
  readonly expect?: Expectation;
}

export interface CheckedEvent {
  readonly path: string;
  readonly id: string;
  readonly type: string;
  readonly key: string;
  readonly time: number;
  /** The partition of its topic, numbered through. */
  readonly lane: number;
  readonly ingest: number | undefined;
  readonly payload: Uint8Array;
}

interface Placed {
  /** Where it stands in the case: "steps[3]". */
  readonly path: string;
}

/** An expected thing: the fields that were given, by the names under which rows have them. */
export interface ExpectedRow extends Placed {
  readonly fields: Row;
  /** Records must have no other fields either: a row that came is held against another that came. */
  readonly whole?: true;
}

export interface CheckedExpectation {
  readonly updates: readonly ExpectedRow[] | undefined;
  readonly deadLetters: readonly ExpectedRow[] | undefined;
  readonly results: readonly ExpectedRow[] | undefined;
  readonly books: ExpectedRow | undefined;
  readonly watermark: ExpectedRow | undefined;
}

export type CheckedStep = Placed &
  (
    | { readonly step: "events"; readonly events: readonly CheckedEvent[] }
    | { readonly step: "watermark"; readonly time: number; readonly lanes: readonly number[] }
    | { readonly step: "tick"; readonly ms: number; readonly lanes: readonly number[] }
    | { readonly step: "wait"; readonly ms: number }
    | { readonly step: "restart" }
    | { readonly step: "expect"; readonly expectation: CheckedExpectation }
  );

/** A case in which everything is known to be right but its expectations. */
export interface CheckedCase {
  readonly name: string;
  readonly plan: ProjectionPlan;
  readonly topics: readonly CaseTopic[];
  readonly clock: number | undefined;
  /** The last one may be the `expect` of the case itself. */
  readonly steps: readonly CheckedStep[];
}

/** Where each part of a case stands in its file, by path; nothing for a case without a file. */
export type LineOf = (path: string) => number | undefined;

export interface CaseMistake {
  readonly path: string;
  /** From 1. */
  readonly line: number | undefined;
  readonly message: string;
}

/** A case that cannot be run. Lists all its mistakes. */
export class CaseError extends Error {
  override readonly name = "CaseError";
  readonly mistakes: readonly CaseMistake[];

  constructor(mistakes: readonly CaseMistake[]) {
    super(
      mistakes
        .map(({ path, line, message }) =>
          [
            line === undefined ? "" : `line ${line}: `,
            path === "" ? "" : `${path}: `,
            message,
          ].join(""),
        )
        .join("\n"),
    );
    this.mistakes = mistakes;
  }
}

export const stepPath = (index: number): string => at("steps", index);
