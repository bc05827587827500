import { BinaryWriter } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EVENT_TIME_MAX } from "../../actors/kernel/record-batch-scanner.ts";
import { Event } from "../../proto/gen/tidemark/v1/event.ts";
import { EventScanner, JSON_TEXT, PROTOBUF } from "./event-scanner.ts";
import { eventBytes, labEvent } from "./lab-topic.suite.ts";

/** One field of an encoded message, as a function that writes it. */
type WriteField = (writer: BinaryWriter) => BinaryWriter;

const text = fc.string({ unit: "binary", maxLength: 40 });
const bytes = fc.uint8Array({ maxLength: 60 });

const knownField: fc.Arbitrary<WriteField> = fc.oneof(
  text.map(
    (id): WriteField =>
      (writer) =>
        writer.uint32(10).string(id),
  ),
  text.map(
    (type): WriteField =>
      (writer) =>
        writer.uint32(18).string(type),
  ),
  text.map(
    (key): WriteField =>
      (writer) =>
        writer.uint32(26).string(key),
  ),
  fc.integer({ min: -EVENT_TIME_MAX, max: EVENT_TIME_MAX }).map(
    (time): WriteField =>
      (writer) =>
        writer.uint32(32).int64(time),
  ),
  bytes.map(
    (data): WriteField =>
      (writer) =>
        writer.uint32(42).bytes(data),
  ),
  text.map(
    (json): WriteField =>
      (writer) =>
        writer.uint32(50).string(json),
  ),
);

const unknownField: fc.Arbitrary<WriteField> = fc
  .tuple(
    fc.integer({ min: 7, max: 536_870_911 }),
    fc.constantFrom(0, 1, 2, 5),
    bytes,
    fc.maxSafeNat(),
  )
  .map(([number, wire, data, value]): WriteField => (writer) => {
    writer.tag(number, wire);
    if (wire === 0) return writer.uint64(value);
    if (wire === 1) return writer.fixed64(value);
    if (wire === 5) return writer.fixed32(value % 2 ** 32);
    return writer.bytes(data);
  });

const encode = (fields: readonly WriteField[]): Buffer =>
  Buffer.from(fields.reduce((writer, write) => write(writer), new BinaryWriter()).finish());

const fields = fc.array(fc.oneof({ weight: 3, arbitrary: knownField }, unknownField), {
  maxLength: 12,
});

/** The bytes somewhere in the middle of others, as in a request. */
const embedded = (event: Buffer): [Buffer, number, number] => [
  Buffer.concat([Buffer.from("before"), event, Buffer.from("after")]),
  6,
  6 + event.length,
];

describe("the event scanner", () => {
  it("finds what the generated decoder decodes, whatever the order, repeats and unknown fields", () => {
    const scanner = new EventScanner();
    fc.assert(
      fc.property(fields, (written) => {
        const encoded = encode(written);
        const [source, start, end] = embedded(encoded);
        const expected = Event.decode(encoded);

        expect(scanner.scan(source, start, end)).toBe(true);

        const slice = (from: number, to: number): string => source.toString("utf8", from, to);
        expect(slice(scanner.idStart, scanner.idEnd)).toBe(expected.id);
        expect(slice(scanner.typeStart, scanner.typeEnd)).toBe(expected.type);
        expect(slice(scanner.keyStart, scanner.keyEnd)).toBe(expected.key);
        expect(scanner.eventTime).toBe(expected.eventTime ?? Number.NaN);
        const data = source.subarray(scanner.dataStart, scanner.dataEnd);
        if (expected.data === undefined) expect(scanner.dataTag).toBe(0);
        else if (expected.data.$case === "json") {
          expect(scanner.dataTag).toBe(JSON_TEXT);
          expect(data.toString("utf8")).toBe(expected.data.value);
        } else {
          expect(scanner.dataTag).toBe(PROTOBUF);
          expect(data.equals(expected.data.value)).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("replaces the data and keeps every other field", () => {
    const scanner = new EventScanner();
    fc.assert(
      fc.property(fields, bytes, (written, payload) => {
        const encoded = encode(written);
        const [source, start, end] = embedded(encoded);
        scanner.scan(source, start, end);
        const rewritten = scanner.withProtobuf(source, start, end, payload);

        const data = { $case: "protobuf", value: Buffer.from(payload) } as const;
        expect(Event.decode(rewritten)).toEqual({ ...Event.decode(encoded), data });
        scanner.scan(rewritten, 0, rewritten.length);
        expect(scanner.jsonSeen).toBe(false);
      }),
    );
  });

  it("never throws, and takes no bytes that the generated decoder refuses (V1)", () => {
    const scanner = new EventScanner();
    const mutated = fc
      .tuple(
        fields,
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
      )
      .map(([written, changes]) => {
        const encoded = encode(written);
        for (const [at, byte] of changes)
          if (encoded.length > 0) encoded[at % encoded.length] = byte;
        return encoded;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), mutated), (raw) => {
        const source = Buffer.from(raw);
        if (!scanner.scan(source, 0, source.length)) {
          expect(scanner.reason).not.toBe("");
        } else if (scanner.check(source)) {
          expect(Event.decode(source).key).not.toBe("");
        }
      }),
      { numRuns: 5000 },
    );
  });

  const judge = (event: Buffer): string => {
    const scanner = new EventScanner();
    if (scanner.scan(event, 0, event.length) && scanner.check(event)) return "ok";
    return scanner.field === "" ? scanner.reason : `${scanner.field}: ${scanner.reason}`;
  };

  it.each([
    ["no id", eventBytes(labEvent({ id: "" })), "ok"],
    ["an id at the limit", eventBytes(labEvent({ id: "i".repeat(128) })), "ok"],
    [
      "a long id",
      eventBytes(labEvent({ id: "i".repeat(129) })),
      "id: is 129 bytes long; the limit is 128",
    ],
    [
      "no key",
      eventBytes(labEvent({ key: "" })),
      "key: is missing or empty: it decides the partition and the order",
    ],
    ["a key at the limit", eventBytes(labEvent({ key: "ü".repeat(512) })), "ok"],
    [
      "a long key",
      eventBytes(labEvent({ key: `${"ü".repeat(512)}x` })),
      "key: is 1025 bytes long; the limit is 1024",
    ],
    [
      "no time",
      eventBytes(labEvent({ eventTime: undefined })),
      "event_time: is missing: milliseconds since the Unix epoch, UTC",
    ],
    ["time zero", eventBytes(labEvent({ eventTime: 0 })), "ok"],
    ["the first time", eventBytes(labEvent({ eventTime: -8.64e15 })), "ok"],
    ["the last time", eventBytes(labEvent({ eventTime: 8.64e15 })), "ok"],
    [
      "a time too early",
      eventBytes(labEvent({ eventTime: -8.64e15 - 1 })),
      "event_time: -8640000000000001 is outside +-8640000000000000: milliseconds since the Unix epoch, UTC",
    ],
    [
      "nanoseconds",
      encode([
        (writer) => writer.raw(eventBytes(labEvent())).uint32(32).int64("1767323045000000000"),
      ]),
      "event_time: 1767323045000000000 is outside +-8640000000000000: milliseconds since the Unix epoch, UTC",
    ],
    [
      "no data",
      eventBytes(labEvent({ data: undefined })),
      "data: is missing: set protobuf (which may be empty) or json",
    ],
    [
      "empty data",
      eventBytes(labEvent({ data: { $case: "protobuf", value: Buffer.alloc(0) } })),
      "ok",
    ],
    [
      "a key that is not UTF-8",
      encode([
        (writer) =>
          writer
            .raw(eventBytes(labEvent()))
            .uint32(26)
            .bytes(Buffer.from([0xff])),
      ]),
      "key: is not valid UTF-8",
    ],
    [
      "a time as a string",
      encode([(writer) => writer.raw(eventBytes(labEvent())).uint32(34).string("2026-01-01")]),
      "event_time: expected a varint, found length-delimited",
    ],
    [
      "an id as a number",
      encode([(writer) => writer.uint32(8).uint32(7)]),
      "id: expected length-delimited, found a varint",
    ],
    [
      "a field cut off",
      eventBytes(labEvent()).subarray(0, -1),
      "data: malformed: longer than the event",
    ],
    ["field number 0", Buffer.from([0x02, 0x00]), "malformed: field number 0"],
    ["a group", Buffer.from([0x3b, 0x3c]), "field 7 is a group, which the log does not take"],
  ])("judges %s", (_name, event, verdict) => {
    expect(judge(event)).toBe(verdict);
  });
});
