/**
 * Events that wait for their time: lists of those of one time, under a binary heap of times.
 *
 * B1. They leave by event time, and those of one time in log order, which is the order in which they come.
 * B2. `digest` is a function of what waits, not of how it came to wait.
 * B3. Nothing is allocated for an event but what the operator took of it: all else is in columns, by slot,
 *     and its bytes are a range of a copy of its batch.
 */
import type { EventBatch, EventOrigin } from "../intake/event-batch.ts";
import { ByteWriter } from "../kernel/byte-writer.ts";
import type { ByteReader } from "../kernel/byte-writer.ts";
import { murmur128 } from "../kernel/hash.ts";
import type { KeyTable } from "../kernel/key-table.ts";
import { HeldBytes } from "./held-bytes.ts";
import type { Block } from "./held-bytes.ts";
import type { KeyedOperator } from "./keyed-operator.ts";
import { TimeLists } from "./time-lists.ts";

const CAPACITY_MIN = 256;

/** What is kept of an event beside what the operator took of it: all that a dead letter needs. */
export interface Buffered {
  readonly time: number;
  /** In the log that the task reads: the order of events of one time. */
  readonly sequence: number;
  readonly index: number;
  readonly origin: EventOrigin;
  /** The whole encoded tidemark.v1.Event. */
  readonly encoded: Uint8Array;
}

export class EventBuffer<Event> {
  /** Sums, lane by lane, of the hashes of what waits. */
  readonly digest = { low: 0, high: 0 };
  readonly #keys: KeyTable;
  readonly #partition: number;
  readonly #codec: Pick<KeyedOperator<Event, unknown>, "writeEvent" | "readEvent">;
  readonly #held = new HeldBytes();
  readonly #order = new TimeLists(CAPACITY_MIN);
  /** By slot. */
  readonly #events: (Event | undefined)[] = [];
  readonly #blocks: (Block | undefined)[] = [];
  /** Of events that were re-keyed; others stand where their batch does. */
  readonly #origins: (EventOrigin | undefined)[] = [];
  #keyIds = new Int32Array(CAPACITY_MIN);
  #starts = new Int32Array(CAPACITY_MIN);
  #ends = new Int32Array(CAPACITY_MIN);
  #sequences = new Float64Array(CAPACITY_MIN);
  #indexes = new Uint32Array(CAPACITY_MIN);
  #ingestTimes = new Float64Array(CAPACITY_MIN);
  #lows = new Int32Array(CAPACITY_MIN);
  #highs = new Int32Array(CAPACITY_MIN);
  readonly #free: number[] = [];
  #end = 0;
  #size = 0;
  /** By key id: how many wait. */
  #ofKey = new Int32Array(CAPACITY_MIN);
  readonly #scratch = new ByteWriter(256);
  readonly #lanes = new Int32Array(4);

  constructor(
    keys: KeyTable,
    partition: number,
    codec: Pick<KeyedOperator<Event, unknown>, "writeEvent" | "readEvent">,
  ) {
    this.#keys = keys;
    this.#partition = partition;
    this.#codec = codec;
  }

  get size(): number {
    return this.#size;
  }

  /** Of all encoded events. */
  get bytes(): number {
    return this.#held.live;
  }

  /** How many events of a key wait. */
  countOf(keyId: number): number {
    return keyId < this.#ofKey.length ? this.#ofKey[keyId]! : 0;
  }

  /** The least event time; +Infinity when nothing waits. */
  get least(): number {
    return this.#order.least;
  }

  /** A batch is at hand: rows of it may be pushed. */
  begin(): void {
    if (this.#held.wasteful) this.#compact();
    this.#held.begin();
  }

  /** `time`: when it leaves; that of the event, or later. */
  push(batch: EventBatch, row: number, keyId: number, event: Event, time: number): void {
    const slot = this.#slot();
    this.#sequences[slot] = batch.sequence;
    this.#indexes[slot] = row;
    this.#ingestTimes[slot] = batch.ingestTime;
    this.#origins[slot] = batch.originOf?.(row);
    const start = batch.eventStarts[row]!;
    const end = batch.eventEnds[row]!;
    this.#keep(slot, keyId, batch.bytes, start, end, event, time);
    this.#order.append(slot, time);
  }

  /** Of the event that leaves next; there must be one. It stays as it is until it has left. */
  get firstKey(): number {
    return this.#keyIds[this.#order.first]!;
  }

  get firstEvent(): Event {
    return this.#events[this.#order.first] as Event;
  }

  /** It is encoded in firstBytes[firstStart, firstEnd). */
  get firstBytes(): Uint8Array {
    return this.#blocks[this.#order.first]!.bytes;
  }

  get firstStart(): number {
    return this.#starts[this.#order.first]!;
  }

  get firstEnd(): number {
    return this.#ends[this.#order.first]!;
  }

  get first(): Buffered {
    return this.#buffered(this.#order.first, this.#order.least);
  }

  /** Removes the first; its key is released, and must be retained by whoever still needs it. */
  shift(): void {
    const slot = this.#order.shift();
    const keyId = this.#keyIds[slot]!;
    this.#held.release(this.#blocks[slot]!, this.#ends[slot]! - this.#starts[slot]!);
    this.#ofKey[keyId]!--;
    this.digest.low = (this.digest.low - this.#lows[slot]!) | 0;
    this.digest.high = (this.digest.high - this.#highs[slot]!) | 0;
    this.#events[slot] = undefined;
    this.#blocks[slot] = undefined;
    this.#origins[slot] = undefined;
    this.#free.push(slot);
    this.#size--;
    this.#keys.release(keyId);
  }

  /** In the order in which they leave. */
  write(out: ByteWriter): void {
    out.uint32(this.#size);
    this.#order.forEach((slot, time) => {
      const { sequence, index, origin, encoded } = this.#buffered(slot, time);
      out.double(time);
      out.block(this.#keys.bytesOf(this.#keyIds[slot]!));
      out.double(sequence);
      out.uint32(index);
      out.uint32(origin.source);
      out.uint32(origin.partition);
      out.double(origin.sequence);
      out.uint32(origin.index);
      out.double(origin.ingestTime);
      out.block(encoded);
      this.#codec.writeEvent(this.#events[slot] as Event, out);
    });
  }

  read(from: ByteReader): void {
    const size = from.uint32();
    for (let i = 0; i < size; i++) {
      const slot = this.#slot();
      const time = from.double();
      const key = from.block();
      const keyId = this.#keys.intern(key, 0, key.length);
      this.#sequences[slot] = from.double();
      this.#indexes[slot] = from.uint32();
      const origin = {
        source: from.uint32(),
        partition: from.uint32(),
        sequence: from.double(),
        index: from.uint32(),
        ingestTime: from.double(),
      };
      this.#origins[slot] = origin;
      const encoded = from.block();
      const event = this.#codec.readEvent(from);
      this.#keep(slot, keyId, encoded, 0, encoded.length, event, time);
      this.#order.append(slot, time);
    }
    this.#compact();
  }

  #buffered(slot: number, time: number): Buffered {
    const sequence = this.#sequences[slot]!;
    const index = this.#indexes[slot]!;
    const origin = this.#origins[slot] ?? {
      source: 0,
      partition: this.#partition,
      sequence,
      index,
      ingestTime: this.#ingestTimes[slot]!,
    };
    const { bytes } = this.#blocks[slot]!;
    const encoded = bytes.subarray(this.#starts[slot], this.#ends[slot]);
    return { time, sequence, index, origin, encoded };
  }

  #slot(): number {
    const slot = this.#free.pop() ?? this.#end++;
    if (slot === this.#keyIds.length) this.#grow();
    return slot;
  }

  #keep(
    slot: number,
    keyId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    event: Event,
    time: number,
  ): void {
    this.#events[slot] = event;
    this.#keyIds[slot] = keyId;
    this.#blocks[slot] = this.#held.hold(bytes, end - start);
    this.#starts[slot] = start;
    this.#ends[slot] = end;
    this.#keys.retain(keyId);
    if (keyId >= this.#ofKey.length) this.#growKeys(keyId);
    this.#ofKey[keyId]!++;
    this.#size++;
    this.#hash(slot, keyId, bytes, start, end, time);
  }

  #hash(
    slot: number,
    keyId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    time: number,
  ): void {
    const out = this.#scratch;
    const lanes = this.#lanes;
    out.reset();
    out.uint32(this.#keys.hashes[keyId]! >>> 0);
    out.double(this.#sequences[slot]!);
    out.uint32(this.#indexes[slot]!);
    out.double(time);
    this.#codec.writeEvent(this.#events[slot] as Event, out);
    murmur128(out.bytes, 0, out.length, 0, lanes);
    // The event's own bytes are hashed where they are, on top of what is known of it.
    murmur128(bytes, start, end, lanes[0]!, lanes);
    this.#lows[slot] = lanes[0]!;
    this.#highs[slot] = lanes[1]!;
    this.digest.low = (this.digest.low + lanes[0]!) | 0;
    this.digest.high = (this.digest.high + lanes[1]!) | 0;
  }

  /** Moves all that is held into one block. */
  #compact(): void {
    const block = this.#held.compact();
    let at = 0;
    for (let slot = 0; slot < this.#end; slot++) {
      const held = this.#blocks[slot];
      if (held === undefined) continue;
      const start = this.#starts[slot]!;
      const end = this.#ends[slot]!;
      block.bytes.set(held.bytes.subarray(start, end), at);
      this.#blocks[slot] = block;
      this.#starts[slot] = at;
      at += end - start;
      this.#ends[slot] = at;
    }
  }

  #grow(): void {
    const capacity = this.#keyIds.length * 2;
    const integers = (column: Int32Array): Int32Array<ArrayBuffer> => {
      const grown = new Int32Array(capacity);
      grown.set(column);
      return grown;
    };
    const doubles = (column: Float64Array): Float64Array<ArrayBuffer> => {
      const grown = new Float64Array(capacity);
      grown.set(column);
      return grown;
    };
    this.#keyIds = integers(this.#keyIds);
    this.#starts = integers(this.#starts);
    this.#ends = integers(this.#ends);
    this.#lows = integers(this.#lows);
    this.#highs = integers(this.#highs);
    this.#sequences = doubles(this.#sequences);
    this.#ingestTimes = doubles(this.#ingestTimes);
    const indexes = new Uint32Array(capacity);
    indexes.set(this.#indexes);
    this.#indexes = indexes;
    this.#order.grow(capacity);
  }

  #growKeys(keyId: number): void {
    const grown = new Int32Array(2 ** Math.ceil(Math.log2(keyId + 1)) * 2);
    grown.set(this.#ofKey);
    this.#ofKey = grown;
  }
}
