/** Entry point of a worker process: `worker.ts <running-config.json> <index>`. */
import { Effect, Layer } from "effect";
import { runWorker } from "../../actors/worker/worker.ts";
import { StatusBoard } from "../../actors/worker/status-board.ts";
import { natsLayer } from "../nats/index.ts";
import { redisSnapshotStore } from "../redis/index.ts";
import { sayReady } from "../supervisor/run-main.ts";
import { childConfig, childLogs, childTelemetry, runChild } from "./child-process.ts";
import { loadPlans } from "./plans.ts";
import type { RunningConfig } from "./running-config.ts";
import type { WorkerReady } from "./system.ts";
import { problemsOf } from "./worker-problems.ts";

const index = Number(process.argv[3]);
const name = `worker-${index}`;

const services = (config: RunningConfig) =>
  Layer.mergeAll(
    natsLayer({
      url: config.nats.url,
      name: `tidemark-${name}`,
      // The first worker runs the relays, so it trims what they fill.
      ...(index === 0 && {
        retention: {
          projectionsMs: config.retention.resultsMs,
          deadLettersMs: config.retention.deadLettersMs,
        },
      }),
    }),
    redisSnapshotStore({ url: config.redis.url }),
  );

const main = Effect.gen(function* () {
  const config = yield* childConfig;
  const { projections } = yield* loadPlans(config);
  const board = new StatusBoard();
  const work = Effect.gen(function* () {
    const { port } = yield* childTelemetry(name, config, {
      problems: () => problemsOf(board.status),
      status: () => board.status,
    });
    const about: typeof WorkerReady.Type = { metricsPort: port };
    return yield* runWorker({
      index,
      workers: config.workers,
      plans: projections,
      settings: {
        snapshotEveryMs: config.snapshotEveryMs,
        compactEveryMs: config.compactEveryMs,
        resultsRetentionMs: config.retention.resultsMs,
      },
      board,
      ready: sayReady(about),
    });
  });
  return yield* work.pipe(
    Effect.provide(services(config)),
    Effect.scoped,
    Effect.provide(childLogs(name, config)),
  );
});

runChild(main);
