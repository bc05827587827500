/**
 * Sliding windows (SEMANTICS section 4): for each time t at which a key has an event, the window
 * (t - size, t], written [t - size + 1, t + 1). An event is in the window of its own time and in those of
 * the key's later events less than a size after it.
 *
 * State is one slice a key and time: what happened at exactly that time. A window's value is put
 * together from its slices when it is published, so an event costs one slice however many windows
 * it is in.
 *
 * J1. Slices are merged in the order of time, by blocks (K1): a window's value does not depend on the order
 *     of arrival, floating-point sums included, but for events of one and the same time.
 * J2. A window is published when it closes, and again at once when a late event changes it, until it
 *     has expired. A slice is kept for as long as a window that needs it may still be published.
 */
import type { Vector } from "../expression/vector.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { closesAt, expiresAt } from "./assigner.ts";
import { DueHeap } from "./due-heap.ts";
import { firstAt, SliceBlocks } from "./slice-blocks.ts";
import type { Slice } from "./slice-blocks.ts";
import type { SlotStore } from "./slot-store.ts";
import { COUNTED, LATE, POISON, Run, UnpublishedSlots } from "./window-operator.ts";
import type { Outcome, Publisher, WindowOperator } from "./window-operator.ts";

export interface SlidingOptions {
  readonly store: SlotStore;
  readonly publisher: Publisher;
  readonly sizeMs: number;
  readonly allowedLatenessMs: number;
  readonly publishesEarly: boolean;
}

/** Of the window that ends with a slice, in snapshots. */
const EXPIRED = 0;
const CLOSED = 1;
const OPEN = 2;

export class SlidingWindows implements WindowOperator {
  readonly lateWindow = { start: 0, end: 0 };
  poison = "";
  readonly #store: SlotStore;
  readonly #publisher: Publisher;
  readonly #sizeMs: number;
  readonly #allowedLatenessMs: number;
  readonly #publishesEarly: boolean;
  readonly #blocks: SliceBlocks;
  readonly #run: Run;
  readonly #unpublished: UnpublishedSlots;
  /** By key id, in the order of time. */
  readonly #slices = new Map<number, Slice[]>();
  /** When each window closes, by its slot. */
  readonly #closing = new DueHeap();
  /** When each slice can be forgotten, by the slot of its events. */
  readonly #forgetting = new DueHeap();

  constructor(options: SlidingOptions) {
    this.#store = options.store;
    this.#publisher = options.publisher;
    this.#sizeMs = options.sizeMs;
    this.#allowedLatenessMs = options.allowedLatenessMs;
    this.#publishesEarly = options.publishesEarly;
    this.#blocks = new SliceBlocks(options.store, options.sizeMs);
    this.#run = new Run(options.store);
    this.#unpublished = new UnpublishedSlots(options.store, options.publishesEarly);
  }

  get nextDue(): number {
    return Math.min(this.#closing.least, this.#forgetting.least);
  }

  get windows(): number {
    return this.#forgetting.size;
  }

  begin(inputs: readonly (Vector | undefined)[], rows: number): void {
    this.#run.begin(inputs, rows);
  }

  settle(): void {
    this.#run.settle();
  }

  #expired(time: number, watermark: number): boolean {
    return watermark >= expiresAt(time + 1, this.#allowedLatenessMs);
  }

  add(row: number, time: number, keyId: number, watermark: number): Outcome {
    const slices = this.#slices.get(keyId) ?? [];
    const at = firstAt(slices, time);
    if (this.#expired(time, watermark)) {
      const last = this.#lastWindow(slices, at, time);
      if (this.#expired(last, watermark)) {
        this.lateWindow.start = last - this.#sizeMs + 1;
        this.lateWindow.end = last + 1;
        return LATE;
      }
    }
    let slice = slices[at]?.time === time ? slices[at] : undefined;
    if (this.#run.tries) {
      this.poison = this.#run.attempt(row, slice === undefined ? [] : [slice.events]);
      if (this.poison !== "") return POISON;
    }
    if (slice === undefined) {
      slice = this.#open(keyId, time, watermark);
      slices.splice(at, 0, slice);
      this.#slices.set(keyId, slices);
    }
    this.#run.push(row, slice.events);
    if (this.#run.tries) this.#run.settle();
    this.#store.digest.mark(slice.events);
    this.#blocks.drop(keyId, time);
    this.#change(slices, at, time, watermark, row);
    return COUNTED;
  }

  /** When the last window ends that is held and that an event at `time` is in; `time` if there is none. */
  #lastWindow(slices: readonly Slice[], at: number, time: number): number {
    for (let i = firstAt(slices, time + this.#sizeMs, at) - 1; i >= at; i--) {
      if (slices[i]!.window >= 0) return slices[i]!.time;
    }
    return time;
  }

  /** An event came at `time`: the closed windows that it is in are published, the open ones will be. */
  #change(
    slices: readonly Slice[],
    at: number,
    time: number,
    watermark: number,
    row: number,
  ): void {
    const { digest } = this.#store;
    for (let i = at; i < slices.length; i++) {
      const { time: end, window } = slices[i]!;
      if (end - time >= this.#sizeMs) return;
      if (watermark < closesAt(end + 1)) {
        // All that follow are open too, and what they hold is in slices until they close.
        if (!this.#publishesEarly) return;
        this.#unpublished.touch(window);
        digest.mark(window);
      } else if (window >= 0 && !this.#expired(end, watermark)) {
        this.#run.settle();
        this.#assemble(window);
        this.#publisher.change(window, watermark, row);
        digest.mark(window);
      }
    }
  }

  #open(keyId: number, time: number, watermark: number): Slice {
    const store = this.#store;
    const events = store.allocate(keyId, time, time + 1);
    const expired = this.#expired(time, watermark);
    const window = expired ? -1 : store.allocate(keyId, time - this.#sizeMs + 1, time + 1);
    if (window >= 0) store.digest.mark(window);
    if (window >= 0 && watermark < closesAt(time + 1)) {
      this.#closing.set(window, closesAt(time + 1));
    }
    // The last window that may still need the slice ends less than a size after it.
    this.#forgetting.set(events, expiresAt(time + this.#sizeMs, this.#allowedLatenessMs));
    return { time, events, window };
  }

  /** Fills a window's slot from its slices. */
  #assemble(window: number): void {
    const store = this.#store;
    for (const accumulator of store.accumulators) accumulator.clear(window);
    const slices = this.#slices.get(store.keyIds[window]!)!;
    this.#blocks.mergeInto(window, slices, store.starts[window]!, store.ends[window]!);
  }

  passTime(watermark: number): void {
    const store = this.#store;
    for (;;) {
      const window = this.#closing.first(watermark);
      if (window < 0) break;
      this.#closing.remove(window);
      this.#assemble(window);
      this.#publisher.final(window, watermark);
      this.#unpublished.forget(window);
      store.digest.mark(window);
    }
    for (;;) {
      const events = this.#forgetting.first(watermark);
      if (events < 0) break;
      this.#forgetting.remove(events);
      this.#forget(events);
    }
  }

  #forget(events: number): void {
    const keyId = this.#store.keyIds[events]!;
    this.#blocks.drop(keyId, this.#store.starts[events]!);
    const slices = this.#slices.get(keyId)!;
    const [slice] = slices.splice(
      slices.findIndex((candidate) => candidate.events === events),
      1,
    );
    if (slices.length === 0) this.#slices.delete(keyId);
    if (slice!.window >= 0) this.#store.free(slice!.window);
    this.#store.free(events);
  }

  publishEarly(watermark: number, onlyRipe = false): void {
    this.#unpublished.drain(onlyRipe, (window) => {
      this.#assemble(window);
      this.#publisher.early(window, watermark);
      this.#store.digest.mark(window);
    });
  }

  /** Slices in an order that a restore repeats. */
  #all(): Slice[] {
    const byEvents = new Map<number, Slice>();
    for (const slices of this.#slices.values()) {
      for (const slice of slices) byEvents.set(slice.events, slice);
    }
    return this.#forgetting.slots().map((events) => byEvents.get(events)!);
  }

  write(out: ByteWriter): void {
    const slices = this.#all();
    const open = new Set(this.#closing.slots());
    out.uint32(slices.length);
    for (const { time, events, window } of slices) {
      out.double(time);
      this.#store.write(events, out);
      out.byte(window < 0 ? EXPIRED : open.has(window) ? OPEN : CLOSED);
      if (window >= 0) this.#store.write(window, out);
    }
    this.#unpublished.write(out, () => this.#windowsOf(slices));
  }

  /** A slice and its window are made together, so windows close in the order in which slices were written. */
  read(from: ByteReader): void {
    const store = this.#store;
    const count = from.uint32();
    const slices: Slice[] = [];
    for (let i = 0; i < count; i++) {
      const time = from.double();
      const events = store.read(from, time, time + 1);
      const state = from.byte();
      const window = state === EXPIRED ? -1 : store.read(from, time - this.#sizeMs + 1, time + 1);
      if (state === OPEN) this.#closing.set(window, closesAt(time + 1));
      const slice = { time, events, window };
      slices.push(slice);
      this.#forgetting.set(events, expiresAt(time + this.#sizeMs, this.#allowedLatenessMs));
      const keyId = store.keyIds[events]!;
      const ofKey = this.#slices.get(keyId);
      if (ofKey === undefined) this.#slices.set(keyId, [slice]);
      else ofKey.push(slice);
    }
    for (const each of this.#slices.values()) each.sort((a, b) => a.time - b.time);
    this.#unpublished.read(from, () => this.#windowsOf(slices));
  }

  #windowsOf(slices: readonly Slice[]): number[] {
    return slices.filter(({ window }) => window >= 0).map(({ window }) => window);
  }
}
