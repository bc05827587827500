/**
 * Random settings of each kind of window and random logs over some partitions: disorder, lateness,
 * duplicates and conflicts, clocks that are ahead, ticks, and record batches of any size.
 */
import fc from "fast-check";
import { partitionOf } from "../../proto/partitioner.ts";
import type { ModelEntry, ModelEvent, ModelSettings, ModelWindow } from "./model.ts";

export interface RandomRun {
  readonly settings: ModelSettings;
  readonly partitions: number;
  /** Sums of its weights are exact in any order. */
  readonly dyadic: boolean;
  readonly log: readonly RandomEntry[];
}

export interface RandomEntry {
  readonly partition: number;
  readonly entry: ModelEntry;
  /** After it. */
  readonly restart: boolean;
}

const INGEST = 1_000_000;
const SKEW = 300;

const length = fc.integer({ min: 1, max: 40 });
const offsetMs = fc.integer({ min: -50, max: 50 });

const WINDOWS: { readonly [Kind in ModelWindow["kind"]]: fc.Arbitrary<ModelWindow> } = {
  tumbling: fc.record({ kind: fc.constant("tumbling"), sizeMs: length, offsetMs }),
  hopping: fc.record({ kind: fc.constant("hopping"), sizeMs: length, advanceMs: length, offsetMs }),
  sliding: fc.record({ kind: fc.constant("sliding"), sizeMs: fc.integer({ min: 1, max: 25 }) }),
  session: fc.record({ kind: fc.constant("session"), gapMs: fc.integer({ min: 1, max: 20 }) }),
  global: fc.record({ kind: fc.constant("global") }),
};

export const WINDOW_KINDS = Object.keys(WINDOWS) as readonly ModelWindow["kind"][];

const orZero = (max: number) => fc.oneof(fc.constant(0), fc.integer({ min: 0, max }));

const settingsOf = (
  kind: ModelWindow["kind"],
  by: ModelSettings["by"],
): fc.Arbitrary<ModelSettings> =>
  fc.record({
    window: WINDOWS[kind],
    by: fc.constant(by),
    each: kind === "global" ? fc.constant(true) : fc.boolean(),
    allowedLatenessMs: orZero(60),
    maxOutOfOrdernessMs: orZero(30),
    maxFutureSkewMs: fc.constant(SKEW),
    dedupeHorizonMs: fc.integer({ min: 0, max: 50 }),
  });

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

const eventArbitrary = fc.record({
  id: fc.integer({ min: 0, max: 60 }).map(String),
  key: fc.constantFrom("a", "b", "ü", "dd", "", "e\u0000"),
  store: fc.constantFrom("x", "y", "zürich", ""),
  step: fc.nat(6),
  jitter: fc.integer({ min: -80, max: 20 }),
  ahead: fc.integer({ min: 0, max: 30 }).map((one) => one === 0),
  cents: optional(fc.bigInt({ min: -(2n ** 56n), max: 2n ** 56n })),
  wild: optional(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 })),
  eighths: optional(fc.integer({ min: -(2 ** 30), max: 2 ** 30 })),
});

const entryArbitrary = fc.record({
  gap: fc.integer({ min: -5, max: 20 }),
  tick: fc.integer({ min: 0, max: 7 }).map((one) => one === 0),
  tickPartition: fc.nat(7),
  restart: fc.boolean(),
  events: fc.array(eventArbitrary, { minLength: 1, maxLength: 12 }),
});

/** An event of no type that is read: every partition has held something, and the clock can go on. */
export const randomRun = (
  kind: ModelWindow["kind"],
  by: ModelSettings["by"] = "key",
): fc.Arbitrary<RandomRun> =>
  fc
    .record({
      settings: settingsOf(kind, by),
      partitions: fc.constantFrom(1, 1, 3, 8),
      dyadic: fc.boolean(),
      entries: fc.array(entryArbitrary, { maxLength: 12 }),
    })
    .map(({ settings, partitions, dyadic, entries }) => {
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
          log.push({ partition, entry: { tick: clock }, restart });
          continue;
        }
        const dealt = Array.from({ length: partitions }, (): ModelEvent[] => []);
        for (const { id, key, store, step, jitter, ahead, cents, wild, eighths } of events) {
          now += step;
          const time = ahead ? ingestTime + SKEW + 1 + step : now + jitter;
          const weight = dyadic ? (eighths === undefined ? undefined : eighths / 8) : wild;
          dealt[partitionOf(key, partitions)]!.push({ id, key, store, time, cents, weight });
        }
        dealt.forEach((own, partition) => {
          if (own.length > 0) log.push({ partition, entry: { ingestTime, events: own }, restart });
        });
      }
      return { settings, partitions, dyadic, log };
    });
