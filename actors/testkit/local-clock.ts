/**
 * What clocks show in a time zone, asked of Intl field by field: for tests of calendar windows, which compute
 * it otherwise.
 */
import { WEEKDAYS, type CalendarWindow } from "../../projections/definition/definition.ts";

const DAY = 24 * 3_600_000;

type Period = Partial<Omit<CalendarWindow, "kind">>;

export const iso = (time: number): string => new Date(time).toISOString();
export const instant = (text: string): number => Date.parse(text);

const formats = new Map<string, Intl.DateTimeFormat>();

/** What local clocks show, as milliseconds since 1970-01-01 00:00 of those clocks. */
export const shownAt = (zone: string, time: number): number => {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      era: "short",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    formats.set(zone, format);
  }
  const text = format.format(time);
  const [month, day, year, hour, minute, second] = text.match(/\d+/g)!.map(Number);
  const local = new Date(0);
  local.setUTCFullYear(text.includes("BC") ? 1 - year! : year!, month! - 1, day);
  local.setUTCHours(hour!, minute, second);
  return local.getTime() + (time - Math.floor(time / 1000) * 1000);
};

/** A number that grows with the periods that clocks show. */
export const periodAt = (options: Period, time: number): number => {
  const [hours, minutes] = (options.dayStart ?? "00:00").split(":").map(Number);
  const shown = shownAt(options.zone!, time) - (hours! * 60 + minutes!) * 60_000;
  const date = new Date(shown);
  const month = date.getUTCFullYear() * 12 + date.getUTCMonth() - ((options.yearStart ?? 1) - 1);
  const day = Math.floor(shown / DAY);
  switch (options.unit) {
    case "week":
      return Math.floor((day + 3 - WEEKDAYS.indexOf(options.weekStart ?? "monday")) / 7);
    case "month":
      return date.getUTCFullYear() * 12 + date.getUTCMonth();
    case "quarter":
      return Math.floor(month / 3);
    case "year":
      return Math.floor(month / 12);
    default:
      return day;
  }
};
