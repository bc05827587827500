/**
 * The metrics that `infra` keeps: of processes, and of the gateway, which reports without knowing a
 * metrics library. The engine's own are in `actors/task/metrics.ts`; all of them meet in Effect's
 * registry and leave through `telemetry-server.ts`. Names follow Prometheus: base units, `_total` for
 * counters.
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
  ingestEvents: {
    name: "tidemark_ingest_events_total",
    help: "Events answered, by verdict: stored, quarantined, invalid, unavailable.",
  },
  ingestBytes: {
    name: "tidemark_ingest_request_bytes_total",
    help: "Size of the requests answered.",
  },
  ingestRequestSeconds: {
    name: "tidemark_ingest_request_seconds",
    help: "From a request's arrival to its last acknowledgement by the log.",
  },
  ingestRefused: {
    name: "tidemark_ingest_refused_total",
    help: "Requests refused whole, by reason.",
  },
  ingestAppendSeconds: {
    name: "tidemark_ingest_append_seconds",
    help: "From the append of a record batch to its acknowledgement by the log, after fsync.",
  },
  ingestAppendedEvents: {
    name: "tidemark_ingest_appended_events_total",
    help: "Events in acknowledged record batches.",
  },
  ingestAppendedBytes: {
    name: "tidemark_ingest_appended_bytes_total",
    help: "Size of acknowledged record batches.",
  },
  ingestAppendFailures: {
    name: "tidemark_ingest_append_failures_total",
    help: "Record batches that the log did not acknowledge, by kind: full, unavailable.",
  },
  queryRequests: {
    name: "tidemark_query_requests_total",
    help: "Reads answered, by method and gRPC status.",
  },
  queryResults: {
    name: "tidemark_query_results_total",
    help: "Results and updates sent to readers.",
  },
  querySubscriptions: { name: "tidemark_query_subscriptions", help: "Open subscriptions." },
  queryPosition: {
    name: "tidemark_query_position",
    help: "Sequence of RESULTS up to which the gateway has read.",
  },
  queryPending: {
    name: "tidemark_query_pending_records",
    help: "Records of RESULTS that the gateway has still to read, as far as known.",
  },
  queryApplied: {
    name: "tidemark_query_applied_rows_total",
    help: "Updates that changed a stored result.",
  },
  queryMissed: {
    name: "tidemark_query_missed_commits_total",
    help: "Commits that had left RESULTS before the gateway read them. Alarm on it.",
  },
  childRestarts: {
    name: "tidemark_child_restarts_total",
    help: "Times that the supervisor has started a process again.",
  },
} as const;

export type MetricKey = keyof typeof METRICS;
export type Labels = Readonly<Record<string, string>>;

/** From half a millisecond to half a minute. */
export const SECONDS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

export const gauge = (key: MetricKey, labels: Labels): Metric.Gauge<number> =>
  Metric.gauge(METRICS[key].name, { description: METRICS[key].help, attributes: labels });

export const counter = (key: MetricKey, labels: Labels): Metric.Counter<number> =>
  Metric.counter(METRICS[key].name, {
    description: METRICS[key].help,
    attributes: labels,
    incremental: true,
  });

export const seconds = (key: MetricKey, labels: Labels): Metric.Histogram<number> =>
  Metric.histogram(METRICS[key].name, {
    description: METRICS[key].help,
    attributes: labels,
    boundaries: SECONDS,
  });
