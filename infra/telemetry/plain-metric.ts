/**
 * Counters and histograms for hot paths: plain fields that are read when somebody scrapes. An update of
 * one of Effect's own looks its series up in a registry every time, some two microseconds, which a
 * gateway with fifty thousand requests a second notices.
 */
import { Metric } from "effect";
import type { Context } from "effect";
import { counter, seconds, SECONDS, type Labels, type MetricKey } from "./metric-names.ts";

const ignored = () => undefined;

export class PlainCounter {
  #count = 0;

  constructor(key: MetricKey, labels: Labels, context: Context.Context<never>) {
    const get = () => ({ count: this.#count, incremental: true });
    Metric.registerUnsafe(counter(key, labels), context, {
      get,
      update: ignored,
      modify: ignored,
    });
  }

  add(count: number): void {
    this.#count += count;
  }
}

/** Of seconds, in the boundaries of every latency histogram. */
export class PlainHistogram {
  readonly #counts = new Float64Array(SECONDS.length + 1);
  #count = 0;
  #sum = 0;
  #min = 0;
  #max = 0;

  constructor(key: MetricKey, labels: Labels, context: Context.Context<never>) {
    Metric.registerUnsafe(seconds(key, labels), context, {
      get: () => this.#state(),
      update: ignored,
      modify: ignored,
    });
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < SECONDS.length && value > SECONDS[bucket]!) bucket++;
    this.#counts[bucket]!++;
    this.#min = this.#count === 0 ? value : Math.min(this.#min, value);
    this.#max = this.#count === 0 ? value : Math.max(this.#max, value);
    this.#count++;
    this.#sum += value;
  }

  #state() {
    let cumulative = 0;
    const buckets = [...SECONDS, Infinity].map((boundary, index): [number, number] => {
      cumulative += this.#counts[index]!;
      return [boundary, cumulative];
    });
    return { buckets, count: this.#count, min: this.#min, max: this.#max, sum: this.#sum };
  }
}

/** Metrics by two labels, each made when it is first needed. */
export const byLabels = <M, First extends string, Second extends string>(
  names: readonly [First, Second],
  make: (labels: Labels) => M,
): ((first: string, second: string) => M) => {
  const made = new Map<string, Map<string, M>>();
  return (first, second) => {
    let inner = made.get(first);
    if (inner === undefined) made.set(first, (inner = new Map()));
    let metric = inner.get(second);
    if (metric === undefined) {
      metric = make({ [names[0]]: first, [names[1]]: second });
      inner.set(second, metric);
    }
    return metric;
  };
};
