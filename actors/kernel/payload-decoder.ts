/**
 * Decodes a whole payload into a plain object: what code of users sees of an event.
 *
 * D1. Every field of the type is there, under its name in the .proto file and in the order of
 *     declaration, whatever the payload holds: absent is null for fields with presence (optional,
 *     messages, members of a oneof), else zero, "", false or the enum's value 0; lists and maps are
 *     empty.
 * D2. 64-bit integers are bigints; other numbers are numbers; an enum's value is its name, and its
 *     number where the schema has no name for it; bytes are a Uint8Array; a map is an object.
 * D3. The bytes are those of an event that the intake accepted. Others throw.
 */
import type { EventTypeSchema, FieldSchema } from "../../projections/definition/plan.ts";
import { textOf } from "./text.ts";
import * as wire from "./wire.ts";

type Target = Record<string, unknown>;

const WIRE_START_GROUP = 3;
const WIRE_END_GROUP = 4;

interface FieldDecoder {
  readonly name: string;
  /** Of its single values, when not packed. */
  readonly wireType: number;
  readonly kind: "single" | "list" | "map";
  readonly absent: unknown;
  /** The value at `at`, and the position after it in `position`. */
  readonly read: (bytes: Uint8Array, at: number, end: number, before: unknown) => unknown;
}

/** Field numbers below this are looked up in a list. */
const LOW_NUMBERS = 64;

let position = 0;

const malformed = (): Error => new Error("the payload breaks off");

const varint = (bytes: Uint8Array, at: number, end: number): void => {
  position = wire.readVarint(bytes, at, end);
  if (position < 0) throw malformed();
};

const view = new DataView(new ArrayBuffer(8));
const fixed = (bytes: Uint8Array, at: number, end: number, size: 4 | 8): DataView => {
  position = at + size;
  if (position > end) throw malformed();
  for (let i = 0; i < size; i++) view.setUint8(i, bytes[at + i]!);
  return view;
};

/** Reads the length of what follows; where it ends is in `position`. */
const lengthDelimited = (bytes: Uint8Array, at: number, end: number): number => {
  varint(bytes, at, end);
  const start = position;
  position = start + wire.varintLow;
  if (wire.varintHigh !== 0 || position > end) throw malformed();
  return start;
};

const signed64 = (low: number, high: number): bigint =>
  high === 0 ? BigInt(low) : BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low));

const zigzag32 = (value: number): number => (value >>> 1) ^ -(value & 1);
const zigzag64 = (value: bigint): bigint => (value >> 1n) ^ -(value & 1n);

type Read = FieldDecoder["read"];

const ofVarint =
  (value: () => unknown): Read =>
  (bytes, at, end) => {
    varint(bytes, at, end);
    return value();
  };

const unsigned64 = (): bigint => (BigInt(wire.varintHigh) << 32n) | BigInt(wire.varintLow);

/** How a scalar is read, its wire type, and what stands for one that is absent. */
const SCALARS: Readonly<Record<string, readonly [Read, number, unknown]>> = {
  double: [(b, at, end) => fixed(b, at, end, 8).getFloat64(0, true), wire.WIRE_FIXED64, 0],
  float: [(b, at, end) => fixed(b, at, end, 4).getFloat32(0, true), wire.WIRE_FIXED32, 0],
  int32: [ofVarint(() => wire.varintLow | 0), wire.WIRE_VARINT, 0],
  uint32: [ofVarint(() => wire.varintLow), wire.WIRE_VARINT, 0],
  sint32: [ofVarint(() => zigzag32(wire.varintLow)), wire.WIRE_VARINT, 0],
  int64: [ofVarint(() => signed64(wire.varintLow, wire.varintHigh)), wire.WIRE_VARINT, 0n],
  uint64: [ofVarint(unsigned64), wire.WIRE_VARINT, 0n],
  sint64: [ofVarint(() => zigzag64(unsigned64())), wire.WIRE_VARINT, 0n],
  fixed32: [(b, at, end) => fixed(b, at, end, 4).getUint32(0, true), wire.WIRE_FIXED32, 0],
  sfixed32: [(b, at, end) => fixed(b, at, end, 4).getInt32(0, true), wire.WIRE_FIXED32, 0],
  fixed64: [(b, at, end) => fixed(b, at, end, 8).getBigUint64(0, true), wire.WIRE_FIXED64, 0n],
  sfixed64: [(b, at, end) => fixed(b, at, end, 8).getBigInt64(0, true), wire.WIRE_FIXED64, 0n],
  bool: [ofVarint(() => wire.varintLow !== 0 || wire.varintHigh !== 0), wire.WIRE_VARINT, false],
  string: [
    (bytes, at, end) => {
      const start = lengthDelimited(bytes, at, end);
      return textOf(bytes, start, position);
    },
    wire.WIRE_BYTES,
    "",
  ],
  bytes: [
    (bytes, at, end) => {
      const start = lengthDelimited(bytes, at, end);
      return Uint8Array.from(bytes.subarray(start, position));
    },
    wire.WIRE_BYTES,
    undefined,
  ],
};

const enumDecoder = (
  values: Readonly<Record<string, number>>,
): readonly [Read, number, unknown] => {
  const names = new Map<number, string>();
  // An alias comes after the value's first name, which is the one that counts.
  for (const [name, number] of Object.entries(values)) {
    if (!names.has(number)) names.set(number, name);
  }
  const nameOf = (number: number): string | number => names.get(number) ?? number;
  return [ofVarint(() => nameOf(wire.varintLow | 0)), wire.WIRE_VARINT, nameOf(0)];
};

const EMPTY = new Uint8Array(0);

const decoderOf = (field: FieldSchema): FieldDecoder => {
  const { name, scalar, repeated, optional } = field;
  const kind = field.map === true ? "map" : repeated ? "list" : "single";
  if (scalar === "message") {
    const nested = new Lazy(() => new MessageDecoder(field.message!()));
    if (field.delimited === true) {
      return {
        name,
        kind,
        wireType: WIRE_START_GROUP,
        absent: null,
        read: (bytes, at, end, before) => nested.value.group(bytes, at, end, field.number, before),
      };
    }
    const read: Read = (bytes, at, end, before) => {
      const start = lengthDelimited(bytes, at, end);
      const stop = position;
      const value = nested.value.message(bytes, start, stop, before);
      position = stop;
      return value;
    };
    return { name, kind, wireType: wire.WIRE_BYTES, absent: null, read };
  }
  const [read, wireType, zero] = scalar === "enum" ? enumDecoder(field.values!) : SCALARS[scalar]!;
  const absent = optional ? null : scalar === "bytes" ? EMPTY : zero;
  return { name, kind, wireType, absent, read };
};

/** Messages may hold themselves: their decoders are made when they are first needed. */
class Lazy<T> {
  readonly #make: () => T;
  #value: T | undefined;

  constructor(make: () => T) {
    this.#make = make;
  }

  get value(): T {
    return (this.#value ??= this.#make());
  }
}

class MessageDecoder {
  /** Lists and maps: each message has its own. */
  readonly #several: readonly FieldDecoder[];
  /** What an empty message has, lists and maps left out: copying it is one step for all fields. */
  readonly #absent: Target = {};
  /** By number, those that are small: a list is looked up faster than a map. */
  readonly #low: (FieldDecoder | undefined)[] = new Array(LOW_NUMBERS).fill(undefined);
  readonly #high = new Map<number, FieldDecoder>();

  constructor(type: EventTypeSchema) {
    const fields = type.fields.map(decoderOf);
    this.#several = fields.filter(({ kind }) => kind !== "single");
    for (const { name, kind, absent } of fields) {
      // Defines, since a field may be called `__proto__`.
      const value = kind === "single" ? absent : undefined;
      Object.defineProperty(this.#absent, name, { ...OWN, value });
    }
    type.fields.forEach(({ number }, i) => {
      if (number < LOW_NUMBERS) this.#low[number] = fields[i];
      else this.#high.set(number, fields[i]!);
    });
  }

  /** A message that comes in parts is put together, as Protobuf wants it. */
  message(bytes: Uint8Array, start: number, end: number, before: unknown): Target {
    const target = (before as Target | null) ?? this.#empty();
    for (let at = start; at < end;) at = this.#field(bytes, at, end, target, -1);
    return target;
  }

  group(bytes: Uint8Array, start: number, end: number, number: number, before: unknown): Target {
    const target = (before as Target | null) ?? this.#empty();
    for (let at = start; at >= 0;) at = this.#field(bytes, at, end, target, number);
    return target;
  }

  #empty(): Target {
    const target = { ...this.#absent };
    for (const { name, kind } of this.#several) target[name] = kind === "list" ? [] : {};
    return target;
  }

  /** Reads one field and returns the position after it; -1 after the end of group `group`. */
  #field(bytes: Uint8Array, start: number, end: number, target: Target, group: number): number {
    varint(bytes, start, end);
    const tag = wire.varintLow;
    const wireType = tag & 7;
    const number = tag >>> 3;
    const field = number < LOW_NUMBERS ? this.#low[number] : this.#high.get(number);
    if (wireType === WIRE_END_GROUP && number === group) return -1;
    if (field === undefined || wireType === WIRE_END_GROUP) return skip(bytes, position, end, tag);
    const { name, kind } = field;
    if (wireType === field.wireType) {
      if (kind === "list") (target[name] as unknown[]).push(field.read(bytes, position, end, null));
      else if (kind === "single") target[name] = field.read(bytes, position, end, target[name]);
      else entry(target[name] as Target, field.read(bytes, position, end, null) as Target);
      return position;
    }
    if (kind !== "list" || wireType !== wire.WIRE_BYTES) return skip(bytes, position, end, tag);
    let at = lengthDelimited(bytes, position, end);
    const stop = position;
    while (at < stop) {
      (target[name] as unknown[]).push(field.read(bytes, at, stop, null));
      at = position;
    }
    return stop;
  }
}

const OWN = { value: undefined, writable: true, enumerable: true, configurable: true };

/** Defines, since a key may be `__proto__`. */
const entry = (map: Target, { key, value }: Target): void => {
  Object.defineProperty(map, String(key), { ...OWN, value });
};

const skip = (bytes: Uint8Array, start: number, end: number, tag: number): number => {
  if ((tag & 7) !== WIRE_START_GROUP) {
    position = wire.skipField(bytes, start, end, tag & 7);
    if (position < 0) throw malformed();
    return position;
  }
  for (let at = start; ;) {
    varint(bytes, at, end);
    const inner = wire.varintLow;
    if ((inner & 7) === WIRE_END_GROUP && inner >>> 3 === tag >>> 3) return position;
    at = skip(bytes, position, end, inner);
  }
};

/** bytes[start, end) as an object of the type's fields. */
export type PayloadDecoder = (bytes: Uint8Array, start: number, end: number) => Target;

export const payloadDecoder = (type: EventTypeSchema): PayloadDecoder => {
  const decoder = new MessageDecoder(type);
  return (bytes, start, end) => decoder.message(bytes, start, end, null);
};
