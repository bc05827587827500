/**
 * Payloads that come as JSON, in the ProtoJSON mapping, turned into Protobuf: the log holds nothing
 * else.
 *
 * J1. Strict: an unknown field, a wrong type, a number out of range, a duplicate key, or an integer
 *     that a JSON number cannot carry exactly is an error with the path of the field.
 * J2. Never throws for what is in the JSON.
 */
import { type DescField, type DescMessage, type JsonValue, ScalarType } from "@bufbuild/protobuf";
import { at } from "../../projections/definition/reading.ts";
import { PayloadError } from "../../projections/errors.ts";

/** Why a JSON payload was refused. `field` is its path: "data.legs[1].delay". */
export interface JsonProblem {
  readonly field: string;
  readonly reason: string;
}

export interface JsonCodec {
  /** The payload of event type `typeName` in Protobuf, or what is wrong with it. */
  readonly toBinary: (typeName: string, json: string) => Uint8Array | JsonProblem;
}

/** What the codec needs of a topic's schemas; a SchemaSet has it. */
export interface PayloadSchemas {
  /** Throws PayloadError. */
  readonly toBinary: (typeName: string, json: string) => Uint8Array;
  readonly message: (typeName: string) => DescMessage;
}

export const jsonCodec = (schemas: PayloadSchemas): JsonCodec => ({
  toBinary: (typeName, json) => {
    try {
      const payload = schemas.toBinary(typeName, json);
      if (!MAY_BE_INEXACT.test(json)) return payload;
      const value = JSON.parse(json) as JsonValue;
      const field = inexactInteger(schemas.message(typeName), value, "data");
      return field === undefined
        ? payload
        : { field, reason: "write an integer beyond 2^53 as a JSON string, or it is rounded" };
    } catch (error) {
      // JSON nested deep enough overflows the stack wherever it is looked at.
      if (error instanceof RangeError) return { field: "data", reason: "nests too deep" };
      if (!(error instanceof PayloadError)) throw error;
      const { path, reason } = error;
      return {
        field: path === "" || path.startsWith("[") ? `data${path}` : `data.${path}`,
        reason,
      };
    }
  },
});

/** Only a number of 16 digits, or with an exponent, can be beyond 2^53. */
const MAY_BE_INEXACT = /\d{16}|\d[eE][+\d]/;

/**
 * Path of the first 64-bit integer given as a JSON number that is not exact in a double: by now it
 * may be another number than the one in the text. The JSON is known to convert to the message.
 */
const inexactInteger = (
  message: DescMessage,
  json: JsonValue,
  path: string,
): string | undefined => {
  if (!isObject(json) || message.typeName.startsWith("google.protobuf.")) return undefined;
  for (const [name, value] of Object.entries(json)) {
    const field = message.fields.find((each) => each.name === name || each.jsonName === name);
    if (field === undefined) continue;
    const here = at(path, name);
    if (typeof value !== "object" || value === null || field.fieldKind === "message") {
      const found = inexactValue(field, value, here);
      if (found !== undefined) return found;
      continue;
    }
    for (const [key, item] of Object.entries(value)) {
      const place = at(here, Array.isArray(value) ? Number(key) : key);
      const found = inexactValue(field, item, place);
      if (found !== undefined) return found;
    }
  }
  return undefined;
};

const inexactValue = (field: DescField, value: JsonValue, path: string): string | undefined => {
  if (typeof value === "number") {
    const wide =
      (field.scalar !== undefined && WIDE.has(field.scalar)) ||
      (field.message !== undefined && WIDE_WRAPPERS.has(field.message.typeName));
    return wide && !Number.isSafeInteger(value) ? path : undefined;
  }
  return field.message === undefined ? undefined : inexactInteger(field.message, value, path);
};

const WIDE: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);
const WIDE_WRAPPERS: ReadonlySet<string> = new Set([
  "google.protobuf.Int64Value",
  "google.protobuf.UInt64Value",
]);

const isObject = (json: JsonValue): json is { [key: string]: JsonValue } =>
  typeof json === "object" && json !== null && !Array.isArray(json);
