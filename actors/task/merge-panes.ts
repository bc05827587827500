/**
 * The live windows of a merging task: for each key the latest partial of each partition.
 *
 * Y1. `retainFrom` is at or before every partial that the live windows are made of.
 */
import type { ByteReader } from "../kernel/byte-writer.ts";
import { ByteWriter } from "../kernel/byte-writer.ts";
import { murmur128 } from "../kernel/hash.ts";
import { SlotDigest } from "../kernel/slot-digest.ts";
import { utf8 } from "../kernel/text.ts";

export class MergeEntry {
  readonly pane: MergePane;
  readonly key: string;
  readonly keyBytes: Uint8Array;
  /** Number of the entry in the digest. */
  readonly slot: number;
  /** By partition: accumulators of its latest partial, and of the last before its corrections. */
  readonly latest: (Uint8Array | undefined)[];
  readonly inTime: (Uint8Array | undefined)[];
  readonly revisions: Uint32Array;
  revision = 0;
  finalized = false;
  /** Merged accumulators as last published, once finalized. */
  published: Uint8Array | undefined;
  /** Position of the last event that some partial considered. */
  partition = 0;
  sequence = 0;
  index = 0;

  constructor(pane: MergePane, key: string, slot: number, partitions: number) {
    this.pane = pane;
    this.key = key;
    this.keyBytes = new TextEncoder().encode(key);
    this.slot = slot;
    this.latest = new Array(partitions).fill(undefined);
    this.inTime = new Array(partitions).fill(undefined);
    this.revisions = new Uint32Array(partitions);
  }

  write(out: ByteWriter): void {
    out.block(this.keyBytes);
    out.uint32(this.revision);
    out.byte(this.finalized ? 1 : 0);
    out.block(this.published ?? NOTHING);
    out.uint32(this.partition);
    out.double(this.sequence);
    out.uint32(this.index);
    for (let p = 0; p < this.latest.length; p++) {
      out.uint32(this.revisions[p]!);
      if (this.revisions[p] === 0) continue;
      out.block(this.latest[p]!);
      const inTime = this.inTime[p];
      out.byte(inTime === undefined ? 0 : 1);
      if (inTime !== undefined) out.block(inTime);
    }
  }

  /** Everything that `write` wrote after the key. */
  read(from: ByteReader): void {
    this.revision = from.uint32();
    this.finalized = from.byte() === 1;
    const published = from.block();
    this.published = this.finalized ? published.slice() : undefined;
    this.partition = from.uint32();
    this.sequence = from.double();
    this.index = from.uint32();
    for (let p = 0; p < this.latest.length; p++) {
      this.revisions[p] = from.uint32();
      if (this.revisions[p] === 0) continue;
      this.latest[p] = from.block().slice();
      if (from.byte() === 1) this.inTime[p] = from.block().slice();
    }
  }
}

const NOTHING = new Uint8Array(0);

export class MergePane {
  readonly start: number;
  readonly end: number;
  /** RESULTS sequence of the first partial of the window. */
  readonly since: number;
  closed = false;
  readonly entries = new Map<string, MergeEntry>();

  constructor(start: number, end: number, since: number) {
    this.start = start;
    this.end = end;
    this.since = since;
  }
}

export class MergePanes {
  readonly digest = new SlotDigest();
  readonly #partitions: number;
  readonly #panes = new Map<number, MergePane>();
  readonly #entries: (MergeEntry | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #scratch = new ByteWriter(1024);
  #capacity = 0;

  constructor(partitions: number) {
    this.#partitions = partitions;
  }

  get(start: number): MergePane | undefined {
    return this.#panes.get(start);
  }

  all(): Iterable<MergePane> {
    return this.#panes.values();
  }

  add(pane: MergePane): void {
    this.#panes.set(pane.start, pane);
  }

  entry(pane: MergePane, key: string): MergeEntry {
    const existing = pane.entries.get(key);
    if (existing !== undefined) return existing;
    const slot = this.#free.pop() ?? this.#entries.length;
    if (slot >= this.#capacity) {
      this.#capacity = Math.max(256, this.#capacity * 2);
      this.digest.grow(this.#capacity);
    }
    const entry = new MergeEntry(pane, key, slot, this.#partitions);
    this.#entries[slot] = entry;
    pane.entries.set(key, entry);
    return entry;
  }

  drop(pane: MergePane): void {
    this.#panes.delete(pane.start);
    for (const { slot } of pane.entries.values()) {
      this.digest.remove(slot);
      this.#entries[slot] = undefined;
      this.#free.push(slot);
    }
  }

  retainFrom(): number | undefined {
    let least: number | undefined;
    for (const pane of this.#panes.values()) {
      if (least === undefined || pane.since < least) least = pane.since;
    }
    return least;
  }

  settleDigest(): void {
    this.digest.settle((slot, lanes) => {
      const entry = this.#entries[slot]!;
      const out = this.#scratch;
      out.reset();
      out.double(entry.pane.start);
      entry.write(out);
      murmur128(out.bytes, 0, out.length, 0, lanes);
    });
  }

  write(out: ByteWriter): void {
    out.uint32(this.#panes.size);
    for (const pane of this.#panes.values()) {
      out.double(pane.start);
      out.double(pane.end);
      out.double(pane.since);
      out.byte(pane.closed ? 1 : 0);
      out.uint32(pane.entries.size);
      for (const entry of pane.entries.values()) entry.write(out);
    }
  }

  read(from: ByteReader): void {
    const panes = from.uint32();
    for (let p = 0; p < panes; p++) {
      const start = from.double();
      const end = from.double();
      const pane = new MergePane(start, end, from.double());
      pane.closed = from.byte() === 1;
      this.add(pane);
      const entries = from.uint32();
      for (let i = 0; i < entries; i++) {
        const entry = this.entry(pane, utf8.decode(from.block()));
        entry.read(from);
        this.digest.mark(entry.slot);
      }
    }
  }
}
