/**
 * One encoded RecordBatch in the making: event bytes are copied in one after the other.
 *
 * B1. The bytes are a valid RecordBatch at any time: there is nothing to finish.
 * B2. Its ingest time is stamped when it is opened and is that of every event in it.
 * B3. Once handed to the log it is not written to again: the log may keep the bytes.
 */
import type { AppendError } from "../../actors/ports/ingest-log.ts";
import { UUID_BYTES, type UuidV7 } from "./uuid-v7.ts";

const INGEST_TIME = 0x08;
const EVENT = 0x12;
const EVENT_ID = 0x0a;

/** Bytes that a generated id adds to an event: tag, length, id. */
export const GENERATED_ID_BYTES = 2 + UUID_BYTES;
/** Bytes of a batch before its first event, at the most: tag and varint of the ingest time. */
export const BATCH_HEADER_BYTES = 11;

/** Bytes of an unsigned varint below 2^32. */
export const varintBytes = (value: number): number =>
  value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;

/** Bytes that an event of `eventBytes` takes in a batch. */
export const fieldBytes = (eventBytes: number): number => 1 + varintBytes(eventBytes) + eventBytes;

/** What waits for a batch's outcome: a request that has events in it. */
export interface BatchWaiter {
  readonly settled: () => void;
}

export class BatchBuffer {
  bytes: Buffer;
  length = 0;
  count = 0;
  readonly ingestTime: number;
  readonly partition: number;
  /** Stream sequence, once it is in the log. */
  sequence = 0;
  /** Why it is not known to be in the log. */
  failure: AppendError | undefined;
  readonly waiters: BatchWaiter[] = [];
  /** The last waiter, and the place that it gave this batch in its own list. */
  lastWaiter: BatchWaiter | undefined;
  lastSlot = 0;

  constructor(partition: number, ingestTime: number, capacity: number) {
    this.partition = partition;
    this.ingestTime = ingestTime;
    this.bytes = Buffer.allocUnsafe(Math.max(capacity, BATCH_HEADER_BYTES));
    this.bytes[this.length++] = INGEST_TIME;
    let rest = ingestTime;
    while (rest >= 0x80) {
      this.bytes[this.length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[this.length++] = rest;
  }

  /** Appends the Event in source[start, end) and returns its index. */
  append(source: Buffer, start: number, end: number): number {
    let at = this.#header(end - start);
    source.copy(this.bytes, at, start, end);
    at += end - start;
    this.length = at;
    return this.count++;
  }

  /**
   * The same with a new id added behind: of a repeated singular field the last one wins, so an
   * empty id before it does not matter.
   */
  appendWithId(source: Buffer, start: number, end: number, ids: UuidV7): number {
    let at = this.#header(end - start + GENERATED_ID_BYTES);
    source.copy(this.bytes, at, start, end);
    at += end - start;
    this.bytes[at++] = EVENT_ID;
    this.bytes[at++] = UUID_BYTES;
    ids.write(this.bytes, at, this.ingestTime);
    this.length = at + UUID_BYTES;
    return this.count++;
  }

  /** The id that `appendWithId` has just added. */
  lastGeneratedId(): string {
    return this.bytes.toString("latin1", this.length - UUID_BYTES, this.length);
  }

  /** Writes an event's tag and length, with room for its bytes, and returns where they go. */
  #header(eventBytes: number): number {
    const needed = this.length + fieldBytes(eventBytes);
    if (needed > this.bytes.length) this.#grow(needed);
    const bytes = this.bytes;
    let at = this.length;
    bytes[at++] = EVENT;
    let rest = eventBytes;
    while (rest >= 0x80) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    return at;
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafe(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }
}
