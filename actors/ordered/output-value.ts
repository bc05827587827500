/**
 * A value of a result, as operators give it, and its encoding as a tidemark.v1.Value.
 *
 * O1. A value must fit the type of its column; null fits all. Numbers of integer columns are safe
 *     integers or bigints of 64 bits.
 * O2. In a column of type `any` a whole number is an integer and all others are doubles.
 */
import type { OutputColumn } from "../../projections/definition/plan.ts";
import {
  writeBigIntValue,
  writeBytesValue,
  writeDoubleValue,
  writeIntValue,
  writeStringValue,
} from "../accumulate/accumulator.ts";
import { writeListValue, writeRecordValue } from "../accumulate/composite.ts";
import type { ByteWriter } from "../kernel/byte-writer.ts";
import { TurnRefused, VALUE_DEPTH_MAX } from "./limits.ts";

export type OutputValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly OutputValue[]
  | { readonly [name: string]: OutputValue };

const BOOL_VALUE = 0x38;
const encoder = new TextEncoder();

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** Appends the fields of a Value; throws TurnRefused for what is none. */
export const writeOutputValue = (
  value: OutputValue,
  { name, type }: OutputColumn,
  out: ByteWriter,
): void => {
  if (value === null) return;
  const refused = (is: string) =>
    new TurnRefused(`value ${JSON.stringify(name)} must be ${article(type)}, not ${is}`);
  switch (typeof value) {
    case "boolean":
      if (type !== "boolean" && type !== "any") throw refused(`the boolean ${value}`);
      break;
    case "number":
      if (type === "double") return writeDoubleValue(out, value);
      if (type === "integer" && !Number.isSafeInteger(value)) throw refused(`the number ${value}`);
      if (type !== "integer" && type !== "any") throw refused(`the number ${value}`);
      break;
    case "bigint":
      if (type === "double") return writeDoubleValue(out, Number(value));
      if (type !== "integer" && type !== "any") throw refused(`the integer ${value}`);
      break;
    case "string":
      if (type !== "string" && type !== "any") throw refused("a string");
      break;
    default:
      if (type !== "any") throw refused(Array.isArray(value) ? "a list" : typeof value);
  }
  writeAny(value, name, out, 0);
};

const article = (type: OutputColumn["type"]): string =>
  type === "integer" ? "an integer" : type === "any" ? "a value" : `a ${type}`;

const writeAny = (value: OutputValue, path: string, out: ByteWriter, depth: number): void => {
  if (depth > VALUE_DEPTH_MAX) {
    throw new TurnRefused(
      `value ${JSON.stringify(path)} has more than ${VALUE_DEPTH_MAX} lists and records within one another`,
    );
  }
  switch (typeof value) {
    case "boolean":
      out.varint(BOOL_VALUE);
      return out.varint(value ? 1 : 0);
    case "number":
      if (Number.isSafeInteger(value) && !Object.is(value, -0)) return writeIntValue(out, value);
      return writeDoubleValue(out, value);
    case "bigint":
      if (value < INT64_MIN || value > INT64_MAX) {
        throw new TurnRefused(`value ${JSON.stringify(path)} does not fit 64 bits: ${value}`);
      }
      return writeBigIntValue(out, value);
    case "string":
      return writeStringValue(out, encoder.encode(value));
    case "object":
      break;
    default:
      throw new TurnRefused(
        `value ${JSON.stringify(path)} is ${typeof value}, which no result has`,
      );
  }
  if (value === null) return;
  if (value instanceof Uint8Array) return writeBytesValue(out, value);
  if (isList(value)) {
    return writeListValue(out, value.length, (item, i) =>
      writeAny(value[i]!, `${path}[${i}]`, item, depth + 1),
    );
  }
  writeRecordValue(
    out,
    Object.entries(value).map(([name, inner]) => [
      name,
      (field) => writeAny(inner, `${path}.${name}`, field, depth + 1),
    ]),
  );
};

const isList = (value: object): value is readonly OutputValue[] => Array.isArray(value);
