/**
 * Puts a range of a key's slices together from few parts, however many slices there are: aligned blocks of
 * 16, 256, 4,096 ... milliseconds are merged once and kept.
 *
 * K1. The slices of a range are merged in the order of time; those of a block that lies within the range and
 *     holds at least SLICES_MIN of them are merged first, and stand for them. So the result, floating-point sums
 *     included, depends on the slices and the range alone: not on what was put together before, or arrived when.
 * K2. Blocks are a cache: they are not part of snapshots or digests.
 */
import type { SlotStore } from "./slot-store.ts";

/** What a key holds at one time. */
export interface Slice {
  readonly time: number;
  /** Accumulates the events of exactly this time. */
  readonly events: number;
  /** The window that ends here, as it was last published; -1 where its time had expired. */
  readonly window: number;
}

const FANOUT = 16;
/** Fewer are as fast to merge one by one. */
const SLICES_MIN = 8;
/** A block's number and level share one integer. */
const LEVEL_MAX = 12;

/** The first index, from `from` on, at which slices have a time of at least `time`. */
export const firstAt = (slices: readonly Slice[], time: number, from = 0): number => {
  let low = from;
  let high = slices.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (slices[middle]!.time < time) low = middle + 1;
    else high = middle;
  }
  return low;
};

export class SliceBlocks {
  readonly #store: SlotStore;
  /** Milliseconds of a block, by level; level 0 is a slice. */
  readonly #spans: number[] = [1];
  /** By key id and number of block. */
  readonly #slots = new Map<number, Map<number, number>>();

  constructor(store: SlotStore, sizeMs: number) {
    this.#store = store;
    for (let level = 1; level <= LEVEL_MAX; level++) {
      const span = this.#spans[level - 1]! * FANOUT;
      if (span > sizeMs) break;
      this.#spans.push(span);
    }
  }

  /** Adds what slices hold that are in [start, end) to a slot. They are all of one key. */
  mergeInto(slot: number, slices: readonly Slice[], start: number, end: number): void {
    this.#merge(slot, slices, start, end, this.#spans.length - 1);
  }

  #merge(
    slot: number,
    slices: readonly Slice[],
    start: number,
    end: number,
    levelMax: number,
  ): void {
    const to = firstAt(slices, end);
    for (let at = firstAt(slices, start); at < to;) {
      const level = this.#levelOf(slices, at, start, end, levelMax);
      if (level === 0) {
        this.#store.mergeInto(slot, slices[at++]!.events);
        continue;
      }
      const span = this.#spans[level]!;
      const number = Math.floor(slices[at]!.time / span);
      this.#store.mergeInto(slot, this.#block(slices, number, level));
      at = firstAt(slices, (number + 1) * span, at);
    }
  }

  /** The level of the greatest block that begins with slice `at` and may stand for its slices. */
  #levelOf(
    slices: readonly Slice[],
    at: number,
    start: number,
    end: number,
    levelMax: number,
  ): number {
    const last = slices[at + SLICES_MIN - 1];
    if (last === undefined) return 0;
    const { time } = slices[at]!;
    for (let level = levelMax; level > 0; level--) {
      const span = this.#spans[level]!;
      const from = Math.floor(time / span) * span;
      if (from >= start && from + span <= end && last.time < from + span) return level;
    }
    return 0;
  }

  #block(slices: readonly Slice[], number: number, level: number): number {
    const store = this.#store;
    const keyId = store.keyIds[slices[0]!.events]!;
    let slots = this.#slots.get(keyId);
    if (slots === undefined) this.#slots.set(keyId, (slots = new Map()));
    const name = number * FANOUT + level;
    const held = slots.get(name);
    if (held !== undefined) return held;
    const span = this.#spans[level]!;
    const start = number * span;
    const slot = store.allocate(keyId, start, start + span);
    this.#merge(slot, slices, start, start + span, level - 1);
    slots.set(name, slot);
    return slot;
  }

  /** What a key holds at a time has changed, or is about to be forgotten. */
  drop(keyId: number, time: number): void {
    const slots = this.#slots.get(keyId);
    if (slots === undefined) return;
    for (let level = 1; level < this.#spans.length; level++) {
      const name = Math.floor(time / this.#spans[level]!) * FANOUT + level;
      const slot = slots.get(name);
      if (slot === undefined) continue;
      slots.delete(name);
      this.#store.free(slot);
    }
    if (slots.size === 0) this.#slots.delete(keyId);
  }
}
