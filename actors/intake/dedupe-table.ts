/**
 * Which ids a partition has seen within the dedupe horizon: their sightings in the order of the log,
 * each (96-bit id hash, 32-bit payload hash, time), and an open-addressing index over them.
 *
 *   index:      cells of (first word of the hash, number of the sighting + 1), looked up at random
 *   sightings:  chunks of 20-byte entries, written one after another, dropped from the front
 *
 * A look-up that finds nothing, which is the usual one, touches a single small cell: that is what
 * bounds the rate of an intake, since the table is far larger than the processor's caches.
 *
 * D1. An id is a duplicate exactly when the partition's ingest clock has moved by no more than the
 *     horizon since the id's first occurrence; when old sightings are dropped changes nothing.
 * D2. Two ids are held to be one when 96 bits of MurmurHash3 agree: for 100 million ids within the
 *     horizon the odds are below one in 10^13.
 * D3. Memory: 36 to 52 bytes an id within the horizon, given back as ids leave it.
 */
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";

const STRIDE = 5;
const CHUNK_BITS = 10;
const CHUNK = 1 << CHUNK_BITS;
const INDEX_MIN = 1024;
/** A chunk keeps times in 32 bits of milliseconds after its first. */
const CHUNK_TIME_MAX = 2 ** 31 - 1;

export type Sighting = "first" | "duplicate" | "conflict";

interface Chunk {
  /** Ingest clock of the first entry. */
  readonly base: number;
  /** Ingest clock of the last entry. */
  last: number;
  count: number;
  readonly entries: Int32Array;
}

export class DedupeTable {
  #index = new Int32Array(INDEX_MIN * 2);
  #mask = INDEX_MIN - 1;
  /** Cells of the index that are taken. */
  #taken = 0;
  #chunks: Chunk[] = [];
  #clock = 0;
  readonly #horizonMs: number;

  constructor(horizonMs: number) {
    this.#horizonMs = horizonMs;
  }

  /** Sightings held, some of which may have left the horizon. */
  get size(): number {
    let size = 0;
    for (const chunk of this.#chunks) size += chunk.count;
    return size;
  }

  /** Notes an id at the given ingest clock, which never goes back. */
  see(h1: number, h2: number, h3: number, payload: number, clock: number): Sighting {
    this.#clock = clock;
    const index = this.#index;
    const mask = this.#mask;
    let cell = h1 & mask;
    for (;;) {
      const found = index[cell * 2 + 1]!;
      if (found === 0) {
        index[cell * 2] = h1;
        index[cell * 2 + 1] = this.#append(h1, h2, h3, payload, clock);
        if (++this.#taken * 2 > mask || this.#halfHasLeft()) this.#rebuild();
        return "first";
      }
      if (index[cell * 2] === h1) {
        const number = found - 1;
        const { base, entries } = this.#chunks[number >>> CHUNK_BITS]!;
        const at = (number & (CHUNK - 1)) * STRIDE;
        if (entries[at + 1] === h2 && entries[at + 2] === h3) {
          if (clock - (base + entries[at + 4]!) <= this.#horizonMs) {
            return entries[at + 3] === payload ? "duplicate" : "conflict";
          }
          index[cell * 2 + 1] = this.#append(h1, h2, h3, payload, clock);
          return "first";
        }
      }
      cell = (cell + 1) & mask;
    }
  }

  /** Returns what the index holds of the new sighting. */
  #append(h1: number, h2: number, h3: number, payload: number, clock: number): number {
    let chunk = this.#chunks[this.#chunks.length - 1];
    if (chunk === undefined || chunk.count === CHUNK || clock - chunk.base > CHUNK_TIME_MAX) {
      chunk = { base: clock, last: clock, count: 0, entries: new Int32Array(CHUNK * STRIDE) };
      this.#chunks.push(chunk);
    }
    const { entries } = chunk;
    const at = chunk.count * STRIDE;
    entries[at] = h1;
    entries[at + 1] = h2;
    entries[at + 2] = h3;
    entries[at + 3] = payload;
    entries[at + 4] = clock - chunk.base;
    chunk.last = clock;
    return ((this.#chunks.length - 1) << CHUNK_BITS) + chunk.count++ + 1;
  }

  /** Asked once a chunk: what a burst left behind is given back though few ids follow it. */
  #halfHasLeft(): boolean {
    const chunks = this.#chunks;
    if (chunks[chunks.length - 1]!.count !== 1) return false;
    return chunks[chunks.length >> 1]!.last < this.#clock - this.#horizonMs;
  }

  #live(oldest: number): number {
    let live = 0;
    for (const { base, count, entries } of this.#chunks) {
      for (let i = 0; i < count; i++) if (base + entries[i * STRIDE + 4]! >= oldest) live++;
    }
    return live;
  }

  /** Drops chunks that have left the horizon, and makes an index at most a third full. */
  #rebuild(): void {
    const oldest = this.#clock - this.#horizonMs;
    const left = this.#chunks.findIndex(({ last }) => last >= oldest);
    const gone = left < 0 ? this.#chunks.length : left;
    this.#chunks = this.#chunks.slice(gone);
    const live = this.#live(oldest);
    let cells = INDEX_MIN;
    while (cells < live * 3) cells *= 2;
    this.#index = new Int32Array(cells * 2);
    this.#mask = cells - 1;
    this.#taken = 0;
    this.#chunks.forEach(({ base, count, entries }, number) => {
      for (let i = 0; i < count; i++) {
        if (base + entries[i * STRIDE + 4]! < oldest) continue;
        this.#link(entries, i * STRIDE, (number << CHUNK_BITS) + i + 1);
      }
    });
  }

  #link(entries: Int32Array, at: number, number: number): void {
    const index = this.#index;
    let cell = entries[at]! & this.#mask;
    while (index[cell * 2 + 1] !== 0) cell = (cell + 1) & this.#mask;
    index[cell * 2] = entries[at]!;
    index[cell * 2 + 1] = number;
    this.#taken++;
  }

  /** What is within the horizon; times as what is left of it. */
  write(out: ByteWriter): void {
    const oldest = this.#clock - this.#horizonMs;
    out.double(this.#clock);
    out.uint32(this.#live(oldest));
    for (const { base, count, entries } of this.#chunks) {
      out.ensure(count * STRIDE * 4);
      for (let at = 0; at < count * STRIDE; at += STRIDE) {
        const left = base + entries[at + 4]! - oldest;
        if (left < 0) continue;
        for (let i = 0; i < STRIDE - 1; i++) out.uint32(entries[at + i]! >>> 0);
        out.uint32(left);
      }
    }
  }

  read(from: ByteReader): void {
    this.#clock = from.double();
    const oldest = this.#clock - this.#horizonMs;
    const count = from.uint32();
    for (let i = 0; i < count; i++) {
      const h1 = from.uint32() | 0;
      const h2 = from.uint32() | 0;
      const h3 = from.uint32() | 0;
      const payload = from.uint32() | 0;
      this.#append(h1, h2, h3, payload, oldest + from.uint32());
    }
    this.#rebuild();
  }
}
