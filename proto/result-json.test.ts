import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Update } from "./gen/tidemark/v1/commit.ts";
import { Kind, type Value } from "./gen/tidemark/v1/result.ts";
import { kindName, resultToJson, updateToJson, valueToJson } from "./result-json.ts";

const source = { projection: "departures", version: 2, columns: ["flights", "mean", "last"] };

const update = (over: Partial<Update> = {}): Update => ({
  key: "ORD",
  windowStart: 978307200000,
  windowEnd: 978310800000,
  kind: Kind.KIND_FINAL,
  revision: 3,
  ordinal: 0,
  watermark: 978310799999,
  partition: 1,
  sequence: 77,
  index: 4,
  values: [
    { kind: { $case: "intValue", value: "42" } },
    { kind: { $case: "doubleValue", value: 7.25 } },
    { kind: undefined },
  ],
  ...over,
});

describe("the JSON of an update", () => {
  it("has one shape, in one order, on one line", () => {
    expect(updateToJson(source, update())).toBe(
      '{"projection":"departures","version":2,"key":"ORD",' +
        '"window":{"start":978307200000,"end":978310800000,' +
        '"startTime":"2001-01-01T00:00:00.000Z","endTime":"2001-01-01T01:00:00.000Z"},' +
        '"kind":"final","revision":3,"watermark":978310799999,' +
        '"values":{"flights":42,"mean":7.25,"last":null}}',
    );
  });

  it("is the same for a result", () => {
    const { key, kind, revision, watermark, windowStart, windowEnd, values } = update();
    const result = {
      projection: source.projection,
      version: source.version,
      key,
      window: { start: windowStart, end: windowEnd },
      kind,
      revision,
      ordinal: 0,
      watermark,
      position: undefined,
      values: values.map((value, i) => ({ name: source.columns[i]!, value })),
    };
    expect(resultToJson(result)).toBe(updateToJson(source, update()));
  });

  it("keeps every digit of an int64", () => {
    for (const digits of ["9223372036854775807", "-9223372036854775808", "9007199254740993"]) {
      expect(valueToJson({ kind: { $case: "intValue", value: digits } })).toBe(digits);
    }
  });

  it("writes any double so that it reads back as the same bits", () => {
    fc.assert(
      fc.property(fc.double(), (value) => {
        const text = valueToJson({ kind: { $case: "doubleValue", value } });
        const back: unknown = JSON.parse(text);
        expect(typeof back === "string" ? Number(back) : back).toBe(value);
      }),
    );
    expect(valueToJson({ kind: { $case: "doubleValue", value: -0 } })).toBe("-0");
    expect(valueToJson({ kind: { $case: "doubleValue", value: -Infinity } })).toBe('"-Infinity"');
  });

  it("parses to the same key, names, strings and bytes, whatever they hold", () => {
    const text = fc.string({ unit: "binary" });
    fc.assert(
      fc.property(text, text, text, fc.uint8Array(), (key, name, word, bytes) => {
        const columns = [name, `${name}2`];
        const values: Value[] = [
          { kind: { $case: "stringValue", value: word } },
          { kind: { $case: "bytesValue", value: Buffer.from(bytes) } },
        ];
        const json = updateToJson({ ...source, columns }, update({ key, values }));
        expect(json).not.toContain("\n");
        const parsed = JSON.parse(json);
        expect(parsed.key).toBe(key);
        expect(Object.entries(parsed.values)).toEqual(
          expect.arrayContaining([
            [name, word],
            [`${name}2`, Buffer.from(bytes).toString("base64")],
          ]),
        );
      }),
    );
  });

  it("writes lists as arrays and records as objects, in their order", () => {
    const integer = (value: string): Value => ({ kind: { $case: "intValue", value } });
    const record: Value = {
      kind: {
        $case: "recordValue",
        value: {
          fields: [
            { name: 'a "page"', value: integer("9007199254740993") },
            { name: "none", value: { kind: undefined } },
            { name: "missing", value: undefined },
          ],
        },
      },
    };
    const value: Value = {
      kind: { $case: "listValue", value: { values: [record, integer("-1")] } },
    };
    expect(valueToJson(value)).toBe(
      '[{"a \\"page\\"":9007199254740993,"none":null,"missing":null},-1]',
    );
    expect(valueToJson({ kind: { $case: "listValue", value: { values: [] } } })).toBe("[]");
  });

  it("J4: says which of its key and window a result is, where it is not the first", () => {
    const flag: Value = { kind: { $case: "boolValue", value: true } };
    const first = updateToJson(source, update({ values: [flag] }));
    const second = updateToJson(source, update({ values: [flag], ordinal: 1 }));
    expect(JSON.parse(first)).not.toHaveProperty("ordinal");
    expect(JSON.parse(second)).toEqual({ ...JSON.parse(first), ordinal: 1 });
    expect(Object.values(JSON.parse(second).values)).toEqual([true]);
  });

  it("says no date where a calendar has none", () => {
    const json = updateToJson(source, update({ windowEnd: Number.MAX_SAFE_INTEGER, values: [] }));
    expect(JSON.parse(json).window).toEqual({
      start: 978307200000,
      end: 9007199254740991,
      startTime: "2001-01-01T00:00:00.000Z",
      endTime: null,
    });
    expect(JSON.parse(json).values).toEqual({});
  });

  it("names every kind", () => {
    expect([0, 1, 2, 3, 4].map((kind) => kindName(kind))).toEqual([
      "unspecified",
      "early",
      "final",
      "correction",
      "retraction",
    ]);
  });

  it("names a value without a column by its index rather than drop it", () => {
    const json = updateToJson({ ...source, columns: ["flights"] }, update());
    expect(JSON.parse(json).values).toEqual({ flights: 42, "1": 7.25, "2": null });
  });
});
