/**
 * The benchmark's events: seeded, about 100 bytes each, out of order within the topic's bounds; and
 * what their results must be, counted here as they are made.
 *
 * L1. The same seed gives the same events. Event time moves as if 100,000 events happened a second, so
 *     a window of ten seconds holds a million events, and a result stands for a hundred.
 * L2. A run begins at a time of its own, later than all runs before it, so runs do not mix.
 */
import { ByteWriter, tagOf } from "../../actors/kernel/byte-writer.ts";
import { partitionOf } from "../../proto/partitioner.ts";
import { type EventWriter, fieldsOf, typeAndKeyFields } from "../demo/event-writer.ts";
import { jitterOf } from "../demo/jitter.ts";
import type { EncodedRequest } from "../demo/ordered-publisher.ts";
import { HEARTBEAT, READING } from "./bench-projections.ts";

export const KEYS = 10_000;
export const WINDOW_MS = 10_000;
const EVENTS_PER_MS = 100;
const DISORDER_MS = 2_000;
const VALUE_MAX = 1_000;
const NOTE_CHARS = 40;
const VALUE_TAG = tagOf(1, 0);
const NOTE = fieldsOf([tagOf(2, 2), "n".repeat(NOTE_CHARS)]);

const keyName = (key: number): string => `device-${String(key).padStart(5, "0")}`;

interface WindowTotals {
  readonly readings: Int32Array;
  readonly totals: Float64Array;
}

export interface LoadOptions {
  readonly topic: string;
  readonly partitions: number;
  readonly seed: number;
  /** Milliseconds since the epoch: a multiple of the window's size. */
  readonly startTime: number;
  /** Prefix of ids, unique to the run. */
  readonly run: string;
}

export class Load {
  readonly #options: LoadOptions;
  readonly #keys: readonly Uint8Array[];
  readonly #payload = new ByteWriter(128);
  readonly #windows = new Map<number, WindowTotals>();
  #made = 0;
  #bytes = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#keys = Array.from({ length: KEYS }, (_, key) => typeAndKeyFields(READING, keyName(key)));
  }

  get events(): number {
    return this.#made;
  }
  get bytes(): number {
    return this.#bytes;
  }

  /** The next `events` events as one request. */
  request(writer: EventWriter, events: number): EncodedRequest {
    const { seed, startTime, run } = this.#options;
    const payload = this.#payload;
    for (let i = 0; i < events; i++) {
      const number = this.#made++;
      const key = Math.floor(jitterOf(number, seed) * KEYS);
      const value = Math.floor(jitterOf(number, seed + 1) * VALUE_MAX);
      const disorder = Math.floor(jitterOf(number, seed + 2) * DISORDER_MS);
      const time = startTime + Math.max(0, Math.floor(number / EVENTS_PER_MS) - disorder);
      payload.reset();
      payload.varintField(VALUE_TAG, value);
      payload.raw(NOTE);
      writer.add(run, number, this.#keys[key]!, time, payload);
      this.#expect(key, value, time);
    }
    const bytes = writer.finish();
    this.#bytes += bytes.length;
    return { bytes, events };
  }

  /** One event for every partition, late enough to close every window of the run. */
  heartbeats(writer: EventWriter): EncodedRequest {
    const { partitions, run } = this.#options;
    this.#payload.reset();
    const time = this.endTime;
    for (let partition = 0; partition < partitions; partition++) {
      const key = keyOfPartition(partition, partitions);
      const fields = typeAndKeyFields(HEARTBEAT, key);
      writer.add(`${run}beat-`, partition, fields, time, this.#payload);
    }
    return { bytes: writer.finish(), events: partitions };
  }

  /** Event time of the load just now. */
  get time(): number {
    return this.#options.startTime + Math.floor(this.#made / EVENTS_PER_MS);
  }

  /** Where a later run may begin. */
  get endTime(): number {
    const { startTime } = this.#options;
    const windows = Math.ceil(this.#made / EVENTS_PER_MS / WINDOW_MS);
    return startTime + (windows + 2) * WINDOW_MS;
  }

  /** Every window of the run, by key and window start, as ListResults gives them. */
  *expected(): Generator<{ key: string; windowStart: number; readings: number; total: number }> {
    const starts = [...this.#windows.keys()].sort((a, b) => a - b);
    for (let key = 0; key < KEYS; key++) {
      for (const windowStart of starts) {
        const { readings, totals } = this.#windows.get(windowStart)!;
        if (readings[key] === 0) continue;
        yield { key: keyName(key), windowStart, readings: readings[key]!, total: totals[key]! };
      }
    }
  }

  #expect(key: number, value: number, time: number): void {
    const start = Math.floor(time / WINDOW_MS) * WINDOW_MS;
    let window = this.#windows.get(start);
    if (window === undefined) {
      window = { readings: new Int32Array(KEYS), totals: new Float64Array(KEYS) };
      this.#windows.set(start, window);
    }
    window.readings[key]!++;
    window.totals[key]! += value;
  }
}

/** Some key that belongs to the partition. */
export const keyOfPartition = (partition: number, partitions: number): string => {
  for (let number = 0; ; number++) {
    const key = `lane-${number}`;
    if (partitionOf(key, partitions) === partition) return key;
  }
};
