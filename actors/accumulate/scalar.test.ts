import { expect, test } from "vitest";
import { Value } from "../../proto/gen/tidemark/v1/result.ts";
import { emptyVector } from "../expression/vector.ts";
import { ByteWriter } from "../kernel/byte-writer.ts";
import { plain, vectorOf, type Input } from "./accumulators.suite.ts";
import { cutAt, scalarBytes, writeScalarValue } from "./scalar.ts";

type Type = "integer" | "double" | "string";

/** Of a row with neighbours on both sides. */
const bytesOf = (type: Type, input: Input, bytesMax = 100): Buffer => {
  const neighbour = type === "string" ? "neighbour" : 9;
  const vector = vectorOf(type, [neighbour, input, neighbour]);
  const { bytes, start, end } = scalarBytes(vector, 1, bytesMax);
  return Buffer.from(bytes.slice(start, end));
};

const valueOf = (type: Type, bytes: Uint8Array): unknown => {
  const out = new ByteWriter();
  writeScalarValue(type, bytes, out);
  return plain(Value.decode(out.finish()));
};

const SCALARS: Readonly<Record<Type, readonly Input[]>> = {
  integer: [
    0n,
    1n,
    -1n,
    2n ** 53n - 1n,
    2n ** 53n,
    2n ** 53n + 1n,
    2n ** 53n + 2n,
    -(2n ** 53n) - 1n,
  ].concat(2n ** 63n - 1n, 2n ** 63n - 2n, -(2n ** 63n)),
  double: [0, 1, -1, 0.1, 5e-324, Number.MAX_VALUE],
  string: ["", "a", "b", "ab", "é", "\u0000", "日本"],
};

test.for(Object.keys(SCALARS) as Type[])(
  "C1: equal values of %s have equal bytes, and only they",
  (type) => {
    const all = SCALARS[type];
    const bytes = all.map((input) => bytesOf(type, input).toString("hex"));
    expect(new Set(bytes).size).toBe(all.length);
    expect(all.map((input) => bytesOf(type, input).toString("hex"))).toEqual(bytes);
    expect(all.map((input) => valueOf(type, bytesOf(type, input)))).toEqual(all);
  },
);

test("C1: 0 and -0 are equal", () => {
  expect(bytesOf("double", -0)).toEqual(bytesOf("double", 0));
});

test("C1: a number is its nearest double, and the residual only where there is one", () => {
  const doubles = (...numbers: number[]) => Buffer.from(Float64Array.from(numbers).buffer);
  expect(bytesOf("integer", 2n ** 53n)).toEqual(doubles(2 ** 53));
  expect(bytesOf("integer", 2n ** 53n + 1n)).toEqual(doubles(2 ** 53, 1));
  const bare = { ...emptyVector("integer"), values: Float64Array.of(7) };
  const { bytes, start, end } = scalarBytes(bare, 0, 0);
  expect(Buffer.from(bytes.slice(start, end))).toEqual(doubles(7));
});

test.for([2n ** 63n, 2n ** 63n + 1n, 2n ** 64n - 1n])(
  "%s, which no signed integer of 64 bits holds, is published as its nearest double",
  (input) => {
    const out = new ByteWriter();
    writeScalarValue("integer", bytesOf("integer", input), out);
    const kind = { $case: "doubleValue", value: Number(input) };
    expect(Value.decode(out.finish()).kind).toEqual(kind);
  },
);

test("a whole number of a double's is a double", () => {
  const out = new ByteWriter();
  writeScalarValue("double", bytesOf("double", 7), out);
  expect(Value.decode(out.finish()).kind).toEqual({ $case: "doubleValue", value: 7 });
});

test.for<readonly [text: string, bytesMax: number, kept: string]>([
  ["abc", 4, "abc"],
  ["abc", 3, "abc"],
  ["abc", 2, "ab"],
  ["abc", 0, ""],
  ["aé", 3, "aé"],
  ["aé", 2, "a"],
  ["日本", 6, "日本"],
  ["日本", 5, "日"],
  ["日本", 4, "日"],
  ["日本", 3, "日"],
  ["日本", 2, ""],
  ["a😀b", 5, "a😀"],
  ["a😀b", 4, "a"],
])("C1: of %j at most %i bytes are %j, which cuts no character", ([text, bytesMax, kept]) => {
  expect(bytesOf("string", text, bytesMax).toString()).toBe(kept);
});

test("a cut never goes back behind the beginning", () => {
  // Not UTF-8: bytes that go on with a character which has no first one.
  const bytes = Uint8Array.of(0x61, 0x80, 0x80, 0x80, 0x80);
  expect(cutAt(bytes, 2, 5, 2)).toBe(2);
});
