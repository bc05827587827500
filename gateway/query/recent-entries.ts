/**
 * The last entries of RESULTS, in memory and shared: what every subscriber reads that keeps up.
 *
 * N1. Holds every entry after `since` up to the last one added.
 * N2. Bounded in bytes: the oldest go first, whoever may still want them. A subscriber whose place is
 *     before `since` reads RESULTS itself.
 */
import type { ResultEntry } from "./result-entry.ts";

export class RecentEntries {
  /** Entries at or before this sequence are not held. */
  since: number;
  #bytes = 0;
  #entries: ResultEntry[] = [];
  #first = 0;
  readonly #bytesMax: number;

  constructor(bytesMax: number, since: number) {
    this.#bytesMax = bytesMax;
    this.since = since;
  }

  add(entries: readonly ResultEntry[]): void {
    for (const entry of entries) {
      this.#entries.push(entry);
      this.#bytes += entry.bytes;
    }
    while (this.#bytes > this.#bytesMax && this.#first < this.#entries.length) {
      const oldest = this.#entries[this.#first++]!;
      this.#bytes -= oldest.bytes;
      this.since = oldest.sequence;
    }
    if (this.#first > 1_000 && this.#first > this.#entries.length / 2) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Forgets all: what follows comes after `since`. */
  reset(since: number): void {
    this.#entries = [];
    this.#first = this.#bytes = 0;
    this.since = since;
  }

  /** The first entry after a sequence, which must not be before `since`. */
  after(sequence: number): ResultEntry | undefined {
    let low = this.#first;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#entries[middle]!.sequence <= sequence) low = middle + 1;
      else high = middle;
    }
    return this.#entries[low];
  }
}
