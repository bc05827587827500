import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WEEKDAYS, type CalendarWindow } from "../../projections/definition/definition.ts";
import { CYCLE_MS, zoneRules } from "../../projections/zone/zone-rules.ts";
import { instant, iso, periodAt, shownAt } from "../testkit/local-clock.ts";
import { isLongRun, propertyRuns } from "../testkit/property-runs.ts";
import { CalendarWindows, dayOfMonth, monthOfDay } from "./calendar.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

type Options = Partial<Omit<CalendarWindow, "kind">>;

const assignerOf = ({ unit = "day", zone = "UTC", ...rest }: Options) =>
  new CalendarWindows({ kind: "calendar", unit, zone, ...rest }, zoneRules(zone));

const windowAt = (assigner: CalendarWindows, time: number): [start: number, end: number] => {
  const starts = new Float64Array(1);
  const ends = new Float64Array(1);
  expect(assigner.assign(time, starts, ends)).toBe(1);
  return [starts[0]!, ends[0]!];
};

/** The windows that follow each other from `from` on, with their lengths in hours. */
const windowsFrom = (from: string, many: number, options: Options): string[] => {
  const assigner = assignerOf(options);
  let time = instant(from);
  return Array.from({ length: many }, () => {
    const [start, end] = windowAt(assigner, time);
    time = end;
    return `${iso(start).replace(":00.000Z", "Z")} ${(end - start) / HOUR} h`;
  });
};

describe("days", () => {
  test("of 23 and 25 hours", () => {
    const zone = "Europe/Berlin";
    expect(windowsFrom("2024-03-30T12:00Z", 3, { zone })).toEqual([
      "2024-03-29T23:00Z 24 h",
      "2024-03-30T23:00Z 23 h",
      "2024-03-31T22:00Z 24 h",
    ]);
    expect(windowsFrom("2024-10-27T12:00Z", 2, { zone })).toEqual([
      "2024-10-26T22:00Z 25 h",
      "2024-10-27T23:00Z 24 h",
    ]);
  });

  test("begin at the end of a gap that swallows midnight, at the first of two midnights", () => {
    // 2018-11-04 00:00 did not exist in Sao Paulo; clocks went to 01:00.
    expect(windowsFrom("2018-11-03T12:00Z", 2, { zone: "America/Sao_Paulo" })).toEqual([
      "2018-11-03T03:00Z 24 h",
      "2018-11-04T03:00Z 23 h",
    ]);
    // Clocks went from Sunday 00:00 back to Saturday 23:00: it was not Sunday yet.
    expect(windowsFrom("2018-02-17T12:00Z", 2, { zone: "America/Sao_Paulo" })).toEqual([
      "2018-02-17T02:00Z 25 h",
      "2018-02-18T03:00Z 24 h",
    ]);
    // From Sunday 00:01 back to Saturday 23:01: it had been Sunday for a minute.
    expect(windowsFrom("2010-11-06T12:00Z", 2, { zone: "America/St_Johns" })).toEqual([
      "2010-11-06T02:30Z 24 h",
      "2010-11-07T02:30Z 25 h",
    ]);
  });

  test("that a zone skipped have no window, days that it repeated are long", () => {
    expect(windowsFrom("2011-12-29T12:00Z", 3, { zone: "Pacific/Apia" })).toEqual([
      "2011-12-29T10:00Z 24 h",
      "2011-12-30T10:00Z 24 h",
      "2011-12-31T10:00Z 24 h",
    ]);
    expect(windowsFrom("1969-09-29T13:00Z", 2, { zone: "Pacific/Kwajalein" })).toEqual([
      "1969-09-29T13:00Z 47 h",
      "1969-10-01T12:00Z 24 h",
    ]);
  });

  test("may begin at another time of the clock", () => {
    const options = { zone: "Europe/Berlin", dayStart: "06:00" };
    expect(windowsFrom("2024-03-31T03:59Z", 2, options)).toEqual([
      "2024-03-30T05:00Z 23 h",
      "2024-03-31T04:00Z 24 h",
    ]);
    // 02:30 did not exist that day.
    expect(windowsFrom("2024-03-30T12:00Z", 2, { ...options, dayStart: "02:30" })).toEqual([
      "2024-03-30T01:30Z 23.5 h",
      "2024-03-31T01:00Z 23.5 h",
    ]);
  });

  test("do not begin again when clocks go back over midnight", () => {
    // At 00:01 of Sunday they went back to 23:01 of Saturday: by 02:45Z they show Saturday again.
    const stJohns = assignerOf({ zone: "America/St_Johns" });
    const sunday = [instant("2010-11-07T02:30Z"), instant("2010-11-08T03:30Z")];
    for (const time of ["2010-11-07T02:30Z", "2010-11-07T02:45Z", "2010-11-07T03:29Z"]) {
      expect(windowAt(stJohns, instant(time))).toEqual(sunday);
      expect(windowAt(assignerOf({ zone: "America/St_Johns" }), instant(time))).toEqual(sunday);
    }
    // All but the first minutes of this day were shown twice.
    const kwajalein = assignerOf({ zone: "Pacific/Kwajalein" });
    expect(windowAt(kwajalein, instant("1969-09-30T13:30Z")).map(iso)).toEqual([
      "1969-09-29T13:00:00.000Z",
      "1969-10-01T12:00:00.000Z",
    ]);
  });

  test("before standard time have the seconds of local mean time", () => {
    const [start] = windowAt(assignerOf({ zone: "Europe/Berlin" }), instant("1850-06-01T12:00Z"));
    expect(iso(start)).toBe("1850-05-31T23:06:32.000Z");
  });
});

describe("hours", () => {
  test("that clocks show twice are two windows, and one that they skip is none", () => {
    const options = { unit: "hour", zone: "Europe/Berlin" } as const;
    expect(windowsFrom("2024-10-26T23:00Z", 4, options)).toEqual([
      "2024-10-26T23:00Z 1 h",
      "2024-10-27T00:00Z 1 h",
      "2024-10-27T01:00Z 1 h",
      "2024-10-27T02:00Z 1 h",
    ]);
  });

  test("are cut where clocks move by half an hour, and follow clocks that are not on the hour", () => {
    const options = { unit: "hour", zone: "Australia/Lord_Howe" } as const;
    // 01:30 to 02:00 is shown twice: once at the end of a whole hour, once alone.
    expect(windowsFrom("2024-04-06T14:00Z", 3, options)).toEqual([
      "2024-04-06T14:00Z 1 h",
      "2024-04-06T15:00Z 0.5 h",
      "2024-04-06T15:30Z 1 h",
    ]);
    // From 02:00 to 02:30.
    expect(windowsFrom("2024-10-05T14:30Z", 3, options)).toEqual([
      "2024-10-05T14:30Z 1 h",
      "2024-10-05T15:30Z 0.5 h",
      "2024-10-05T16:00Z 1 h",
    ]);
    expect(windowsFrom("2024-01-01T00:00Z", 1, { unit: "hour", zone: "Asia/Kolkata" })).toEqual([
      "2023-12-31T23:30Z 1 h",
    ]);
  });
});

describe("what is made of days", () => {
  test("weeks begin on Monday, or another day", () => {
    const week = { unit: "week", zone: "Europe/Berlin" } as const;
    expect(windowsFrom("2024-12-31T12:00Z", 1, week)).toEqual(["2024-12-29T23:00Z 168 h"]);
    expect(windowsFrom("2024-03-27T12:00Z", 1, week)).toEqual(["2024-03-24T23:00Z 167 h"]);
    expect(windowsFrom("2024-12-31T12:00Z", 1, { ...week, weekStart: "sunday" })).toEqual([
      "2024-12-28T23:00Z 168 h",
    ]);
    expect(windowsFrom("1969-12-31T12:00Z", 1, { unit: "week" })).toEqual([
      "1969-12-29T00:00Z 168 h",
    ]);
  });

  test("months, quarters and years of a fiscal year", () => {
    const hours = (days: number) => `${days * 24} h`;
    expect(windowsFrom("2024-02-10T00:00Z", 2, { unit: "month" })).toEqual([
      `2024-02-01T00:00Z ${hours(29)}`,
      `2024-03-01T00:00Z ${hours(31)}`,
    ]);
    expect(windowsFrom("2024-02-10T00:00Z", 1, { unit: "quarter" })).toEqual([
      `2024-01-01T00:00Z ${hours(91)}`,
    ]);
    expect(windowsFrom("2024-02-10T00:00Z", 2, { unit: "quarter", yearStart: 2 })).toEqual([
      `2024-02-01T00:00Z ${hours(29 + 31 + 30)}`,
      `2024-05-01T00:00Z ${hours(31 + 30 + 31)}`,
    ]);
    expect(windowsFrom("2024-03-31T23:59Z", 2, { unit: "year", yearStart: 4 })).toEqual([
      `2023-04-01T00:00Z ${hours(366)}`,
      `2024-04-01T00:00Z ${hours(365)}`,
    ]);
    expect(windowsFrom("0000-02-29T00:00Z", 1, { unit: "month" })).toEqual([
      `0000-02-01T00:00Z ${hours(29)}`,
    ]);
  });
});

test("a month has the days from its first to the one before the next month's, for 400 years", () => {
  const LENGTHS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  // From January of year 0, a leap year, to the same of year 400.
  let first = -719_528;
  const wrong: number[] = [];
  for (let month = 0; month <= 4_800; month++) {
    const year = Math.floor(month / 12);
    const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
    const days = LENGTHS[month % 12]! + (month % 12 === 1 && leap ? 1 : 0);
    if (dayOfMonth(month) !== first) wrong.push(month);
    if (monthOfDay(first) !== month || monthOfDay(first + days - 1) !== month) wrong.push(month);
    first += days;
  }
  expect(wrong).toEqual([]);
});

test("months of days are those of Date, at any time", () => {
  fc.assert(
    fc.property(fc.integer({ min: -99_990_000, max: 99_990_000 }), (day) => {
      const month = periodAt({ unit: "month", zone: "UTC" }, day * DAY);
      expect(monthOfDay(day)).toBe(month);
      const first = dayOfMonth(month);
      expect(periodAt({ unit: "month", zone: "UTC" }, first * DAY)).toBe(month);
      expect(periodAt({ unit: "month", zone: "UTC" }, first * DAY - 1)).toBe(month - 1);
    }),
  );
});

// Against a model written separately: what `localClock` shows.

const checkDays = (options: Options, start: number, end: number, time: number): void => {
  const period = periodAt(options, start);
  // The first instant of its period or a later one: in all the time in which clocks might have shown it.
  const before: number[] = [];
  for (let back = 1; back <= 26 * HOUR; back += back === 1 ? HOUR / 2 - 1 : HOUR / 2) {
    before.push(start - back);
  }
  const inside = [time, end - 1];
  for (let ahead = 0; ahead < Math.min(end - start, 26 * HOUR); ahead += HOUR / 2) {
    inside.push(start + ahead, end - 1 - ahead);
  }
  expect(before.filter((each) => periodAt(options, each) >= period).map(iso)).toEqual([]);
  expect(inside.filter((each) => periodAt(options, each) > period).map(iso)).toEqual([]);
};

const checkHour = ({ zone }: Options, start: number, end: number, time: number): void => {
  const hourAt = (at: number) => {
    const shown = shownAt(zone!, at);
    return `${shown - at} ${Math.floor(shown / HOUR)}`;
  };
  for (const each of [start, time, end - 1]) expect(hourAt(each)).toBe(hourAt(time));
  expect(hourAt(start - 1)).not.toBe(hourAt(time));
  expect(hourAt(end)).not.toBe(hourAt(time));
};

/** The odd ones; in the long run, all there are. */
const ZONES = !isLongRun
  ? [
      "Africa/Casablanca",
      "America/Boa_Vista",
      "America/New_York",
      "America/Sao_Paulo",
      "America/St_Johns",
      "Asia/Gaza",
      "Asia/Kolkata",
      "Asia/Pyongyang",
      "Australia/Lord_Howe",
      "Europe/Berlin",
      "Pacific/Apia",
      "Pacific/Kwajalein",
    ]
  : Intl.supportedValuesOf("timeZone");
const UNITS = ["hour", "day", "week", "month", "quarter", "year"] as const;

const arbitraryOptions: fc.Arbitrary<Options> = fc.record({
  unit: fc.constantFrom(...UNITS),
  zone: fc.constantFrom(...ZONES),
  dayStart: fc.constantFrom("00:00", "00:00", "02:30", "06:00", "23:30"),
  weekStart: fc.constantFrom(...WEEKDAYS),
  yearStart: fc.integer({ min: 1, max: 12 }),
});

const FROM = instant("1970-01-01");
const TO = instant("2038-01-01");

/** A time near a change of clocks, where there is one. */
const timeNear = (zone: string, which: number, offset: number): number => {
  const changes = zoneRules(zone).starts.filter((start) => start >= FROM && start < TO);
  if (changes.length === 0) return FROM + which * 1_000_000 + offset;
  return changes[which % changes.length]! + offset;
};

test("windows are those of local clocks, near every change of them", () => {
  fc.assert(
    fc.property(
      arbitraryOptions,
      fc.nat(10_000),
      fc.oneof(
        fc.integer({ min: -30 * HOUR, max: 30 * HOUR }),
        fc.constantFrom(-1, 0, HOUR, -HOUR),
      ),
      (options, which, offset) => {
        const time = timeNear(options.zone!, which, offset);
        const [start, end] = windowAt(assignerOf(options), time);
        expect(start <= time && time < end).toBe(true);
        (options.unit === "hour" ? checkHour : checkDays)(options, start, end, time);
      },
    ),
    { numRuns: propertyRuns(300) },
  );
});

test("windows of any century are those of 400 years before it, or of many times that", () => {
  for (const unit of ["hour", "day", "year"] as const) {
    const options = { unit, zone: "Australia/Lord_Howe" };
    const last = assignerOf(options);
    for (let time = instant("2110-01-01"); time < instant("2499-12-01"); time += 19_997 * HOUR) {
      const window = windowAt(assignerOf(options), time);
      for (const cycles of [1, 2, 7]) {
        const moved = window.map((bound) => bound + cycles * CYCLE_MS);
        expect(windowAt(last, time + cycles * CYCLE_MS)).toEqual(moved);
      }
    }
  }
});

test("D1: windows tile time, however they are asked for", () => {
  fc.assert(
    fc.property(
      arbitraryOptions,
      fc.oneof(
        fc.integer({ min: FROM, max: TO }),
        fc.integer({ min: -8.6e15, max: 8.6e15 }),
        fc.nat(10_000),
      ),
      fc.integer({ min: -30 * HOUR, max: 30 * HOUR }),
      (options, base, offset) => {
        const time = base <= 10_000 && base >= 0 ? timeNear(options.zone!, base, offset) : base;
        const assigner = assignerOf(options);
        const [start, end] = windowAt(assigner, time);
        expect(start <= time && time < end).toBe(true);
        const [nextStart, nextEnd] = windowAt(assigner, end);
        expect(nextStart).toBe(end);
        expect(windowAt(assigner, nextEnd - 1)).toEqual([nextStart, nextEnd]);
        const [before, until] = windowAt(assigner, start - 1);
        expect(until).toBe(start);
        expect(windowAt(assigner, before)).toEqual([before, until]);
        for (const bound of [start, end]) {
          expect(Number.isSafeInteger(bound) && !Object.is(bound, -0)).toBe(true);
        }
        // One that has just been made knows nothing of what was asked before.
        expect(windowAt(assignerOf(options), end - 1)).toEqual([start, end]);
        // Rules repeat after 400 years.
        if (start < instant("2110-01-01") || end > 8.6e15 - CYCLE_MS) return;
        expect(windowAt(assigner, time + CYCLE_MS)).toEqual([start + CYCLE_MS, end + CYCLE_MS]);
      },
    ),
    { numRuns: propertyRuns(1_000) },
  );
});
