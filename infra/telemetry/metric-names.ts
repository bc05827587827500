/**
 * The metrics that `infra` itself keeps. The gateway and the engine declare theirs beside their own
 * code; all of them meet in Effect's metric registry and leave through `telemetry-server.ts`.
 */
import { Metric } from "effect";

export const METRICS = {
  processCpuSeconds: {
    name: "tidemark_process_cpu_seconds_total",
    help: "User and system CPU time of the process.",
  },
  processResidentBytes: {
    name: "tidemark_process_resident_memory_bytes",
    help: "Resident set size of the process.",
  },
  processHeapBytes: {
    name: "tidemark_process_heap_used_bytes",
    help: "JavaScript heap in use.",
  },
  processUptimeSeconds: {
    name: "tidemark_process_uptime_seconds",
    help: "Seconds since the process started.",
  },
  eventLoopDelayP99Seconds: {
    name: "tidemark_process_event_loop_delay_p99_seconds",
    help: "99th percentile of the delay of the event loop since the last scrape.",
  },
} as const;

export type MetricKey = keyof typeof METRICS;

/** A gauge of the table, labelled with the process that keeps it. */
export const processGauge = (key: MetricKey, process: string): Metric.Gauge<number> =>
  Metric.gauge(METRICS[key].name, { description: METRICS[key].help, attributes: { process } });

export const processCounter = (key: MetricKey, process: string): Metric.Counter<number> =>
  Metric.counter(METRICS[key].name, {
    description: METRICS[key].help,
    attributes: { process },
    incremental: true,
  });
