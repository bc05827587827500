/** The read side as one service: what `gateway/server.ts` adds to its gRPC server. */
import { Context, Effect, Layer } from "effect";
import type { ResultLog } from "../../actors/ports/result-log.ts";
import { noQueryMetrics } from "./query-metrics.ts";
import type { QueryMetrics } from "./query-metrics.ts";
import { makeQueryService } from "./query-service.ts";
import type { QueryService } from "./query-service.ts";
import { makeResultView } from "./result-view.ts";
import type { KnownProjection, QueryStoreUnusable } from "./result-view.ts";

export interface QueryOptions {
  /** Folder of the store: one gateway's own. Made when it is not there. */
  readonly directory: string;
  readonly projections: readonly KnownProjection[];
  readonly metrics?: QueryMetrics;
}

/**
 * `server.addService(query.definition, query.implementation)`; SERVING once `view.caughtUp`;
 * `drain()` before `tryShutdown`, since subscriptions do not end by themselves.
 */
export class Query extends Context.Service<Query, QueryService>()("gateway/query/Query") {
  static layer(options: QueryOptions): Layer.Layer<Query, QueryStoreUnusable, ResultLog> {
    const metrics = options.metrics ?? noQueryMetrics;
    return Layer.effect(
      Query,
      Effect.gen(function* () {
        const view = yield* makeResultView({ ...options, metrics });
        return yield* makeQueryService(view, metrics);
      }),
    );
  }
}
