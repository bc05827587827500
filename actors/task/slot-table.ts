/**
 * The keyed state of a projection: keys, live windows, and for each key in each window its
 * accumulators, revision and flags; with a digest of all of it.
 *
 * V1. The digest depends on what is held, not on how or in which order it came to be held.
 */
import { makeAccumulator } from "../accumulate/aggregates.ts";
import type { Accumulator } from "../accumulate/accumulator.ts";
import type { ByteReader } from "../kernel/byte-writer.ts";
import { ByteWriter } from "../kernel/byte-writer.ts";
import { murmur128 } from "../kernel/hash.ts";
import { KeyTable } from "../kernel/key-table.ts";
import { SlotDigest } from "../kernel/slot-digest.ts";
import { Panes } from "../window/panes.ts";
import type { Pane } from "../window/panes.ts";
import type { AggregatePlan } from "../../projections/definition/plan.ts";

/** A final has been published for the slot. */
export const FINALIZED = 1;
/** The slot has changed since it was last published. */
export const UNPUBLISHED = 2;

export class SlotTable {
  readonly keys = new KeyTable();
  readonly accumulators: readonly Accumulator[];
  readonly panes: Panes;
  revisions = new Uint32Array(0);
  flags = new Uint8Array(0);
  readonly digest = new SlotDigest();
  readonly #scratch = new ByteWriter(256);
  /** Window start by slot, for the digest. */
  #starts = new Float64Array(0);

  constructor(aggregates: readonly AggregatePlan[]) {
    this.accumulators = aggregates.map(makeAccumulator);
    this.panes = new Panes(this.keys, (capacity) => this.#grow(capacity));
  }

  /** The slot of a key in a pane, made empty if it is new. */
  slotOf(pane: Pane, keyId: number): number {
    const found = this.panes.find(pane, keyId);
    if (found >= 0) return found;
    const slot = this.panes.add(pane, keyId);
    for (const accumulator of this.accumulators) accumulator.clear(slot);
    this.revisions[slot] = 0;
    this.flags[slot] = 0;
    this.#starts[slot] = pane.start;
    return slot;
  }

  /** The pane of a live slot. */
  paneOf(slot: number): Pane {
    return this.panes.panes.get(this.#starts[slot]!)!;
  }

  drop(pane: Pane): void {
    for (let i = 0; i < pane.count; i++) {
      const slot = pane.slots[i]!;
      this.digest.remove(slot);
      this.flags[slot] = 0;
    }
    this.panes.drop(pane);
  }

  settleDigest(): void {
    this.digest.settle((slot, lanes) => {
      const out = this.#scratch;
      out.reset();
      out.uint32(this.keys.hashes[this.panes.keyIds[slot]!]! >>> 0);
      out.double(this.#starts[slot]!);
      this.writeSlot(slot, out);
      murmur128(out.bytes, 0, out.length, 0, lanes);
    });
  }

  writeSlot(slot: number, out: ByteWriter): void {
    out.uint32(this.revisions[slot]!);
    out.byte(this.flags[slot]!);
    for (const accumulator of this.accumulators) accumulator.write(slot, out);
  }

  write(out: ByteWriter): void {
    out.uint32(this.panes.panes.size);
    for (const pane of this.panes.panes.values()) {
      out.double(pane.start);
      out.double(pane.end);
      out.byte(pane.closed ? 1 : 0);
      out.uint32(pane.count);
      for (let i = 0; i < pane.count; i++) {
        const slot = pane.slots[i]!;
        out.block(this.keys.bytesOf(this.panes.keyIds[slot]!));
        this.writeSlot(slot, out);
      }
    }
  }

  /** Into an empty table. */
  read(from: ByteReader): void {
    const panes = from.uint32();
    for (let p = 0; p < panes; p++) {
      const start = from.double();
      const pane = this.panes.open(start, from.double());
      pane.closed = from.byte() === 1;
      const count = from.uint32();
      for (let i = 0; i < count; i++) {
        const key = from.block();
        const slot = this.slotOf(pane, this.keys.intern(key, 0, key.length));
        this.revisions[slot] = from.uint32();
        this.flags[slot] = from.byte();
        for (const accumulator of this.accumulators) accumulator.merge(slot, from);
        this.digest.mark(slot);
      }
    }
  }

  #grow(capacity: number): void {
    for (const accumulator of this.accumulators) accumulator.grow(capacity);
    this.digest.grow(capacity);
    const revisions = new Uint32Array(capacity);
    revisions.set(this.revisions);
    this.revisions = revisions;
    const flags = new Uint8Array(capacity);
    flags.set(this.flags);
    this.flags = flags;
    const starts = new Float64Array(capacity);
    starts.set(this.#starts);
    this.#starts = starts;
  }
}
