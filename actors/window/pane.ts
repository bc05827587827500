/**
 * One window that all keys share, with the slots of its keys.
 *
 * N1. Slots are kept in the order in which their keys first came: the order of publication.
 */
import type { SlotStore } from "./slot-store.ts";

export class Pane {
  readonly start: number;
  readonly end: number;
  closed = false;
  /** Slots in order of first appearance. */
  slots = new Int32Array(8);
  count = 0;
  /** Open addressing by key id, at most half full: slot + 1, or 0. */
  #table = new Int32Array(16);

  constructor(start: number, end: number) {
    this.start = start;
    this.end = end;
  }

  /** The slot of a key; -1 if it has none. */
  find(keyId: number, store: SlotStore): number {
    const table = this.#table;
    const { keyIds } = store;
    const mask = table.length - 1;
    let index = (Math.imul(keyId, 0x9e3779b1) >>> 7) & mask;
    for (;;) {
      const slot = table[index]! - 1;
      if (slot < 0 || keyIds[slot] === keyId) return slot;
      index = (index + 1) & mask;
    }
  }

  /** The slot of a key, made empty if it is new. */
  slotOf(keyId: number, store: SlotStore): number {
    const found = this.find(keyId, store);
    if (found >= 0) return found;
    const slot = store.allocate(keyId, this.start, this.end);
    this.add(slot, store);
    return slot;
  }

  /** Takes in a slot whose key it does not hold. */
  add(slot: number, store: SlotStore): void {
    if (this.count === this.slots.length) {
      const slots = new Int32Array(this.count * 2);
      slots.set(this.slots);
      this.slots = slots;
    }
    this.slots[this.count++] = slot;
    if (this.count * 2 <= this.#table.length) return this.#link(slot, store);
    this.#table = new Int32Array(this.#table.length * 2);
    for (let i = 0; i < this.count; i++) this.#link(this.slots[i]!, store);
  }

  #link(slot: number, store: SlotStore): void {
    const table = this.#table;
    const mask = table.length - 1;
    let index = (Math.imul(store.keyIds[slot]!, 0x9e3779b1) >>> 7) & mask;
    while (table[index] !== 0) index = (index + 1) & mask;
    table[index] = slot + 1;
  }
}
