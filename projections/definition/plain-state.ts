/**
 * What code of users makes, and what is kept or published of it: data as in JSON, and bigints. States of
 * folds, contexts of statecharts, states and results of aggregates.
 *
 * S1. null, booleans, finite numbers, bigints of 64 bits, well-formed strings, lists and plain
 *     objects of these. What would not come back is refused with its place: members that are undefined, named
 *     by symbols, not enumerable or getters, holes in lists and members besides their items, functions,
 *     symbols and instances of classes (dates, maps, promises). Names are strings like others, and a member
 *     called `__proto__` is a member like others. Of what its author froze, only items and members are looked at.
 * S2. STATE_BYTES_MAX and STATE_DEPTH_MAX bound it: what holds itself is too deep. Of bytes, a number counts
 *     9, a string and a name 5 and a byte for each UTF-16 unit, all else 5 or less; as it is written,
 *     that may be three times as much, if all of it is text in other alphabets.
 * S3. A state is frozen, all through: who holds it cannot change it.
 * S4. write and read keep everything that code can see of a state: the order of its members, -0, which
 *     numbers are bigints, and which objects have no prototype. So a restored state behaves as the one that was written, and a replay that
 *     begins with it gives the same bits.
 * S5. A canonical state is a copy with its members in the order of their names and without -0: equal values
 *     are written as equal bytes, however they came together. It is for states that are merged
 *     (A2 of Accumulator); those with one history have no need of it, and keep the order that their author
 *     gave them.
 */

/** A state, counted as S2 says. */
export const STATE_BYTES_MAX = 64 * 1024;
/** Lists and objects within one another. */
export const STATE_DEPTH_MAX = 32;

export type PlainState =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly PlainState[]
  | { readonly [name: string]: PlainState };

/** A value is no state. The message says which value, where in it, and why. */
export class NotPlain extends Error {
  override readonly name = "NotPlain";
}

const BIGINT_MIN = -(2n ** 63n);
const BIGINT_MAX = 2n ** 63n - 1n;
const PLACES_MAX = 3;

const CHECK = 0;
const FREEZE = 1;
const COPY = 2;
type Way = typeof CHECK | typeof FREEZE | typeof COPY;

/** Stands for a value that is none; what is wrong with it and where is below. */
const REFUSED = Symbol("refused");

/** Of the value at hand. What most values do not need, their places, is put together on the way back. */
let way: Way = CHECK;
let bytes = 0;
let problem: "kind" | "depth" | "bytes" = "kind";
let kind = "";
const places: string[] = [];

/** What a value is that no state can hold. */
const kindOf = (value: unknown): string => {
  if (typeof value !== "object" || value === null) {
    return value === undefined ? "undefined" : `a ${typeof value}`;
  }
  const { constructor } = value;
  return typeof constructor === "function" && constructor.name !== ""
    ? `a ${constructor.name}`
    : "an object of a class";
};

const refuse = (is: string): typeof REFUSED => {
  problem = "kind";
  kind = is;
  return REFUSED;
};

const refuseFor = (limit: "depth" | "bytes"): typeof REFUSED => {
  problem = limit;
  return REFUSED;
};

const at = (place: string): typeof REFUSED => {
  places.push(place);
  return REFUSED;
};

const refuseMember = (name: string, is: string): typeof REFUSED => {
  refuse(is);
  return at(name);
};

const take = (value: unknown, depth: number): unknown => {
  switch (typeof value) {
    case "string":
      if (!value.isWellFormed()) return refuse("a string with half a character");
      bytes += 5 + value.length;
      break;
    case "number":
      if (!Number.isFinite(value)) return refuse(String(value));
      bytes += 9;
      if (value === 0 && way === COPY) return bytes > STATE_BYTES_MAX ? refuseFor("bytes") : 0;
      break;
    case "boolean":
      bytes += 1;
      break;
    case "bigint":
      if (value < BIGINT_MIN || value > BIGINT_MAX) {
        return refuse(`an integer of more than 64 bits, ${value}`);
      }
      bytes += 9;
      break;
    case "object":
      if (value !== null) return takeObject(value, depth);
      bytes += 1;
      break;
    default:
      return refuse(kindOf(value));
  }
  return bytes > STATE_BYTES_MAX ? refuseFor("bytes") : value;
};

const takeObject = (value: object, depth: number): unknown => {
  if (depth === STATE_DEPTH_MAX) return refuseFor("depth");
  bytes += 5;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (Array.isArray(value)) {
    return prototype === Array.prototype ? takeList(value, depth) : refuse(kindOf(value));
  }
  if (prototype !== Object.prototype && prototype !== null) return refuse(kindOf(value));
  return takeMembers(value as Readonly<Record<string, unknown>>, depth);
};

const takeList = (list: readonly unknown[], depth: number): unknown => {
  const copy: unknown[] | undefined = way === COPY ? [] : undefined;
  for (let i = 0; i < list.length; i++) {
    const item = take(list[i], depth + 1);
    if (item === REFUSED) return at(`[${i}]`);
    copy?.push(item);
  }
  // Items come first. What was frozen here had nothing else.
  const other = Object.isFrozen(list) ? undefined : Object.keys(list)[list.length];
  if (other !== undefined) return refuseMember(other, "a member of a list besides its items");
  return settled(copy ?? list);
};

const takeMembers = (members: Readonly<Record<string, unknown>>, depth: number): unknown => {
  const names = Object.keys(members);
  const copy: Record<string, unknown> | undefined = way === COPY ? {} : undefined;
  if (copy !== undefined) names.sort();
  if (!Object.isFrozen(members) && holdsMore(members, names)) return REFUSED;
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    if (!name.isWellFormed()) return refuseMember(name, "named with half a character");
    bytes += 5 + name.length;
    const value = take(members[name], depth + 1);
    if (value === REFUSED) return at(name);
    if (copy !== undefined) put(copy, name, value);
  }
  return settled(copy ?? members);
};

/** Whether an object has more than enumerable values with names, and then refuses it. */
const holdsMore = (members: object, names: readonly string[]): boolean => {
  if (Object.getOwnPropertySymbols(members).length > 0) {
    refuse("an object with a symbol as a name");
    return true;
  }
  const all = Object.getOwnPropertyNames(members);
  if (all.length > names.length) {
    const hidden = all.find((name) => !Object.prototype.propertyIsEnumerable.call(members, name))!;
    refuseMember(hidden, "not enumerable");
    return true;
  }
  for (let i = 0; i < names.length; i++) {
    if (Object.getOwnPropertyDescriptor(members, names[i]!)!.get === undefined) continue;
    refuseMember(names[i]!, "a getter");
    return true;
  }
  return false;
};

const settled = (value: object): unknown => {
  if (bytes > STATE_BYTES_MAX) return refuseFor("bytes");
  if (way !== CHECK && !Object.isFrozen(value)) Object.freeze(value);
  return value;
};

const put = (object: Record<string, unknown>, name: string, value: unknown): void => {
  if (name === "__proto__") Object.defineProperty(object, name, { value, enumerable: true });
  else object[name] = value;
};

const taken = (value: unknown, what: string, how: Way): PlainState => {
  way = how;
  bytes = 0;
  const state = take(value, 0);
  if (state !== REFUSED) return state as PlainState;
  const path = pathOf(places.splice(0).reverse());
  throw new NotPlain(explained(what, path));
};

const explained = (what: string, path: string): string => {
  const where = path === "" ? "" : ` at ${path}`;
  switch (problem) {
    case "bytes":
      return `${what} has more than ${STATE_BYTES_MAX} bytes: the limit`;
    case "depth":
      return `${what} holds itself, or more than ${STATE_DEPTH_MAX} objects within one another,${where}`;
    case "kind":
      return `${what}${where} is ${kind}: it must be data as in JSON, or a bigint of 64 bits`;
  }
};

/** The first places of it. */
const pathOf = (all: readonly string[]): string => {
  const dotted = all.map((place, i) => (i === 0 || place.startsWith("[") ? place : `.${place}`));
  if (dotted.length <= PLACES_MAX * 2) return dotted.join("");
  return `${dotted.slice(0, PLACES_MAX).join("")}...`;
};

/** Freezes a value and returns it; throws NotPlain for what is no state. `what` names it in errors. */
export const sealState = (value: unknown, what: string): PlainState => taken(value, what, FREEZE);

/** The canonical state that is equal to a value (S5): a copy, so that nobody else holds it. */
export const canonicalState = (value: unknown, what: string): PlainState =>
  taken(value, what, COPY);

/** Checks a value that is published and then forgotten. */
export const checkPlain = (value: unknown, what: string): PlainState => taken(value, what, CHECK);

const NULL = 0;
const FALSE = 1;
const TRUE = 2;
const NUMBER = 3;
const BIGINT = 4;
const STRING = 5;
const LIST = 6;
const OBJECT = 7;
/** An object without a prototype. */
const BARE = 8;

/** What the engine's writer of bytes can do. */
export interface PlainWriter {
  byte(value: number): void;
  double(value: number): void;
  uint32(value: number): void;
  varint(value: number): void;
  text(value: string): void;
}

export interface PlainReader {
  byte(): number;
  double(): number;
  uint32(): number;
  varint(): number;
  text(): string;
}

export const writePlain = (value: PlainState, out: PlainWriter): void => {
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
  out.byte(Object.getPrototypeOf(value) === null ? BARE : OBJECT);
  out.varint(names.length);
  for (const name of names) {
    out.text(name);
    writePlain(value[name]!, out);
  }
};

/** What `writePlain` wrote, frozen all through. */
export const readPlain = (from: PlainReader): PlainState => {
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
    case OBJECT:
    case BARE: {
      const object = (tag === OBJECT ? {} : Object.create(null)) as Record<string, PlainState>;
      for (let count = from.varint(); count > 0; count--) {
        const name = from.text();
        put(object, name, readPlain(from));
      }
      return Object.freeze(object);
    }
    default:
      throw new RangeError(`state has an unknown tag ${tag}`);
  }
};

const isList = (value: object): value is readonly PlainState[] => Array.isArray(value);
