/** What sessions must be, whatever order their events came in; and what a reader makes of updates. */
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import type { Sale } from "../testkit/plans.ts";
import type { PartitionRun } from "../testkit/run.ts";

/** Current rows of a reader that replaces by window and drops what is retracted. */
export const current = (run: PartitionRun): string[] => {
  const rows = new Map<string, string>();
  for (const update of run.output.updates) {
    const name = `${update.key} [${update.windowStart}, ${update.windowEnd})`;
    if (update.kind === Kind.KIND_RETRACTION) rows.delete(name);
    else rows.set(name, update.values.map((value) => String(value.kind?.value ?? null)).join(" "));
  }
  return [...rows].map(([name, values]) => `${name}: ${values}`).sort();
};

/** Sessions of all events at once: sort, then split where the gap is exceeded. */
export const naiveSessions = (sales: readonly Sale[], gapMs: number): string[] => {
  const sessions: { key: string; start: number; end: number; n: number; cents: bigint }[] = [];
  for (const { key, time, cents } of [...sales].sort((a, b) => a.time - b.time)) {
    const open = sessions.findLast((session) => session.key === key);
    if (open !== undefined && time <= open.end) {
      open.end = Math.max(open.end, time + gapMs);
      open.n++;
      open.cents += BigInt(cents!);
    } else {
      sessions.push({ key, start: time, end: time + gapMs, n: 1, cents: BigInt(cents!) });
    }
  }
  return sessions.map((s) => `${s.key} [${s.start}, ${s.end}): ${s.n} ${s.cents}`).sort();
};
