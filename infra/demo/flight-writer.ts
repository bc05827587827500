/** Writes flights and heartbeats as events of the flights topic. */
import { ByteWriter, tagOf } from "../../actors/kernel/byte-writer.ts";
import { EventWriter, fieldsOf, typeAndKeyFields } from "./event-writer.ts";
import { NO_DELAY, type FlightChunk } from "./flight-file.ts";

const DEPARTURE = "flights.Departure";
const HEARTBEAT = "flights.Heartbeat";

const FIELD = {
  delay: tagOf(1, 0),
  distance: tagOf(2, 0),
  origin: tagOf(3, 2),
  destination: tagOf(4, 2),
};

const zigzag = (value: number): number => (value >= 0 ? 2 * value : -2 * value - 1);

/** What the events of an airport share. */
interface AirportFields {
  readonly departure: Uint8Array;
  readonly heartbeat: Uint8Array;
  readonly origin: Uint8Array;
  readonly destination: Uint8Array;
}

export class FlightWriter {
  readonly #airports: readonly AirportFields[];
  readonly #events: EventWriter;
  readonly #payload = new ByteWriter(128);

  constructor(topic: string, airports: readonly string[]) {
    this.#events = new EventWriter(topic);
    this.#airports = airports.map((code) => ({
      departure: typeAndKeyFields(DEPARTURE, code),
      heartbeat: typeAndKeyFields(HEARTBEAT, code),
      origin: fieldsOf([FIELD.origin, code]),
      destination: fieldsOf([FIELD.destination, code]),
    }));
  }

  get count(): number {
    return this.#events.count;
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
      payload.byte(FIELD.delay);
      payload.varint(zigzag(delay));
    }
    payload.varintField(FIELD.distance, flights.distances[index]!);
    payload.raw(origin.origin);
    payload.raw(this.#airports[flights.destinations[index]!]!.destination);
    this.#events.add(prefix, number, origin.departure, eventTime, payload);
  }

  heartbeat(number: number, airport: number, eventTime: number): void {
    this.#payload.reset();
    const { heartbeat } = this.#airports[airport]!;
    this.#events.add("heartbeat-", number, heartbeat, eventTime, this.#payload);
  }

  finish(): Buffer {
    return this.#events.finish();
  }
}
