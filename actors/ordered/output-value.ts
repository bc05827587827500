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
  STRING_VALUE,
} from "../accumulate/accumulator.ts";
import { ITEM, LIST_VALUE, NAME, RECORD_VALUE, VALUE } from "../accumulate/composite.ts";
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

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** O1. Throws TurnRefused for a value that is not of its column's type. */
export const checkType = (value: OutputValue, column: OutputColumn): void => {
  const { type } = column;
  if (value === null || type === "any") return;
  switch (typeof value) {
    case "boolean":
      if (type === "boolean") return;
      throw unfit(`the boolean ${value}`, column);
    case "number":
      if (type === "double" || (type === "integer" && Number.isSafeInteger(value))) return;
      throw unfit(`the number ${value}`, column);
    case "bigint":
      if (type === "double" || type === "integer") return;
      throw unfit(`the integer ${value}`, column);
    case "string":
      if (type === "string") return;
      throw unfit("a string", column);
    default:
      throw unfit(Array.isArray(value) ? "a list" : "a record", column);
  }
};

/** Appends the fields of a Value; throws TurnRefused for what is none. */
export const writeOutputValue = (
  value: OutputValue,
  column: OutputColumn,
  out: ByteWriter,
): void => {
  if (value === null) return;
  checkType(value, column);
  const { type } = column;
  if (type === "double") return writeDoubleValue(out, Number(value));
  // An integer has no -0.
  if (type === "integer" && value === 0) return writeIntValue(out, 0);
  if (places.length > 0) places.length = 0;
  writeAny(value, column, out, 0);
};

const unfit = (is: string, { name, type }: OutputColumn): TurnRefused =>
  new TurnRefused(`value ${JSON.stringify(name)} must be ${article(type)}, not ${is}`);

const article = (type: OutputColumn["type"]): string =>
  type === "integer" ? "an integer" : type === "any" ? "a value" : `a ${type}`;

/** Where in the value of a column the value at hand stands. */
const places: (string | number)[] = [];

const refused = ({ name }: OutputColumn, why: string): TurnRefused => {
  const path = places.map((place) => (typeof place === "number" ? `[${place}]` : `.${place}`));
  return new TurnRefused(`value ${JSON.stringify([name, ...path].join(""))} ${why}`);
};

const writeAny = (
  value: OutputValue,
  column: OutputColumn,
  out: ByteWriter,
  depth: number,
): void => {
  if (depth > VALUE_DEPTH_MAX) {
    throw refused(column, `has more than ${VALUE_DEPTH_MAX} lists and records within one another`);
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
        throw refused(column, `does not fit 64 bits: ${value}`);
      }
      return writeBigIntValue(out, value);
    case "string":
      out.varint(STRING_VALUE);
      return out.text(value);
    case "object":
      break;
    default:
      throw refused(column, `is ${typeof value}, which no result has`);
  }
  if (value === null) return;
  if (value instanceof Uint8Array) return writeBytesValue(out, value);
  if (isList(value)) writeList(value, column, out, depth);
  else writeRecord(value, column, out, depth);
};

const writeList = (
  list: readonly OutputValue[],
  column: OutputColumn,
  out: ByteWriter,
  depth: number,
): void => {
  out.varint(LIST_VALUE);
  const start = out.open();
  for (let i = 0; i < list.length; i++) {
    places.push(i);
    out.varint(ITEM);
    const item = out.open();
    writeAny(list[i]!, column, out, depth + 1);
    out.close(item);
    places.pop();
  }
  out.close(start);
};

const writeRecord = (
  record: Readonly<Record<string, OutputValue>>,
  column: OutputColumn,
  out: ByteWriter,
  depth: number,
): void => {
  out.varint(RECORD_VALUE);
  const start = out.open();
  for (const name of Object.keys(record)) {
    places.push(name);
    out.varint(ITEM);
    const field = out.open();
    out.varint(NAME);
    out.text(name);
    out.varint(VALUE);
    const inner = out.open();
    writeAny(record[name]!, column, out, depth + 1);
    out.close(inner);
    out.close(field);
    places.pop();
  }
  out.close(start);
};

const isList = (value: object): value is readonly OutputValue[] => Array.isArray(value);
