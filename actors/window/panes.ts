/**
 * Live windows and the slots of their keys. A slot is one key in one window: an index into the
 * columns of every accumulator.
 *
 * N1. A pane's slots are kept in the order in which its keys first came: the order of publication.
 * N2. Dropping a pane gives back its slots and the keys that no other pane holds.
 */
import type { KeyTable } from "../kernel/key-table.ts";

export class Pane {
  readonly start: number;
  readonly end: number;
  closed = false;
  /** Slots in order of first appearance. */
  slots = new Int32Array(8);
  count = 0;
  /** Open addressing by key id, at most half full: slot + 1, or 0. */
  table = new Int32Array(16);

  constructor(start: number, end: number) {
    this.start = start;
    this.end = end;
  }
}

const CAPACITY_MIN = 256;

export class Panes {
  /** By slot. */
  keyIds = new Int32Array(CAPACITY_MIN);
  capacity = CAPACITY_MIN;
  /** By window start. */
  readonly panes = new Map<number, Pane>();
  readonly #keys: KeyTable;
  readonly #onGrow: (capacity: number) => void;
  #free = new Int32Array(CAPACITY_MIN);
  #freeCount = 0;
  #slotEnd = 0;

  constructor(keys: KeyTable, onGrow: (capacity: number) => void) {
    this.#keys = keys;
    this.#onGrow = onGrow;
    onGrow(CAPACITY_MIN);
  }

  /** Live slots. */
  get size(): number {
    return this.#slotEnd - this.#freeCount;
  }

  open(start: number, end: number): Pane {
    const pane = new Pane(start, end);
    this.panes.set(start, pane);
    return pane;
  }

  /** The slot of a key in a pane, or -1. */
  find(pane: Pane, keyId: number): number {
    const { table } = pane;
    const mask = table.length - 1;
    let index = Math.imul(keyId, 0x9e3779b1) >>> 7;
    for (;;) {
      const slot = table[(index &= mask)]! - 1;
      if (slot < 0 || this.keyIds[slot] === keyId) return slot;
      index++;
    }
  }

  /** A new slot for a key that the pane does not hold. The caller clears its columns. */
  add(pane: Pane, keyId: number): number {
    const slot = this.#freeCount > 0 ? this.#free[--this.#freeCount]! : this.#slotEnd++;
    if (slot === this.capacity) this.#grow();
    this.keyIds[slot] = keyId;
    this.#keys.retain(keyId);
    if (pane.count === pane.slots.length) {
      const slots = new Int32Array(pane.count * 2);
      slots.set(pane.slots);
      pane.slots = slots;
    }
    pane.slots[pane.count++] = slot;
    if (pane.count * 2 > pane.table.length) this.#rehash(pane);
    else this.#link(pane.table, keyId, slot);
    return slot;
  }

  drop(pane: Pane): void {
    this.panes.delete(pane.start);
    if (this.#freeCount + pane.count > this.#free.length) {
      const free = new Int32Array(Math.max(this.#free.length * 2, this.#freeCount + pane.count));
      free.set(this.#free);
      this.#free = free;
    }
    for (let i = 0; i < pane.count; i++) {
      const slot = pane.slots[i]!;
      this.#keys.release(this.keyIds[slot]!);
      this.#free[this.#freeCount++] = slot;
    }
  }

  #link(table: Int32Array, keyId: number, slot: number): void {
    const mask = table.length - 1;
    let index = (Math.imul(keyId, 0x9e3779b1) >>> 7) & mask;
    while (table[index] !== 0) index = (index + 1) & mask;
    table[index] = slot + 1;
  }

  #rehash(pane: Pane): void {
    pane.table = new Int32Array(pane.table.length * 2);
    for (let i = 0; i < pane.count; i++) {
      const slot = pane.slots[i]!;
      this.#link(pane.table, this.keyIds[slot]!, slot);
    }
  }

  #grow(): void {
    this.capacity *= 2;
    const keyIds = new Int32Array(this.capacity);
    keyIds.set(this.keyIds);
    this.keyIds = keyIds;
    this.#onGrow(this.capacity);
  }
}
