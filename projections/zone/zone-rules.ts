/**
 * The rules of an IANA time zone, as a table: from when on which offset from UTC holds. Read once from the
 * runtime's time zone data (`Intl`); whoever computes with zones computes with the table.
 *
 * R1. The table says all that results depend on, for every time there is: a `digest` of it stands for the
 *     version of the time zone data. Two runtimes with the same digest give the same windows.
 * R2. From 2100 on the rules of every zone repeat by the kind of year: the weekday on which it begins, and
 *     whether it is a leap year. Within 28 years there are all kinds; within 400 they come again in
 *     the same order, with the same weekdays. So the table goes to 2500, and later times are looked up
 *     a multiple of 400 years before.
 * R3. No zone left an offset and came back to it within SCAN_STEP_MS since 1900 (the shortest that one
 *     held was a week, in Brazil in 2000); before that, clocks changed once in years.
 */
import { createHash } from "node:crypto";
import { listed, nearest } from "../definition/did-you-mean.ts";
import { shown, type Mistakes } from "../definition/reading.ts";

const DAY_MS = 86_400_000;

/** 146,097 days: a whole number of weeks. */
export const CYCLE_MS = 146_097 * DAY_MS;

export interface ZoneRules {
  /** As the definition names it. */
  readonly zone: string;
  /** When each offset begins to hold, ascending; the first is -Infinity. */
  readonly starts: Float64Array;
  /** Milliseconds that local clocks are ahead of UTC. */
  readonly offsets: Float64Array;
  /** Times from here on are looked up whole cycles earlier. */
  readonly cycleEnd: number;
  /** 16 hexadecimal digits. */
  readonly digest: string;
}

const FIRST_YEAR = 1800;
const DENSE_YEAR = 1900;
const SCAN_STEP_MS = 5 * DAY_MS;
const SPARSE_STEP_MS = 200 * DAY_MS;
/** From this year on changes follow rules, not decrees: they are weeks apart. */
const RULED_YEAR = 2040;
const RULED_STEP_MS = 14 * DAY_MS;
/** The first year of which the kind alone says what the rules do, and the 28 of all kinds. */
const REPEATING_YEAR = 2101;
const KINDS_YEARS = 28;
const CYCLE_END_YEAR = 2500;
/** Windows of times before the end of the cycle end after it. */
const LAST_YEAR = 2503;

const newYear = (year: number): number => Date.UTC(year, 0, 1);

type OffsetAt = (time: number) => number;

/** Throws a RangeError for a zone that the runtime does not know. */
const offsetsOf = (zone: string): OffsetAt => {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    timeZoneName: "longOffset",
    hour: "numeric",
  });
  return (time) => {
    const match = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(format.format(time));
    if (match === null) throw new Error(`${zone}: ${format.format(time)} names no offset`);
    const [, sign, hours = "0", minutes = "0", seconds = "0"] = match;
    const size = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
    return sign === "-" ? 0 - size : size;
  };
};

interface Change {
  readonly time: number;
  readonly offset: number;
}

/** Every change of offset in (from, to], for changes that are at least a step apart. */
const changesIn = (offsetAt: OffsetAt, from: number, to: number, step: number): Change[] => {
  const changes: Change[] = [];
  let left = from;
  let offset = offsetAt(left);
  while (left < to) {
    const right = Math.min(left + step, to);
    const after = offsetAt(right);
    while (offset !== after) {
      // Between left, where the offset holds, and right, where it does not. Changes are at whole seconds.
      let low = left;
      let high = right;
      while (high - low > 1000) {
        const middle = low + Math.floor((high - low) / 2000) * 1000;
        if (offsetAt(middle) === offset) low = middle;
        else high = middle;
      }
      left = high;
      offset = offsetAt(high);
      changes.push({ time: high, offset });
    }
    left = right;
  }
  return changes;
};

const isLeap = (year: number): boolean => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;

const kindOf = (year: number): string =>
  `${new Date(newYear(year)).getUTCDay()} ${isLeap(year) ? "leap" : "common"}`;

const readRules = (zone: string): ZoneRules => {
  const offsetAt = offsetsOf(zone);
  const first = newYear(FIRST_YEAR);
  const dense = newYear(DENSE_YEAR);
  const ruled = newYear(RULED_YEAR);
  const repeating = newYear(REPEATING_YEAR);
  const changes = [
    ...changesIn(offsetAt, first, dense, SPARSE_STEP_MS),
    ...changesIn(offsetAt, dense, ruled, SCAN_STEP_MS),
    ...changesIn(offsetAt, ruled, repeating - 1000, RULED_STEP_MS),
  ];
  const ofKind = new Map<string, readonly Change[]>();
  for (let year = REPEATING_YEAR; year < REPEATING_YEAR + KINDS_YEARS; year++) {
    if (ofKind.has(kindOf(year))) continue;
    const begin = newYear(year);
    const inYear = changesIn(offsetAt, begin - 1000, newYear(year + 1) - 1000, RULED_STEP_MS);
    ofKind.set(
      kindOf(year),
      inYear.map(({ time, offset }) => ({ time: time - begin, offset })),
    );
  }
  for (let year = REPEATING_YEAR; year <= LAST_YEAR; year++) {
    for (const { time, offset } of ofKind.get(kindOf(year))!) {
      changes.push({ time: newYear(year) + time, offset });
    }
  }
  const starts = Float64Array.from([Number.NEGATIVE_INFINITY, ...changes.map(({ time }) => time)]);
  const offsets = Float64Array.from([offsetAt(first), ...changes.map(({ offset }) => offset)]);
  const digest = createHash("sha256")
    .update(JSON.stringify(changes.map(({ time, offset }) => [time, offset])))
    .update(String(offsets[0]))
    .digest("hex")
    .slice(0, 16);
  return { zone, starts, offsets, cycleEnd: newYear(CYCLE_END_YEAR), digest };
};

const known = new Map<string, ZoneRules>();

/** The rules of a zone that `checkZone` has accepted; read once in a process. */
export const zoneRules = (zone: string): ZoneRules => {
  let rules = known.get(zone);
  if (rules === undefined) known.set(zone, (rules = readRules(zone)));
  return rules;
};

const zoneNames = (): readonly string[] => ["UTC", ...Intl.supportedValuesOf("timeZone")];

/** A name of the IANA time zone database, which the runtime knows. */
export const checkZone = (value: unknown, path: string, mistakes: Mistakes): string | undefined => {
  if (value === undefined) {
    return mistakes.add(path, 'is missing: in which time zone? For example "Europe/Berlin"');
  }
  const zone = mistakes.text(value, path);
  if (zone === undefined) return undefined;
  const canonical = canonicalName(zone);
  const otherCase = canonical?.toLowerCase() === zone.toLowerCase() && canonical !== zone;
  if (canonical !== undefined && !otherCase) return zone;
  const names = zoneNames();
  const [area] = zone.split("/");
  const inArea = names.filter((name) => name.startsWith(`${area}/`));
  // Within an area its name would make everything near.
  const places = inArea.map((name) => name.slice(area!.length + 1));
  const place = nearest(zone.slice(area!.length + 1), places);
  const best = inArea.length === 0 ? nearest(zone, names) : place && `${area}/${place}`;
  const hint =
    best !== undefined
      ? `did you mean ${shown(best)}?`
      : inArea.length > 0
        ? `those of ${area} are ${listed(inArea)}`
        : /^(utc|gmt)?[+-]?\d/i.test(zone)
          ? 'an offset is no zone. Name a place, such as "Europe/Berlin", or use tumbling() with an offset'
          : 'name a place of the IANA database, such as "Europe/Berlin", or "UTC"';
  return mistakes.add(path, `there is no time zone ${shown(zone)}; ${hint}`);
};

/** Undefined for what is no name: also offsets such as "+01:00", which some runtimes take. */
const canonicalName = (zone: string): string | undefined => {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(zone)) return undefined;
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
};
