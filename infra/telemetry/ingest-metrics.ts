/** Turns what the ingest service tells of its work into metrics: once per request and per append. */
import type { Context, Metric } from "effect";
import type { IngestMetrics } from "../../gateway/ingest/metrics.ts";
import { counter, seconds, type Labels, type MetricKey } from "./metric-names.ts";

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
