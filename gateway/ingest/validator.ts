/**
 * Holds a payload to its event type's schema by walking the wire format, in place: what is in the
 * log can be read by every projection that comes later.
 *
 * V1. Never throws, whatever the bytes; a broken rule is `field` and `reason`, made only then.
 * V2. Every byte is walked: bounds of unknown fields and of messages inside the payload count too.
 * V3. Strings are UTF-8 and floating-point numbers finite, since results are JSON.
 * V4. Numbers of a repeated field may be packed or not, as Protobuf allows.
 * V5. Fields of messages inside the payload are checked for structure only: projections read none.
 */
import {
  readVarint,
  skipField,
  varintHigh,
  varintLow,
  WIRE_BYTES,
  WIRE_FIXED32,
  WIRE_FIXED64,
  WIRE_VARINT,
} from "../../actors/kernel/wire.ts";
import type {
  EventTypeSchema,
  FieldSchema,
  ScalarType,
} from "../../projections/definition/plan.ts";
import { WIRE_NAMES } from "./event-scanner.ts";
import { validUtf8 } from "./utf8.ts";

/** What a field's value must be. UNKNOWN also stands for every number without a field. */
const UNKNOWN = 0;
const VARINT = 1;
const FIXED64 = 2;
const DOUBLE = 3;
const FIXED32 = 4;
const FLOAT = 5;
const STRING = 6;
const BYTES = 7;
const MESSAGE = 8;
/** Added for repeated fields. */
const REPEATED = 16;

const KIND_OF: Record<ScalarType, number> = {
  double: DOUBLE,
  float: FLOAT,
  int32: VARINT,
  int64: VARINT,
  uint32: VARINT,
  uint64: VARINT,
  sint32: VARINT,
  sint64: VARINT,
  fixed32: FIXED32,
  fixed64: FIXED64,
  sfixed32: FIXED32,
  sfixed64: FIXED64,
  bool: VARINT,
  string: STRING,
  bytes: BYTES,
  enum: VARINT,
  message: MESSAGE,
};

const WIRE_OF = [
  -1,
  WIRE_VARINT,
  WIRE_FIXED64,
  WIRE_FIXED64,
  WIRE_FIXED32,
  WIRE_FIXED32,
  WIRE_BYTES,
  WIRE_BYTES,
  WIRE_BYTES,
];

/** Field numbers below this are looked up in an array, others in a map. */
const DENSE_NUMBERS = 64;

export class PayloadValidator {
  /** Path and reason of the last failure: "data.delay". */
  field = "";
  reason = "";
  readonly #dense = new Uint8Array(DENSE_NUMBERS);
  readonly #sparse = new Map<number, number>();
  readonly #schemas = new Map<number, FieldSchema>();

  constructor(type: EventTypeSchema) {
    for (const schema of type.fields) {
      const kind = KIND_OF[schema.scalar] + (schema.repeated ? REPEATED : 0);
      if (schema.number < DENSE_NUMBERS) this.#dense[schema.number] = kind;
      else this.#sparse.set(schema.number, kind);
      this.#schemas.set(schema.number, schema);
    }
  }

  /** Whether bytes[start, end) is a valid payload; if not, `field` and `reason` say why. */
  check(bytes: Uint8Array, start: number, end: number): boolean {
    let at = start;
    while (at < end) {
      let tag = bytes[at];
      let value = at + 1;
      if (tag > 127) {
        value = readVarint(bytes, at, end);
        if (value < 0 || varintHigh !== 0)
          return this.#fail(0, "malformed: a field's tag is broken");
        tag = varintLow;
      }
      const number = tag >>> 3;
      const wire = tag & 7;
      const kind =
        number < DENSE_NUMBERS ? this.#dense[number] : (this.#sparse.get(number) ?? UNKNOWN);
      if (kind !== UNKNOWN && WIRE_OF[kind & 15] === wire) {
        at = this.#known(bytes, value, end, number, kind & 15);
      } else if (kind > REPEATED && wire === WIRE_BYTES) {
        at = this.#packed(bytes, value, end, number, kind & 15);
      } else {
        at = this.#other(bytes, value, end, tag, kind);
      }
      if (at < 0) return false;
    }
    return true;
  }

  /** Position after one value of a known field, its wire type being right, or -1. */
  #known(bytes: Uint8Array, at: number, end: number, number: number, kind: number): number {
    if (kind === VARINT) {
      if (at < end && bytes[at] < 128) return at + 1;
      const next = readVarint(bytes, at, end);
      return next < 0 ? this.#broken(number, "malformed varint") : next;
    }
    if (kind === FIXED64 || kind === DOUBLE || kind === FIXED32 || kind === FLOAT) {
      const next = at + (kind === FIXED64 || kind === DOUBLE ? 8 : 4);
      if (next > end) return this.#broken(number, "malformed: cut off");
      if (!finite(bytes, next, kind)) return this.#broken(number, NOT_FINITE);
      return next;
    }
    let length = at < end ? bytes[at] : 255;
    let from = at + 1;
    if (length > 127) {
      from = readVarint(bytes, at, end);
      length = from < 0 || varintHigh !== 0 ? Infinity : varintLow;
    }
    const next = from + length;
    if (!(next <= end)) return this.#broken(number, "malformed: longer than the payload");
    if (kind === STRING && !validUtf8(bytes, from, next)) {
      return this.#broken(number, "is not valid UTF-8");
    }
    if (kind === MESSAGE && !wellFormed(bytes, from, next)) {
      return this.#broken(number, "is not a well-formed message");
    }
    return next;
  }

  /** Position after a packed run of numbers, or -1. */
  #packed(bytes: Uint8Array, start: number, end: number, number: number, kind: number): number {
    const from = readVarint(bytes, start, end);
    if (from < 0 || varintHigh !== 0 || varintLow > end - from) {
      return this.#broken(number, "malformed: longer than the payload");
    }
    const stop = from + varintLow;
    for (let at = from; at < stop;) {
      at = this.#known(bytes, at, stop, number, kind);
      if (at < 0) return -1;
    }
    return stop;
  }

  /** Position after an unknown field, or -1: it is malformed, or a known one of another wire type. */
  #other(bytes: Uint8Array, value: number, end: number, tag: number, kind: number): number {
    const number = tag >>> 3;
    const wire = tag & 7;
    if (number === 0) return this.#broken(0, "malformed: field number 0");
    if (kind !== UNKNOWN) {
      const expected = WIRE_NAMES[WIRE_OF[kind & 15]];
      return this.#broken(number, `expected ${expected}, found ${WIRE_NAMES[wire]}`);
    }
    const at = skipField(bytes, value, end, wire);
    if (at >= 0) return at;
    return this.#broken(
      0,
      wire === 3 || wire === 4
        ? `unknown field ${number} is a group, which the log does not take`
        : `malformed: unknown field ${number} is broken or longer than the payload`,
    );
  }

  #broken(number: number, reason: string): -1 {
    this.#fail(number, reason);
    return -1;
  }

  #fail(number: number, reason: string): false {
    const schema = this.#schemas.get(number);
    this.field = schema === undefined ? "data" : `data.${schema.name}`;
    this.reason = reason;
    return false;
  }
}

const NOT_FINITE = "is NaN or infinite; only finite numbers are taken";

/** Whether the little-endian number that ends at `next` has an exponent below the greatest. */
const finite = (bytes: Uint8Array, next: number, kind: number): boolean => {
  if ((bytes[next - 1] & 0x7f) !== 0x7f) return true;
  if (kind === DOUBLE) return (bytes[next - 2] & 0xf0) !== 0xf0;
  if (kind === FLOAT) return (bytes[next - 2] & 0x80) === 0;
  return true;
};

/**
 * Whether the bytes are a sequence of whole fields. A string looks like a message now and then, so
 * without a schema the fields inside are not followed further.
 */
const wellFormed = (bytes: Uint8Array, start: number, end: number): boolean => {
  let at = start;
  while (at < end) {
    const value = readVarint(bytes, at, end);
    if (value < 0 || varintHigh !== 0 || varintLow >>> 3 === 0) return false;
    at = skipField(bytes, value, end, varintLow & 7);
    if (at < 0) return false;
  }
  return true;
};
