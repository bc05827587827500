/** Sessions by a field that is not the key of events, over the partitions of the day of sales. */
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import type { WindowPlan } from "../../projections/definition/plan.ts";
import { encodeBatch, PULSE, salesPlan } from "./plans.ts";
import type { Sale } from "./plans.ts";
import { PARTITIONS, SALES, TOPIC } from "./sales-run.ts";
import type { PartitionBatch } from "./sales-run.ts";

const GAP = 3;

export const sessionsBy = (field: string, gapMs = GAP): WindowPlan =>
  salesPlan(
    {
      name: "visits",
      key: { field },
      window: { kind: "session", gapMs },
      aggregates: { sales: { fn: "count" }, cents: { fn: "sum", of: { field: "cents" } } },
    },
    TOPIC,
  );

export const VISITS_PLAN = sessionsBy("store");

/** Stores that come and go, so that there are many sessions; nothing comes too late. */
export const VISITS: readonly Sale[] = SALES.map((sale, i) => ({
  ...sale,
  store: `s${Math.floor(i / 3) % 17}`,
}));

/** The sessions of these sales, the naive way: `store start end: sales cents`. */
export const sessionRows = (sales: readonly Sale[], gapMs = GAP): readonly string[] => {
  const rows: string[] = [];
  for (const store of new Set(sales.map((sale) => sale.store))) {
    const own = sales.filter((sale) => sale.store === store);
    let from = 0;
    for (let i = 1; i <= own.length; i++) {
      if (i < own.length && own[i]!.time - own[i - 1]!.time <= gapMs) continue;
      const session = own.slice(from, i);
      const cents = session.reduce((sum, sale) => sum + Number(sale.cents), 0);
      const bounds = `${session[0]!.time} ${session.at(-1)!.time + gapMs}`;
      rows.push(`${store} ${bounds}: ${session.length} ${cents}`);
      from = i;
    }
  }
  return rows.toSorted();
};

/** What moves every partition beyond all sessions. */
export const endOfVisits = (ingestTime?: number): readonly PartitionBatch[] =>
  Array.from({ length: PARTITIONS }, (_, partition) => {
    const pulse = { id: `end${partition}`, key: "k", time: 1_000, type: PULSE.name };
    return { partition, data: encodeBatch([pulse], ingestTime) };
  });

/** Every final of these commits, with repetitions, as `sessionRows` writes them. */
export const finalRows = (commits: readonly Uint8Array[]): readonly string[] =>
  commits
    .flatMap((data) => Commit.decode(data).updates)
    .filter(({ kind }) => kind === Kind.KIND_FINAL)
    .map(({ key, windowStart, windowEnd, values }) => {
      const shown = values.map((value) => value.kind?.value ?? null).join(" ");
      return `${key} ${windowStart} ${windowEnd}: ${shown}`;
    })
    .toSorted();

/** Ids of all events of a log, with repetitions. */
export const idsOf = (batches: readonly Uint8Array[]): readonly string[] =>
  batches.flatMap((data) => RecordBatch.decode(data).events.map(({ id }) => id)).toSorted();

export const VISIT_IDS: readonly string[] = VISITS.map(({ id }) => id).toSorted();
