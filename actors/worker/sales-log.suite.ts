/** The log of sales of a whole worker's test, and the results that a projection of it has published. */
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Sale } from "../testkit/plans.ts";
import { batchesOf } from "../testkit/sales-run.ts";
import type { Broker } from "../testkit/virtual-engine.ts";

export const append = (log: Broker, partition: number, data: Uint8Array): void => {
  log.events("sales", partition).append([{ subject: `events.sales.${partition}`, data }], -1);
};

export const publish = (log: Broker, sales: readonly Sale[], ingestTime?: number): void => {
  for (const { partition, data } of batchesOf(sales, ingestTime)) append(log, partition, data);
};

/** Every update of a version, as `key start: values`, sorted. */
export const updatesOf = (log: Broker, projection: string, version: number): readonly string[] =>
  log.results.messages
    .filter(({ subject }) => subject.startsWith(`results.${projection}.${version}.`))
    .flatMap(({ data }) => Commit.decode(data).updates)
    .map(({ key, windowStart, values }) => {
      const shown = values.map(({ kind }) => String(kind?.value ?? null)).join(" ");
      return `${key} ${windowStart}: ${shown}`;
    })
    .toSorted();
