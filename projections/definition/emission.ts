/** Windows, and how their results are published. Makers of the data in `definition.ts`. */
import { DefinitionError } from "../errors.ts";
import type { EmitDefinition, SubjectsDefinition, WindowDefinition } from "./definition.ts";
import type { Duration } from "./duration.ts";
import { ANY_SIGN, BUCKETS, Mistakes, POSITIVE } from "./reading.ts";

/** Reads one argument; a mistake is thrown at once, where the user's stack still shows the call. */
const argument = <T>(call: string, read: (mistakes: Mistakes) => T | undefined): T => {
  const mistakes = new Mistakes();
  const value = read(mistakes);
  if (value === undefined) throw new DefinitionError(call, mistakes.list);
  return value;
};

/**
 * Windows of one size, side by side: `[start, start + size)`. They start at multiples of the size
 * since the Unix epoch, UTC, plus the offset: `tumbling("1 day", { offset: "-2 hours" })`.
 */
export const tumbling = (
  size: Duration,
  options: { readonly offset?: Duration | `-${number} ${string}` } = {},
): WindowDefinition => ({
  kind: "tumbling",
  sizeMs: argument("tumbling()", (mistakes) => mistakes.duration(size, "size", POSITIVE)),
  offsetMs: argument("tumbling()", (mistakes) =>
    mistakes.duration(options.offset ?? 0, "offset", ANY_SIGN),
  ),
});

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
