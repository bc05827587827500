/**
 * A whole system on this machine: its own servers unless URLs are given, the streams, one gateway and
 * the workers, all under one supervisor.
 *
 *     servers ─▶ streams ─▶ gateway + workers ─▶ run.json
 *
 * Y1. `startSystem` returns when every process is ready: what is then sent is taken.
 * Y2. Closing the scope drains in the reverse order: nothing acknowledged is lost, and no process
 *     and no run.json is left.
 */
import { join } from "node:path";
import { Clock, Effect, Metric, Schema } from "effect";
import type { Scope } from "effect";
import { rebuildWarning } from "../../projections/definition/rebuild.ts";
import type { Config } from "../config/config.ts";
import type { ConfigError } from "../config/errors.ts";
import {
  connectionLayer,
  provision,
  type ConnectError,
  type ProvisionError,
} from "../nats/index.ts";
import type { InspectError, ServerError } from "../servers/errors.ts";
import { inspectNats, inspectRedis, requireNats, requireRedis } from "../servers/inspect.ts";
import { natsServerChild, redisServerChild } from "../servers/supervised.ts";
import { nodeChild } from "../supervisor/node-child.ts";
import { nodeEntry } from "../supervisor/node-entry.ts";
import type { ProcessOptions } from "../supervisor/os-process.ts";
import type { ChildGaveUp, ChildStartFailed } from "../supervisor/errors.ts";
import {
  logEvent,
  makeSupervisor,
  type Supervised,
  type SupervisorEvent,
} from "../supervisor/supervisor.ts";
import { counter } from "../telemetry/metric-names.ts";
import type { Problem } from "../telemetry/health.ts";
import { serveTelemetry, type TelemetryUnavailable } from "../telemetry/telemetry-server.ts";
import { loadPlans } from "./plans.ts";
import { refuseTakenPorts, type PortTaken } from "./ports-taken.ts";
import { publishRunFile, type RunFile } from "./run-file.ts";
import { writeRunningConfig, type RunningConfig } from "./running-config.ts";

export interface SystemOptions {
  readonly config: Config;
  /** Where the output of gateway and workers goes. */
  readonly output: ProcessOptions["output"];
  readonly onEvent?: ((event: SupervisorEvent) => Effect.Effect<void>) | undefined;
}

export interface RunningSystem {
  readonly config: RunningConfig;
  readonly run: RunFile;
  /** As configured: undefined where the server is our own. */
  readonly given: { readonly nats: string | undefined; readonly redis: string | undefined };
  /** What an operator should know, such as that fsync is off. */
  readonly notices: readonly string[];
  readonly children: () => readonly Supervised<unknown>[];
  /** Fails when a process was given up. */
  readonly failure: Effect.Effect<never, ChildGaveUp>;
}

export type SystemError =
  | ConfigError
  | PortTaken
  | ServerError
  | InspectError
  | ConnectError
  | ProvisionError
  | ChildStartFailed
  | TelemetryUnavailable;

/** What a gateway or worker says when it is ready: ports, to be taken again after a restart. */
export const GatewayReady = Schema.Struct({
  address: Schema.String,
  port: Schema.Int,
  metricsPort: Schema.Int,
});
export const WorkerReady = Schema.Struct({ metricsPort: Schema.Int });

/** Names of the variables by which children learn which port to take. */
export const PORT_VARIABLE = "TIDEMARK_CHILD_PORT";
export const METRICS_PORT_VARIABLE = "TIDEMARK_CHILD_METRICS_PORT";

/** Larger young generation: gRPC and NATS buffers die young. */
const EXEC_ARGV = ["--max-semi-space-size=32"];

/** Port `index` of a row that begins at `first`; 0 leaves the choice to the system. */
const portInRow = (first: number, index: number): string => String(first === 0 ? 0 : first + index);

const gatewayChild = (config: RunningConfig, file: string, output: ProcessOptions["output"]) =>
  nodeChild<typeof GatewayReady.Type>({
    name: "gateway",
    entry: nodeEntry(import.meta.url, "./gateway.ts"),
    args: [file],
    env: (previous) => ({
      [PORT_VARIABLE]: String(previous?.port ?? config.gateway.port),
      [METRICS_PORT_VARIABLE]: String(previous?.metricsPort ?? config.metrics.port),
    }),
    ready: GatewayReady,
    execArgv: EXEC_ARGV,
    output,
  });

const workerChild = (
  config: RunningConfig,
  file: string,
  output: ProcessOptions["output"],
  index: number,
) =>
  nodeChild<typeof WorkerReady.Type>({
    name: `worker-${index}`,
    entry: nodeEntry(import.meta.url, "./worker.ts"),
    args: [file, String(index)],
    env: (previous) => ({
      [METRICS_PORT_VARIABLE]: String(
        previous?.metricsPort ?? portInRow(config.metrics.port, index + 1),
      ),
    }),
    ready: WorkerReady,
    execArgv: EXEC_ARGV,
    output,
  });

const countRestarts = (event: SupervisorEvent): Effect.Effect<void> =>
  event.type === "restarting"
    ? Metric.update(counter("childRestarts", { child: event.child }), 1)
    : Effect.void;

export const startSystem = Effect.fn("startSystem")(function* (
  options: SystemOptions,
): Effect.fn.Return<RunningSystem, SystemError, Scope.Scope> {
  const { config, output } = options;
  const { dataDir } = config;
  // Mistakes are told before anything runs; the children plan again for themselves.
  const { projections } = yield* loadPlans(config);
  yield* refuseTakenPorts(config);
  const onEvent = options.onEvent ?? logEvent;
  const supervisor = yield* makeSupervisor({
    onEvent: (event) => Effect.andThen(countRestarts(event), onEvent(event)),
  });

  const startNats = supervisor.start(
    natsServerChild({
      dir: join(dataDir, "nats"),
      port: config.nats.port,
      fsync: config.nats.requireFsync,
    }),
  );
  const startRedis = supervisor.start(
    redisServerChild({ dir: join(dataDir, "redis"), port: config.redis.port }),
  );
  const [ownNats, ownRedis] = yield* Effect.all(
    [
      config.nats.url === undefined ? startNats : Effect.undefined,
      config.redis.url === undefined ? startRedis : Effect.undefined,
    ],
    { concurrency: "unbounded" },
  );
  const nats = ownNats?.life()?.ready;
  const natsUrl = config.nats.url ?? nats!.url;
  const redisUrl = config.redis.url ?? ownRedis!.life()!.ready.url;
  const running: RunningConfig = {
    ...config,
    nats: { ...config.nats, url: natsUrl },
    redis: { ...config.redis, url: redisUrl },
  };

  const inspected = yield* inspectNats(natsUrl, nats?.monitorUrl);
  const notices = [...(yield* requireNats(inspected, config.nats))];
  notices.push(...(yield* redisNotices(redisUrl)));
  notices.push(...projections.flatMap((plan) => rebuildWarning(plan) ?? []));
  yield* provision({ topics: running.topics }).pipe(
    Effect.provide(connectionLayer({ url: natsUrl, name: "tidemark-system" })),
  );

  const file = yield* Effect.promise(() => writeRunningConfig(running));
  const gateway = gatewayChild(running, file, output);
  const workers = Array.from({ length: config.workers }, (_, index) =>
    workerChild(running, file, output, index),
  );
  const [[gatewayLife], workerLives] = yield* Effect.all(
    [supervisor.startAll([gateway]), supervisor.startAll(workers)],
    { concurrency: "unbounded" },
  );
  const gatewayReady = gatewayLife!.life()!.ready;
  const metricsUrl = (port: number) => `http://${config.metrics.host}:${port}/metrics`;
  const telemetry = yield* serveTelemetry({
    process: "system",
    host: config.metrics.host,
    port: Number(portInRow(config.metrics.port, config.workers + 1)),
    problems: () => whoIsAway(supervisor.children()),
    status: () => supervisor.children().map(statusOf),
  });
  const run = yield* publishRunFile(dataDir, {
    startedAt: new Date(yield* Clock.currentTimeMillis).toISOString(),
    gateway: gatewayReady.address,
    natsUrl,
    ...(nats === undefined ? {} : { natsMonitorUrl: nats.monitorUrl }),
    redisUrl,
    processes: [
      { name: "system", metrics: metricsUrl(telemetry.port) },
      { name: "gateway", metrics: metricsUrl(gatewayReady.metricsPort) },
      ...workerLives.map(({ name, life }) => ({
        name,
        metrics: metricsUrl(life()!.ready.metricsPort),
      })),
    ],
  });
  return {
    config: running,
    run,
    given: { nats: config.nats.url, redis: config.redis.url },
    notices,
    children: supervisor.children,
    failure: supervisor.failure,
  };
});

const whoIsAway = (children: readonly Supervised<unknown>[]): readonly Problem[] =>
  children
    .filter(({ life }) => life() === undefined)
    .map(({ name }) => ({ about: name, reason: "it is not running" }));

const statusOf = ({ name, life, restarts }: Supervised<unknown>) => ({
  name,
  pid: life()?.pid ?? null,
  restarts: restarts(),
});

/** Redis is a cache: without it the system goes on, and says so. */
const redisNotices = (url: string): Effect.Effect<readonly string[], InspectError> =>
  inspectRedis(url).pipe(
    Effect.flatMap(requireRedis),
    Effect.catchTag("ServerUnreachable", (error) =>
      Effect.succeed([`${error.message} Going on without snapshots: a restart re-reads the log.`]),
    ),
  );
