/**
 * Windows of the calendar in a time zone: hours, days, weeks, months, quarters, years of local clocks.
 *
 * D1. Windows tile time: where one ends the next begins, whatever clocks do.
 * D2. A day, and all that is made of days, begins when local clocks first show its beginning or later: at the
 *     end of a gap that swallows midnight, at the first of two midnights. A day that a zone skipped has
 *     no window.
 * D3. An hour is cut wherever the offset changes: one that clocks show twice is two windows.
 *
 * The table of the zone is searched once a window, not once an event.
 */
import { WEEKDAYS, type CalendarWindow } from "../../projections/definition/definition.ts";
import { CYCLE_MS, type ZoneRules } from "../../projections/zone/zone-rules.ts";
import type { WindowAssigner } from "./assigner.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Days since 1970-01-01 of the first of a month, counted from January of year 0. */
export const dayOfMonth = (month: number): number => {
  const year = Math.floor(month / 12);
  // Years that begin in March, so that leap days come last.
  const shifted = month - year * 12 < 2 ? year - 1 : year;
  const fromMarch = (((month - 2) % 12) + 12) % 12;
  const cycle = Math.floor(shifted / 400);
  const ofCycle = shifted - cycle * 400;
  const ofYear = Math.floor((153 * fromMarch + 2) / 5);
  const leaps = Math.floor(ofCycle / 4) - Math.floor(ofCycle / 100);
  return cycle * 146_097 + ofCycle * 365 + leaps + ofYear - 719_468;
};

/** The month, counted from January of year 0, that a day since 1970-01-01 is in. */
export const monthOfDay = (day: number): number => {
  let month = Math.floor((day + 719_528) / 30.436875);
  while (dayOfMonth(month) > day) month--;
  while (dayOfMonth(month + 1) <= day) month++;
  return month;
};

/** Numbers the periods of a unit: which one a day is in, and on which day one begins. */
interface Periods {
  of(day: number): number;
  begin(period: number): number;
}

const weeks = (weekStart: CalendarWindow["weekStart"]): Periods => {
  // 1970-01-01 was a Thursday.
  const shift = 3 - WEEKDAYS.indexOf(weekStart ?? "monday");
  return {
    of: (day) => Math.floor((day + shift) / 7),
    begin: (week) => week * 7 - shift,
  };
};

const months = (many: number, yearStart: number): Periods => ({
  of: (day) => Math.floor((monthOfDay(day) - (yearStart - 1)) / many),
  begin: (period) => dayOfMonth(period * many + (yearStart - 1)),
});

const periodsOf = (window: CalendarWindow): Periods => {
  switch (window.unit) {
    case "week":
      return weeks(window.weekStart);
    case "month":
      return months(1, 1);
    case "quarter":
      return months(3, window.yearStart ?? 1);
    case "year":
      return months(12, window.yearStart ?? 1);
    default:
      return { of: (day) => day, begin: (day) => day };
  }
};

/** "06:30" as milliseconds. */
const timeOfDay = (text: string): number => {
  const [hours, minutes] = text.split(":").map(Number);
  return (hours! * 60 + minutes!) * 60_000;
};

export class CalendarWindows implements WindowAssigner {
  readonly windowsMax = 1;
  readonly #rules: ZoneRules;
  readonly #periods: Periods | undefined;
  readonly #dayStartMs: number;
  readonly #offsetMax: number;
  readonly #spread: number;
  /** The window that was asked for last: events come near each other. */
  #start = 0;
  #end = 0;

  constructor(window: CalendarWindow, rules: ZoneRules) {
    this.#rules = rules;
    this.#periods = window.unit === "hour" ? undefined : periodsOf(window);
    this.#dayStartMs = timeOfDay(window.dayStart ?? "00:00");
    this.#offsetMax = rules.offsets.reduce((a, b) => Math.max(a, b));
    this.#spread = this.#offsetMax - rules.offsets.reduce((a, b) => Math.min(a, b));
  }

  assign(time: number, starts: Float64Array, ends: Float64Array): number {
    if (time < this.#start || time >= this.#end) this.#find(time);
    starts[0] = this.#start;
    ends[0] = this.#end;
    return 1;
  }

  #find(time: number): void {
    const { cycleEnd } = this.#rules;
    const cycles = time < cycleEnd ? 0 : Math.floor((time - cycleEnd) / CYCLE_MS) + 1;
    const shift = cycles * CYCLE_MS;
    if (this.#periods === undefined) this.#findHour(time - shift);
    else this.#findPeriod(time - shift, this.#periods);
    this.#start += shift;
    this.#end += shift;
  }

  #findHour(time: number): void {
    const { starts, offsets } = this.#rules;
    const at = this.#offsetIndex(time);
    const offset = offsets[at]!;
    const start = Math.floor((time + offset) / HOUR_MS) * HOUR_MS - offset;
    this.#start = Math.max(start, starts[at]!);
    this.#end = Math.min(start + HOUR_MS, starts[at + 1] ?? Number.POSITIVE_INFINITY);
  }

  /** The last period that has begun: its number may be beyond what clocks show, if they went back. */
  #findPeriod(time: number, periods: Periods): void {
    const local = time + this.#rules.offsets[this.#offsetIndex(time)]! - this.#dayStartMs;
    let period = periods.of(Math.floor((local + this.#spread) / DAY_MS));
    let start = this.#instantOf(periods.begin(period));
    while (start > time) start = this.#instantOf(periods.begin(--period));
    this.#start = start;
    this.#end = this.#instantOf(periods.begin(period + 1));
  }

  /** The first instant at which local clocks show the start of a day, or later. */
  #instantOf(day: number): number {
    const { starts, offsets } = this.#rules;
    const local = day * DAY_MS + this.#dayStartMs;
    let at = this.#offsetIndex(local - this.#offsetMax);
    while ((starts[at + 1] ?? Number.POSITIVE_INFINITY) + offsets[at]! <= local) at++;
    return Math.max(local - offsets[at]!, starts[at]!);
  }

  /** Of the offset that holds at a time. */
  #offsetIndex(time: number): number {
    const { starts } = this.#rules;
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= time) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
