/**
 * The windows of one projection on one partition: assigns events to them, accumulates, publishes what
 * closes or changes, forgets what expires.
 *
 * O1. Called in log order, with the watermark before each event; `passTime` before the first event for
 *     which the watermark has reached `nextDue`.
 * O2. Its state is a function of those calls. `write` and `read` keep all of it.
 * O3. A slot's revisions are 1, 2, 3 ...
 */
import type { Vector } from "../expression/vector.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { UNPUBLISHED } from "./slot-store.ts";
import type { SlotStore } from "./slot-store.ts";

export const COUNTED = 0;
/** Every window of the event has expired; `lateWindow` says the last. */
export const LATE = 1;
/** The event belongs to no window: it falls into a gap between them. */
export const NO_WINDOW = 2;

/** Code of the user's failed on the event; `poison` says how. Nothing was changed. */
export const POISON = 3;

export type Outcome = typeof COUNTED | typeof LATE | typeof NO_WINDOW | typeof POISON;

export interface LateWindow {
  start: number;
  end: number;
}

/** Publishes a slot as it stands. `row` is the event of the batch that caused it, -1 for time. */
export interface Publisher {
  early(slot: number, watermark: number): void;
  /** The window closed. */
  final(slot: number, watermark: number): void;
  /** An event changed a window already closed; the first publication of a slot is its final. */
  change(slot: number, watermark: number, row: number): void;
  /** The window no longer exists: it was absorbed into another. */
  retraction(slot: number, watermark: number, row: number): void;
}

export interface WindowOperator {
  /** The least watermark at which something closes or expires. */
  readonly nextDue: number;
  readonly lateWindow: LateWindow;
  readonly poison: string;
  readonly windows: number;
  /** A new batch: the inputs of the aggregates, and how many rows they have at most. */
  begin(inputs: readonly (Vector | undefined)[], rows: number): void;
  add(row: number, time: number, keyId: number, watermark: number): Outcome;
  /** Accumulates what was added; before anything is published, and at the end of a batch. */
  settle(): void;
  passTime(watermark: number): void;
  /**
   * Publishes, as early, what has changed in open windows since it was last published; or of that only
   * what is ripe: see SlotStore.
   */
  publishEarly(watermark: number, onlyRipe?: boolean): void;
  write(out: ByteWriter): void;
  /** Into an empty operator. */
  read(from: ByteReader): void;
}

/** The events that were assigned slots and are not accumulated yet, in log order. */
export class Run {
  rows = new Int32Array(1024);
  slots = new Int32Array(1024);
  length = 0;
  #inputs: readonly (Vector | undefined)[] = [];
  readonly #store: SlotStore;

  /** Whether code of the user's accumulates: then every event is tried, pushed and settled by itself. */
  readonly tries: boolean;

  constructor(store: SlotStore) {
    this.#store = store;
    this.tries = store.accumulators.some(({ stage }) => stage !== undefined);
  }

  /** Tries a row on what the slots `from` hold, merged. Returns why it is poison; "" if it is not. */
  attempt(row: number, from: readonly number[]): string {
    const { accumulators } = this.#store;
    for (let a = 0; a < accumulators.length; a++) {
      const poison = accumulators[a]!.stage?.(from, row, this.#inputs[a]) ?? "";
      if (poison === "") continue;
      for (const accumulator of accumulators) accumulator.unstage?.();
      return poison;
    }
    return "";
  }

  begin(inputs: readonly (Vector | undefined)[], rows: number): void {
    this.#inputs = inputs;
    if (rows <= this.rows.length) return;
    this.rows = new Int32Array(rows * 2);
    this.slots = new Int32Array(rows * 2);
  }

  push(row: number, slot: number): void {
    if (this.length === this.rows.length) this.settle();
    this.rows[this.length] = row;
    this.slots[this.length++] = slot;
  }

  settle(): void {
    if (this.length === 0) return;
    const { accumulators } = this.#store;
    for (let a = 0; a < accumulators.length; a++) {
      accumulators[a]!.accumulate(this.slots, this.rows, this.length, this.#inputs[a]);
    }
    this.length = 0;
  }
}

/**
 * Slots of open windows that have changed since they were last published, in order of change; and which of
 * them have had as many events as an early update takes.
 */
export class UnpublishedSlots {
  /** False when nothing is ever published early: then nothing is remembered. */
  readonly #wanted: boolean;
  readonly #store: SlotStore;
  readonly #slots = new Set<number>();

  constructor(store: SlotStore, wanted: boolean) {
    this.#store = store;
    this.#wanted = wanted;
  }

  touch(slot: number): void {
    if (!this.#wanted) return;
    const store = this.#store;
    if (store.everyEvents > 0 && ++store.since[slot]! >= store.everyEvents) store.ripe.push(slot);
    const { flags } = store;
    if ((flags[slot]! & UNPUBLISHED) !== 0) return;
    flags[slot]! |= UNPUBLISHED;
    this.#slots.add(slot);
  }

  /** The slot was published, or is about to be freed. */
  forget(slot: number): void {
    if (this.#wanted) this.#slots.delete(slot);
  }

  drain(onlyRipe: boolean, publish: (slot: number) => void): void {
    if (onlyRipe) {
      for (const slot of this.#store.ripe) {
        publish(slot);
        this.#slots.delete(slot);
      }
    } else {
      for (const slot of this.#slots) publish(slot);
      this.#slots.clear();
    }
    this.#store.ripe.length = 0;
  }

  /** As ranks in `order`, which lists all live slots in an order that a restore repeats. */
  write(out: ByteWriter, order: () => Iterable<number>): void {
    out.uint32(this.#slots.size);
    if (this.#slots.size === 0) return;
    const ranks = new Map<number, number>();
    for (const slot of order()) ranks.set(slot, ranks.size);
    for (const slot of this.#slots) out.uint32(ranks.get(slot)!);
  }

  read(from: ByteReader, order: () => Iterable<number>): void {
    const count = from.uint32();
    if (count === 0) return;
    const slots = [...order()];
    for (let i = 0; i < count; i++) this.#slots.add(slots[from.uint32()]!);
  }
}
