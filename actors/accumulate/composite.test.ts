import { expect, test } from "vitest";
import { Value } from "../../proto/gen/tidemark/v1/result.ts";
import { ByteWriter } from "../kernel/byte-writer.ts";
import { writeIntValue, writeStringValue } from "./accumulator.ts";
import { plain } from "./accumulators.suite.ts";
import { writeListValue, writeRecordValue } from "./composite.ts";

type Write = (out: ByteWriter) => void;

const decoded = (write: Write): unknown => {
  const out = new ByteWriter();
  write(out);
  return plain(Value.decode(out.finish()));
};

const text =
  (value: string): Write =>
  (out) =>
    writeStringValue(out, Buffer.from(value));
const list =
  (...items: readonly Write[]): Write =>
  (out) =>
    writeListValue(out, items.length, (item, i) => items[i]!(item));
const record =
  (fields: Readonly<Record<string, Write>>): Write =>
  (out) =>
    writeRecordValue(out, Object.entries(fields));

test("lists and records within one another, with neighbours on both sides", () => {
  const long = "x".repeat(1_000);
  const written = list(
    text("first"),
    record({
      empty: list(),
      long: text(long),
      inner: record({
        list: list(text("a"), list(text(long), text("b")), text("")),
        none: () => {},
      }),
      after: (out) => writeIntValue(out, -1),
    }),
    record({}),
    text("last"),
  );
  expect(decoded(written)).toEqual([
    "first",
    { empty: [], long, inner: { list: ["a", [long, "b"], ""], none: null }, after: -1n },
    {},
    "last",
  ]);
});

test("as many items as were asked for, each with its number", () => {
  const numbers: Write = (out) => writeListValue(out, 3, (item, i) => writeIntValue(item, i));
  expect(decoded(numbers)).toEqual([0n, 1n, 2n]);
});

test("after an item that throws the next value is written as ever", () => {
  const fails: Write = () => {
    throw new Error("no value");
  };
  const values = record({ a: list(text("b"), record({ c: text("d") })) });
  const expected = decoded(values);
  for (let i = 0; i < 3; i++) {
    expect(() => decoded(record({ x: list(record({ y: fails })) }))).toThrow("no value");
    expect(decoded(values)).toEqual(expected);
  }
  // One that is caught within a value leaves its neighbours alone.
  const caught: Write = (out) => {
    expect(() => list(text("lost"), fails)(out)).toThrow("no value");
    text("kept")(out);
  };
  expect(decoded(list(text("a"), caught, text("b")))).toEqual(["a", "kept", "b"]);
});
