import fc from "fast-check";
import { expect, test } from "vitest";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import type { Expression } from "../../projections/definition/expression.ts";
import type { PatternExpression } from "../../projections/definition/pattern-definition.ts";
import { planProjection, planTopic } from "../../projections/definition/plan-projection.ts";
import { parseSchema } from "../../projections/schema/schema-set.ts";
import { compileExpression } from "../expression/evaluator.ts";
import { Intake } from "../intake/intake.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { propertyRuns } from "../testkit/property-runs.ts";
import { Conditions } from "./conditions.ts";
import { readScalar, scalarOf, TEXT_BYTES_MAX, writeScalar, type Scalar } from "./scalar.ts";
import { bytesOf, takenOf } from "./taken.ts";

const RUNS = propertyRuns(500);
const schemas = parseSchema(`syntax = "proto3"; message E {
  optional int64 i = 1; optional int64 j = 2; optional double d = 3; optional double e = 4;
  optional string s = 5; optional string t = 6; optional bool p = 7; optional bool q = 8; }`);
const topicPlan = planTopic(
  {
    name: "t",
    partitions: 1,
    schemas: ["e.proto"],
    types: ["E"],
    maxOutOfOrdernessMs: 0,
    maxFutureSkewMs: 1,
    dedupeHorizonMs: 1,
    idleAfterMs: 1,
    retentionMs: 1,
    maxBytes: 1,
  },
  schemas,
);
/** Mentions every field, so that every column is read. */
const PLAN = planProjection(
  {
    kind: "pattern",
    name: "p",
    description: "",
    topic: "t",
    types: [],
    where: undefined,
    key: { event: "key" },
    subjects: { by: "key" },
    pattern: ["i", "j", "d", "e", "s", "t", "p", "q"].map((name, n) => ({
      step: `s${n}`,
      where: { op: "isNull", args: [{ field: name }] },
      contiguity: n === 0 ? undefined : ("followedBy" as const),
      times: { min: 1, max: 1 },
      optional: false,
      between: "followedBy" as const,
      greedy: false,
      until: undefined,
    })),
    withinMs: undefined,
    skip: { strategy: "noSkip" },
    values: { ids: { match: "ids" } },
    onTimeout: "discard",
  },
  topicPlan,
);

const number: fc.Arbitrary<Expression> = fc.letrec<{ number: Expression }>((tie) => ({
  number: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom("i", "j", "d", "e").map((name) => ({ field: name })),
    fc.constantFrom(0, 1, -3, 2.5, 4_294_967_296).map((literal) => ({ literal })),
    fc
      .tuple(
        fc.constantFrom(
          "add" as const,
          "subtract" as const,
          "multiply" as const,
          "divide" as const,
        ),
        tie("number"),
        tie("number"),
      )
      .map(([op, a, b]) => ({ op, args: [a, b] as const })),
    tie("number").map((a) => ({ op: "negate" as const, args: [a] as const })),
  ),
})).number;
const text: fc.Arbitrary<Expression> = fc.oneof(
  fc.constantFrom("s", "t").map((name) => ({ field: name })),
  fc.constantFrom("", "b", "\u{1F600}", "\uFFFD").map((literal) => ({ literal })),
);
const comparison = fc.constantFrom("eq", "ne", "lt", "le", "gt", "ge");
const boolean: fc.Arbitrary<Expression> = fc.letrec<{ boolean: Expression }>((tie) => ({
  boolean: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom("p", "q").map((name) => ({ field: name })),
    fc
      .oneof(fc.tuple(number, number), fc.tuple(text, text))
      .chain((args) => comparison.map((op) => ({ op, args }) as Expression)),
    fc
      .tuple(fc.constantFrom("and" as const, "or" as const), tie("boolean"), tie("boolean"))
      .map(([op, a, b]) => ({ op, args: [a, b] as const })),
    tie("boolean").map((a) => ({ op: "not" as const, args: [a] as const })),
    fc.oneof(number, text).map((a) => ({ op: "isNull" as const, args: [a] as const })),
  ),
})).boolean;

const integer = fc.oneof(
  fc.integer({ min: -3, max: 3 }).map(BigInt),
  fc.constantFrom(2n ** 53n + 1n, 2n ** 53n, -(2n ** 60n) - 1n, 2n ** 63n - 1n, -(2n ** 63n)),
);
const word = fc.constantFrom("", "a", "b", "\u{1F600}", "\uFFFD", "ab");
const row = fc.record(
  {
    i: integer.map(String),
    j: integer.map(String),
    d: fc.oneof(
      fc.constantFrom(0, 1, 2.5, 1e308, -1),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
    ),
    e: fc.constantFrom(0, 1, -2.5, 1e308),
    s: word,
    t: word,
    p: fc.boolean(),
    q: fc.boolean(),
  },
  { requiredKeys: [] },
);

const batchOf = (data: object) =>
  new Intake(topicPlan, PLAN.columns).read(
    1,
    RecordBatch.encode({
      ingestTime: 1,
      events: [
        {
          id: "x",
          type: "E",
          key: "k",
          eventTime: 1,
          data: {
            $case: "protobuf",
            value: Buffer.from(schemas.toBinary("E", JSON.stringify(data))),
          },
        },
      ],
      tick: undefined,
      rekeyed: undefined,
    }).finish(),
  );

/** The same, of what a step has taken. */
const lookingBack = (expression: Expression): PatternExpression => {
  if ("op" in expression) {
    return {
      op: expression.op,
      args: expression.args.map(lookingBack),
    } as unknown as PatternExpression;
  }
  return "literal" in expression ? expression : { step: "A", fn: "last", of: expression };
};
/** Results of arithmetic are whole doubles, of which the evaluator makes integers again. */
const plain = (value: Scalar): Scalar => (typeof value === "bigint" ? Number(value) : value);

test("V1: what looks back is computed as the evaluator computes it", () => {
  const expression = fc.oneof(number, boolean);
  fc.assert(
    fc.property(expression, row, (drawn, data) => {
      const conditions = new Conditions(["A"], () => true);
      const value = conditions.value(lookingBack(drawn));
      const batch = batchOf(data);
      const values = conditions.captures.map((capture) =>
        scalarOf(compileExpression(capture.expression, PLAN).evaluate(batch), 0),
      );
      const event = { mask: 0, values, bytes: bytesOf(values) };
      const expected = scalarOf(compileExpression(drawn, PLAN).evaluate(batch), 0);
      expect(plain(value(takenOf(event, 1, 0, 0, 0, undefined)))).toEqual(plain(expected));
    }),
    { numRuns: RUNS },
  );
});

test("V2: integers are exact, whatever their size", () => {
  fc.assert(
    fc.property(integer, (i) => {
      const vector = compileExpression({ field: "i" }, PLAN).evaluate(batchOf({ i: String(i) }));
      const value = scalarOf(vector, 0);
      expect(BigInt(value as number | bigint)).toBe(i);
      expect(typeof value).toBe(Number.isSafeInteger(Number(i)) ? "number" : "bigint");
    }),
  );
});

test("scalars are read as they were written", () => {
  const scalar: fc.Arbitrary<Scalar> = fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.double({ noNaN: true }),
    integer.filter((i) => !Number.isSafeInteger(Number(i))),
    fc.string({ unit: "grapheme" }),
  );
  fc.assert(
    fc.property(scalar, (value) => {
      const out = new ByteWriter();
      writeScalar(value, out);
      const from = new ByteReader(out.finish());
      expect(readScalar(from)).toEqual(value);
      expect(from.at).toBe(out.length);
    }),
  );
});

test("a long text is cut between two characters", () => {
  const long = `${"x".repeat(TEXT_BYTES_MAX - 1)}é and more`;
  const vector = compileExpression({ field: "s" }, PLAN).evaluate(batchOf({ s: long }));
  expect(scalarOf(vector, 0)).toBe("x".repeat(TEXT_BYTES_MAX - 1));
});
