/**
 * Interns keys: bytes to a small integer and back. A key lives while some slot refers to it.
 *
 * T1. Equal bytes have equal ids while the key lives; ids of released keys are used again.
 * T2. Memory follows the live keys: twice their bytes, and some 50 to 80 bytes each.
 */
import { murmur32 } from "./hash.ts";

const CAPACITY_MIN = 256;
const CELL = 4;
/** Keys that come and go fill it up to the next compaction: not too often. */
const ARENA_MIN = 64 * 1024;

export class KeyTable {
  /** Hash of each key's bytes, by id. */
  hashes = new Int32Array(CAPACITY_MIN);
  #offsets = new Int32Array(CAPACITY_MIN);
  #lengths = new Int32Array(CAPACITY_MIN);
  #references = new Int32Array(CAPACITY_MIN);
  /**
   * Open addressing at most half full, in cells of (hash, id + 1 or 0, offset, length): all that a
   * look-up needs before it compares the key's bytes lies in one line of the cache.
   */
  #table = new Int32Array(CAPACITY_MIN * 2 * CELL);
  #mask = CAPACITY_MIN * 2 - 1;
  #arena = new Uint8Array(ARENA_MIN);
  #arenaEnd = 0;
  #arenaLive = 0;
  #free: number[] = [];
  #idEnd = 0;

  /** Live keys. */
  get size(): number {
    return this.#idEnd - this.#free.length;
  }

  /** The id of bytes[start, end), new if need be. A new key must be retained or discarded. */
  intern(bytes: Uint8Array, start: number, end: number): number {
    const hash = murmur32(bytes, start, end, 0);
    const length = end - start;
    const table = this.#table;
    const arena = this.#arena;
    const mask = this.#mask;
    let index = hash & mask;
    for (;;) {
      const cell = index * CELL;
      const id = table[cell + 1]! - 1;
      if (id < 0) return this.#add(bytes, start, length, hash);
      if (table[cell] === hash && table[cell + 3] === length) {
        const offset = table[cell + 2]!;
        let i = 0;
        while (i < length && arena[offset + i] === bytes[start + i]) i++;
        if (i === length) return id;
      }
      index = (index + 1) & mask;
    }
  }

  retain(id: number): void {
    this.#references[id]!++;
  }

  release(id: number): void {
    if (--this.#references[id]! === 0) this.#forget(id);
  }

  /** Forgets a key that was interned for nothing; one that is retained stays. */
  discard(id: number): void {
    if (this.#references[id] === 0) this.#forget(id);
  }

  #forget(id: number): void {
    this.#unlink(id);
    this.#arenaLive -= this.#lengths[id]!;
    this.#lengths[id] = -1;
    this.#free.push(id);
  }

  /** A view of the key's bytes, valid until the next intern. */
  bytesOf(id: number): Uint8Array {
    const offset = this.#offsets[id]!;
    return this.#arena.subarray(offset, offset + this.#lengths[id]!);
  }

  #add(bytes: Uint8Array, start: number, length: number, hash: number): number {
    if (this.#arenaEnd + length > this.#arena.length) this.#compact(length);
    const id = this.#free.pop() ?? this.#idEnd++;
    if (id === this.hashes.length) this.#growIds();
    this.#arena.set(bytes.subarray(start, start + length), this.#arenaEnd);
    this.#offsets[id] = this.#arenaEnd;
    this.#lengths[id] = length;
    this.#references[id] = 0;
    this.hashes[id] = hash;
    this.#arenaEnd += length;
    this.#arenaLive += length;
    this.#link(id);
    if (this.size * 2 > this.#mask) this.#rehash(this.#mask * 2 + 2);
    return id;
  }

  #link(id: number): void {
    const table = this.#table;
    let index = this.hashes[id]! & this.#mask;
    while (table[index * CELL + 1] !== 0) index = (index + 1) & this.#mask;
    const cell = index * CELL;
    table[cell] = this.hashes[id]!;
    table[cell + 1] = id + 1;
    table[cell + 2] = this.#offsets[id]!;
    table[cell + 3] = this.#lengths[id]!;
  }

  /** Closes the gap that an entry leaves, so that probing needs no tombstones. */
  #unlink(id: number): void {
    const table = this.#table;
    const mask = this.#mask;
    let hole = this.hashes[id]! & mask;
    while (table[hole * CELL + 1] !== id + 1) hole = (hole + 1) & mask;
    let next = (hole + 1) & mask;
    while (table[next * CELL + 1] !== 0) {
      const home = table[next * CELL]! & mask;
      if (((next - home) & mask) >= ((next - hole) & mask)) {
        table.copyWithin(hole * CELL, next * CELL, (next + 1) * CELL);
        hole = next;
      }
      next = (next + 1) & mask;
    }
    table[hole * CELL + 1] = 0;
  }

  #rehash(capacity: number): void {
    this.#table = new Int32Array(capacity * CELL);
    this.#mask = capacity - 1;
    for (let id = 0; id < this.#idEnd; id++) if (this.#lengths[id]! >= 0) this.#link(id);
  }

  #growIds(): void {
    const grow = (column: Int32Array): Int32Array<ArrayBuffer> => {
      const grown = new Int32Array(column.length * 2);
      grown.set(column);
      return grown;
    };
    this.hashes = grow(this.hashes);
    this.#offsets = grow(this.#offsets);
    this.#lengths = grow(this.#lengths);
    this.#references = grow(this.#references);
  }

  /** A new arena of the live keys' bytes, with room for as many again. */
  #compact(more: number): void {
    const arena = new Uint8Array(Math.max(ARENA_MIN, (this.#arenaLive + more) * 2));
    let end = 0;
    for (let id = 0; id < this.#idEnd; id++) {
      const length = this.#lengths[id]!;
      if (length < 0) continue;
      const offset = this.#offsets[id]!;
      arena.set(this.#arena.subarray(offset, offset + length), end);
      this.#offsets[id] = end;
      end += length;
    }
    this.#arena = arena;
    this.#arenaEnd = end;
    // Offsets have moved.
    this.#rehash(this.#mask + 1);
  }
}
