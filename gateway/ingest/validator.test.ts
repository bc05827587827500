import { fromBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { labSchemas, NOTE, READING } from "./lab-topic.suite.ts";
import { PayloadValidator } from "./validator.ts";

const validator = new PayloadValidator(labSchemas.eventType(READING)!);

const judge = (payload: Uint8Array): string => {
  const source = Buffer.concat([Buffer.from("xx"), payload, Buffer.from("yy")]);
  return validator.check(source, 2, 2 + payload.length)
    ? "ok"
    : `${validator.field}: ${validator.reason}`;
};

const write = (build: (writer: BinaryWriter) => BinaryWriter): Uint8Array =>
  build(new BinaryWriter()).finish();

const tag = (number: number, wire: WireType) => (writer: BinaryWriter) => writer.tag(number, wire);
const { Varint, Bit64, LengthDelimited, Bit32, StartGroup } = WireType;

/** JSON of readings with every kind of field. */
const probe = fc.record({
  name: fc.string(),
  serial: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String),
});
const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
const reading = fc.record(
  {
    delay: fc.integer(),
    count: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String),
    place: fc.string({ unit: "binary" }),
    ratio: finite,
    weight: fc.float({ noNaN: true, noDefaultInfinity: true }),
    tags: fc.array(fc.string({ unit: "binary" })),
    steps: fc.array(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String)),
    speeds: fc.array(finite),
    codes: fc.array(fc.nat()),
    grade: fc.constantFrom("GOOD", "BAD", 17),
    probe,
    raw: fc.uint8Array().map((raw) => Buffer.from(raw).toString("base64")),
    ok: fc.boolean(),
    big: fc.bigInt(0n, 2n ** 64n - 1n).map(String),
    small: fc.integer(),
    probes: fc.array(probe),
    totals: fc.dictionary(fc.string(), fc.bigInt(0n, 2n ** 64n - 1n).map(String)),
    far: fc.bigInt(0n, 2n ** 64n - 1n).map(String),
  },
  { requiredKeys: [] },
);

describe("the payload validator", () => {
  it("takes every message of its type", () => {
    fc.assert(
      fc.property(reading, (json) => {
        expect(judge(labSchemas.toBinary(READING, JSON.stringify(json)))).toBe("ok");
      }),
      { numRuns: 500 },
    );
  });

  it("never throws, and what it takes a Protobuf library can read (V1)", () => {
    const message = labSchemas.message(READING);
    const mutated = fc
      .tuple(
        reading,
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 3 }),
      )
      .map(([json, changes]) => {
        const bytes = labSchemas.toBinary(READING, JSON.stringify(json));
        for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), mutated), (bytes) => {
        if (!validator.check(bytes, 0, bytes.length)) {
          expect(validator.field).toMatch(/^data(\.[a-z]+)?$/);
          expect(validator.reason).not.toBe("");
          return;
        }
        // Messages inside are checked for structure only, so their strings may not be UTF-8.
        if (!/[\u0080-\u{10ffff}]/u.test(Buffer.from(bytes).toString("latin1"))) {
          expect(() => fromBinary(message, bytes)).not.toThrow();
        }
      }),
      { numRuns: 5000 },
    );
  });

  it.each([
    ["nothing", new Uint8Array(0), "ok"],
    [
      "a string for a number",
      write((writer) => tag(1, LengthDelimited)(writer).string("late")),
      "data.delay: expected a varint, found length-delimited",
    ],
    [
      "a number for a string",
      write((writer) => tag(3, Varint)(writer).uint32(7)),
      "data.place: expected length-delimited, found a varint",
    ],
    [
      "a float for a double",
      write((writer) => tag(4, Bit32)(writer).float(1)),
      "data.ratio: expected 8 fixed bytes, found 4 fixed bytes",
    ],
    [
      "NaN",
      write((writer) => tag(4, Bit64)(writer).double(Number.NaN)),
      "data.ratio: is NaN or infinite; only finite numbers are taken",
    ],
    [
      "-Infinity",
      write((writer) => tag(4, Bit64)(writer).double(-Infinity)),
      "data.ratio: is NaN or infinite; only finite numbers are taken",
    ],
    [
      "the greatest double",
      write((writer) => tag(4, Bit64)(writer).double(Number.MAX_VALUE)),
      "ok",
    ],
    [
      "float infinity",
      write((writer) => tag(5, Bit32)(writer).float(Infinity)),
      "data.weight: is NaN or infinite; only finite numbers are taken",
    ],
    [
      "the greatest float",
      write((writer) => tag(5, Bit32)(writer).float(3.4028234663852886e38)),
      "ok",
    ],
    [
      "an integer of all ones",
      write((writer) => tag(14, Bit64)(writer).fixed64("18446744073709551615")),
      "ok",
    ],
    [
      "a string that is not UTF-8",
      write((writer) => tag(3, LengthDelimited)(writer).bytes(Uint8Array.of(0xc3, 0x28))),
      "data.place: is not valid UTF-8",
    ],
    [
      "bytes that are not UTF-8",
      write((writer) => tag(12, LengthDelimited)(writer).bytes(Uint8Array.of(0xff))),
      "ok",
    ],
    [
      "a varint without end",
      Uint8Array.of(0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
      "data.delay: malformed varint",
    ],
    ["a cut off varint", Uint8Array.of(0x08, 0x80), "data.delay: malformed varint"],
    ["a cut off double", Uint8Array.of(0x21, 0, 0, 0), "data.ratio: malformed: cut off"],
    [
      "a cut off string",
      Uint8Array.of(0x1a, 5, 0x41),
      "data.place: malformed: longer than the payload",
    ],
    ["a cut off tag", Uint8Array.of(0x80), "data: malformed: a field's tag is broken"],
    ["field number 0", Uint8Array.of(0x00, 0x00), "data: malformed: field number 0"],
    [
      "packed numbers",
      write((writer) => tag(7, LengthDelimited)(writer).fork().sint64(1).sint64(-300).join()),
      "ok",
    ],
    [
      "unpacked numbers",
      write((writer) => tag(7, Varint)(tag(7, Varint)(writer).sint64(1)).sint64(2)),
      "ok",
    ],
    [
      "packed fixed",
      write((writer) => tag(9, LengthDelimited)(writer).fork().fixed32(1).join()),
      "ok",
    ],
    [
      "packed fixed, cut",
      write((writer) => tag(9, LengthDelimited)(writer).bytes(Uint8Array.of(1, 2, 3))),
      "data.codes: malformed: cut off",
    ],
    [
      "a packed NaN",
      write((writer) => tag(8, LengthDelimited)(writer).fork().double(1).double(Number.NaN).join()),
      "data.speeds: is NaN or infinite; only finite numbers are taken",
    ],
    [
      "packed for a singular field",
      write((writer) => tag(2, LengthDelimited)(writer).fork().int64(1).join()),
      "data.count: expected a varint, found length-delimited",
    ],
    [
      "a broken message inside",
      write((writer) => tag(11, LengthDelimited)(writer).bytes(Uint8Array.of(0x0a, 9))),
      "data.probe: is not a well-formed message",
    ],
    ["an unknown field", write((writer) => tag(99, LengthDelimited)(writer).string("kept")), "ok"],
    [
      "an unknown field cut off",
      Uint8Array.of(0x9a, 0x06, 9),
      "data: malformed: unknown field 99 is broken or longer than the payload",
    ],
    [
      "an unknown group",
      write((writer) => tag(99, StartGroup)(writer)),
      "data: unknown field 99 is a group, which the log does not take",
    ],
    [
      "a far field",
      write((writer) => tag(100, Bit64)(writer).double(1)),
      "data.far: expected a varint, found 8 fixed bytes",
    ],
  ])("judges %s", (_name, payload, verdict) => {
    expect(judge(payload)).toBe(verdict);
  });

  it("forgets nothing between payloads of different types", () => {
    const note = new PayloadValidator(labSchemas.eventType(NOTE)!);
    const bytes = write((writer) => tag(1, LengthDelimited)(writer).string("text"));
    expect(note.check(bytes, 0, bytes.length)).toBe(true);
    expect(judge(bytes)).toContain("data.delay");
  });
});
