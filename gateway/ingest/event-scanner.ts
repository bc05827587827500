/**
 * Reads the envelope of one encoded Event in place and holds it to the rules that do not depend on
 * its topic. The payload is found, not read: that is the validator's part.
 *
 * V1. Never throws; a broken rule is `field` and `reason`, made only then.
 * V2. Protobuf's rules: fields in any order, the last of a repeated singular field wins, and so does
 *     the last of protobuf and json; unknown fields are kept. A known field of the wrong wire type is
 *     an error here, not an unknown field: it is always a mistake. So is an event_time out of range
 *     even if a later one overrides it: most decoders would refuse the event.
 */
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { EVENT_TIME_MAX } from "../../actors/kernel/record-batch-scanner.ts";
import {
  readVarint,
  skipField,
  varintHigh,
  varintLow,
  varintSigned,
  WIRE_BYTES,
} from "../../actors/kernel/wire.ts";
import { validUtf8 } from "./utf8.ts";

export const ID_BYTES_MAX = 128;
export const KEY_BYTES_MAX = 1024;

/** Tags of Event's fields. */
const ID = 0x0a;
const TYPE = 0x12;
const KEY = 0x1a;
const EVENT_TIME = 0x20;
export const PROTOBUF = 0x2a;
export const JSON_TEXT = 0x32;

const FIELD_NAMES = ["", "id", "type", "key", "event_time", "data", "data"];

export const WIRE_NAMES = [
  "a varint",
  "8 fixed bytes",
  "length-delimited",
  "the start of a group",
  "the end of a group",
  "4 fixed bytes",
  "wire type 6",
  "wire type 7",
];

export class EventScanner {
  idStart = 0;
  idEnd = 0;
  typeStart = 0;
  typeEnd = 0;
  keyStart = 0;
  keyEnd = 0;
  eventTime = Number.NaN;
  dataStart = 0;
  dataEnd = 0;
  /** PROTOBUF, JSON_TEXT, or 0 when the event has no data. */
  dataTag = 0;
  /** Whether a json field occurs at all, even one that a later protobuf field overrides. */
  jsonSeen = false;
  /** Path and reason of the rule that the event breaks. */
  field = "";
  reason = "";

  /** Finds the fields of the Event in bytes[start, end); false if the bytes are malformed. */
  scan(bytes: Uint8Array, start: number, end: number): boolean {
    this.idStart = this.idEnd = this.typeStart = this.typeEnd = this.keyStart = this.keyEnd = 0;
    this.dataStart = this.dataEnd = this.dataTag = 0;
    this.eventTime = Number.NaN;
    this.jsonSeen = false;
    let at = start;
    while (at < end) {
      let tag = bytes[at];
      let value = at + 1;
      if (tag > 127) {
        value = readVarint(bytes, at, end);
        if (value < 0 || varintHigh !== 0)
          return this.#fail("", "malformed: a field's tag is broken");
        tag = varintLow;
      }
      if (tag === EVENT_TIME) {
        at = readVarint(bytes, value, end);
        if (at < 0) return this.#fail("event_time", "malformed varint");
        this.eventTime = varintSigned();
        if (!(Math.abs(this.eventTime) <= EVENT_TIME_MAX)) return this.#outOfRange();
        continue;
      }
      if ((tag & 7) !== WIRE_BYTES || tag > JSON_TEXT || tag < ID) {
        at = this.#unknown(bytes, value, end, tag);
        if (at < 0) return false;
        continue;
      }
      let length = value < end ? bytes[value] : 255;
      let from = value + 1;
      if (length > 127) {
        from = readVarint(bytes, value, end);
        length = from < 0 || varintHigh !== 0 ? Infinity : varintLow;
      }
      at = from + length;
      if (!(at <= end)) {
        return this.#fail(FIELD_NAMES[tag >>> 3], "malformed: longer than the event");
      }
      switch (tag) {
        case ID:
          this.idStart = from;
          this.idEnd = at;
          break;
        case TYPE:
          this.typeStart = from;
          this.typeEnd = at;
          break;
        case KEY:
          this.keyStart = from;
          this.keyEnd = at;
          break;
        case PROTOBUF:
        case JSON_TEXT:
          this.dataStart = from;
          this.dataEnd = at;
          this.dataTag = tag;
          this.jsonSeen ||= tag === JSON_TEXT;
          break;
        default:
          return this.#wrongType(tag);
      }
    }
    return true;
  }

  /** The envelope's rules, the type's name aside; to be called after a `scan` that returned true. */
  check(bytes: Uint8Array): boolean {
    const idBytes = this.idEnd - this.idStart;
    if (idBytes > ID_BYTES_MAX) {
      return this.#fail("id", `is ${idBytes} bytes long; the limit is ${ID_BYTES_MAX}`);
    }
    if (!validUtf8(bytes, this.idStart, this.idEnd)) return this.#fail("id", "is not valid UTF-8");
    const keyBytes = this.keyEnd - this.keyStart;
    if (keyBytes === 0) {
      return this.#fail("key", "is missing or empty: it decides the partition and the order");
    }
    if (keyBytes > KEY_BYTES_MAX) {
      return this.#fail("key", `is ${keyBytes} bytes long; the limit is ${KEY_BYTES_MAX}`);
    }
    if (!validUtf8(bytes, this.keyStart, this.keyEnd))
      return this.#fail("key", "is not valid UTF-8");
    if (Number.isNaN(this.eventTime)) {
      return this.#fail("event_time", "is missing: milliseconds since the Unix epoch, UTC");
    }
    if (this.dataTag === 0) {
      return this.#fail("data", "is missing: set protobuf (which may be empty) or json");
    }
    return true;
  }

  /**
   * The Event in bytes[start, end), which `scan` found well-formed, with `payload` as its only data;
   * every other field stays as it is. The offsets of the scan stay those of the original.
   */
  withProtobuf(bytes: Buffer, start: number, end: number, payload: Uint8Array): Buffer {
    const parts: Uint8Array[] = [];
    for (let at = start; at < end;) {
      const value = readVarint(bytes, at, end);
      const tag = varintLow;
      const next = skipField(bytes, value, end, tag & 7);
      if (tag !== PROTOBUF && tag !== JSON_TEXT) parts.push(bytes.subarray(at, next));
      at = next;
    }
    parts.push(new BinaryWriter().uint32(PROTOBUF).bytes(payload).finish());
    return Buffer.concat(parts);
  }

  /** Position after a field that is none of Event's, or -1 if it is malformed. */
  #unknown(bytes: Uint8Array, value: number, end: number, tag: number): number {
    const number = tag >>> 3;
    if (number === 0) return this.#broken("malformed: field number 0");
    if (number < FIELD_NAMES.length) {
      this.#wrongType(tag);
      return -1;
    }
    const at = skipField(bytes, value, end, tag & 7);
    if (at >= 0) return at;
    const wire = tag & 7;
    return this.#broken(
      wire === 3 || wire === 4
        ? `field ${number} is a group, which the log does not take`
        : `malformed: field ${number} is broken or longer than the event`,
    );
  }

  #outOfRange(): false {
    return this.#fail(
      "event_time",
      `${this.eventTime} is outside +-${EVENT_TIME_MAX}: milliseconds since the Unix epoch, UTC`,
    );
  }

  #broken(reason: string): -1 {
    this.#fail("", reason);
    return -1;
  }

  #wrongType(tag: number): boolean {
    const number = tag >>> 3;
    const expected = WIRE_NAMES[number === 4 ? 0 : 2];
    return this.#fail(FIELD_NAMES[number], `expected ${expected}, found ${WIRE_NAMES[tag & 7]}`);
  }

  #fail(field: string, reason: string): false {
    this.field = field;
    this.reason = reason;
    return false;
  }
}
