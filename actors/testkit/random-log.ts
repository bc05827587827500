/**
 * Random settings of each kind of window and random logs over some partitions: disorder, lateness,
 * duplicates and conflicts, clocks that are ahead, ticks, and record batches of any size. Logs of calendar
 * windows go past a change of clocks, and many of their events lie near it.
 */
import fc from "fast-check";
import { WEEKDAYS } from "../../projections/definition/definition.ts";
import { partitionOf } from "../../proto/partitioner.ts";
import { CLOCK_CHANGES } from "./clock-changes.ts";
import type { ModelEntry, ModelEvent, ModelSettings } from "./model.ts";
import type { ModelWindow } from "./model-windows.ts";

export interface RandomRun {
  readonly settings: ModelSettings;
  readonly partitions: number;
  /** Sums of its weights are exact in any order. */
  readonly dyadic: boolean;
  /** Before and after all else. */
  readonly first: Moment;
  readonly last: Moment;
  readonly log: readonly RandomEntry[];
}

export interface RandomEntry {
  readonly partition: number;
  readonly entry: ModelEntry;
  /** After it. */
  readonly restart: boolean;
}

export interface Moment {
  readonly time: number;
  readonly ingestTime: number;
}

/** Logs are made of small numbers: what they count. */
interface Timescale {
  readonly origin: number;
  readonly unitMs: number;
  /** Of the gateway's clock: a topic's dedupe horizon has a limit. */
  readonly ingestUnitMs: number;
  /** A time that events gather at. */
  readonly change: number;
}

const SMALL: Timescale = { origin: 0, unitMs: 1, ingestUnitMs: 1, change: 0 };

const INGEST = 1_000_000;
const SKEW = 300;
/** Closes every window that closes. */
const END_OF_TIME = { time: 100_000, ingestTime: 2 * INGEST };
const BEFORE_ALL = { time: -100_000, ingestTime: INGEST };

const orZero = (max: number) => fc.oneof(fc.constant(0), fc.integer({ min: 0, max }));
const length = fc.integer({ min: 1, max: 40 });
const offsetMs = fc.integer({ min: -50, max: 50 });

/** Windows with the times that suit them. */
interface Scene {
  readonly window: ModelWindow;
  readonly times: Timescale;
}

const small = (window: fc.Arbitrary<ModelWindow>): fc.Arbitrary<Scene> =>
  window.map((each) => ({ window: each, times: SMALL }));

const throwsEvery = fc.constantFrom(0, 0, 5, 13);

const custom: fc.Arbitrary<ModelWindow> = fc.oneof(
  fc.record({
    kind: fc.constant("custom"),
    shape: fc.constant("pattern"),
    throwsEvery,
    offset: offsetMs,
    step: fc.integer({ min: 3, max: 40 }),
    lengths: fc.array(orZero(60), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({
    kind: fc.constant("custom"),
    shape: fc.constant("powers"),
    throwsEvery,
    origin: fc.integer({ min: -150, max: 50 }),
    ratio: fc.integer({ min: 2, max: 4 }),
    reach: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({
    kind: fc.constant("custom"),
    shape: fc.constant("around"),
    throwsEvery,
    before: fc.nat(20),
    after: fc.integer({ min: 1, max: 20 }),
  }),
);

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Of about a dozen to a window. */
const UNITS_MS = {
  hour: HOUR / 12,
  day: 2 * HOUR,
  week: 14 * HOUR,
  month: 2.5 * DAY,
  quarter: 7.5 * DAY,
  year: 15 * DAY,
};

const calendar: fc.Arbitrary<Scene> = fc
  .record({
    change: fc.constantFrom(...CLOCK_CHANGES),
    unit: fc.constantFrom("hour", "day", "week", "month", "quarter", "year"),
    dayStart: fc.constantFrom("00:00", "00:00", "02:30", "06:00", "23:30"),
    weekStart: fc.constantFrom("monday", ...WEEKDAYS),
    yearStart: fc.constantFrom(1, 1, 4, 10, 2, 12),
    shrink: fc.integer({ min: 1, max: 3 }),
    units: fc.integer({ min: -60, max: 150 }),
  })
  .map(({ change: { zone, at: change }, unit, shrink, units, ...options }) => {
    const { dayStart, weekStart, yearStart } = options;
    const unitMs = UNITS_MS[unit] / shrink;
    const ingestUnitMs = Math.min(unitMs, 6 * HOUR);
    const times = { origin: change - units * unitMs, unitMs, ingestUnitMs, change };
    const window = {
      kind: "calendar",
      unit,
      zone,
      ...(unit === "hour" ? {} : { dayStart }),
      ...(unit === "week" ? { weekStart } : {}),
      ...(unit === "quarter" || unit === "year" ? { yearStart } : {}),
    } as const;
    return { times, window };
  });

const SCENES: { readonly [Kind in ModelWindow["kind"]]: fc.Arbitrary<Scene> } = {
  tumbling: small(fc.record({ kind: fc.constant("tumbling"), sizeMs: length, offsetMs })),
  hopping: small(
    fc.record({ kind: fc.constant("hopping"), sizeMs: length, advanceMs: length, offsetMs }),
  ),
  sliding: small(
    fc.record({ kind: fc.constant("sliding"), sizeMs: fc.integer({ min: 1, max: 25 }) }),
  ),
  session: small(
    fc.record({ kind: fc.constant("session"), gapMs: fc.integer({ min: 1, max: 20 }) }),
  ),
  calendar,
  custom: small(custom),
  global: small(fc.record({ kind: fc.constant("global") })),
};

export const WINDOW_KINDS = Object.keys(SCENES) as readonly ModelWindow["kind"][];

const settingsOf = (kind: ModelWindow["kind"]) =>
  fc.record({
    each: kind === "global" ? fc.constant(true) : fc.boolean(),
    allowedLatenessMs: orZero(60),
    maxOutOfOrdernessMs: orZero(30),
    maxFutureSkewMs: fc.constant(SKEW),
    dedupeHorizonMs: fc.integer({ min: 0, max: 50 }),
  });

type Settings = Omit<ModelSettings, "window" | "by">;

const scaled = (settings: Settings, { unitMs, ingestUnitMs }: Timescale): Settings => ({
  each: settings.each,
  allowedLatenessMs: settings.allowedLatenessMs * unitMs,
  maxOutOfOrdernessMs: settings.maxOutOfOrdernessMs * unitMs,
  maxFutureSkewMs: settings.maxFutureSkewMs * ingestUnitMs,
  dedupeHorizonMs: settings.dedupeHorizonMs * ingestUnitMs,
});

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

/** From a change of clocks to an event near it: whole quarters of an hour or minutes, or just beside them. */
const besideChange = fc
  .tuple(
    fc.oneof(
      fc.integer({ min: -120, max: 120 }).map((quarters) => quarters * (HOUR / 4)),
      fc.integer({ min: -3, max: 3 }).map((minutes) => minutes * 60_000),
    ),
    fc.constantFrom(0, 0, -1, 1, 1_000),
  )
  .map(([whole, more]) => whole + more);

/** Events so many units from the change may be moved to it. */
const NEAR_CHANGE = 12;

const eventOf = (kind: ModelWindow["kind"]) =>
  fc.record({
    id: fc.integer({ min: 0, max: 60 }).map(String),
    key: fc.constantFrom("a", "b", "ü", "dd", "", "e\u0000"),
    store: fc.constantFrom("x", "y", "zürich", ""),
    step: fc.nat(6),
    jitter: fc.integer({ min: -80, max: 20 }),
    ahead: fc.integer({ min: 0, max: 30 }).map((one) => one === 0),
    beside: kind === "calendar" ? optional(besideChange) : fc.constant(undefined),
    cents: optional(fc.bigInt({ min: -(2n ** 56n), max: 2n ** 56n })),
    wild: optional(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 })),
    eighths: optional(fc.integer({ min: -(2 ** 30), max: 2 ** 30 })),
  });

const entryOf = (kind: ModelWindow["kind"]) =>
  fc.record({
    gap: fc.integer({ min: -5, max: 20 }),
    tick: fc.integer({ min: 0, max: 7 }).map((one) => one === 0),
    tickPartition: fc.nat(7),
    /** After which part of it. */
    restart: fc.option(fc.nat(7), { nil: undefined, freq: 1 }),
    events: fc.array(eventOf(kind), { minLength: 1, maxLength: 12 }),
  });

/** An event of no type that is read: every partition has held something, and the clock can go on. */
export const randomRun = (
  kind: ModelWindow["kind"],
  by: ModelSettings["by"] = "key",
): fc.Arbitrary<RandomRun> =>
  fc
    .record({
      scene: SCENES[kind],
      settings: settingsOf(kind),
      partitions: fc.constantFrom(1, 1, 3, 8),
      dyadic: fc.boolean(),
      entries: fc.array(entryOf(kind), { maxLength: 12 }),
    })
    .map(({ scene, settings, partitions, dyadic, entries }) => {
      const { origin, unitMs, ingestUnitMs, change } = scene.times;
      const timeOf = (units: number) => origin + units * unitMs;
      // Far enough from the times of events that none but those of clocks that are ahead is in the future.
      const ingestOf = (units: number) => timeOf(INGEST) + (units - INGEST) * ingestUnitMs;
      const besideOf = (time: number, beside: number | undefined) => {
        const isNear = Math.abs(time - change) <= NEAR_CHANGE * unitMs;
        return beside !== undefined && isNear ? change + beside : time;
      };
      const momentOf = ({ time, ingestTime }: Moment): Moment => ({
        time: timeOf(time),
        ingestTime: ingestOf(ingestTime),
      });
      const log: RandomEntry[] = [];
      let ingestTime = INGEST;
      let clock = INGEST;
      let now = -40;
      for (const { gap, tick, tickPartition, restart, events } of entries) {
        ingestTime += gap;
        clock = Math.max(clock, ingestTime);
        if (tick) {
          // A tick is the owner's clock, which does not lie before what it has read.
          clock += Math.max(0, gap);
          const partition = tickPartition % partitions;
          log.push({ partition, entry: { tick: ingestOf(clock) }, restart: restart !== undefined });
          continue;
        }
        const dealt = Array.from({ length: partitions }, (): ModelEvent[] => []);
        for (const { step, jitter, ahead, beside, wild, eighths, ...event } of events) {
          now += step;
          const time = ahead
            ? ingestOf(ingestTime + SKEW + 1 + step)
            : besideOf(timeOf(now + jitter), beside);
          const weight = dyadic ? (eighths === undefined ? undefined : eighths / 8) : wild;
          dealt[partitionOf(event.key, partitions)]!.push({ ...event, time, weight });
        }
        const parts = dealt.flatMap((own, partition) => {
          const entry = { ingestTime: ingestOf(ingestTime), events: own };
          return own.length === 0 ? [] : [{ partition, entry }];
        });
        parts.forEach((part, index) => {
          log.push({ ...part, restart: restart !== undefined && restart % parts.length === index });
        });
      }
      return {
        settings: { ...scaled(settings, scene.times), window: scene.window, by },
        partitions,
        dyadic,
        first: momentOf(BEFORE_ALL),
        last: momentOf(END_OF_TIME),
        log,
      };
    });
