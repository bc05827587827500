/** Our own servers as supervised children: restarted on the same ports and folders. */
import { Effect } from "effect";
import type { ChildSpec } from "../supervisor/child-spec.ts";
import type { RestartPolicy } from "../supervisor/restart-budget.ts";
import type { ServerError } from "./errors.ts";
import { NatsServer, type NatsServerOptions, type RunningNatsServer } from "./nats-server.ts";
import { RedisServer, type RedisServerOptions, type RunningRedisServer } from "./redis-server.ts";
import type { RunningServer } from "./server-process.ts";

export interface SupervisedOptions {
  readonly restart?: Partial<RestartPolicy> | undefined;
}

const living = <S extends RunningServer>(
  server: S,
): { readonly pid: number; readonly ready: S; readonly exited: S["exited"] } => ({
  pid: server.pid,
  ready: server,
  exited: server.exited,
});

export const natsServerChild = (
  options: NatsServerOptions & SupervisedOptions,
): ChildSpec<RunningNatsServer, ServerError> => ({
  name: "nats-server",
  restart: options.restart,
  start: (previous) =>
    Effect.map(
      NatsServer.start({
        ...options,
        binary: previous?.binary ?? options.binary,
        port: previous?.port ?? options.port,
        monitorPort: previous?.monitorPort ?? options.monitorPort,
      }),
      living,
    ),
});

export const redisServerChild = (
  options: RedisServerOptions & SupervisedOptions,
): ChildSpec<RunningRedisServer, ServerError> => ({
  name: "redis-server",
  restart: options.restart,
  start: (previous) =>
    Effect.map(
      RedisServer.start({
        ...options,
        binary: previous?.binary ?? options.binary,
        port: previous?.port ?? options.port,
      }),
      living,
    ),
});
