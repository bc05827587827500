export { Query } from "./query.ts";
export type { QueryOptions } from "./query.ts";
export { noQueryMetrics } from "./query-metrics.ts";
export type { AppliedOutcome, QueryMethod, QueryMetrics } from "./query-metrics.ts";
export type { QueryService } from "./query-service.ts";
export { QueryStoreUnusable } from "./result-view.ts";
export type { KnownProjection } from "./result-view.ts";
