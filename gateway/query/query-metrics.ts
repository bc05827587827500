/**
 * What the query side tells of its work, once per transaction, request or subscription. The wiring
 * turns it into counters and gauges.
 */
import type { status } from "@grpc/grpc-js";

export type QueryMethod = "GetResult" | "ListResults" | "Subscribe" | "ListProjections";

export interface AppliedOutcome {
  readonly commits: number;
  /** Updates that changed a row. */
  readonly rows: number;
  /** Updates that repeated an older revision. */
  readonly stale: number;
  /** Where the store stands in RESULTS. */
  readonly position: number;
  /** Records that wait in RESULTS behind it, as far as known. */
  readonly pending: number;
}

export interface QueryMetrics {
  readonly applied: (outcome: AppliedOutcome) => void;
  /** Commits that had left RESULTS before they were read. */
  readonly missed: (projection: string, version: number, commits: number) => void;
  /** `results` counts what was sent; a subscription is answered when it ends. */
  readonly answered: (method: QueryMethod, code: status, results: number) => void;
  readonly subscriptions: (open: number) => void;
}

export const noQueryMetrics: QueryMetrics = {
  applied: () => {},
  missed: () => {},
  answered: () => {},
  subscriptions: () => {},
};
