/**
 * State that users' functions make, as text: what may be kept of it, and how.
 *
 * J1. null, booleans, finite numbers, strings, lists, and plain objects of these; nothing that would be
 *     gone or another thing after JSON. What is no such value is named with its place.
 * J2. The text is canonical: equal values have equal text, whatever the order in which members were set.
 * J3. What is handed out is read from the text and frozen, so that a function sees the same state
 *     whether or not there was a restart before, and cannot change it.
 */
import { describeValue } from "./user-code.ts";

export type PlainJson =
  null | boolean | number | string | readonly PlainJson[] | { readonly [name: string]: PlainJson };

/** The length of a state's text. */
export const PLAIN_JSON_LENGTH_MAX = 64 * 1024;
const DEPTH_MAX = 32;

/** The message goes on after what made the value: "returned ...". */
export class NotPlain extends Error {
  override readonly name = "NotPlain";
}

const where = (path: string): string => (path === "" ? "" : ` at ${path}`);

const write = (value: unknown, path: string, depth: number): string => {
  switch (typeof value) {
    case "number":
      if (Number.isFinite(value)) return JSON.stringify(value);
      throw new NotPlain(`returned ${value}${where(path)}, which is no finite number`);
    case "string":
    case "boolean":
      return JSON.stringify(value);
    case "object":
      if (value === null) return "null";
      if (depth < DEPTH_MAX) break;
      throw new NotPlain(`returned more than ${DEPTH_MAX} lists and objects within one another`);
    default:
      throw new NotPlain(`returned ${describeValue(value)}${where(path)}, which JSON cannot hold`);
  }
  if (Array.isArray(value)) {
    // Not map, which leaves out what was never set.
    return `[${Array.from(value, (item, i) => write(item, `${path}[${i}]`, depth + 1)).join(",")}]`;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    const { name } = (value as object).constructor ?? {};
    throw new NotPlain(`returned an object of class ${name}${where(path)}; keep plain objects`);
  }
  const members = Object.keys(value)
    .sort()
    .map((name) => {
      const inner = (value as Readonly<Record<string, unknown>>)[name];
      const text = write(inner, path === "" ? name : `${path}.${name}`, depth + 1);
      return `${JSON.stringify(name)}:${text}`;
    });
  return `{${members.join(",")}}`;
};

/** The canonical text of a value. Throws NotPlain; and whatever a getter of the value throws. */
export const plainText = (value: unknown): string => {
  const text = write(value, "", 0);
  if (text.length <= PLAIN_JSON_LENGTH_MAX) return text;
  throw new NotPlain(
    `returned ${text.length} characters of JSON; ${PLAIN_JSON_LENGTH_MAX} are the limit`,
  );
};

const freeze = (value: PlainJson): PlainJson => {
  if (typeof value !== "object" || value === null) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
};

/** What `plainText` wrote, frozen all through. */
export const readPlainText = (text: string): PlainJson => freeze(JSON.parse(text) as PlainJson);
