/** How results are published. Makers of the data in `definition.ts`. */
import { argument } from "./argument.ts";
import type { EmitDefinition, SubjectsDefinition } from "./definition.ts";
import type { Duration } from "./duration.ts";
import { BUCKETS, POSITIVE } from "./reading.ts";

/** Publish a window once, when it closes. The default. */
export const final = (): EmitDefinition => ({ mode: "final" });

/** Also publish what is known of an open window, at most every so often of ingest time. */
export const early = (options: { readonly every: Duration }): EmitDefinition => ({
  mode: "early",
  everyMs: argument("early()", (mistakes) => mistakes.duration(options?.every, "every", POSITIVE)),
});

/** Also publish an open window after each record batch that changed it. */
export const each = (): EmitDefinition => ({ mode: "each" });

/** One subject a key: `projections.<name>.<key>`. The default. */
export const byKey = (): SubjectsDefinition => ({ by: "key" });

/** Keys share so many subjects by hash: for projections with very many keys. */
export const buckets = (howMany: number): SubjectsDefinition => ({
  by: "bucket",
  buckets: argument("buckets()", (mistakes) => mistakes.whole(howMany, "buckets", BUCKETS)),
});
