/** Windows. Makers of the data in `definition.ts`. */
import { argument } from "./argument.ts";
import { readWindow, WINDOW_LENGTH, WINDOW_OFFSET } from "./check-window.ts";
import type { AssignWindows, CalendarWindow, WindowDefinition } from "./definition.ts";
import type { Duration } from "./duration.ts";

/** A duration that may be negative. */
type Offset = Duration | `-${number} ${string}`;

const lengthOf = (call: string, name: string, value: Duration): number =>
  argument(call, (mistakes) => mistakes.duration(value, name, WINDOW_LENGTH));

const offsetOf = (call: string, value: Offset | undefined): number =>
  argument(call, (mistakes) => mistakes.duration(value ?? 0, "offset", WINDOW_OFFSET));

/**
 * Windows of one size, side by side: `[start, start + size)`. They start at multiples of the size
 * since the Unix epoch, UTC, plus the offset: `tumbling("1 day", { offset: "-2 hours" })`.
 */
export const tumbling = (
  size: Duration,
  options: { readonly offset?: Offset } = {},
): WindowDefinition => ({
  kind: "tumbling",
  sizeMs: lengthOf("tumbling()", "size", size),
  offsetMs: offsetOf("tumbling()", options.offset),
});

/**
 * Windows of one size that start every so often: `hopping("10 minutes", { every: "1 minute" })`. An
 * event is in each that holds its time. When `every` is more than the size there are gaps between
 * windows, and events in them are filtered out.
 */
export const hopping = (
  size: Duration,
  options: { readonly every: Duration; readonly offset?: Offset },
): WindowDefinition => ({
  kind: "hopping",
  sizeMs: lengthOf("hopping()", "size", size),
  advanceMs: lengthOf("hopping()", "every", options?.every),
  offsetMs: offsetOf("hopping()", options?.offset),
});

/**
 * Sessions of a key: events that are at most a gap apart are one, from the first event to the gap after
 * the last. Exactly one gap apart is one session.
 */
export const session = (options: { readonly gap: Duration }): WindowDefinition => ({
  kind: "session",
  gapMs: lengthOf("session()", "gap", options?.gap),
});

/**
 * For each time t at which a key has an event, what happened in `(t - size, t]`: a moving total that
 * moves with every event. An event is also in the windows of later events less than a size after it.
 */
export const sliding = (size: Duration): WindowDefinition => ({
  kind: "sliding",
  sizeMs: lengthOf("sliding()", "size", size),
});

interface ZoneOptions {
  /** A name of the IANA time zone database: "Europe/Berlin". */
  readonly zone: string;
}

/** When days begin on the local clock: "06:00". Default: "00:00". */
type TimeOfDay = `${number}:${number}`;

interface CalendarOptions {
  readonly hour: ZoneOptions;
  readonly day: ZoneOptions & { readonly dayStart?: TimeOfDay };
  readonly week: CalendarOptions["day"] & {
    /** Default: "monday", as ISO 8601 has it. */
    readonly weekStart?: NonNullable<CalendarWindow["weekStart"]>;
  };
  readonly month: CalendarOptions["day"];
  readonly quarter: CalendarOptions["day"] & {
    /** The month, 1 to 12, in which years begin: 4 for a fiscal year from April. Default: 1. */
    readonly yearStart?: number;
  };
  readonly year: CalendarOptions["quarter"];
}

/**
 * Hours, days, weeks, months, quarters or years of local clocks in a time zone:
 * `calendar("day", { zone: "Europe/Berlin" })`. A day can have 23 or 25 hours.
 */
export const calendar = <Unit extends CalendarWindow["unit"]>(
  unit: Unit,
  options: CalendarOptions[Unit],
): WindowDefinition =>
  argument("calendar()", (mistakes) => readWindow("calendar", { unit, ...options }, mistakes));

/** One window for all time, as running totals: publish with `early` or `each`. */
export const global = (): WindowDefinition => ({ kind: "global" });

/**
 * Windows by a function of the event's time:
 *
 *     custom({ assign: (time) => [[Math.floor(time / 1000) * 1000, time + 5000]] })
 *
 * Times are whole milliseconds, `start <= time < end`, in ascending order of start; a start has one end. An
 * event for which it returns none is filtered out; one for which it throws, or returns anything else,
 * is a dead letter with reason `poison`. It must depend on nothing but its argument: change `version`
 * when it does something else though its text is the same.
 */
export const custom = (options: {
  readonly assign: AssignWindows;
  /** Most windows that one event can be in. Default: 16. */
  readonly windowsMax?: number;
  readonly version?: string;
}): WindowDefinition =>
  argument("custom()", (mistakes) => readWindow("custom", { ...options }, mistakes));
