/**
 * Everything that the demo sends, in order: flights with their jitter, far-too-late events among
 * them, and at the end a heartbeat for every origin, which moves event time on until every window
 * has closed.
 *
 * P1. Ids are functions of the row: a second run sends the same events under the same ids.
 * P2. A late event has the key of the flight just before it, whose date has therefore moved the
 *     watermark of that very partition; it lies so far before that date that its window has expired
 *     in every projection.
 */
import type {
  ProjectionDefinition,
  TopicDefinition,
  WindowDefinition,
} from "../../projections/definition/definition.ts";
import type { FlightChunk, FlightFile } from "./flight-file.ts";
import { JitterBuffer } from "./jitter.ts";
import { FlightWriter } from "./flight-writer.ts";

const DAY_MS = 86_400_000;
export const EVENTS_PER_REQUEST = 500;
const LATE_EVENTS_MAX = 1_000;
const FLIGHTS_PER_LATE_EVENT_MIN = 20;

export interface SendingPlan {
  readonly topic: string;
  readonly seed: number;
  readonly jitterMs: number;
  readonly flights: number;
  /** One late event follows every so many flights. */
  readonly flightsPerLateEvent: number;
  readonly lateEvents: number;
  readonly lateByMs: number;
  readonly heartbeatTime: number;
  readonly heartbeats: number;
  /** All of them. */
  readonly events: number;
}

const FLIGHT_ID = "flight-";
const LATE_ID = "late-";
/** Late events are numbered from 0 in sending order. */
export const lateEventId = (index: number): string => `${LATE_ID}${index}`;

/** Of the demo's windows, which are tumbling. */
const lengthOf = (window: WindowDefinition): number => ("sizeMs" in window ? window.sizeMs : 0);

export const planSending = (
  file: Pick<FlightFile, "count" | "lastTime" | "origins">,
  topic: TopicDefinition,
  projections: readonly ProjectionDefinition[],
  seed: number,
): SendingPlan => {
  const flightsPerLateEvent = Math.max(
    FLIGHTS_PER_LATE_EVENT_MIN,
    Math.ceil(file.count / LATE_EVENTS_MAX),
  );
  const longestMs = Math.max(
    0,
    ...projections.map((each) =>
      "window" in each ? lengthOf(each.window) + each.allowedLatenessMs : 0,
    ),
  );
  const lateEvents = Math.floor(file.count / flightsPerLateEvent);
  const heartbeats = file.origins.length;
  return {
    topic: topic.name,
    seed,
    // Half of what the topic tolerates: the rest is for a stall, during which a partition that has
    // fallen silent lets event time flow on with the wall clock.
    jitterMs: Math.floor(topic.maxOutOfOrdernessMs / 2),
    flights: file.count,
    flightsPerLateEvent,
    lateEvents,
    lateByMs: topic.maxOutOfOrdernessMs + longestMs + 3 * DAY_MS,
    heartbeatTime: file.lastTime + topic.maxOutOfOrdernessMs + longestMs + 3 * DAY_MS,
    heartbeats,
    events: file.count + lateEvents + heartbeats,
  };
};

/** One PublishStreamRequest. */
export interface Request {
  readonly bytes: Buffer;
  readonly events: number;
}

export async function* requestsOf(file: FlightFile, plan: SendingPlan): AsyncGenerator<Request> {
  const writer = new FlightWriter(plan.topic, file.airports);
  const jitter = new JitterBuffer(plan);
  const full: Request[] = [];
  let sent = 0;
  let lateEvents = 0;

  const cut = () => {
    const events = writer.count;
    full.push({ bytes: writer.finish(), events });
  };
  const send = (flights: FlightChunk, index: number) => {
    const time = flights.times[index]!;
    writer.flight(FLIGHT_ID, flights.rows[index]!, flights, index, time);
    if (writer.count === EVENTS_PER_REQUEST) cut();
    if (++sent % plan.flightsPerLateEvent !== 0) return;
    writer.flight(LATE_ID, lateEvents++, flights, index, time - plan.lateByMs);
    if (writer.count === EVENTS_PER_REQUEST) cut();
  };

  for await (const chunk of file.flights()) {
    jitter.push(chunk);
    jitter.drainBefore(chunk.times[chunk.count - 1]!, send);
    yield* full.splice(0);
  }
  jitter.drainBefore(Infinity, send);
  for (const origin of file.origins) {
    const airport = file.airports.indexOf(origin);
    writer.heartbeat(airport, airport, plan.heartbeatTime);
    if (writer.count === EVENTS_PER_REQUEST) cut();
  }
  if (writer.count > 0) cut();
  yield* full;
}
