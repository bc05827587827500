/** What a projection published, decoded for people: rows with a name for each field. */
import type { Books, Update } from "../../proto/gen/tidemark/v1/commit.ts";
import { DeadLetter_Reason } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { DeadLetter } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { Value } from "../../proto/gen/tidemark/v1/result.ts";
import { kindName } from "../../proto/result-json.ts";
import type { Account, CaseValue, Row } from "./case.ts";
import { showTime } from "./time.ts";

export const ACCOUNTS = [
  "events",
  "counted",
  "late",
  "duplicate",
  "conflict",
  "future",
  "invalid",
  "filtered",
  "poison",
] as const satisfies readonly Account[];

const REASONS: Readonly<Record<number, string>> = {
  [DeadLetter_Reason.REASON_LATE]: "late",
  [DeadLetter_Reason.REASON_FUTURE]: "future",
  [DeadLetter_Reason.REASON_INVALID]: "invalid",
  [DeadLetter_Reason.REASON_POISON]: "poison",
};

const valueOf = (value: Value | undefined): CaseValue => {
  const kind = value?.kind;
  switch (kind?.$case) {
    case "intValue": {
      const number = Number(kind.value);
      return Number.isSafeInteger(number) ? number : BigInt(kind.value);
    }
    case "doubleValue":
    case "stringValue":
    case "boolValue":
      return kind.value;
    case "bytesValue":
      return kind.value.toString("base64");
    case "listValue":
      return kind.value.values.map(valueOf);
    case "recordValue":
      return Object.fromEntries(
        kind.value.fields.map(({ name, value: of }) => [name, valueOf(of)]),
      );
    case undefined:
      return null;
  }
};

export const updateRow = (update: Update, columns: readonly string[]): Row =>
  new Map<string, CaseValue>([
    ["key", update.key],
    ["start", update.windowStart],
    ["end", update.windowEnd],
    ["kind", kindName(update.kind)],
    ["revision", update.revision],
    ["ordinal", update.ordinal],
    ...columns.map((name, i) => [`values.${name}`, valueOf(update.values[i])] as const),
    ["watermark", update.watermark],
    ["partition", update.partition],
  ]);

export const letterRow = (letter: DeadLetter): Row =>
  new Map<string, CaseValue>([
    ["reason", REASONS[letter.reason] ?? "unspecified"],
    ["id", letter.eventId],
    ["type", letter.eventType],
    ["key", letter.eventKey],
    ["time", letter.eventTime],
    ...(letter.window === undefined
      ? []
      : ([
          ["start", letter.window.start],
          ["end", letter.window.end],
          ["lateness", letter.lateness],
        ] as const)),
    ...(letter.watermark === undefined ? [] : ([["watermark", letter.watermark]] as const)),
    ["topic", letter.topic],
    ["partition", letter.position?.partition ?? 0],
    ["error", letter.error],
  ]);

export const booksRow = (books: Books): Row =>
  new Map(ACCOUNTS.map((account) => [account, books[account]]));

const showText = (text: string): string => (/^[\w.:-]+$/.test(text) ? text : JSON.stringify(text));

/** As YAML would have it on one line. */
export const showValue = (value: CaseValue): string => {
  if (typeof value === "string") return showText(value);
  if (typeof value !== "object" || value === null) {
    return Object.is(value, -0) ? "-0" : String(value);
  }
  if (isList(value)) return `[${value.map(showValue).join(", ")}]`;
  const fields = Object.entries(value).map(([name, of]) => `${name}: ${showValue(of)}`);
  return `{${fields.join(", ")}}`;
};

export const isList = (value: CaseValue): value is readonly CaseValue[] => Array.isArray(value);

/** What stands before the values, and after them. */
const LAST = ["watermark", "topic", "partition", "error"];
const ORDER = ["reason", "id", "type", "key", "start", "end", "kind", "ordinal", "revision"];

/** Names that need none: their values speak for themselves. */
const NAMELESS = new Set(["key", "kind", "reason"]);
const TIMES = new Set(["watermark", "time"]);

/** A field of a row as text: `sales=3`. */
export interface ShownField {
  readonly field: string;
  readonly text: string;
}

/** `k [0, 3000) final revision=1 sales=3`: the given fields of a row, or those that it has. */
export const showRow = (
  row: Row,
  only: (field: string) => boolean = () => true,
): readonly ShownField[] => {
  const parts: ShownField[] = [];
  const rank = (field: string) =>
    ORDER.includes(field)
      ? ORDER.indexOf(field)
      : LAST.includes(field)
        ? ORDER.length + 1
        : ORDER.length;
  for (const [field, value] of [...row].sort(([a], [b]) => rank(a) - rank(b))) {
    if (!only(field) || field === "end" || (field === "ordinal" && value === 0)) continue;
    if (field === "start") {
      const end = only("end") ? row.get("end") : undefined;
      const start = showTime(value as number);
      const until = typeof end === "number" ? showTime(end) : "...";
      parts.push({ field, text: `[${start}, ${until})` });
      continue;
    }
    const text = TIMES.has(field) && typeof value === "number" ? showTime(value) : showValue(value);
    const name = field.replace(/^values\./, "");
    parts.push({ field, text: NAMELESS.has(field) ? text : `${name}=${text}` });
  }
  return parts;
};
