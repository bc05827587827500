/**
 * Writes PublishStreamRequests byte by byte: at several hundred thousand events a second an object
 * per event would cost more than all the rest of the sender.
 */
import { ByteWriter, tagOf } from "../../actors/kernel/byte-writer.ts";
import { NO_DELAY, type FlightChunk } from "./flight-file.ts";

export const DEPARTURE = "flights.Departure";
export const HEARTBEAT = "flights.Heartbeat";

const REQUEST = { topic: tagOf(1, 2), events: tagOf(2, 2) };
const EVENT = {
  id: tagOf(1, 2),
  type: tagOf(2, 2),
  key: tagOf(3, 2),
  eventTime: tagOf(4, 0),
  protobuf: tagOf(5, 2),
};
const FLIGHT = {
  delay: tagOf(1, 0),
  distance: tagOf(2, 0),
  origin: tagOf(3, 2),
  destination: tagOf(4, 2),
};

const zigzag = (value: number): number => (value >= 0 ? 2 * value : -2 * value - 1);

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

const fieldsOf = (...fields: readonly (readonly [tag: number, text: string])[]): Uint8Array => {
  const writer = new ByteWriter(64);
  for (const [tag, text] of fields) writer.stringField(tag, text);
  return writer.finish();
};

/** The fields of an airport's events that are the same in all of them, encoded once. */
interface AirportFields {
  readonly departure: Uint8Array;
  readonly heartbeat: Uint8Array;
  readonly origin: Uint8Array;
  readonly destination: Uint8Array;
}

export class RequestWriter {
  readonly #airports: readonly AirportFields[];
  readonly #request = new ByteWriter(64 * 1024);
  readonly #payload = new ByteWriter(128);
  readonly #id = new Uint8Array(32);
  readonly #topic: string;
  #count = 0;

  constructor(topic: string, airports: readonly string[]) {
    this.#topic = topic;
    this.#airports = airports.map((code) => ({
      departure: fieldsOf([EVENT.type, DEPARTURE], [EVENT.key, code]),
      heartbeat: fieldsOf([EVENT.type, HEARTBEAT], [EVENT.key, code]),
      origin: fieldsOf([FLIGHT.origin, code]),
      destination: fieldsOf([FLIGHT.destination, code]),
    }));
    this.#begin();
  }

  /** Events since the last `finish`. */
  get count(): number {
    return this.#count;
  }

  /** The event of a flight under the id `prefix` + `number`. */
  flight(
    prefix: string,
    number: number,
    flights: FlightChunk,
    index: number,
    eventTime: number,
  ): void {
    const origin = this.#airports[flights.origins[index]!]!;
    const delay = flights.delays[index]!;
    const payload = this.#payload;
    payload.reset();
    if (delay !== NO_DELAY) {
      payload.byte(FLIGHT.delay);
      payload.varint(zigzag(delay));
    }
    payload.varintField(FLIGHT.distance, flights.distances[index]!);
    payload.raw(origin.origin);
    payload.raw(this.#airports[flights.destinations[index]!]!.destination);
    this.#event(writeId(this.#id, prefix, number), origin.departure, eventTime);
  }

  heartbeat(number: number, airport: number, eventTime: number): void {
    this.#payload.reset();
    this.#event(
      writeId(this.#id, "heartbeat-", number),
      this.#airports[airport]!.heartbeat,
      eventTime,
    );
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

  /** Ids and payloads are shorter than 128 bytes, times not before 1970. */
  #event(idLength: number, typeAndKey: Uint8Array, eventTime: number): void {
    const payload = this.#payload;
    const request = this.#request;
    const size = 2 + idLength + typeAndKey.length + 1 + varintSize(eventTime) + 2 + payload.length;
    request.byte(REQUEST.events);
    request.varint(size);
    request.byte(EVENT.id);
    request.byte(idLength);
    request.raw(this.#id, 0, idLength);
    request.raw(typeAndKey);
    request.byte(EVENT.eventTime);
    request.varint(eventTime);
    request.byte(EVENT.protobuf);
    request.byte(payload.length);
    request.raw(payload.bytes, 0, payload.length);
    this.#count++;
  }
}
