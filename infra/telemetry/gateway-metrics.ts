/**
 * Turns what the gateway tells of its work into metrics: once per request, append or transaction,
 * never per event.
 */
import { status } from "@grpc/grpc-js";
import type { Context, Metric } from "effect";
import type { IngestMetrics } from "../../gateway/ingest/metrics.ts";
import type { QueryMetrics } from "../../gateway/query/index.ts";
import { counter, gauge, seconds, type Labels, type MetricKey } from "./metric-names.ts";

/** Metrics by their labels, each made once: making one costs more than updating it. */
const made = <M>(make: (labels: Labels) => M) => {
  const byLabels = new Map<string, M>();
  return (labels: Labels): M => {
    const id = Object.values(labels).join("\0");
    let metric = byLabels.get(id);
    if (metric === undefined) byLabels.set(id, (metric = make(labels)));
    return metric;
  };
};

const counters = (key: MetricKey) => made((labels) => counter(key, labels));
const histograms = (key: MetricKey) => made((labels) => seconds(key, labels));

export const ingestMetrics = (context: Context.Context<never>): IngestMetrics => {
  const events = counters("ingestEvents");
  const bytes = counters("ingestBytes");
  const requestSeconds = histograms("ingestRequestSeconds");
  const refused = counters("ingestRefused");
  const appendSeconds = histograms("ingestAppendSeconds");
  const appendedEvents = counters("ingestAppendedEvents");
  const appendedBytes = counters("ingestAppendedBytes");
  const appendFailures = counters("ingestAppendFailures");
  const add = (metric: Metric.Metric<number, unknown>, value: number) => {
    if (value > 0) metric.updateUnsafe(value, context);
  };
  return {
    answered: ({ topic, method, latencyMs, ...outcome }) => {
      for (const verdict of ["stored", "quarantined", "invalid", "unavailable"] as const) {
        if (outcome[verdict] > 0) add(events({ topic, verdict }), outcome[verdict]);
      }
      add(bytes({ topic, method }), outcome.bytes);
      requestSeconds({ method }).updateUnsafe(latencyMs / 1_000, context);
    },
    refused: (method, reason) => add(refused({ method, reason }), 1),
    appended: ({ topic, failure, latencyMs, ...outcome }) => {
      if (failure !== undefined) {
        add(appendFailures({ topic, kind: failure }), 1);
        return;
      }
      appendSeconds({ topic }).updateUnsafe(latencyMs / 1_000, context);
      add(appendedEvents({ topic }), outcome.events);
      add(appendedBytes({ topic }), outcome.bytes);
    },
  };
};

export const queryMetrics = (context: Context.Context<never>): QueryMetrics => {
  const requests = counters("queryRequests");
  const results = counters("queryResults");
  const missed = counters("queryMissed");
  const applied = counter("queryApplied", {});
  const position = gauge("queryPosition", {});
  const pending = gauge("queryPending", {});
  const subscriptions = gauge("querySubscriptions", {});
  return {
    applied: (outcome) => {
      applied.updateUnsafe(outcome.rows, context);
      position.updateUnsafe(outcome.position, context);
      pending.updateUnsafe(outcome.pending, context);
    },
    missed: (projection, version, commits) =>
      missed({ projection, version: String(version) }).updateUnsafe(commits, context),
    answered: (method, code, count) => {
      requests({ method, code: status[code] }).updateUnsafe(1, context);
      results({ method }).updateUnsafe(count, context);
    },
    subscriptions: (open) => subscriptions.updateUnsafe(open, context),
  };
};
