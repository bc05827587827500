/**
 * A redis-server of our own, on loopback. It keeps nothing on disk: snapshots are a cache that the
 * log can rebuild (decision 003), so a restarted server is empty, and right.
 */
import { Effect, type Scope } from "effect";
import type { OsProcess } from "../supervisor/os-process.ts";
import type { Binary } from "./binary.ts";
import type { ServerError } from "./errors.ts";
import { type FindOptions, findBinary } from "./find-binary.ts";
import { freePort } from "./ports.ts";
import { redisInfo } from "./redis-info.ts";
import { type LaunchOptions, type RunningServer, launchServer } from "./server-process.ts";

export interface RedisServerOptions extends Omit<LaunchOptions, "binary"> {
  /** Default: found or brought. */
  readonly binary?: Binary | undefined;
  readonly find?: FindOptions | undefined;
  /** Undefined or 0 takes a free one. */
  readonly port?: number | undefined;
}

export interface RunningRedisServer extends RunningServer {
  readonly port: number;
}

/** The configuration file. Nothing is evicted: a snapshot is replaced whole or not at all. */
export const redisConfig = (port: number, dir: string): string =>
  [
    `bind 127.0.0.1`,
    `port ${port}`,
    `dir ${JSON.stringify(dir)}`,
    `save ""`,
    `appendonly no`,
    `maxmemory-policy noeviction`,
    `daemonize no`,
    ``,
  ].join("\n");

const start = Effect.fn("RedisServer.start")(function* (
  options: RedisServerOptions,
): Effect.fn.Return<RunningRedisServer, ServerError, Scope.Scope> {
  const binary = options.binary ?? (yield* findBinary("redis-server", options.find));

  const { plan, running } = yield* launchServer(
    { ...options, binary },
    Effect.gen(function* () {
      const port = options.port || (yield* freePort);
      const url = `redis://127.0.0.1:${port}`;
      return {
        port,
        url,
        config: Effect.succeed(redisConfig(port, options.dir)),
        fixedPorts: [options.port ?? 0],
        args: (configFile: string) => [configFile],
        answer: (server: OsProcess) =>
          Effect.gen(function* () {
            const info = yield* redisInfo(url, "server");
            // The process id tells our server from one that took the port first.
            if (info["process_id"] !== String(server.pid)) {
              return yield* Effect.fail("another server answered");
            }
          }),
      };
    }),
  );
  return { ...running, url: plan.url, port: plan.port };
});

export const RedisServer = { start } as const;
