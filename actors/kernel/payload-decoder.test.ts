import { create, fromBinary, toBinary, fromJson } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseSchema } from "../../projections/schema/schema-set.ts";
import { payloadDecoder } from "./payload-decoder.ts";

const schemas = parseSchema(`
  syntax = "proto3";
  package t;
  message All {
    double d = 1; float f = 2; int32 i32 = 3; int64 i64 = 4; uint32 u32 = 5; uint64 u64 = 6;
    sint32 s32 = 7; sint64 s64 = 8; fixed32 f32 = 9; fixed64 f64 = 10; sfixed32 sf32 = 11;
    sfixed64 sf64 = 12; bool b = 13; string s = 14; bytes raw = 15; Colour colour = 16;
    optional int32 maybe = 17;
    All inner = 18;
    repeated sint32 packed = 19;
    repeated int64 loose = 20 [packed = false];
    repeated string names = 21;
    repeated All list = 22;
    map<string, int64> counts = 23;
    map<int32, All> by_number = 24;
    repeated Colour colours = 25;
    oneof either { string left = 26; int64 right = 27; }
  }
  enum Colour { NONE = 0; RED = 1; BLUE = 5; }
`);
const all = schemas.message("t.All");
const decode = payloadDecoder(schemas.eventType("t.All")!);
const NAMES: Readonly<Record<number, string>> = { 0: "NONE", 1: "RED", 5: "BLUE" };

const camel = (name: string): string =>
  name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/** What D1 and D2 say, by way of another library. */
const expected = (message: unknown): Record<string, unknown> => {
  const from = message as Record<string, unknown> & {
    either: { case?: string; value?: unknown };
  };
  return Object.fromEntries(
    all.fields.map((field) => {
      const { name } = field;
      if (name === "left" || name === "right") {
        return [name, from.either.case === name ? from.either.value : null];
      }
      const value = from[camel(name)];
      if (name === "colour") return [name, NAMES[value as number] ?? value];
      if (name === "colours") {
        return [name, (value as number[]).map((each) => NAMES[each] ?? each)];
      }
      if (name === "inner") return [name, value === undefined ? null : expected(value)];
      if (name === "list") return [name, (value as unknown[]).map(expected)];
      if (name === "by_number") {
        const entries = Object.entries(value as object);
        return [name, Object.fromEntries(entries.map(([key, of]) => [key, expected(of)]))];
      }
      return [name, value ?? null];
    }),
  );
};

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const colour = fc.constantFrom(0, 1, 5, 77);

const { message: arbitrary } = fc.letrec<{ message: Record<string, unknown> }>((tie) => ({
  message: fc.record(
    {
      d: fc.double(),
      f: fc.float(),
      i32: int32,
      i64: int64,
      u32: uint32,
      u64: uint64,
      s32: int32,
      s64: int64,
      f32: uint32,
      f64: uint64,
      sf32: int32,
      sf64: int64,
      b: fc.boolean(),
      s: fc.string({ unit: "grapheme", maxLength: 60 }),
      raw: fc.uint8Array(),
      colour,
      maybe: int32,
      inner: fc.option(tie("message"), { maxDepth: 3, depthIdentifier: "m", nil: undefined }),
      packed: fc.array(int32),
      loose: fc.array(int64),
      names: fc.array(fc.string()),
      list: fc.array(tie("message"), { maxLength: 2, depthIdentifier: "m" }),
      counts: fc.dictionary(fc.string(), int64),
      byNumber: fc.dictionary(int32.map(String), tie("message"), {
        maxKeys: 2,
        depthIdentifier: "m",
      }),
      colours: fc.array(colour),
      either: fc.oneof(
        fc.record({ case: fc.constant("left" as const), value: fc.string() }),
        fc.record({ case: fc.constant("right" as const), value: int64 }),
      ),
    },
    { requiredKeys: [] },
  ),
}));

test("D1, D2: gives what another library gives", () => {
  fc.assert(
    fc.property(arbitrary, (init) => {
      const bytes = toBinary(all, create(all, init as never));
      const padded = Buffer.concat([Buffer.from("xx"), bytes, Buffer.from("y")]);
      const decoded = decode(padded, 2, padded.length - 1);
      expect(decoded).toEqual(expected(fromBinary(all, bytes)));
      expect(Object.keys(decoded)).toEqual(all.fields.map(({ name }) => name));
    }),
  );
});

test("puts a message together that comes in parts, and reads lists packed or not", () => {
  const part = (json: Parameters<typeof fromJson>[1]) => toBinary(all, fromJson(all, json));
  const bytes = Buffer.concat([
    part({ inner: { s: "kept", i32: 1 }, packed: [1, 2] }),
    part({ inner: { i32: 2 }, packed: [3] }),
    // Field 19 as single varints.
    Uint8Array.of(0x98, 0x01, 0x08),
  ]);
  const { inner, packed } = decode(bytes, 0, bytes.length);
  expect(inner).toMatchObject({ s: "kept", i32: 2 });
  expect(packed).toEqual([1, 2, 3, 4]);
});

test("D1: reads groups, and steps over fields that it does not know, groups too", () => {
  const groups = parseSchema(`
    edition = "2023";
    message M { G g = 1 [features.message_encoding = DELIMITED]; int32 after = 2; }
    message G { int32 x = 1; G g = 2 [features.message_encoding = DELIMITED]; }
  `);
  const message = groups.message("M");
  const json = { g: { x: 1, g: { x: 2 } }, after: 3 };
  const known = toBinary(message, fromJson(message, json));
  const unknown = Uint8Array.of(0x4b, 0x48, 0x01, 0x53, 0x54, 0x4c);
  const read = payloadDecoder(groups.eventType("M")!);
  const bytes = Buffer.concat([unknown, known]);
  expect(read(bytes, 0, bytes.length)).toEqual({
    g: { x: 1, g: { x: 2, g: null } },
    after: 3,
  });
});

test("D3: throws for bytes that break off", () => {
  const bytes = toBinary(all, create(all, { s: "abc", inner: { i64: 5n } } as never));
  for (let end = 1; end < bytes.length; end++) {
    if (end === 5) continue;
    expect(() => decode(bytes, 0, end)).toThrow("breaks off");
  }
});

test("a key of a map may be __proto__", () => {
  const bytes = toBinary(all, create(all, { counts: { ["__proto__"]: 1n } } as never));
  // The other library loses it; ours must not take it for a prototype.
  const entry = Uint8Array.of(0xba, 0x01, 13, 0x0a, 9, ...Buffer.from("__proto__"), 0x10, 7);
  const { counts } = decode(Buffer.concat([bytes, entry]), 0, bytes.length + entry.length);
  expect(Object.getPrototypeOf(counts)).toBe(Object.prototype);
  expect(Object.entries(counts as object)).toContainEqual(["__proto__", 7n]);
});
