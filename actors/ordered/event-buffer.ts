/**
 * Events that wait for their time: a binary heap over columns.
 *
 * B1. They leave by event time, and those of one time in log order.
 * B2. `digest` is a function of what waits, not of how it came to wait.
 */
import type { EventOrigin } from "../intake/event-batch.ts";
import { ByteWriter } from "../kernel/byte-writer.ts";
import type { ByteReader } from "../kernel/byte-writer.ts";
import { murmur128 } from "../kernel/hash.ts";
import type { KeyTable } from "../kernel/key-table.ts";
import type { KeyedOperator } from "./keyed-operator.ts";

const CAPACITY_MIN = 256;

/** What is kept of an event beside what the operator took of it: all that a dead letter needs. */
export interface Buffered {
  readonly time: number;
  readonly keyId: number;
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
  /** Of all encoded events. */
  bytes = 0;
  readonly #keys: KeyTable;
  readonly #codec: Pick<KeyedOperator<Event, unknown>, "writeEvent" | "readEvent">;
  /** By slot. */
  #buffered: (Buffered | undefined)[] = [];
  #events: (Event | undefined)[] = [];
  #times = new Float64Array(CAPACITY_MIN);
  #lows = new Int32Array(CAPACITY_MIN);
  #highs = new Int32Array(CAPACITY_MIN);
  /** Slots; the first `size` are the heap. */
  #heap = new Int32Array(CAPACITY_MIN);
  #size = 0;
  #free: number[] = [];
  #end = 0;
  /** By key id: how many wait. */
  #ofKey = new Int32Array(CAPACITY_MIN);
  readonly #scratch = new ByteWriter(256);
  readonly #lanes = new Int32Array(4);

  constructor(
    keys: KeyTable,
    codec: Pick<KeyedOperator<Event, unknown>, "writeEvent" | "readEvent">,
  ) {
    this.#keys = keys;
    this.#codec = codec;
  }

  get size(): number {
    return this.#size;
  }

  /** How many events of a key wait. */
  countOf(keyId: number): number {
    return keyId < this.#ofKey.length ? this.#ofKey[keyId]! : 0;
  }

  /** The least event time; +Infinity when nothing waits. */
  get least(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : this.#times[this.#heap[0]!]!;
  }

  push(buffered: Buffered, event: Event): void {
    const slot = this.#free.pop() ?? this.#end++;
    if (slot === this.#times.length) this.#grow();
    const { keyId, encoded } = buffered;
    this.#buffered[slot] = buffered;
    this.#events[slot] = event;
    this.#times[slot] = buffered.time;
    this.bytes += encoded.length;
    this.#keys.retain(keyId);
    if (keyId >= this.#ofKey.length) this.#growKeys(keyId);
    this.#ofKey[keyId]!++;
    this.#hash(slot, buffered, event);
    this.#up(this.#size++, slot);
  }

  /** The event that leaves next, and what was taken of it. Something must wait. */
  get first(): { readonly buffered: Buffered; readonly event: Event } {
    const slot = this.#heap[0]!;
    return { buffered: this.#buffered[slot]!, event: this.#events[slot] as Event };
  }

  /** Removes the first; its key is released, and must be retained by whoever still needs it. */
  shift(): void {
    const slot = this.#heap[0]!;
    const { keyId, encoded } = this.#buffered[slot]!;
    this.bytes -= encoded.length;
    this.#ofKey[keyId]!--;
    this.digest.low = (this.digest.low - this.#lows[slot]!) | 0;
    this.digest.high = (this.digest.high - this.#highs[slot]!) | 0;
    this.#buffered[slot] = undefined;
    this.#events[slot] = undefined;
    this.#free.push(slot);
    const last = this.#heap[--this.#size]!;
    if (this.#size > 0) this.#down(last);
    this.#keys.release(keyId);
  }

  /** In the order of the heap, which `read` rebuilds. */
  write(out: ByteWriter): void {
    out.uint32(this.#size);
    for (let i = 0; i < this.#size; i++) {
      const slot = this.#heap[i]!;
      const { time, keyId, sequence, index, origin, encoded } = this.#buffered[slot]!;
      out.double(time);
      out.block(this.#keys.bytesOf(keyId));
      out.double(sequence);
      out.uint32(index);
      out.uint32(origin.source);
      out.uint32(origin.partition);
      out.double(origin.sequence);
      out.uint32(origin.index);
      out.double(origin.ingestTime);
      out.block(encoded);
      this.#codec.writeEvent(this.#events[slot] as Event, out);
    }
  }

  read(from: ByteReader): void {
    const size = from.uint32();
    for (let i = 0; i < size; i++) {
      const time = from.double();
      const key = from.block();
      const keyId = this.#keys.intern(key, 0, key.length);
      const sequence = from.double();
      const index = from.uint32();
      const origin = {
        source: from.uint32(),
        partition: from.uint32(),
        sequence: from.double(),
        index: from.uint32(),
        ingestTime: from.double(),
      };
      const encoded = from.block().slice();
      const event = this.#codec.readEvent(from);
      this.push({ time, keyId, sequence, index, origin, encoded }, event);
    }
  }

  #hash(slot: number, { keyId, sequence, index, encoded }: Buffered, event: Event): void {
    const out = this.#scratch;
    const lanes = this.#lanes;
    out.reset();
    out.uint32(this.#keys.hashes[keyId]! >>> 0);
    out.double(sequence);
    out.uint32(index);
    this.#codec.writeEvent(event, out);
    murmur128(out.bytes, 0, out.length, 0, lanes);
    // The event's own bytes are hashed where they are, on top of what is known of it.
    murmur128(encoded, 0, encoded.length, lanes[0]!, lanes);
    this.#lows[slot] = lanes[0]!;
    this.#highs[slot] = lanes[1]!;
    this.digest.low = (this.digest.low + lanes[0]!) | 0;
    this.digest.high = (this.digest.high + lanes[1]!) | 0;
  }

  #before(a: number, b: number): boolean {
    const difference = this.#times[a]! - this.#times[b]!;
    if (difference !== 0) return difference < 0;
    const left = this.#buffered[a]!;
    const right = this.#buffered[b]!;
    return left.sequence !== right.sequence
      ? left.sequence < right.sequence
      : left.index < right.index;
  }

  #up(from: number, slot: number): void {
    const heap = this.#heap;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const other = heap[parent]!;
      if (!this.#before(slot, other)) break;
      heap[at] = other;
      at = parent;
    }
    heap[at] = slot;
  }

  #down(slot: number): void {
    const heap = this.#heap;
    const size = this.#size;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#before(heap[child + 1]!, heap[child]!)) child++;
      if (!this.#before(heap[child]!, slot)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = slot;
  }

  #grow(): void {
    const capacity = this.#times.length * 2;
    const times = new Float64Array(capacity);
    times.set(this.#times);
    this.#times = times;
    const grow = (column: Int32Array): Int32Array<ArrayBuffer> => {
      const grown = new Int32Array(capacity);
      grown.set(column);
      return grown;
    };
    this.#lows = grow(this.#lows);
    this.#highs = grow(this.#highs);
    this.#heap = grow(this.#heap);
  }

  #growKeys(keyId: number): void {
    const grown = new Int32Array(2 ** Math.ceil(Math.log2(keyId + 1)) * 2);
    grown.set(this.#ofKey);
    this.#ofKey = grown;
  }
}
