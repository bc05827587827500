/**
 * States that code of users makes: data as in JSON, and bigints.
 *
 * S1. null, booleans, finite numbers, bigints of 64 bits, well-formed strings, lists and plain
 *     objects of these; objects whose members are undefined are refused, since they would not come
 *     back. STATE_BYTES_MAX and STATE_DEPTH_MAX bound them: a state that holds itself is too deep.
 * S2. A state is frozen, all through: who holds it cannot change it.
 * S3. write and read keep everything that code can see of a state: the order of its members, -0, and
 *     which numbers are bigints. So a restored state behaves as the one that was written.
 */
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { STATE_BYTES_MAX, TurnRefused, VALUE_DEPTH_MAX } from "./limits.ts";

export type PlainState =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly PlainState[]
  | { readonly [name: string]: PlainState };

const NULL = 0;
const FALSE = 1;
const TRUE = 2;
const NUMBER = 3;
const BIGINT = 4;
const STRING = 5;
const LIST = 6;
const OBJECT = 7;

const BIGINT_MIN = -(2n ** 63n);
const BIGINT_MAX = 2n ** 63n - 1n;
const PLACES_MAX = 3;

/** What a value is that no state can hold. */
const kindOf = (value: object): string => {
  const { constructor } = value;
  return typeof constructor === "function" && constructor.name !== ""
    ? `a ${constructor.name}`
    : "an object of a class";
};

class Sealer {
  #bytes = 0;
  readonly #freezes: boolean;
  readonly #what: string;

  constructor(what: string, freezes: boolean) {
    this.#what = what;
    this.#freezes = freezes;
  }

  seal(value: unknown, path: string, depth: number): void {
    switch (typeof value) {
      case "string":
        if (!value.isWellFormed()) throw this.#refused(path, "a string with half a character");
        return this.#add(5 + value.length);
      case "number":
        if (!Number.isFinite(value)) throw this.#refused(path, String(value));
        return this.#add(9);
      case "boolean":
        return this.#add(1);
      case "bigint":
        if (value < BIGINT_MIN || value > BIGINT_MAX) {
          throw this.#refused(path, `an integer of more than 64 bits, ${value}`);
        }
        return this.#add(9);
      case "object":
        return value === null ? this.#add(1) : this.#object(value, path, depth);
      default:
        throw this.#refused(path, value === undefined ? "undefined" : `a ${typeof value}`);
    }
  }

  #object(value: object, path: string, depth: number): void {
    if (depth === VALUE_DEPTH_MAX) {
      throw new TurnRefused(
        `${this.#what} holds itself, or more than ${VALUE_DEPTH_MAX} objects within one another, ` +
          `at ${shortened(path)}`,
      );
    }
    this.#add(5);
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) this.seal(value[i], `${path}[${i}]`, depth + 1);
    } else {
      const prototype: unknown = Object.getPrototypeOf(value);
      if (prototype !== Object.prototype && prototype !== null) {
        throw this.#refused(path, kindOf(value));
      }
      for (const name of Object.keys(value)) {
        this.#add(5 + name.length);
        const inner: unknown = (value as Readonly<Record<string, unknown>>)[name];
        if (typeof inner === "number" && Number.isFinite(inner)) this.#add(9);
        else this.seal(inner, path === "" ? name : `${path}.${name}`, depth + 1);
      }
    }
    if (this.#freezes && !Object.isFrozen(value)) Object.freeze(value);
  }

  #add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= STATE_BYTES_MAX) return;
    throw new TurnRefused(`${this.#what} has more than ${STATE_BYTES_MAX} bytes: the limit`);
  }

  #refused(path: string, is: string): TurnRefused {
    const where = path === "" ? this.#what : `${this.#what} at ${shortened(path)}`;
    return new TurnRefused(`${where} is ${is}: it must be data as in JSON, or a bigint of 64 bits`);
  }
}

/** The first places of a path. */
const shortened = (path: string): string => {
  const places = path.split(".");
  return places.length <= PLACES_MAX * 2 ? path : `${places.slice(0, PLACES_MAX).join(".")}...`;
};

/** Checks a state and freezes it; throws TurnRefused for what is none. `what` names it in errors. */
export const sealState = (value: unknown, what: string): PlainState => {
  new Sealer(what, true).seal(value, "", 0);
  return value as PlainState;
};

/** Checks a value that is published and then forgotten. */
export const checkPlain = (value: unknown, what: string): PlainState => {
  new Sealer(what, false).seal(value, "", 0);
  return value as PlainState;
};

export const writePlain = (value: PlainState, out: ByteWriter): void => {
  switch (typeof value) {
    case "boolean":
      return out.byte(value ? TRUE : FALSE);
    case "number":
      out.byte(NUMBER);
      return out.double(value);
    case "bigint":
      out.byte(BIGINT);
      out.uint32(Number(BigInt.asUintN(32, value)));
      return out.uint32(Number(BigInt.asUintN(32, value >> 32n)));
    case "string":
      out.byte(STRING);
      return out.text(value);
    case "object":
      break;
  }
  if (value === null) return out.byte(NULL);
  if (isList(value)) {
    out.byte(LIST);
    out.varint(value.length);
    for (const item of value) writePlain(item, out);
    return;
  }
  const names = Object.keys(value);
  out.byte(OBJECT);
  out.varint(names.length);
  for (const name of names) {
    out.text(name);
    writePlain(value[name]!, out);
  }
};

/** Frozen, as it was. */
export const readPlain = (from: ByteReader): PlainState => {
  const tag = from.byte();
  switch (tag) {
    case NULL:
      return null;
    case FALSE:
      return false;
    case TRUE:
      return true;
    case NUMBER:
      return from.double();
    case BIGINT: {
      const low = BigInt(from.uint32());
      return BigInt.asIntN(64, (BigInt(from.uint32()) << 32n) | low);
    }
    case STRING:
      return from.text();
    case LIST: {
      const list: PlainState[] = [];
      for (let count = from.varint(); count > 0; count--) list.push(readPlain(from));
      return Object.freeze(list);
    }
    case OBJECT: {
      const object: Record<string, PlainState> = {};
      for (let count = from.varint(); count > 0; count--) {
        const name = from.text();
        const value = readPlain(from);
        if (name === "__proto__") Object.defineProperty(object, name, { value, enumerable: true });
        else object[name] = value;
      }
      return Object.freeze(object);
    }
    default:
      throw new RangeError(`state has an unknown tag ${tag}`);
  }
};

const isList = (value: object): value is readonly PlainState[] => Array.isArray(value);
