/**
 * Every metric that the engine keeps, in one table. Names follow Prometheus: base units, `_total`
 * for counters. Hoist a metric out of a loop: making one costs more than updating it.
 */
import { Metric } from "effect";
import type { TaskId } from "../../proto/subjects.ts";

export const ENGINE_METRICS = {
  events: {
    name: "tidemark_events_total",
    help:
      "Committed events by verdict: counted, late, duplicate, future, invalid, filtered, poison. Ordered " +
      "projections count an event that waits, and again as poison if it is refused when its time has come.",
  },
  imbalance: {
    name: "tidemark_books_imbalance",
    help: "Committed events minus all verdicts; 0 when the books balance. Alarm on anything else.",
  },
  recordBatches: { name: "tidemark_record_batches_total", help: "Record batches read." },
  commits: { name: "tidemark_commits_total", help: "Commits appended to RESULTS." },
  commitSeconds: {
    name: "tidemark_commit_seconds",
    help: "Time from handing a commit to the log until it is durable.",
  },
  published: {
    name: "tidemark_published_total",
    help: "Committed output by kind: update, partial, dead_letter.",
  },
  lag: {
    name: "tidemark_lag_records",
    help: "Last sequence of the input minus the last one that is committed.",
  },
  watermark: {
    name: "tidemark_watermark_lag_seconds",
    help: "Newest ingest time minus the watermark.",
  },
  taskState: { name: "tidemark_task_state", help: "1 for the state that the task is in." },
  snapshotBytes: { name: "tidemark_snapshot_bytes", help: "Size of the last snapshot saved." },
  snapshotSeconds: { name: "tidemark_snapshot_seconds", help: "Time to save a snapshot." },
  snapshotFailures: {
    name: "tidemark_snapshot_failures_total",
    help: "Snapshots that could not be loaded or saved.",
  },
  recoverySeconds: {
    name: "tidemark_recovery_seconds",
    help: "Time from taking a task over until its state has the committed digest.",
  },
  stateLost: {
    name: "tidemark_state_lost_total",
    help:
      "Tasks quarantined because neither a snapshot nor the log, whose first records are gone, holds " +
      "their state. Alarm on it.",
  },
  gaps: {
    name: "tidemark_log_gaps_total",
    help: "Partitions stopped because records were deleted before they were read. Alarm on it.",
  },
  compacted: {
    name: "tidemark_compacted_record_batches_total",
    help: "Record batches deleted from logs of compacted topics, and of joins with one as their table.",
  },
  loopRestarts: {
    name: "tidemark_loop_restarts_total",
    help: "Background loops started again after a defect, by loop. Alarm on it.",
  },
  relayLag: {
    name: "tidemark_relay_lag_records",
    help: "RESULTS records that the relay has still to read.",
  },
  relayHeldBack: {
    name: "tidemark_relay_held_back",
    help:
      "Partitions whose events the relay of a re-keyed log holds back, since they are ahead of the others in " +
      "event time.",
  },
  relayed: { name: "tidemark_relayed_total", help: "Messages that the relay has published." },
} as const;

export type EngineMetric = keyof typeof ENGINE_METRICS;

export type Labels = Readonly<Record<string, string>>;

/** Seconds, from a quarter of a millisecond to half a minute. */
const SECONDS = [
  0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

export const counter = (key: EngineMetric, labels: Labels): Metric.Counter<number> =>
  Metric.counter(ENGINE_METRICS[key].name, {
    description: ENGINE_METRICS[key].help,
    attributes: labels,
    incremental: true,
  });

export const gauge = (key: EngineMetric, labels: Labels): Metric.Gauge<number> =>
  Metric.gauge(ENGINE_METRICS[key].name, {
    description: ENGINE_METRICS[key].help,
    attributes: labels,
  });

export const seconds = (key: EngineMetric, labels: Labels): Metric.Histogram<number> =>
  Metric.histogram(ENGINE_METRICS[key].name, {
    description: ENGINE_METRICS[key].help,
    attributes: labels,
    boundaries: SECONDS,
  });

export const taskLabels = (task: TaskId): Labels => ({
  projection: task.projection,
  version: String(task.version),
  partition: String(task.partition),
  kind: task.kind,
});
