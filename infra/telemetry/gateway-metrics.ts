/**
 * Turns what the gateway tells of its work into metrics: once per request, append or transaction,
 * never per event.
 */
import { status } from "@grpc/grpc-js";
import type { Context } from "effect";
import type { IngestMetrics } from "../../gateway/ingest/metrics.ts";
import type { QueryMetrics } from "../../gateway/query/index.ts";
import { gauge, type MetricKey } from "./metric-names.ts";
import { byLabels, PlainCounter, PlainHistogram } from "./plain-metric.ts";

const VERDICTS = ["stored", "quarantined", "invalid", "unavailable"] as const;

type Registry = Context.Context<never>;

const counters = (key: MetricKey, names: readonly [string, string], context: Registry) =>
  byLabels(names, (labels) => new PlainCounter(key, labels, context));
const histograms = (key: MetricKey, names: readonly [string, string], context: Registry) =>
  byLabels(names, (labels) => new PlainHistogram(key, labels, context));

export const ingestMetrics = (context: Registry): IngestMetrics => {
  const events = counters("ingestEvents", ["topic", "verdict"], context);
  const bytes = counters("ingestBytes", ["topic", "method"], context);
  const requestSeconds = histograms("ingestRequestSeconds", ["topic", "method"], context);
  const refused = counters("ingestRefused", ["method", "reason"], context);
  const appendSeconds = histograms("ingestAppendSeconds", ["topic", "partition"], context);
  const appendedEvents = counters("ingestAppendedEvents", ["topic", "partition"], context);
  const appendedBytes = counters("ingestAppendedBytes", ["topic", "partition"], context);
  const appendFailures = counters("ingestAppendFailures", ["topic", "kind"], context);
  return {
    answered: (outcome) => {
      const { topic, method } = outcome;
      for (const verdict of VERDICTS) {
        const count = outcome[verdict];
        if (count > 0) events(topic, verdict).add(count);
      }
      bytes(topic, method).add(outcome.bytes);
      requestSeconds(topic, method).observe(outcome.latencyMs / 1_000);
    },
    refused: (method, reason) => refused(method, reason).add(1),
    appended: (outcome) => {
      const { topic, failure } = outcome;
      if (failure !== undefined) {
        appendFailures(topic, failure).add(1);
        return;
      }
      const partition = String(outcome.partition);
      appendSeconds(topic, partition).observe(outcome.latencyMs / 1_000);
      appendedEvents(topic, partition).add(outcome.events);
      appendedBytes(topic, partition).add(outcome.bytes);
    },
  };
};

export const queryMetrics = (context: Registry): QueryMetrics => {
  const requests = counters("queryRequests", ["method", "code"], context);
  const results = counters("queryResults", ["method", "code"], context);
  const missed = counters("queryMissed", ["projection", "version"], context);
  const applied = new PlainCounter("queryApplied", {}, context);
  const position = gauge("queryPosition", {});
  const pending = gauge("queryPending", {});
  const subscriptions = gauge("querySubscriptions", {});
  return {
    applied: (outcome) => {
      applied.add(outcome.rows);
      position.updateUnsafe(outcome.position, context);
      pending.updateUnsafe(outcome.pending, context);
    },
    missed: (projection, version, commits) => missed(projection, String(version)).add(commits),
    answered: (method, code, count) => {
      const name = status[code] ?? String(code);
      requests(method, name).add(1);
      results(method, name).add(count);
    },
    subscriptions: (open) => subscriptions.updateUnsafe(open, context),
  };
};
