/**
 * The live keys of an ordered projection: states, timers, and what is published of them.
 *
 * S1. `digest` is a function of what is held, not of how it came to be held.
 * S2. Timers of a key are kept in the order in which they were set.
 * S3. Memory follows the live keys, also where changes are never asked for: with emission `final`.
 */
import type { ByteReader } from "../kernel/byte-writer.ts";
import { ByteWriter } from "../kernel/byte-writer.ts";
import { murmur128 } from "../kernel/hash.ts";
import type { KeyTable } from "../kernel/key-table.ts";
import { SlotDigest } from "../kernel/slot-digest.ts";
import type { KeyedOperator } from "./keyed-operator.ts";
import { TimerQueue } from "./timer-queue.ts";
import type { Timer } from "./timer-queue.ts";
import type { TurnRecorder } from "./turn-recorder.ts";

const CAPACITY_MIN = 256;

export interface KeyRecord<State> {
  readonly keyId: number;
  state: State;
  timers: Map<string, Timer> | undefined;
  /** Event time at which this life of the key began, and its number among those of that time; 0 where nobody asks. */
  readonly born: number;
  readonly ordinal: number;
  /** Of the published state. */
  revision: number;
  /** Changed since it was last published. */
  unpublished: boolean;
  /** How many timers fired at the event time `moment`; not part of the state. */
  moment: number;
  firedThen: number;
}

export class KeyedStates<State> {
  readonly keys: KeyTable;
  readonly timers = new TimerQueue();
  readonly digest = new SlotDigest();
  readonly #codec: Pick<KeyedOperator<unknown, State>, "writeState" | "readState">;
  /** By key id. */
  readonly #records: (KeyRecord<State> | undefined)[] = [];
  /** In the order in which they changed. */
  readonly #unpublished = new Set<KeyRecord<State>>();
  #size = 0;
  #capacity = CAPACITY_MIN;
  readonly #scratch = new ByteWriter(256);

  constructor(
    keys: KeyTable,
    codec: Pick<KeyedOperator<unknown, State>, "writeState" | "readState">,
  ) {
    this.keys = keys;
    this.#codec = codec;
    this.digest.grow(CAPACITY_MIN);
  }

  /** Live keys. */
  get size(): number {
    return this.#size;
  }

  of(keyId: number): KeyRecord<State> | undefined {
    return this.#records[keyId];
  }

  add(keyId: number, state: State, born: number, ordinal: number): KeyRecord<State> {
    const record: KeyRecord<State> = {
      keyId,
      state,
      timers: undefined,
      born,
      ordinal,
      revision: 0,
      unpublished: false,
      moment: Number.NEGATIVE_INFINITY,
      firedThen: 0,
    };
    while (keyId >= this.#capacity) this.digest.grow((this.#capacity *= 2));
    this.#records[keyId] = record;
    this.#size++;
    this.keys.retain(keyId);
    return record;
  }

  /** The record's content has changed. */
  mark(record: KeyRecord<State>): void {
    this.digest.mark(record.keyId);
  }

  markUnpublished(record: KeyRecord<State>): void {
    if (record.unpublished) return;
    record.unpublished = true;
    this.#unpublished.add(record);
  }

  /** How many records wait to be handed over. */
  get unpublished(): number {
    return this.#unpublished.size;
  }

  /** Hands over the records that have changed since the last time, in the order of their change. */
  takeUnpublished(): readonly KeyRecord<State>[] {
    if (this.#unpublished.size === 0) return [];
    const records = [...this.#unpublished];
    this.#unpublished.clear();
    for (const record of records) {
      record.unpublished = false;
      this.mark(record);
    }
    return records;
  }

  /** Does what a turn asked of the key's timers. */
  applyTimers(record: KeyRecord<State>, turn: TurnRecorder): void {
    for (const { name, due } of turn.timers) {
      const before = record.timers?.get(name);
      if (before !== undefined) {
        this.timers.cancel(before);
        record.timers!.delete(name);
      }
      if (due !== undefined) {
        (record.timers ??= new Map()).set(name, this.timers.set(record.keyId, name, due));
      }
    }
  }

  forget(record: KeyRecord<State>): void {
    for (const timer of record.timers?.values() ?? []) this.timers.cancel(timer);
    record.timers = undefined;
    // It has had its final.
    record.unpublished = false;
    this.#unpublished.delete(record);
    this.digest.remove(record.keyId);
    this.#records[record.keyId] = undefined;
    this.#size--;
    this.keys.release(record.keyId);
  }

  settleDigest(): void {
    this.digest.settle((keyId, lanes) => {
      const record = this.#records[keyId]!;
      const out = this.#scratch;
      out.reset();
      out.uint32(this.keys.hashes[keyId]! >>> 0);
      this.#writeRecord(record, out);
      for (const { name, due } of record.timers?.values() ?? []) {
        out.text(name);
        out.double(due);
      }
      murmur128(out.bytes, 0, out.length, 0, lanes);
    });
  }

  /** Unpublished keys come first, in their order. */
  write(out: ByteWriter): void {
    const first = [...this.#unpublished];
    const rest = this.#records.filter((record) => record !== undefined && !record.unpublished);
    out.double(this.timers.nextRank);
    out.uint32(this.#size);
    for (const record of [...first, ...rest] as readonly KeyRecord<State>[]) {
      out.block(this.keys.bytesOf(record.keyId));
      this.#writeRecord(record, out);
      out.uint32(record.timers?.size ?? 0);
      for (const { name, due, rank } of record.timers?.values() ?? []) {
        out.text(name);
        out.double(due);
        out.double(rank);
      }
    }
  }

  read(from: ByteReader): void {
    this.timers.nextRank = from.double();
    const size = from.uint32();
    for (let i = 0; i < size; i++) {
      const key = from.block();
      const keyId = this.keys.intern(key, 0, key.length);
      const born = from.double();
      const ordinal = from.uint32();
      const revision = from.uint32();
      const unpublished = from.byte() === 1;
      const record = this.add(keyId, this.#codec.readState(from), born, ordinal);
      record.revision = revision;
      if (unpublished) this.markUnpublished(record);
      const timers = from.uint32();
      for (let t = 0; t < timers; t++) {
        const name = from.text();
        const due = from.double();
        const timer = this.timers.set(keyId, name, due, from.double());
        (record.timers ??= new Map()).set(name, timer);
      }
      this.mark(record);
    }
  }

  #writeRecord(record: KeyRecord<State>, out: ByteWriter): void {
    out.double(record.born);
    out.uint32(record.ordinal);
    out.uint32(record.revision);
    out.byte(record.unpublished ? 1 : 0);
    this.#codec.writeState(record.state, out);
  }
}
