/**
 * Durations as people write them, to milliseconds and back.
 *
 * D1. parseDuration(formatDuration(ms)) is ms, for every whole number of milliseconds.
 * D2. A result is a whole number that a double holds exactly.
 */

export const DURATION_UNITS = {
  ms: 1,
  millisecond: 1,
  milliseconds: 1,
  s: 1000,
  second: 1000,
  seconds: 1000,
  min: 60_000,
  minute: 60_000,
  minutes: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  hours: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
  days: 86_400_000,
  week: 604_800_000,
  weeks: 604_800_000,
} as const;

export type DurationUnit = keyof typeof DURATION_UNITS;

/** Milliseconds, or text: "500 ms", "90 seconds", "1 hour", "7 days", "1 hour 30 minutes", "0". */
export type Duration =
  | number
  | "0"
  | `${number} ${DurationUnit}`
  | `${number}${"ms" | "s" | "min" | "h" | "d"}`
  | `${number} ${DurationUnit} ${number} ${DurationUnit}`;

export const DURATION_FORMS =
  'a number of milliseconds, or text such as "500 ms", "90 seconds", "10 minutes", "1 hour", "7 days"';

const PART = /\s*(\d+(?:\.\d+)?)\s*([a-z]+)/gy;

/** Milliseconds, or undefined when `value` is not a duration. "-" in front makes it negative. */
export const parseDuration = (value: unknown): number | undefined => {
  if (typeof value === "number") return Number.isSafeInteger(value) ? value : undefined;
  if (typeof value !== "string") return undefined;
  const text = value.trim().toLowerCase();
  if (/^-?0$/.test(text)) return 0;
  const negative = text.startsWith("-");
  const parts = negative ? text.slice(1) : text;
  let total = 0;
  let end = 0;
  PART.lastIndex = 0;
  for (let match = PART.exec(parts); match !== null; match = PART.exec(parts)) {
    const unit = Object.hasOwn(DURATION_UNITS, match[2]!)
      ? DURATION_UNITS[match[2] as DurationUnit]
      : undefined;
    if (unit === undefined) return undefined;
    total += Number(match[1]) * unit;
    end = PART.lastIndex;
    if (end === parts.length) break;
  }
  if (end === 0 || end !== parts.length || !Number.isSafeInteger(total)) return undefined;
  return negative ? 0 - total : total;
};

const PRINTED: readonly (readonly [number, string])[] = [
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [60_000, "minute"],
  [1000, "second"],
];

/** The shortest exact text in one unit: "1 hour", "90 seconds", "1500 ms". */
export const formatDuration = (ms: number): string => {
  if (ms === 0) return "0";
  for (const [size, unit] of PRINTED) {
    if (ms % size === 0) return `${ms / size} ${unit}${Math.abs(ms) === size ? "" : "s"}`;
  }
  return `${ms} ms`;
};
