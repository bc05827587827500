/**
 * Writes PublishStreamRequests byte by byte: at several hundred thousand events a second an object
 * per event would cost more than all the rest of a sender.
 */
import { ByteWriter, tagOf } from "../../actors/kernel/byte-writer.ts";

const REQUEST = { topic: tagOf(1, 2), events: tagOf(2, 2) };
const EVENT = {
  id: tagOf(1, 2),
  type: tagOf(2, 2),
  key: tagOf(3, 2),
  eventTime: tagOf(4, 0),
  protobuf: tagOf(5, 2),
};

const varintSize = (value: number): number => {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
};

/** `prefix` and the digits of `number`, as ASCII bytes: no string per event. */
const writeId = (target: Uint8Array, prefix: string, number: number): number => {
  let at = 0;
  for (; at < prefix.length; at++) target[at] = prefix.charCodeAt(at);
  let divisor = 1;
  while (number >= divisor * 10) divisor *= 10;
  for (let rest = number; divisor >= 1; divisor /= 10) {
    const digit = (rest / divisor) | 0;
    target[at++] = 48 + digit;
    rest -= digit * divisor;
  }
  return at;
};

export const fieldsOf = (
  ...fields: readonly (readonly [tag: number, text: string])[]
): Uint8Array => {
  const writer = new ByteWriter(64);
  for (const [tag, text] of fields) writer.stringField(tag, text);
  return writer.finish();
};

/** The fields that all events of a type and key share, encoded once. */
export const typeAndKeyFields = (type: string, key: string): Uint8Array =>
  fieldsOf([EVENT.type, type], [EVENT.key, key]);

export class EventWriter {
  readonly #request = new ByteWriter(64 * 1024);
  readonly #id = new Uint8Array(32);
  readonly #topic: string;
  #count = 0;

  constructor(topic: string) {
    this.#topic = topic;
    this.#begin();
  }

  /** Events since the last `finish`. */
  get count(): number {
    return this.#count;
  }

  /**
   * An event with the id `prefix` + `number`. Prefixes are ASCII, payloads shorter than 16 KiB, times
   * not before 1970.
   */
  add(
    prefix: string,
    number: number,
    typeAndKey: Uint8Array,
    eventTime: number,
    payload: ByteWriter,
  ): void {
    const request = this.#request;
    const idLength = writeId(this.#id, prefix, number);
    const size =
      2 +
      idLength +
      typeAndKey.length +
      1 +
      varintSize(eventTime) +
      1 +
      varintSize(payload.length) +
      payload.length;
    request.byte(REQUEST.events);
    request.varint(size);
    request.byte(EVENT.id);
    request.byte(idLength);
    request.raw(this.#id, 0, idLength);
    request.raw(typeAndKey);
    request.byte(EVENT.eventTime);
    request.varint(eventTime);
    request.byte(EVENT.protobuf);
    request.varint(payload.length);
    request.raw(payload.bytes, 0, payload.length);
    this.#count++;
  }

  /** The request so far, in bytes of its own. */
  finish(): Buffer {
    const bytes = this.#request.finish();
    this.#begin();
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #begin(): void {
    this.#count = 0;
    this.#request.reset();
    this.#request.stringField(REQUEST.topic, this.#topic);
  }
}
