/**
 * Checks the window of a projection that came as data and fills its defaults. `WINDOW_FORMS` is the one place
 * to add a kind of window to the language; what a form does not name is an unknown key.
 */
import { checkFunction, checkVersion } from "./code.ts";
import { checkZone } from "../zone/zone-rules.ts";
import { WEEKDAYS } from "./definition.ts";
import type { AssignWindows, CalendarWindow, WindowDefinition } from "./definition.ts";
import { Mistakes, shown, type Fields, type Range } from "./reading.ts";

/** Windows that one event can be in: each costs what one costs, so a slip must not cost millions. */
export const WINDOWS_OF_AN_EVENT_MAX = 10_000;
export const CUSTOM_WINDOWS_MAX = 16;

/** 10,000 years: the bounds of every window of every event time stay exact integers. */
const LENGTH_MS_MAX = 3_650_000 * 86_400_000;
export const WINDOW_LENGTH: Range = { min: 1, max: LENGTH_MS_MAX };
export const WINDOW_OFFSET: Range = { min: -LENGTH_MS_MAX, max: LENGTH_MS_MAX };

type Kind = WindowDefinition["kind"];

interface Form<K extends Kind> {
  /** Of its options. */
  readonly keys: readonly string[];
  /** Whether windows put together from the partials of partitions are the same windows. */
  readonly merges: boolean;
  /** Undefined for a mistake that was noted; so may be what it returns, in parts. */
  read(given: Fields, mistakes: Mistakes): Unchecked<Extract<WindowDefinition, { kind: K }>>;
}

/** Parts that were refused are undefined. */
type Unchecked<T> = { readonly [Key in keyof T]: T[Key] | undefined } | undefined;

const lengthOf = (key: string, given: Fields, mistakes: Mistakes) =>
  mistakes.duration(given[key], `window.${key}`, WINDOW_LENGTH);

const offsetOf = (given: Fields, mistakes: Mistakes) =>
  mistakes.duration(given["offsetMs"] ?? 0, "window.offsetMs", WINDOW_OFFSET);

export const CALENDAR_UNITS = ["hour", "day", "week", "month", "quarter", "year"] as const;
export const MONTHS: Range = { min: 1, max: 12 };

export const TIME_OF_DAY = /^([01]\d|2[0-3]):[0-5]\d$/;

const readTimeOfDay = (value: unknown, path: string, mistakes: Mistakes): string | undefined =>
  typeof value === "string" && TIME_OF_DAY.test(value)
    ? value
    : mistakes.add(path, `must be a time of day such as "06:00", not ${shown(value)}`);

/** What each option of a calendar window means for which units. */
export const CALENDAR_OPTIONS = {
  dayStart: {
    units: CALENDAR_UNITS.slice(1),
    read: (value: unknown, path: string, mistakes: Mistakes) =>
      readTimeOfDay(value ?? "00:00", path, mistakes),
  },
  weekStart: {
    units: ["week"],
    read: (value: unknown, path: string, mistakes: Mistakes) =>
      mistakes.oneOf(value ?? "monday", path, WEEKDAYS),
  },
  yearStart: {
    units: ["quarter", "year"],
    read: (value: unknown, path: string, mistakes: Mistakes) =>
      mistakes.whole(value ?? 1, path, MONTHS),
  },
} as const;

function readCalendar(given: Fields, mistakes: Mistakes): Unchecked<CalendarWindow> {
  const unit = mistakes.oneOf(given["unit"], "window.unit", CALENDAR_UNITS);
  const zone = checkZone(given["zone"], "window.zone", mistakes);
  if (unit === undefined || zone === undefined) return undefined;
  const options = Object.entries(CALENDAR_OPTIONS).flatMap(([key, { units, read }]) => {
    const path = `window.${key}`;
    if ((units as readonly string[]).includes(unit))
      return [[key, read(given[key], path, mistakes)]];
    if (given[key] !== undefined) {
      mistakes.add(
        path,
        `only ${units.map((each) => `${each}s`).join(", ")} have it, not ${unit}s`,
      );
    }
    return [];
  });
  return { kind: "calendar", unit, zone, ...Object.fromEntries(options) };
}

export const WINDOW_FORMS: { readonly [K in Kind]: Form<K> } = {
  tumbling: {
    keys: ["sizeMs", "offsetMs"],
    merges: true,
    read: (given, mistakes) => ({
      kind: "tumbling",
      sizeMs: lengthOf("sizeMs", given, mistakes),
      offsetMs: offsetOf(given, mistakes),
    }),
  },
  hopping: {
    keys: ["sizeMs", "advanceMs", "offsetMs"],
    merges: true,
    read: (given, mistakes) => {
      const sizeMs = lengthOf("sizeMs", given, mistakes);
      const advanceMs = lengthOf("advanceMs", given, mistakes);
      const offsetMs = offsetOf(given, mistakes);
      if (sizeMs === undefined || advanceMs === undefined) return undefined;
      if (sizeMs / advanceMs > WINDOWS_OF_AN_EVENT_MAX) {
        return mistakes.add(
          "window.advanceMs",
          `puts every event into ${Math.ceil(sizeMs / advanceMs)} windows; ` +
            `${WINDOWS_OF_AN_EVENT_MAX} are the limit. Advance by at least ` +
            `${Math.ceil(sizeMs / WINDOWS_OF_AN_EVENT_MAX)} ms`,
        );
      }
      return { kind: "hopping", sizeMs, advanceMs, offsetMs };
    },
  },
  sliding: {
    keys: ["sizeMs"],
    merges: false,
    read: (given, mistakes) => ({ kind: "sliding", sizeMs: lengthOf("sizeMs", given, mistakes) }),
  },
  session: {
    keys: ["gapMs"],
    merges: false,
    read: (given, mistakes) => ({ kind: "session", gapMs: lengthOf("gapMs", given, mistakes) }),
  },
  calendar: {
    keys: ["unit", "zone", "dayStart", "weekStart", "yearStart"],
    merges: true,
    read: readCalendar,
  },
  global: { keys: [], merges: true, read: () => ({ kind: "global" }) },
  custom: {
    keys: ["assign", "windowsMax", "version"],
    merges: true,
    read: (given, mistakes) => ({
      kind: "custom",
      assign: checkFunction(
        given["assign"],
        "window.assign",
        "(time) => [[start, end]]",
        mistakes,
      ) as AssignWindows | undefined,
      windowsMax: mistakes.whole(given["windowsMax"] ?? CUSTOM_WINDOWS_MAX, "window.windowsMax", {
        min: 1,
        max: WINDOWS_OF_AN_EVENT_MAX,
      }),
      version: checkVersion(given["version"], "window.version", mistakes),
    }),
  },
};

/** Whether windows of a kind can be put together from the partials of partitions. */
export const windowMerges = (kind: WindowDefinition["kind"]): boolean => WINDOW_FORMS[kind].merges;

const WANTED =
  'a window, such as tumbling("1 hour"), in JSON { "kind": "tumbling", "sizeMs": "1 hour" }';

/** What others call the kinds. */
const OTHER_NAMES: Readonly<Record<string, Kind>> = {
  tumble: "tumbling",
  fixed: "tumbling",
  hop: "hopping",
  all: "global",
  none: "global",
};

export const checkWindow = (value: unknown, mistakes: Mistakes): WindowDefinition | undefined => {
  if (value === undefined) {
    return mistakes.add("window", 'is missing; for example tumbling("1 hour")');
  }
  const named = mistakes.record(value, "window", WANTED);
  if (named === undefined) return undefined;
  const kinds = Object.keys(WINDOW_FORMS) as Kind[];
  const kind = mistakes.oneOf(named["kind"], "window.kind", kinds, OTHER_NAMES);
  if (kind === undefined) return undefined;
  const form = WINDOW_FORMS[kind];
  const given = mistakes.object(value, "window", ["kind", ...form.keys]);
  if (given === undefined) return undefined;
  const window = form.read(given, mistakes);
  const whole = window !== undefined && Object.values(window).every((part) => part !== undefined);
  return whole ? (window as WindowDefinition) : undefined;
};

/** Reads the options of one kind alone: for its maker. Paths are those of the options. */
export const readWindow = (
  kind: Kind,
  given: Fields,
  mistakes: Mistakes,
): WindowDefinition | undefined => {
  const inner = new Mistakes();
  const window = checkWindow({ kind, ...given }, inner);
  for (const { path, message } of inner.list) mistakes.add(path.slice("window.".length), message);
  return window;
};
