/**
 * What the benchmark runs: counts and sums of ten thousand devices every ten seconds (the shape of
 * Nexmark's q12), and a projection that publishes at once, for the probes.
 */
import {
  count,
  each,
  field,
  max,
  projection,
  sum,
  topic,
  tumbling,
} from "../../projections/index.ts";

export const READING = "bench.Reading";
export const PROBE = "bench.Probe";
export const HEARTBEAT = "bench.Heartbeat";

export const bench = topic("bench", {
  schemas: ["./bench.proto"],
  types: [READING, PROBE, HEARTBEAT],
  partitions: 8,
  maxOutOfOrderness: "5 seconds",
});

export const readings = projection("readings", {
  description: "Readings of a device in ten seconds",
  source: bench,
  types: [READING],
  window: tumbling("10 seconds"),
  aggregates: { readings: count(), total: sum(field("value")) },
});

export const probes = projection("probes", {
  description: "The last probe of each lane, published with every record batch",
  source: bench,
  types: [PROBE],
  window: tumbling("1 day"),
  aggregates: { last: max(field("number")) },
  emit: each(),
});
