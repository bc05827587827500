/** How results are published. Makers of the data in `definition.ts`. */
import { argument } from "./argument.ts";
import type { EmitDefinition, SubjectsDefinition } from "./definition.ts";
import type { Duration } from "./duration.ts";
import { readEarly } from "./check-emit.ts";
import { BUCKETS } from "./reading.ts";

/** Publish a window once, when it closes. The default. */
export const final = (): EmitDefinition => ({ mode: "final" });

export interface EarlyOptions {
  /** Whenever that much ingest time has passed: "5 seconds". */
  readonly every?: Duration;
  /** Whenever that much event time has passed: "1 minute". */
  readonly everyEventTime?: Duration;
  /** A window of a key alone, whenever so many events have come to it. */
  readonly everyEvents?: number;
}

const OPTIONS = {
  every: "everyMs",
  everyEventTime: "everyEventTimeMs",
  everyEvents: "everyEvents",
} as const satisfies Record<keyof EarlyOptions, string>;

/**
 * Also publish what is known of open windows that have changed, whenever one of the options says so:
 * `early({ every: "5 seconds" })`, `early({ everyEvents: 100, everyEventTime: "1 minute" })`.
 */
export const early = (options: EarlyOptions): EmitDefinition =>
  argument("early()", (mistakes) => readEarly(options, OPTIONS, "", mistakes));

/** Also publish an open window after each record batch that changed it. */
export const each = (): EmitDefinition => ({ mode: "each" });

/** One subject a key: `projections.<name>.<key>`. The default. */
export const byKey = (): SubjectsDefinition => ({ by: "key" });

/** Keys share so many subjects by hash: for projections with very many keys. */
export const buckets = (howMany: number): SubjectsDefinition => ({
  by: "bucket",
  buckets: argument("buckets()", (mistakes) => mistakes.whole(howMany, "buckets", BUCKETS)),
});
