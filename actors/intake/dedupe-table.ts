/**
 * Which ids a partition has seen within the dedupe horizon: open addressing over 20-byte cells of
 * (96-bit id hash, 32-bit payload hash, time).
 *
 * D1. An id is a duplicate exactly when the partition's ingest clock has moved by no more than the
 *     horizon since the id's first occurrence; when old cells are dropped changes nothing.
 * D2. Two ids are held to be one when 96 bits of MurmurHash3 agree: for 100 million ids within the
 *     horizon the odds are below one in 10^13.
 * D3. Memory: 40 to 80 bytes an id within the horizon, given back as ids leave it.
 */
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";

const STRIDE = 5;
const CAPACITY_MIN = 1024;
/** Times are kept in 31 bits of milliseconds after a base that moves. */
const RELATIVE_MAX = 2 ** 31 - 2;

export type Sighting = "first" | "duplicate" | "conflict";

export class DedupeTable {
  #cells = new Int32Array(CAPACITY_MIN * STRIDE);
  #capacity = CAPACITY_MIN;
  #count = 0;
  #base = 0;
  readonly #horizonMs: number;

  constructor(horizonMs: number) {
    this.#horizonMs = horizonMs;
  }

  /** Ids held, some of which may have left the horizon. */
  get size(): number {
    return this.#count;
  }

  /** Notes an id at the given ingest clock, which never goes back. */
  see(h1: number, h2: number, h3: number, payload: number, clock: number): Sighting {
    if (this.#count === 0) this.#base = clock;
    if (clock - this.#base > RELATIVE_MAX) this.#rebuild(clock);
    const cells = this.#cells;
    const mask = this.#capacity - 1;
    const now = clock - this.#base + 1;
    let index = h1 & mask;
    for (;;) {
      const at = index * STRIDE;
      const seen = cells[at + 4]!;
      if (seen === 0) {
        cells[at] = h1;
        cells[at + 1] = h2;
        cells[at + 2] = h3;
        cells[at + 3] = payload;
        cells[at + 4] = now;
        this.#count++;
        if (this.#count * 2 > this.#capacity) this.#rebuild(clock);
        return "first";
      }
      if (cells[at] === h1 && cells[at + 1] === h2 && cells[at + 2] === h3) {
        if (now - seen <= this.#horizonMs) {
          return cells[at + 3] === payload ? "duplicate" : "conflict";
        }
        cells[at + 3] = payload;
        cells[at + 4] = now;
        return "first";
      }
      index = (index + 1) & mask;
    }
  }

  /** Drops what has left the horizon; grows or shrinks to a quarter full at the most. */
  #rebuild(clock: number): void {
    const old = this.#cells;
    const oldest = clock - this.#horizonMs - this.#base + 1;
    let live = 0;
    for (let at = 4; at < old.length; at += STRIDE) {
      if (old[at]! !== 0 && old[at]! >= oldest) live++;
    }
    this.#allocate(live);
    const shift = Math.max(0, oldest - 1);
    for (let at = 0; at < old.length; at += STRIDE) {
      const seen = old[at + 4]!;
      if (seen === 0 || seen < oldest) continue;
      this.#insert(old[at]!, old[at + 1]!, old[at + 2]!, old[at + 3]!, seen - shift);
    }
    this.#base += shift;
  }

  #allocate(live: number): void {
    let capacity = CAPACITY_MIN;
    while (capacity < live * 4) capacity *= 2;
    this.#cells = new Int32Array(capacity * STRIDE);
    this.#capacity = capacity;
    this.#count = 0;
  }

  #insert(h1: number, h2: number, h3: number, payload: number, seen: number): void {
    const cells = this.#cells;
    const mask = this.#capacity - 1;
    let index = h1 & mask;
    while (cells[index * STRIDE + 4] !== 0) index = (index + 1) & mask;
    const at = index * STRIDE;
    cells[at] = h1;
    cells[at + 1] = h2;
    cells[at + 2] = h3;
    cells[at + 3] = payload;
    cells[at + 4] = seen;
    this.#count++;
  }

  write(out: ByteWriter): void {
    out.double(this.#base);
    out.uint32(this.#count);
    out.ensure(this.#count * STRIDE * 4);
    const cells = this.#cells;
    for (let at = 0; at < cells.length; at += STRIDE) {
      if (cells[at + 4] === 0) continue;
      for (let i = 0; i < STRIDE; i++) out.uint32(cells[at + i]! >>> 0);
    }
  }

  read(from: ByteReader): void {
    this.#base = from.double();
    const count = from.uint32();
    this.#allocate(count);
    for (let i = 0; i < count; i++) {
      const h1 = from.uint32() | 0;
      const h2 = from.uint32() | 0;
      const h3 = from.uint32() | 0;
      const payload = from.uint32() | 0;
      this.#insert(h1, h2, h3, payload, from.uint32());
    }
  }
}
