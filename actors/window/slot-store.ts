/**
 * The state of keys in windows. A slot is one key in one window: an index into the columns of every
 * accumulator, with a revision, flags, and a share in the digest of it all.
 *
 * V1. The digest depends on what is held, not on how or in which order it came to be held.
 * V2. Freed slots are used again; a key lives as long as some slot refers to it.
 */
import { makeAccumulator } from "../accumulate/aggregates.ts";
import type { Accumulator } from "../accumulate/accumulator.ts";
import type { ByteReader } from "../kernel/byte-writer.ts";
import { ByteWriter } from "../kernel/byte-writer.ts";
import { murmur128 } from "../kernel/hash.ts";
import { KeyTable } from "../kernel/key-table.ts";
import { SlotDigest } from "../kernel/slot-digest.ts";
import type { AggregatePlan } from "../../projections/definition/plan.ts";

/** A final has been published for the slot. */
export const FINALIZED = 1;
/** The slot has changed since it was last published. */
export const UNPUBLISHED = 2;

const CAPACITY_MIN = 256;

export class SlotStore {
  readonly keys = new KeyTable();
  readonly accumulators: readonly Accumulator[];
  /** Those of them that hold more than columns. */
  readonly #releasing: readonly Accumulator[];
  readonly digest = new SlotDigest();
  keyIds = new Int32Array(0);
  /** The slot's window. */
  starts = new Float64Array(0);
  ends = new Float64Array(0);
  revisions = new Uint32Array(0);
  flags = new Uint8Array(0);
  /** A window is published early at this many events since it last was; 0 for never. */
  readonly everyEvents: number;
  /** Events since the slot was last published; kept only if something goes by them. */
  since = new Uint32Array(0);
  /** Slots to be published because of the event at hand. */
  ripe: number[] = [];
  #capacity = 0;
  #free: number[] = [];
  #end = 0;
  readonly #scratch = new ByteWriter(256);

  constructor(aggregates: readonly AggregatePlan[], everyEvents = 0) {
    this.everyEvents = everyEvents;
    this.accumulators = aggregates.map(makeAccumulator);
    this.#releasing = this.accumulators.filter((each) => each.release !== undefined);
    this.#grow(CAPACITY_MIN);
  }

  /** Live slots. */
  get size(): number {
    return this.#end - this.#free.length;
  }

  /** A new, empty slot. */
  allocate(keyId: number, start: number, end: number): number {
    const slot = this.#free.pop() ?? this.#end++;
    if (slot === this.#capacity) this.#grow(this.#capacity * 2);
    this.keys.retain(keyId);
    this.keyIds[slot] = keyId;
    this.starts[slot] = start;
    this.ends[slot] = end;
    this.revisions[slot] = 0;
    this.flags[slot] = 0;
    if (this.everyEvents > 0) this.since[slot] = 0;
    for (const accumulator of this.accumulators) accumulator.clear(slot);
    return slot;
  }

  free(slot: number): void {
    this.digest.remove(slot);
    this.flags[slot] = 0;
    this.keys.release(this.keyIds[slot]!);
    for (const accumulator of this.#releasing) accumulator.release!(slot);
    this.#free.push(slot);
  }

  /** Adds what `from` holds to `into`. */
  mergeInto(into: number, from: number): void {
    const out = this.#scratch;
    out.reset();
    for (const accumulator of this.accumulators) accumulator.write(from, out);
    const { reader } = out;
    for (const accumulator of this.accumulators) accumulator.merge(into, reader);
  }

  settleDigest(): void {
    this.digest.settle((slot, lanes) => {
      const out = this.#scratch;
      out.reset();
      out.uint32(this.keys.hashes[this.keyIds[slot]!]! >>> 0);
      out.double(this.starts[slot]!);
      out.double(this.ends[slot]!);
      this.#writeState(slot, out);
      murmur128(out.bytes, 0, out.length, 0, lanes);
    });
  }

  /** A slot with its key, but without its window. */
  write(slot: number, out: ByteWriter): void {
    out.block(this.keys.bytesOf(this.keyIds[slot]!));
    this.#writeState(slot, out);
  }

  /** Allocates a slot and fills it from what `write` wrote. */
  read(from: ByteReader, start: number, end: number): number {
    const key = from.block();
    const slot = this.allocate(this.keys.intern(key, 0, key.length), start, end);
    this.revisions[slot] = from.uint32();
    this.flags[slot] = from.byte();
    if (this.everyEvents > 0) this.since[slot] = from.varint();
    for (const accumulator of this.accumulators) accumulator.merge(slot, from);
    this.digest.mark(slot);
    return slot;
  }

  #writeState(slot: number, out: ByteWriter): void {
    out.uint32(this.revisions[slot]!);
    out.byte(this.flags[slot]!);
    if (this.everyEvents > 0) out.varint(this.since[slot]!);
    for (const accumulator of this.accumulators) accumulator.write(slot, out);
  }

  #grow(capacity: number): void {
    this.#capacity = capacity;
    for (const accumulator of this.accumulators) accumulator.grow(capacity);
    this.digest.grow(capacity);
    const keyIds = new Int32Array(capacity);
    keyIds.set(this.keyIds);
    this.keyIds = keyIds;
    const starts = new Float64Array(capacity);
    starts.set(this.starts);
    this.starts = starts;
    const ends = new Float64Array(capacity);
    ends.set(this.ends);
    this.ends = ends;
    const revisions = new Uint32Array(capacity);
    revisions.set(this.revisions);
    this.revisions = revisions;
    const flags = new Uint8Array(capacity);
    flags.set(this.flags);
    this.flags = flags;
    if (this.everyEvents === 0) return;
    const since = new Uint32Array(capacity);
    since.set(this.since);
    this.since = since;
  }
}
