/**
 * What a promotion has still to settle: the rows that the previous version published after the two
 * versions were compared. Of each, the new version's row as it stands, or a retraction if it has none.
 *
 * E1. A function of RESULTS up to the promotion, so that a relay that starts again finds the same rows in
 *     the same order.
 * E2. Memory is bounded by what the previous version published in between: seconds of its updates.
 */
import { Effect } from "effect";
import type { Scope } from "effect";
import { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Promotion } from "../../proto/gen/tidemark/v1/commit.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { controlSubject } from "../../proto/subjects.ts";
import { utf8 } from "../kernel/text.ts";
import type { LogUnavailable } from "../ports/event-log.ts";
import type { ResultLog, ResultRecord } from "../ports/result-log.ts";
import { COLUMNS_FIELD, itemsOf, UPDATES_FIELD } from "./commit-items.ts";

export interface SettledRows {
  readonly columns: readonly string[];
  readonly updates: readonly Update[];
}

const nameOf = ({ key, windowStart, windowEnd, ordinal }: Update): string =>
  `${windowStart} ${windowEnd} ${ordinal} ${key}`;

/** Reads the commits of a version after `from`, up to the promotion at `until`. */
const readCommits = (
  results: ResultLog["Service"],
  { projection, version }: Pick<Promotion, "projection" | "version">,
  from: number,
  until: number,
  take: (record: ResultRecord) => void,
): Effect.Effect<void, LogUnavailable> => {
  const control = controlSubject(projection);
  const read: Effect.Effect<void, LogUnavailable, Scope.Scope> = Effect.gen(function* () {
    // The promotion itself is among what is read, so this never waits for what may not come.
    const reader = yield* results.open([`results.${projection}.${version}.*`, control], from + 1);
    while (true) {
      for (const record of yield* reader.next) {
        if (record.sequence >= until) return;
        if (record.subject !== control) take(record);
      }
      yield* Effect.yieldNow;
    }
  });
  return Effect.scoped(read);
};

export const settledRows = Effect.fnUntraced(function* (
  results: ResultLog["Service"],
  promotion: Promotion,
  sequence: number,
): Effect.fn.Return<SettledRows, LogUnavailable> {
  const { projection, version, previousVersion, comparedAt } = promotion;
  const rows = new Map<string, Update>();
  const previous = { projection, version: previousVersion };
  yield* readCommits(results, previous, comparedAt, sequence, ({ data }) => {
    for (const bytes of itemsOf(data, UPDATES_FIELD)) {
      const update = Update.decode(bytes);
      const retraction = { ...update, kind: Kind.KIND_RETRACTION, revision: 0, values: [] };
      rows.set(nameOf(update), retraction);
    }
  });
  if (rows.size === 0) return { columns: [], updates: [] };
  let columns: readonly string[] = [];
  yield* readCommits(results, { projection, version }, 0, sequence, ({ data }) => {
    let found = false;
    for (const bytes of itemsOf(data, UPDATES_FIELD)) {
      const update = Update.decode(bytes);
      if (!rows.has(nameOf(update))) continue;
      found = true;
      rows.set(nameOf(update), update);
    }
    if (found) columns = itemsOf(data, COLUMNS_FIELD).map((bytes) => utf8.decode(bytes));
  });
  return { columns, updates: [...rows.values()] };
});
