import { expect, it } from "vitest";
import { parseEventLine } from "./event-line.ts";

const parse = (line: string, type?: string) => parseEventLine(line, { type, makeId: () => "made" });

it("makes an event of a line", () => {
  const line =
    '{"id":"a","type":"orders.Paid","key":"k","time":"2001-01-01T00:05:00Z","data":{"amount":5}}';
  expect(parse(line)).toEqual({
    event: {
      id: "a",
      type: "orders.Paid",
      key: "k",
      eventTime: Date.UTC(2001, 0, 1, 0, 5),
      data: { $case: "json", value: '{"amount":5}' },
    },
  });
});

it("fills in the id, and the type of the command", () => {
  expect(parse('{"key":"k","time":0,"data":{}}', "orders.Paid")).toMatchObject({
    event: { id: "made", type: "orders.Paid", eventTime: 0 },
  });
});

it.each([
  ["{", "line", /^is not JSON: /],
  ["[1]", "line", /must be a JSON object/],
  ['{"ky":"k"}', "ky", /is unknown; an event has id, type, key, time, data/],
  ['{"key":"k","time":0,"data":{}}', "type", /is missing, and no --type was given/],
  ['{"type":"t","time":0,"data":{}}', "key", /is missing/],
  ['{"type":"t","key":7,"time":0,"data":{}}', "key", /must be a text/],
  ['{"type":"t","key":"k","data":{}}', "time", /is missing/],
  ['{"type":"t","key":"k","time":"yesterday","data":{}}', "time", /ISO 8601 with a zone/],
  // Without a zone it would be another moment on another machine.
  ['{"type":"t","key":"k","time":"2001-01-01T00:05:00","data":{}}', "time", /with a zone/],
  ['{"type":"t","key":"k","time":1.5,"data":{}}', "time", /milliseconds/],
  ['{"type":"t","key":"k","time":0}', "data", /is missing/],
  ['{"type":"t","key":"k","time":0,"data":"x"}', "data", /must be a JSON object/],
])("refuses %s by its field %s", (line, field, reason) => {
  expect(parse(line)).toEqual({ field, reason: expect.stringMatching(reason) });
});
