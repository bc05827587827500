import { expect, it } from "vitest";
import { jsonCodec } from "./json-payload.ts";
import { labSchemas, READING } from "./lab-topic.suite.ts";

const codec = jsonCodec(labSchemas);

const convert = (json: string): unknown => {
  const converted = codec.toBinary(READING, json);
  return converted instanceof Uint8Array
    ? JSON.parse(labSchemas.toJson(READING, converted))
    : `${converted.field}: ${converted.reason}`;
};

it("converts JSON in the ProtoJSON mapping", () => {
  const json = `{"delay": -5, "count": "9007199254740993", "far": 12, "ratio": 1e300, "grade": "GOOD",
    "probe": {"name": "p", "next": {"serial": "1"}}, "totals": {"a": "1"}, "made": "2026-01-02T03:04:05Z"}`;
  expect(convert(json)).toEqual({
    delay: -5,
    count: "9007199254740993",
    far: "12",
    ratio: 1e300,
    grade: "GOOD",
    probe: { name: "p", next: { serial: "1" } },
    totals: { a: "1" },
    made: "2026-01-02T03:04:05Z",
  });
});

it.each([
  ["", "data: "],
  ["{", "data: "],
  ["[]", "data: "],
  ['"text"', "data: "],
  ['{"delay": "soon"}', "data.delay: "],
  ['{"delay": 2147483648}', "data.delay: "],
  ['{"delay": 1.5}', "data.delay: "],
  ['{"delya": 1}', "data.delya: "],
  ['{"place": 7}', "data.place: "],
  ['{"tags": ["a", 7]}', "data.tags[1]: "],
  ['{"probe": {"next": {"serial": true}}}', "data.probe.next.serial: "],
  ['{"probes": [{}, {"nam": ""}]}', "data.probes[1].nam: "],
  ['{"grade": "UGLY"}', "data.grade: "],
  ['{"delay": 1, "delay": 2}', "data: "],
  ['{"ratio": 1e999}', "data.ratio: "],
  ['{"count": 9007199254740993}', "data.count: write an integer beyond 2^53 as a JSON string"],
  ['{"steps": [1, 9.007199254740993e15]}', "data.steps[1]: write an integer"],
  ['{"totals": {"x": 18446744073709551615}}', "data.totals.x: "],
  ['{"probes": [{"serial": 9007199254740993}]}', "data.probes[0].serial: write an integer"],
])("refuses %s with the path of the field", (json, expected) => {
  expect(convert(json)).toContain(expected);
});

it("survives JSON that nests deeper than any message may", () => {
  const deep = `${'{"probe":{"next":'.repeat(1)}${'{"next":'.repeat(100_000)}{}${"}".repeat(100_002)}`;
  expect(convert(deep)).toContain("data");
});
