/** Entry point of the gateway process: `gateway.ts <running-config.json>`. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import { Effect, Fiber, Layer } from "effect";
import { IngestLog } from "../../actors/ports/ingest-log.ts";
import { FIRST_VERSION } from "../../actors/relay/active-versions.ts";
import { IngestService } from "../../gateway/ingest/ingest-service.ts";
import { Query, type QueryService } from "../../gateway/query/index.ts";
import { GatewayServer, type GatewayService } from "../../gateway/server.ts";
import { natsLayer } from "../nats/index.ts";
import { sayReady } from "../supervisor/run-main.ts";
import { ingestMetrics, queryMetrics } from "../telemetry/gateway-metrics.ts";
import { childConfig, childLogs, childTelemetry, portFrom, runChild } from "./child-process.ts";
import { systemClock } from "./gateway-clock.ts";
import { loadPlans, type Plans } from "./plans.ts";
import type { RunningConfig } from "./running-config.ts";
import { PORT_VARIABLE, type GatewayReady } from "./system.ts";

/** From SIGTERM until what is still open is cut off: less than the supervisor's own patience. */
const DRAIN_MS = 20_000;

/** The contract's files, for reflection. */
const contract = () => {
  const protoDir = join(import.meta.dirname, "../../proto");
  const files = readdirSync(join(protoDir, "tidemark/v1")).map((name) => `tidemark/v1/${name}`);
  return { protoDir, files: files.filter((name) => name.endsWith(".proto")) };
};

/** How long "ready" waits for the query side; a long backlog is read while events come in. */
const CATCH_UP = "5 seconds";

const serve = Effect.fnUntraced(function* (config: RunningConfig, { topics }: Plans) {
  const context = yield* Effect.context<never>();
  const query = yield* Query;
  const ingest = new IngestService({
    topics,
    log: yield* IngestLog,
    limits: config.gateway,
    clock: systemClock,
    metrics: ingestMetrics(context),
  });
  const server = yield* Effect.acquireRelease(
    Effect.tryPromise({
      try: () =>
        GatewayServer.listen({
          host: config.gateway.host,
          port: portFrom(PORT_VARIABLE),
          services: [ingest, queryService(query)],
          maxRequestBytes: config.gateway.maxRequestBytes,
          reflection: config.gateway.reflection ? contract() : undefined,
          clock: systemClock,
        }),
      catch: (error) => error as Error,
    }),
    (listening) => Effect.promise(() => listening.shutdown(DRAIN_MS)),
  );
  server.setServing(false, query.name);
  const caughtUp = yield* Effect.forkScoped(
    Effect.tap(query.view.caughtUp, () => Effect.sync(() => server.setServing(true, query.name))),
  );
  const { port: metricsPort } = yield* childTelemetry("gateway", config, {
    problems: () =>
      query.view.isCaughtUp ? [] : [{ about: "query", reason: "results are still being read" }],
    status: () => ({
      address: server.address,
      query: { position: query.view.position, caughtUp: query.view.isCaughtUp },
    }),
  });
  const about: typeof GatewayReady.Type = {
    address: server.address,
    port: server.port,
    metricsPort,
  };
  yield* Effect.timeoutOption(Fiber.join(caughtUp), CATCH_UP);
  yield* sayReady(about);
  return yield* Effect.never;
});

/** Subscriptions do not end by themselves; unary calls do. */
const queryService = (query: QueryService): GatewayService => ({
  name: query.name,
  definition: query.definition,
  implementation: { ...query.implementation },
  drain: () => Promise.resolve(query.drain()),
});

const services = (config: RunningConfig) =>
  Effect.map(Effect.context<never>(), (context) =>
    Query.layer({
      directory: join(config.dataDir, "query"),
      projections: config.projections.map(({ name }) => ({ name, version: FIRST_VERSION })),
      metrics: queryMetrics(context),
    }).pipe(Layer.provideMerge(natsLayer({ url: config.nats.url, name: "tidemark-gateway" }))),
  );

const main = Effect.gen(function* () {
  const config = yield* childConfig;
  const plans = yield* loadPlans(config);
  return yield* Effect.flatMap(services(config), (layer) =>
    serve(config, plans).pipe(Effect.scoped, Effect.provide(layer)),
  ).pipe(Effect.provide(childLogs("gateway", config)));
});

// Its errors reach us as errors; its own words on stderr would be said twice.
setLogVerbosity(logVerbosity.NONE);
runChild(main);
