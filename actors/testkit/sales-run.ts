/** A small day of sales over four partitions, and what must come of it. */
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { encodeBatch, salesPlan, topicPlan } from "./plans.ts";
import type { Sale } from "./plans.ts";

export const PARTITIONS = 4;
export const TOPIC = topicPlan({ partitions: PARTITIONS, idleAfterMs: 2_000 });
export const BY_KEY = salesPlan({ name: "by-key" }, TOPIC);
export const BY_STORE = salesPlan({ name: "by-store", key: { field: "store" } }, TOPIC);
export const PLANS = [BY_KEY, BY_STORE];

/** Ten windows of ten milliseconds, three stores, keys spread over the partitions. */
export const SALES: readonly Sale[] = Array.from({ length: 400 }, (_, i) => ({
  id: String(i),
  key: `k${i % 13}`,
  time: Math.floor(i / 4),
  cents: i,
  weight: 1,
  store: `s${i % 3}`,
}));

export interface PartitionBatch {
  readonly partition: number;
  readonly data: Uint8Array;
}

/** Record batches in the order in which a gateway would append them. */
export const batchesOf = (
  sales: readonly Sale[],
  ingestTime?: number,
): readonly PartitionBatch[] => {
  const batches: PartitionBatch[] = [];
  for (let from = 0; from < sales.length; from += 20) {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const part = sales
        .slice(from, from + 20)
        .filter((sale) => Number(sale.key.slice(1)) % PARTITIONS === partition);
      if (part.length > 0) batches.push({ partition, data: encodeBatch(part, ingestTime) });
    }
  }
  return batches;
};

/** `key start: values`, the newest of each closed window, from commits in their order. */
export const rowsOf = (commits: readonly Uint8Array[]): readonly string[] => {
  const rows = new Map<string, string>();
  for (const update of commits.flatMap((data) => Commit.decode(data).updates)) {
    if (update.kind === Kind.KIND_EARLY) continue;
    const values = update.values.map((value) => value.kind?.value ?? null).join(" ");
    rows.set(`${update.key} ${update.windowStart}`, values);
  }
  return [...rows].map(([row, values]) => `${row}: ${values}`).toSorted();
};

/** The same, straight from the sales. */
const expected = (keyOf: (sale: Sale) => string): readonly string[] => {
  const windows = new Map<string, Sale[]>();
  for (const sale of SALES) {
    const window = `${keyOf(sale)} ${Math.floor(sale.time / 10) * 10}`;
    windows.set(window, [...(windows.get(window) ?? []), sale]);
  }
  return [...windows]
    .map(([window, sales]) => {
      const cents = sales.map((sale) => Number(sale.cents));
      const sum = cents.reduce((a, b) => a + b, 0);
      return `${window}: ${sales.length} ${sum} ${Math.min(...cents)} ${Math.max(...cents)} 1`;
    })
    .toSorted();
};

export const BY_KEY_ROWS = expected((sale) => sale.key);
export const BY_STORE_ROWS = expected((sale) => sale.store!);
