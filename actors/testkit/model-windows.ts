/**
 * Which windows hold a time, for those kinds in which the time alone says it: written a second time for the
 * naive model, and as naively. Nothing of the engine is imported, its table of time zones neither.
 */
import type { CalendarWindow } from "../../projections/definition/definition.ts";
import { ModelCalendar } from "./model-calendar.ts";

export interface HoppingWindow {
  readonly kind: "hopping";
  readonly sizeMs: number;
  readonly advanceMs: number;
  readonly offsetMs: number;
}

/** By a function of the user's (custom-assigners.ts), which throws at times that `throwsEvery` divides; 0 is never. */
export type CustomShape =
  /** Window n begins at offset + n * step. It has the next of the lengths; that of none is no window. */
  | {
      readonly shape: "pattern";
      readonly throwsEvery: number;
      readonly offset: number;
      readonly step: number;
      readonly lengths: readonly number[];
    }
  /** Window n is what lies after the origin, from ratio^n up to ratio^(n + reach). */
  | {
      readonly shape: "powers";
      readonly throwsEvery: number;
      readonly origin: number;
      readonly ratio: number;
      readonly reach: number;
    }
  /** One for each time, from so long before it to so long after it. */
  | {
      readonly shape: "around";
      readonly throwsEvery: number;
      readonly before: number;
      readonly after: number;
    };

export type ModelWindow =
  | { readonly kind: "tumbling"; readonly sizeMs: number; readonly offsetMs: number }
  | HoppingWindow
  | { readonly kind: "sliding"; readonly sizeMs: number }
  | { readonly kind: "session"; readonly gapMs: number }
  | { readonly kind: "global" }
  | CalendarWindow
  | ({ readonly kind: "custom" } & CustomShape);

export interface Bounds {
  readonly start: number;
  readonly end: number;
}

/** The windows of a time in the order of their starts; undefined where the user's function throws. */
export type BoundsAt = (time: number) => readonly Bounds[] | undefined;

const GLOBAL = { start: Number.MIN_SAFE_INTEGER, end: Number.MAX_SAFE_INTEGER };

const holds =
  (time: number) =>
  ({ start, end }: Bounds): boolean =>
    start <= time && time < end;

/** Every window that holds the time, found by walking from before the first of them. */
const hops = (time: number, { sizeMs, advanceMs, offsetMs }: HoppingWindow): readonly Bounds[] => {
  const bounds: Bounds[] = [];
  const steps = Math.floor((time - sizeMs - offsetMs) / advanceMs) - 1;
  for (let start = offsetMs + steps * advanceMs; start <= time; start += advanceMs) {
    bounds.push({ start, end: start + sizeMs });
  }
  return bounds.filter(holds(time));
};

/** So many windows of a pattern to either side of its offset are tried: whole repetitions of 1 to 4 lengths. */
const PATTERN_WINDOWS = 240;
const POWERS = 20;

/** All the windows that there are at the times of random logs. */
const customWindows = (window: CustomShape): readonly Bounds[] => {
  const bounds: Bounds[] = [];
  if (window.shape === "pattern") {
    const { offset, step, lengths } = window;
    for (let n = 0; n < 2 * PATTERN_WINDOWS; n++) {
      const start = offset + (n - PATTERN_WINDOWS) * step;
      bounds.push({ start, end: start + lengths[n % lengths.length]! });
    }
  } else if (window.shape === "powers") {
    const { origin, ratio, reach } = window;
    for (let n = 0; n < POWERS; n++) {
      bounds.push({ start: origin + ratio ** n, end: origin + ratio ** (n + reach) });
    }
  }
  return bounds;
};

const customAt = (window: CustomShape): BoundsAt => {
  const all = customWindows(window);
  return (time) => {
    if (time % window.throwsEvery === 0) return undefined;
    if (window.shape !== "around") return all.filter(holds(time));
    return [{ start: time - window.before, end: time + window.after }];
  };
};

/** What the models of all partitions have found. */
const calendars = new WeakMap<CalendarWindow, ModelCalendar>();

/** Undefined for windows that depend on other events too. */
export const boundsOf = (window: ModelWindow): BoundsAt | undefined => {
  switch (window.kind) {
    case "tumbling":
      return (time) => hops(time, { ...window, kind: "hopping", advanceMs: window.sizeMs });
    case "hopping":
      return (time) => hops(time, window);
    case "global":
      return () => [GLOBAL];
    case "calendar": {
      const calendar = calendars.get(window) ?? new ModelCalendar(window);
      calendars.set(window, calendar);
      return (time) => [calendar.windowAt(time)];
    }
    case "custom":
      return customAt(window);
    case "sliding":
    case "session":
      return undefined;
  }
};
