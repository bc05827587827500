/**
 * US flight departures: how many, and how late?
 *
 * Topic `flights`, keyed by origin. Records arrive up to ten minutes out of order.
 * `departures-by-origin` follows the event's key, so each partition answers alone;
 * `departures-by-destination` groups by another field, so partitions are merged.
 */
import { count, field, max, mean, min, projection, topic, tumbling } from "../index.ts";

export const flights = topic("flights", {
  schemas: ["./flights.proto"],
  types: ["flights.Departure", "flights.Heartbeat"],
  partitions: 8,
  maxOutOfOrderness: "10 minutes",
  maxFutureSkew: "5 minutes",
  // The feed is sent again and again, a day apart at the most: a flight counts once all the same.
  dedupeHorizon: "1 day",
  retention: "7 days",
});

export const departuresByOrigin = projection("departures-by-origin", {
  description: "Departures of an airport in an hour, and their delays in minutes",
  source: flights,
  types: ["flights.Departure"],
  window: tumbling("1 hour"),
  aggregates: {
    departures: count(),
    meanDelay: mean(field("delay")),
    minDelay: min(field("delay")),
    maxDelay: max(field("delay")),
  },
});

export const departuresByDestination = projection("departures-by-destination", {
  description: "Departures for an airport in a day",
  source: flights,
  types: ["flights.Departure"],
  key: field("destination"),
  window: tumbling("1 day"),
  aggregates: { departures: count() },
});
