/**
 * The JSON body of one update or result: what the relay publishes on `projections.<name>.<key>` and
 * what the CLI prints. One shape, always in this order:
 *
 *   {"projection":"departures","version":1,"key":"ORD",
 *    "window":{"start":978307200000,"end":978310800000,
 *              "startTime":"2001-01-01T00:00:00.000Z","endTime":"2001-01-01T01:00:00.000Z"},
 *    "kind":"final","revision":1,"watermark":978310799999,
 *    "values":{"departures":42,"meanDelay":7.25,"maxDelay":null}}
 *
 * J1. Times are milliseconds since the Unix epoch, UTC, as numbers. `startTime` and `endTime` repeat
 *     the window for human readers; null beyond the years that a calendar date can express.
 * J2. Values lose nothing: an int64 is written with all its digits (a reader that parses numbers as
 *     doubles rounds it beyond 2^53), a double in the shortest form that reads back as the same bits,
 *     and as "NaN", "Infinity" or "-Infinity" where JSON has no number. Bytes are base64, lists arrays
 *     and records objects. Null means that no event had the field.
 * J3. One line, and no other field may be assumed absent in later versions.
 * J4. `"ordinal":1` stands after the window of a result that is the second of its key and window, and
 *     so on; without one it is 0, as all results of windows are.
 */
import { Kind } from "./gen/tidemark/v1/result.ts";
import type { NamedValue, Result, Value } from "./gen/tidemark/v1/result.ts";
import type { Update } from "./gen/tidemark/v1/commit.ts";

export type KindName = "early" | "final" | "correction" | "retraction" | "unspecified";

export const kindName = (kind: Kind): KindName => {
  switch (kind) {
    case Kind.KIND_EARLY:
      return "early";
    case Kind.KIND_FINAL:
      return "final";
    case Kind.KIND_CORRECTION:
      return "correction";
    case Kind.KIND_RETRACTION:
      return "retraction";
    default:
      return "unspecified";
  }
};

/** What a commit says about all of its updates. */
export interface UpdateSource {
  readonly projection: string;
  readonly version: number;
  /** Names of the values, in the order of `Update.values`. */
  readonly columns: readonly string[];
}

/** Name of a value: its column, or its index where a commit names fewer columns than it has values. */
export const columnName = (columns: readonly string[], index: number): string =>
  columns[index] ?? String(index);

export const updateToJson = (source: UpdateSource, update: Update): string => {
  const columns = source.columns;
  const values = update.values;
  let body = "";
  for (let i = 0; i < values.length; i++) {
    if (i > 0) body += ",";
    body += member(columnName(columns, i)) + valueToJson(values[i]);
  }
  return (
    head(source.projection, source.version, update.key) +
    windowToJson(update.windowStart, update.windowEnd) +
    ordinalToJson(update.ordinal) +
    tail(update.kind, update.revision, update.watermark, body)
  );
};

/** The same without values, for where they do not fit: `"values":null`, and how large they are as JSON. */
export const updateWithoutValues = (
  { projection, version }: UpdateSource,
  update: Update,
  omittedBytes: number,
): string =>
  head(projection, version, update.key) +
  windowToJson(update.windowStart, update.windowEnd) +
  `,"kind":"${kindName(update.kind)}","revision":${update.revision},"watermark":${update.watermark}` +
  `,"values":null,"omittedBytes":${omittedBytes}}`;

export const resultToJson = (result: Result): string => {
  const body = valuesToJson(result.values);
  return (
    head(result.projection, result.version, result.key) +
    windowToJson(result.window?.start ?? 0, result.window?.end ?? 0) +
    ordinalToJson(result.ordinal) +
    tail(result.kind, result.revision, result.watermark, body)
  );
};

export const valueToJson = (value: Value | undefined): string => {
  const kind = value?.kind;
  switch (kind?.$case) {
    case "intValue":
      return kind.value;
    case "doubleValue":
      return doubleToJson(kind.value);
    case "boolValue":
      return String(kind.value);
    case "stringValue":
      return JSON.stringify(kind.value);
    case "bytesValue":
      return `"${kind.value.toString("base64")}"`;
    case "listValue":
      return `[${kind.value.values.map(valueToJson).join(",")}]`;
    case "recordValue":
      return `{${valuesToJson(kind.value.fields)}}`;
    default:
      return "null";
  }
};

const valuesToJson = (values: readonly NamedValue[]): string =>
  values.map((named) => member(named.name) + valueToJson(named.value)).join(",");

const doubleToJson = (value: number): string => {
  if (!Number.isFinite(value)) return `"${value}"`;
  return Object.is(value, -0) ? "-0" : String(value);
};

const head = (projection: string, version: number, key: string): string =>
  `{${member("projection")}${escaped(projection)},"version":${version},"key":${JSON.stringify(key)},`;

const ordinalToJson = (ordinal: number): string => (ordinal === 0 ? "" : `,"ordinal":${ordinal}`);

const tail = (kind: Kind, revision: number, watermark: number, values: string): string =>
  `,"kind":"${kindName(kind)}","revision":${revision},"watermark":${watermark},"values":{${values}}}`;

/** Names of projections and columns are few: each is escaped once. */
const NAMES_MAX = 10_000;
const escapedNames = new Map<string, string>();
const members = new Map<string, string>();

const escaped = (name: string): string => remember(escapedNames, name, JSON.stringify);
const member = (name: string): string => remember(members, name, toMember);
const toMember = (name: string): string => `${JSON.stringify(name)}:`;

/** Updates of one commit mostly share a few windows; the text of the last ones is kept. */
const WINDOWS_MAX = 1_024;
const windows = new Map<number, Map<number, string>>();

const windowToJson = (start: number, end: number): string => {
  let ends = windows.get(start);
  if (ends === undefined) {
    if (windows.size >= WINDOWS_MAX) windows.clear();
    windows.set(start, (ends = new Map()));
  }
  let text = ends.get(end);
  if (text === undefined) {
    if (ends.size >= WINDOWS_MAX) ends.clear();
    text =
      `"window":{"start":${start},"end":${end},` +
      `"startTime":${isoToJson(start)},"endTime":${isoToJson(end)}}`;
    ends.set(end, text);
  }
  return text;
};

const CALENDAR_TIME_MAX = 8.64e15;

const isoToJson = (time: number): string =>
  Math.abs(time) <= CALENDAR_TIME_MAX ? `"${new Date(time).toISOString()}"` : "null";

const remember = (
  cache: Map<string, string>,
  name: string,
  make: (name: string) => string,
): string => {
  let text = cache.get(name);
  if (text === undefined) {
    if (cache.size >= NAMES_MAX) cache.clear();
    cache.set(name, (text = make(name)));
  }
  return text;
};
