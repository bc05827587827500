/**
 * Calendar windows for the naive model: found by search. It asks `Intl` what clocks show, never for an offset,
 * and halves until it has the first instant at which they have shown enough.
 */
import type { Bounds } from "./model-windows.ts";
import { periodAt, shownAt } from "./local-clock.ts";
import type { CalendarWindow } from "../../projections/definition/definition.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** No window is longer. */
const LONGEST = 367 * DAY;
/** Clocks never went back by more. */
const BACK = 24 * HOUR;

/** The first whole number in (low, high] that passes, when all after it do, high among them. */
const firstIn = (low: number, high: number, passes: (at: number) => boolean): number => {
  let not = low;
  let does = high;
  while (does - not > 1) {
    const middle = Math.floor((not + does) / 2);
    if (passes(middle)) does = middle;
    else not = middle;
  }
  return does;
};

const ahead = (zone: string, time: number): number => shownAt(zone, time) - time;

/** By zone and day since 1970, in UTC: when clocks changed in it. No zone in `CLOCK_CHANGES` changed them twice. */
const changesOfDays = new Map<string, Map<number, number | undefined>>();

const changeIn = (zone: string, day: number): number | undefined => {
  let days = changesOfDays.get(zone);
  if (days === undefined) changesOfDays.set(zone, (days = new Map()));
  if (days.has(day)) return days.get(day);
  const before = ahead(zone, day * DAY - 1);
  const after = ahead(zone, (day + 1) * DAY - 1);
  const change =
    before === after
      ? undefined
      : firstIn(day * DAY - 1, (day + 1) * DAY - 1, (at) => ahead(zone, at) !== before);
  days.set(day, change);
  return change;
};

export class ModelCalendar {
  readonly #window: CalendarWindow;
  readonly #found: Bounds[] = [];

  constructor(window: CalendarWindow) {
    this.#window = window;
  }

  windowAt(time: number): Bounds {
    const found = this.#found.find(({ start, end }) => start <= time && time < end);
    if (found !== undefined) return found;
    const bounds = this.#window.unit === "hour" ? this.#hourAt(time) : this.#periodAt(time);
    this.#found.push(bounds);
    return bounds;
  }

  /** The same hour of the same offset. */
  #hourAt(time: number): Bounds {
    const { zone } = this.#window;
    const hourAt = (at: number) => Math.floor(shownAt(zone, at) / HOUR);
    const same = (at: number) =>
      ahead(zone, at) === ahead(zone, time) && hourAt(at) === hourAt(time);
    return {
      start: firstIn(time - HOUR, time, same),
      end: firstIn(time, time + HOUR, (at) => !same(at)),
    };
  }

  #periodAt(time: number): Bounds {
    const period = this.#reached(time);
    return {
      start: firstIn(time - LONGEST, time, (at) => this.#reached(at) >= period),
      end: firstIn(time, time + LONGEST, (at) => this.#reached(at) > period),
    };
  }

  /** The last period that clocks have shown up to a time: once they have, it has begun. */
  #reached(time: number): number {
    let reached = periodAt(this.#window, time);
    for (let day = Math.floor((time - BACK) / DAY); day <= Math.floor(time / DAY); day++) {
      const change = changeIn(this.#window.zone, day);
      if (change === undefined || change > time) continue;
      reached = Math.max(reached, periodAt(this.#window, change - 1));
    }
    return reached;
  }
}
