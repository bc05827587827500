/** Entry point of the gateway process: `gateway.ts <running-config.json>`. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Effect } from "effect";
import { IngestLog } from "../../actors/ports/ingest-log.ts";
import { IngestService } from "../../gateway/ingest/ingest-service.ts";
import { GatewayServer } from "../../gateway/server.ts";
import { natsLayer } from "../nats/index.ts";
import { runMain, sayReady } from "../supervisor/run-main.ts";
import { ingestMetrics } from "../telemetry/ingest-metrics.ts";
import { childConfig, childLogs, childTelemetry, portFrom } from "./child-process.ts";
import { systemClock } from "./gateway-clock.ts";
import { loadPlans } from "./plans.ts";
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

const serve = Effect.fnUntraced(function* (config: RunningConfig) {
  const { topics } = yield* loadPlans(config);
  const context = yield* Effect.context<never>();
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
          services: [ingest],
          maxRequestBytes: config.gateway.maxRequestBytes,
          reflection: config.gateway.reflection ? contract() : undefined,
          clock: systemClock,
        }),
      catch: (error) => error as Error,
    }),
    (listening) => Effect.promise(() => listening.shutdown(DRAIN_MS)),
  );
  const { port: metricsPort } = yield* childTelemetry("gateway", config, {
    health: () => undefined,
    status: () => ({ address: server.address }),
  });
  const about: typeof GatewayReady.Type = {
    address: server.address,
    port: server.port,
    metricsPort,
  };
  yield* sayReady(about);
  return yield* Effect.never;
});

const main = Effect.gen(function* () {
  const config = yield* childConfig;
  return yield* serve(config).pipe(
    Effect.scoped,
    Effect.provide(natsLayer({ url: config.nats.url, name: "tidemark-gateway" })),
    Effect.provide(childLogs("gateway", config)),
  );
});

runMain(main);
