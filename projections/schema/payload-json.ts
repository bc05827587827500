/**
 * Payloads between JSON and Protobuf, strictly by the ProtoJSON mapping
 * (https://protobuf.dev/programming-guides/json/): unknown keys, keys that come twice and values out
 * of range are refused, each with the path of its field.
 */
import {
  fromBinary,
  fromJson,
  fromJsonString,
  toBinary,
  toJsonString,
  ScalarType,
  type DescField,
  type DescMessage,
  type JsonValue,
  type Registry,
} from "@bufbuild/protobuf";
import { suggestion } from "../definition/did-you-mean.ts";
import { at } from "../definition/reading.ts";
import { PayloadError } from "../errors.ts";

export const jsonToBinary = (
  message: DescMessage,
  json: string,
  registry: Registry,
): Uint8Array => {
  try {
    return toBinary(message, fromJsonString(message, json, { registry }));
  } catch (error) {
    throw explain(message, json, registry, error as Error);
  }
};

export const binaryToJson = (
  message: DescMessage,
  bytes: Uint8Array,
  registry: Registry,
): string => {
  try {
    return toJsonString(message, fromBinary(message, bytes), { registry });
  } catch (error) {
    throw new PayloadError(
      message.typeName,
      "",
      `is not valid Protobuf: ${(error as Error).message}`,
    );
  }
};

const isContainer = (value: JsonValue): boolean => typeof value === "object" && value !== null;

const reasonOf = (error: Error): string =>
  error.message
    .replace(/^cannot (?:decode|encode) .*? (?:from JSON|to binary): /, "")
    .replace(/^(?:list item #\d+|map (?:key|entry)[^:]*): /, "");

const whole = (bits: 32 | 64, signed: boolean): readonly [bigint, bigint] =>
  signed ? [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n] : [0n, 2n ** BigInt(bits) - 1n];

/** Names and ranges of whole numbers. */
const WHOLE: Readonly<Partial<Record<ScalarType, readonly [string, readonly [bigint, bigint]]>>> = {
  [ScalarType.INT32]: ["int32", whole(32, true)],
  [ScalarType.SINT32]: ["sint32", whole(32, true)],
  [ScalarType.SFIXED32]: ["sfixed32", whole(32, true)],
  [ScalarType.UINT32]: ["uint32", whole(32, false)],
  [ScalarType.FIXED32]: ["fixed32", whole(32, false)],
  [ScalarType.INT64]: ["int64", whole(64, true)],
  [ScalarType.SINT64]: ["sint64", whole(64, true)],
  [ScalarType.SFIXED64]: ["sfixed64", whole(64, true)],
  [ScalarType.UINT64]: ["uint64", whole(64, false)],
  [ScalarType.FIXED64]: ["fixed64", whole(64, false)],
};
const REAL: Readonly<Partial<Record<ScalarType, string>>> = {
  [ScalarType.DOUBLE]: "double",
  [ScalarType.FLOAT]: "float",
};

/** ProtoJSON takes numbers as text, too: "12" is an int64. Undefined for what is no number's field. */
const numberReason = (scalar: ScalarType | undefined, value: JsonValue): string | undefined => {
  if (scalar === undefined) return undefined;
  const real = REAL[scalar];
  const shown = JSON.stringify(value);
  if (real !== undefined) return `must be a number (${real}), not ${shown}`;
  const integer = WHOLE[scalar];
  if (integer === undefined) return undefined;
  const [name, [min, max]] = integer;
  const exact = /^-?\d+$/.test(String(value)) ? BigInt(String(value)) : undefined;
  return exact !== undefined && (exact < min || exact > max)
    ? `must be from ${min} to ${max} (${name}), not ${shown}`
    : `must be a whole number (${name}), or its digits as text, not ${shown}`;
};

/** Why a value does not fit its field. */
const valueReason = (field: DescField, value: JsonValue, failure: Error): string => {
  const number = isContainer(value) ? undefined : numberReason(field.scalar, value);
  if (number !== undefined) return number;
  if (field.enum === undefined || typeof value !== "string") return reasonOf(failure);
  const names = field.enum.values.map(({ name }) => name);
  const reason = `${JSON.stringify(value)} is no value of the enum ${field.enum.typeName}`;
  return reason + suggestion(value, names, "values");
};

/** Reads the JSON again, part by part, for the smallest part that is wrong. Only after a failure. */
const explain = (message: DescMessage, json: string, registry: Registry, error: Error) => {
  let value: JsonValue;
  try {
    value = JSON.parse(json) as JsonValue;
  } catch (syntax) {
    return new PayloadError(message.typeName, "", `is not JSON: ${(syntax as Error).message}`);
  }
  const fault = new FaultFinder(registry).message(message, value, "");
  return new PayloadError(message.typeName, fault?.path ?? "", fault?.reason ?? reasonOf(error));
};

interface Fault {
  readonly path: string;
  readonly reason: string;
}

class FaultFinder {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  #failure(message: DescMessage, value: JsonValue): Error | undefined {
    try {
      fromJson(message, value, { registry: this.#registry });
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  message(message: DescMessage, value: JsonValue, path: string): Fault | undefined {
    const failure = this.#failure(message, value);
    if (failure === undefined) return undefined;
    const whole = { path, reason: reasonOf(failure) };
    // Well-known types have their own JSON form, without fields.
    if (message.typeName.startsWith("google.protobuf.")) return whole;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return { path, reason: "must be an object" };
    }
    for (const [key, part] of Object.entries(value)) {
      const field = message.fields.find((each) => each.name === key || each.jsonName === key);
      if (field === undefined) {
        if (key.startsWith("[")) continue;
        const names = message.fields.map((each) => each.jsonName);
        const reason = `${message.typeName} has no such field${suggestion(key, names, "fields")}`;
        return { path: at(path, key), reason };
      }
      const fault = this.#field(message, field, key, part, at(path, key));
      if (fault !== undefined) return fault;
    }
    return whole;
  }

  #field(
    message: DescMessage,
    field: DescField,
    key: string,
    value: JsonValue,
    path: string,
  ): Fault | undefined {
    const failure = this.#failure(message, { [key]: value });
    if (failure === undefined) return undefined;
    const whole = { path, reason: valueReason(field, value, failure) };
    if (field.fieldKind === "message") return this.message(field.message, value, path) ?? whole;
    const parts: readonly (readonly [string | number, JsonValue, JsonValue])[] =
      field.fieldKind === "list" && Array.isArray(value)
        ? value.map((item, index) => [index, item, [item]] as const)
        : field.fieldKind === "map" && typeof value === "object" && value !== null
          ? Object.entries(value).map(([name, item]) => [name, item, { [name]: item }] as const)
          : [];
    for (const [part, item, alone] of parts) {
      const itemFailure = this.#failure(message, { [key]: alone });
      if (itemFailure === undefined) continue;
      const inner =
        field.message === undefined ? undefined : this.message(field.message, item, at(path, part));
      return inner ?? { path: at(path, part), reason: valueReason(field, item, itemFailure) };
    }
    return whole;
  }
}
