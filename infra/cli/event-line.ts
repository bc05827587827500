/**
 * One line of input of `tidemark publish`: a JSON object that becomes an event.
 *
 *     {"key":"ORD","time":"2001-01-01T00:05:00Z","data":{"delay":12,"destination":"ATL"}}
 *
 * `type` may be left out when the command names one; `id` may be left out, but then sending the file
 * again counts its events again.
 */
import type { Event } from "../../proto/gen/tidemark/v1/event.ts";

export type ParsedLine =
  { readonly event: Event } | { readonly field: string; readonly reason: string };

export interface LineDefaults {
  readonly type: string | undefined;
  readonly makeId: () => string;
}

const FIELDS = ["id", "type", "key", "time", "data"] as const;

/** ISO 8601 with a zone or an offset, or milliseconds since the epoch. */
const ISO_TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2}))?$/i;

const parseTime = (value: unknown): number | undefined => {
  if (typeof value === "number") return Number.isSafeInteger(value) ? value : undefined;
  if (typeof value !== "string" || !ISO_TIME.test(value)) return undefined;
  const time = Date.parse(value);
  return Number.isNaN(time) ? undefined : time;
};

const refuse = (field: string, reason: string): ParsedLine => ({ field, reason });

const textField = (value: unknown): value is string | undefined =>
  value === undefined || typeof value === "string";

export const parseEventLine = (line: string, defaults: LineDefaults): ParsedLine => {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (error) {
    return refuse("line", `is not JSON: ${(error as Error).message}`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    return refuse("line", 'must be a JSON object such as {"key": ..., "time": ..., "data": {...}}');
  }
  const fields = parsed as Readonly<Record<string, unknown>>;
  const unknownField = Object.keys(fields).find((name) => !FIELDS.includes(name as never));
  if (unknownField !== undefined) {
    return refuse(unknownField, `is unknown; an event has ${FIELDS.join(", ")}`);
  }
  const { id, type = defaults.type, key, time, data } = fields;
  if (!textField(id)) return refuse("id", "must be a text");
  if (type === undefined) return refuse("type", "is missing, and no --type was given");
  if (typeof type !== "string") return refuse("type", "must be a text");
  if (key === undefined) return refuse("key", "is missing");
  if (typeof key !== "string") return refuse("key", "must be a text");
  const eventTime = parseTime(time);
  if (eventTime === undefined) {
    return refuse(
      "time",
      time === undefined
        ? "is missing"
        : 'must be milliseconds since 1970 or ISO 8601 with a zone, such as "2001-01-01T00:05:00Z"',
    );
  }
  if (typeof data !== "object" || data === null || Array.isArray(data)) {
    return refuse("data", data === undefined ? "is missing" : "must be a JSON object");
  }
  return {
    event: {
      id: id ?? defaults.makeId(),
      type,
      key,
      eventTime,
      data: { $case: "json", value: JSON.stringify(data) },
    },
  };
};
