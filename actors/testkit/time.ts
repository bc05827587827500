/** Times of a case, as people write them and read them. */
import type { Mistakes } from "../../projections/definition/reading.ts";
import { shown } from "../../projections/definition/reading.ts";
import { EVENT_TIME_MAX } from "../kernel/record-batch-scanner.ts";

const ISO =
  /^[+-]?\d{4,6}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:?\d{2}))?$/i;

/** Milliseconds since 1970; undefined, and noted, when it is no time. */
export const readTime = (value: unknown, path: string, mistakes: Mistakes): number | undefined => {
  const time =
    typeof value === "number"
      ? value
      : typeof value === "string" && ISO.test(value)
        ? Date.parse(value.replace(" ", "T"))
        : Number.NaN;
  if (Number.isInteger(time) && Math.abs(time) <= EVENT_TIME_MAX) return time;
  return mistakes.add(
    path,
    `must be milliseconds since 1970 or a time with its zone, such as "2024-01-01T08:00:00Z", not ${shown(value)}`,
  );
};

/** From 1973 on: what is before that is a test's small number, and easier to read as one. */
const CALENDAR_FROM_MS = 1e11;

export const showTime = (time: number): string => {
  if (Math.abs(time) < CALENDAR_FROM_MS || Math.abs(time) > EVENT_TIME_MAX) return String(time);
  return new Date(time).toISOString().replace(".000Z", "Z");
};
