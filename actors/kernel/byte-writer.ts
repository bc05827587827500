/**
 * A growing buffer with the few encodings that the engine writes: Protobuf wire format for commits,
 * fixed-width little-endian for state.
 */

import { textOf } from "./text.ts";

const TWO_32 = 4_294_967_296;

export class ByteWriter {
  bytes: Uint8Array;
  length = 0;
  #view: DataView;

  constructor(capacity = 1024) {
    this.bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.bytes.buffer);
  }

  reset(): void {
    this.length = 0;
  }

  /** Reads what was written so far; valid until the next write. */
  get reader(): ByteReader {
    return new ByteReader(this.bytes);
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  ensure(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    let capacity = this.bytes.length * 2;
    while (capacity < needed) capacity *= 2;
    const grown = new Uint8Array(capacity);
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  /** An unsigned integer up to 2^53. */
  varint(value: number): void {
    this.ensure(10);
    let rest = value;
    while (rest >= TWO_32) {
      this.bytes[this.length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    let low = rest >>> 0;
    while (low > 127) {
      this.bytes[this.length++] = (low & 127) | 0x80;
      low >>>= 7;
    }
    this.bytes[this.length++] = low;
  }

  /** A signed integer within +-2^53 as int64: two's complement in ten bytes when negative. */
  int64(value: number): void {
    if (value >= 0) {
      this.varint(value);
      return;
    }
    this.ensure(10);
    let high = Math.floor(value / TWO_32) | 0;
    let low = (value - Math.floor(value / TWO_32) * TWO_32) | 0;
    for (let i = 0; i < 9; i++) {
      this.bytes[this.length++] = (low & 127) | 0x80;
      low = (low >>> 7) | (high << 25);
      high >>= 7;
    }
    this.bytes[this.length++] = 1;
  }

  bigint64(value: bigint): void {
    this.ensure(10);
    let rest = BigInt.asUintN(64, value);
    while (rest > 127n) {
      this.bytes[this.length++] = Number(rest & 127n) | 0x80;
      rest >>= 7n;
    }
    this.bytes[this.length++] = Number(rest);
  }

  double(value: number): void {
    this.ensure(8);
    this.#view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  uint32(value: number): void {
    this.ensure(4);
    this.#view.setUint32(this.length, value, true);
    this.length += 4;
  }

  byte(value: number): void {
    this.ensure(1);
    this.bytes[this.length++] = value;
  }

  raw(source: Uint8Array, start = 0, end = source.length): void {
    const size = end - start;
    this.ensure(size);
    if (size < 24) {
      for (let i = 0; i < size; i++) this.bytes[this.length + i] = source[start + i]!;
    } else {
      this.bytes.set(source.subarray(start, end), this.length);
    }
    this.length += size;
  }

  /** A length-delimited field: tag, length, bytes. */
  bytesField(tag: number, source: Uint8Array, start = 0, end = source.length): void {
    this.varint(tag);
    this.varint(end - start);
    this.raw(source, start, end);
  }

  stringField(tag: number, text: string): void {
    this.bytesField(tag, ENCODER.encode(text));
  }

  /** Its UTF-8 bytes with their number in front, for state: what `ByteReader.text` reads. */
  text(text: string): void {
    const { length } = text;
    this.ensure(length + 5);
    const start = this.length;
    this.varint(length);
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 127) {
        this.length = start;
        const utf8 = ENCODER.encode(text);
        this.varint(utf8.length);
        return this.raw(utf8);
      }
      this.bytes[this.length++] = code;
    }
  }

  /** Begins what is written with its length in front; returns what `close` wants to know. */
  open(): number {
    this.byte(0);
    return this.length;
  }

  /** Ends what `open` began: writes its length, a varint, before it. */
  close(start: number): void {
    const size = this.length - start;
    if (size < 128) {
      this.bytes[start - 1] = size;
      return;
    }
    const end = this.length;
    this.varint(size);
    // A byte was left for it. What it measures makes room for the others.
    const more = this.length - end - 1;
    this.bytes.copyWithin(start + more, start, end);
    this.length = start - 1;
    this.varint(size);
    this.length = end + more;
  }

  varintField(tag: number, value: number): void {
    if (value === 0) return;
    this.varint(tag);
    this.int64(value);
  }

  /** A block with its length in front, for state. */
  block(source: Uint8Array): void {
    this.uint32(source.length);
    this.raw(source);
  }
}

const ENCODER = new TextEncoder();

/** Reads what ByteWriter wrote of state; throws RangeError past the end. */
export class ByteReader {
  at: number;
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  double(): number {
    const value = this.#view.getFloat64(this.at, true);
    this.at += 8;
    return value;
  }

  uint32(): number {
    const value = this.#view.getUint32(this.at, true);
    this.at += 4;
    return value;
  }

  byte(): number {
    return this.#view.getUint8(this.at++);
  }

  /** What `ByteWriter.varint` wrote. */
  varint(): number {
    let value = 0;
    for (let place = 1; ; place *= 128) {
      const byte = this.byte();
      value += (byte & 127) * place;
      if (byte < 128) return value;
    }
  }

  /** A view of the next `size` bytes, not a copy. */
  raw(size: number): Uint8Array {
    if (this.at + size > this.bytes.length) throw new RangeError("state ends too early");
    const part = this.bytes.subarray(this.at, this.at + size);
    this.at += size;
    return part;
  }

  block(): Uint8Array {
    return this.raw(this.uint32());
  }

  /** What `ByteWriter.text` wrote. */
  text(): string {
    const size = this.varint();
    const start = this.at;
    this.raw(size);
    return textOf(this.bytes, start, start + size);
  }
}

/** Tag of a Protobuf field. */
export const tagOf = (field: number, wireType: 0 | 1 | 2 | 5): number => (field << 3) | wireType;
