/**
 * A nats-server of our own, on loopback, with its log on disk before each acknowledgement.
 */
import { randomBytes } from "node:crypto";
import { Effect, type Scope } from "effect";
import type { Binary } from "./binary.ts";
import type { ServerError } from "./errors.ts";
import { type FindOptions, findBinary } from "./find-binary.ts";
import { fetchMonitor } from "./nats-monitor.ts";
import { freePort } from "./ports.ts";
import { type LaunchOptions, type RunningServer, launchServer } from "./server-process.ts";
import { storeLimitBytes } from "./store-limit.ts";

export const natsMaxPayloadBytes = 8 * 1024 * 1024;
export const natsMaxPendingBytes = 64 * 1024 * 1024;

export interface NatsServerOptions extends Omit<LaunchOptions, "binary"> {
  /** Default: found or brought. */
  readonly binary?: Binary | undefined;
  readonly find?: FindOptions | undefined;
  /** Undefined or 0 takes a free one. */
  readonly port?: number | undefined;
  readonly monitorPort?: number | undefined;
  /** False gives the server's own lazy default: faster, and a power failure loses events. */
  readonly fsync?: boolean | undefined;
  /** Bound of all streams together. Default: `storeLimitBytes`. */
  readonly maxStoreBytes?: number | undefined;
  /** Default: `natsMaxPayloadBytes`. */
  readonly maxPayloadBytes?: number | undefined;
}

export interface RunningNatsServer extends RunningServer {
  readonly port: number;
  readonly monitorPort: number;
  readonly monitorUrl: string;
}

interface Settings {
  readonly name: string;
  readonly port: number;
  readonly monitorPort: number;
  readonly storeDir: string;
  readonly fsync: boolean;
  readonly maxStoreBytes: number;
  readonly maxPayloadBytes?: number | undefined;
}

/** The configuration file. Strings are quoted as JSON, which its format understands. */
export function natsConfig(settings: Settings): string {
  const jetstream = [
    `store_dir: ${JSON.stringify(settings.storeDir)}`,
    `max_file_store: ${settings.maxStoreBytes}`,
  ];
  if (settings.fsync) jetstream.push("sync_interval: always");
  return [
    `server_name: ${JSON.stringify(settings.name)}`,
    `listen: "127.0.0.1:${settings.port}"`,
    `http: "127.0.0.1:${settings.monitorPort}"`,
    `max_payload: ${settings.maxPayloadBytes ?? natsMaxPayloadBytes}`,
    `max_pending: ${natsMaxPendingBytes}`,
    `jetstream {`,
    ...jetstream.map((line) => `  ${line}`),
    `}`,
    ``,
  ].join("\n");
}

const start = Effect.fn("NatsServer.start")(function* (
  options: NatsServerOptions,
): Effect.fn.Return<RunningNatsServer, ServerError, Scope.Scope> {
  const binary = options.binary ?? (yield* findBinary("nats-server", options.find));
  // A name that no other server has: an answer with it comes from the process we started.
  const name = `tidemark-${randomBytes(6).toString("hex")}`;

  const { plan, running } = yield* launchServer(
    { ...options, binary },
    Effect.gen(function* () {
      const port = options.port || (yield* freePort);
      const monitorPort = options.monitorPort || (yield* freePort);
      const monitorUrl = `http://127.0.0.1:${monitorPort}`;
      const answer = Effect.gen(function* () {
        yield* fetchMonitor(monitorUrl, "/healthz?js-enabled-only=true");
        const about = yield* fetchMonitor(monitorUrl, "/varz");
        if (about["server_name"] !== name) return yield* Effect.fail("another server answered");
      });
      return {
        port,
        monitorPort,
        monitorUrl,
        config: Effect.promise(async () =>
          natsConfig({
            name,
            port,
            monitorPort,
            storeDir: options.dir,
            fsync: options.fsync ?? true,
            maxPayloadBytes: options.maxPayloadBytes,
            maxStoreBytes: options.maxStoreBytes ?? (await storeLimitBytes(options.dir)),
          }),
        ),
        fixedPorts: [options.port ?? 0, options.monitorPort ?? 0],
        args: (configFile: string) => ["-c", configFile],
        answer: () => answer,
      };
    }),
  );
  const { port, monitorPort, monitorUrl } = plan;
  return { ...running, url: `nats://127.0.0.1:${port}`, port, monitorPort, monitorUrl };
});

export const NatsServer = { start } as const;
