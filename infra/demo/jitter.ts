/**
 * A seeded disorder of the sending order: each flight is due at its date plus a jitter in
 * [0, jitterMs), and flights leave in order of when they are due.
 *
 * J1. When a flight leaves, no flight more than `jitterMs` younger has left before it: with `jitterMs`
 *     at most the topic's out-of-orderness none is late.
 * J2. The order depends on the rows and the seed alone, not on chunks or speed.
 * J3. It holds one chunk and the flights of one jitter span.
 */
import type { FlightChunk } from "./flight-file.ts";

/** In [0, 1), the same for the same row and seed on every machine. */
export const jitterOf = (row: number, seed: number): number => {
  let h = Math.imul(row ^ Math.imul(seed, 0x9e3779b1), 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  h ^= h >>> 16;
  h = Math.imul(h, 0x27d4eb2f);
  h ^= h >>> 15;
  return (h >>> 0) / 4_294_967_296;
};

type Columns = { -readonly [Name in keyof FlightChunk]: FlightChunk[Name] };

const columnsFor = (capacity: number): Columns => ({
  count: 0,
  rows: new Int32Array(capacity),
  times: new Float64Array(capacity),
  delays: new Int32Array(capacity),
  distances: new Int32Array(capacity),
  origins: new Int32Array(capacity),
  destinations: new Int32Array(capacity),
});

const append = (target: Columns, source: FlightChunk, from: number): void => {
  const to = target.count++;
  target.rows[to] = source.rows[from]!;
  target.times[to] = source.times[from]!;
  target.delays[to] = source.delays[from]!;
  target.distances[to] = source.distances[from]!;
  target.origins[to] = source.origins[from]!;
  target.destinations[to] = source.destinations[from]!;
};

export class JitterBuffer {
  readonly #seed: number;
  readonly #jitterMs: number;
  #held = columnsFor(4096);
  #spare = columnsFor(4096);

  constructor(options: { readonly seed: number; readonly jitterMs: number }) {
    this.#seed = options.seed;
    this.#jitterMs = options.jitterMs;
  }

  /** Flights that are not due yet. */
  get held(): number {
    return this.#held.count;
  }

  push(chunk: FlightChunk): void {
    const needed = this.#held.count + chunk.count;
    if (needed > this.#held.rows.length) {
      const grown = columnsFor(2 * needed);
      for (let i = 0; i < this.#held.count; i++) append(grown, this.#held, i);
      this.#held = grown;
      this.#spare = columnsFor(2 * needed);
    }
    for (let i = 0; i < chunk.count; i++) append(this.#held, chunk, i);
  }

  /**
   * Visits the flights that are due before `time`, in sending order: no flight of that time or
   * later can precede them.
   */
  drainBefore(time: number, visit: (flights: FlightChunk, index: number) => void): void {
    const held = this.#held;
    if (held.count === 0) return;
    const base = held.times[0]!;
    const kept = this.#spare;
    kept.count = 0;
    // Due time and index in one double: sorting typed numbers is many times faster than a heap of
    // objects. The index, which follows the row, breaks ties.
    const keys = new Float64Array(held.count);
    let due = 0;
    for (let i = 0; i < held.count; i++) {
      const jitter = Math.floor(jitterOf(held.rows[i]!, this.#seed) * this.#jitterMs);
      const dueTime = held.times[i]! + jitter;
      if (dueTime < time) keys[due++] = (dueTime - base) * held.count + i;
      else append(kept, held, i);
    }
    const sorted = keys.subarray(0, due).sort();
    for (let i = 0; i < due; i++) visit(held, sorted[i]! % held.count);
    this.#held = kept;
    this.#spare = held;
  }
}
