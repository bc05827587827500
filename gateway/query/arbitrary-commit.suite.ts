/** Commits for property tests: any key, window, value and number that the contract allows. */
import fc from "fast-check";
import type { Commit, Update } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Value } from "../../proto/gen/tidemark/v1/result.ts";

/** Every Unicode string, with the characters that escaping schemes trip over made frequent. */
export const arbitraryKey: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    "",
    "\0",
    "\0\0",
    "a",
    "a\0",
    "a\0b",
    "ab",
    "\u0001",
    "\ufeffa",
    "é",
    "\u{10ffff}",
  ),
  fc.string({ unit: "binary", maxLength: 12 }),
);

const time = fc.oneof(
  fc.integer({ min: -3, max: 3 }).map((n) => n * 60_000),
  fc.maxSafeInteger(),
);

/** Lists and records nest as aggregates nest them, and a little deeper. */
export const arbitraryValue: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.record({
    kind: fc.oneof(
      { maxDepth: 3, depthIdentifier: "value" },
      fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map((value) => ({
        $case: "intValue" as const,
        value: String(value),
      })),
      fc.double().map((value) => ({ $case: "doubleValue" as const, value })),
      fc.string({ unit: "binary" }).map((value) => ({ $case: "stringValue" as const, value })),
      fc.uint8Array().map((bytes) => ({ $case: "bytesValue" as const, value: Buffer.from(bytes) })),
      fc.constant(undefined),
      fc.array(tie("value"), { maxLength: 3, depthIdentifier: "value" }).map((values) => ({
        $case: "listValue" as const,
        value: { values },
      })),
      fc.boolean().map((value) => ({ $case: "boolValue" as const, value })),
      fc
        .array(fc.record({ name: fc.string({ unit: "binary" }), value: tie("value") }), {
          maxLength: 3,
          depthIdentifier: "value",
        })
        .map((fields) => ({ $case: "recordValue" as const, value: { fields } })),
    ),
  }),
})).value;

const uint32 = fc.integer({ min: 0, max: 0xffffffff });

export const arbitraryUpdate: fc.Arbitrary<Update> = fc.record({
  key: arbitraryKey,
  windowStart: time,
  windowEnd: time,
  kind: fc.integer({ min: 1, max: 4 }),
  revision: uint32,
  ordinal: uint32,
  watermark: time,
  partition: uint32,
  sequence: fc.maxSafeNat(),
  index: uint32,
  values: fc.array(arbitraryValue, { maxLength: 3 }),
});

export const arbitraryCommit: fc.Arbitrary<Commit> = fc.record({
  projection: fc.constantFrom("departures", "per-day"),
  version: uint32,
  partition: uint32,
  epoch: fc.maxSafeNat(),
  number: fc.maxSafeNat(),
  partIndex: fc.nat(3),
  partCount: fc.nat(4),
  inputSequence: fc.maxSafeNat(),
  watermark: fc.option(time, { nil: undefined }),
  idle: fc.boolean(),
  digest: fc.constant(Buffer.from("12345678")),
  books: fc.constant(undefined),
  ingestTime: time,
  definitionDigest: fc.constant(Buffer.from("87654321")),
  retainFrom: fc.maxSafeNat(),
  columns: fc.array(fc.string({ unit: "binary" }), { maxLength: 3 }),
  updates: fc.array(arbitraryUpdate, { maxLength: 8 }),
  partials: fc.constant([]),
  deadLetters: fc.constant([]),
  routed: fc.constant([]),
});
