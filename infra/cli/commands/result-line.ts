/** A result as one line for people: start and end of its window, key, kind, revision, values. Times are UTC. */
import { GLOBAL_END } from "../../../actors/window/global.ts";
import { kindName, valueToJson } from "../../../proto/result-json.ts";
import type { Result } from "../../../proto/gen/tidemark/v1/result.ts";
import type { Style } from "../terminal/colour.ts";
import { time } from "../terminal/format.ts";
import type { Cell, Column } from "../terminal/table.ts";

const KIND_STYLES: Readonly<Record<string, Style>> = {
  early: "dim",
  correction: "yellow",
  retraction: "red",
};

const kindCell = (result: Result): Cell => {
  const text = kindName(result.kind);
  const style = KIND_STYLES[text];
  return style === undefined ? text : { text, style };
};

/** Whole numbers as they are, means with three decimals. */
export const shownValue = (value: Result["values"][number]["value"]): string => {
  const kind = value?.kind;
  if (kind?.$case === "doubleValue" && Number.isFinite(kind.value)) return kind.value.toFixed(3);
  if (kind?.$case === "stringValue") return kind.value;
  return valueToJson(value);
};

/** Results of one key and window are told apart by their ordinals, where there are several. */
const haveOrdinals = (results: readonly Result[]): boolean =>
  results.some(({ ordinal }) => ordinal > 0);

/** Columns of results that share the same aggregates; there must be one. */
export const resultColumns = (results: readonly Result[]): readonly Column[] => [
  { header: "window start (UTC)" },
  { header: "window end (UTC)" },
  { header: "key" },
  ...(haveOrdinals(results) ? [{ header: "ordinal", align: "right" } as const] : []),
  ...results[0]!.values.map(({ name }): Column => ({ header: name, align: "right" })),
  { header: "kind" },
  { header: "rev", align: "right" },
];

/** `-` of what has no end: the state of a fold, a global window. */
const windowEnd = (ms: number): string => (ms === GLOBAL_END ? "-" : time(ms));

const resultRow = (result: Result, ordinals: boolean): readonly Cell[] => [
  time(result.window?.start ?? 0),
  windowEnd(result.window?.end ?? 0),
  result.key,
  ...(ordinals ? [String(result.ordinal)] : []),
  ...result.values.map(({ value }) => shownValue(value)),
  kindCell(result),
  String(result.revision),
];

export const resultRows = (results: readonly Result[]): readonly (readonly Cell[])[] => {
  const ordinals = haveOrdinals(results);
  return results.map((result) => resultRow(result, ordinals));
};

/** Of a time without milliseconds. */
const SECONDS_WIDTH = 19;

/** One line of a stream of results, aligned by habit rather than by looking ahead. */
export const resultLine = (result: Result): string =>
  [
    time(result.window?.start ?? 0),
    windowEnd(result.window?.end ?? 0).padEnd(SECONDS_WIDTH),
    result.key.padEnd(12),
    kindName(result.kind).padEnd(10),
    `r${result.revision}`.padEnd(4),
    ...(result.ordinal > 0 ? [`ordinal ${result.ordinal}`] : []),
    ...result.values.map(({ name, value }) => `${name} ${shownValue(value)}`.padEnd(18)),
  ]
    .join("  ")
    .trimEnd();
