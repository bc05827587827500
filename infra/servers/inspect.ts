/**
 * Looks at servers that run, ours or not, and decides whether Tidemark may rely on them.
 *
 * X1. Without proof of fsync before acknowledgement there is no start, unless it was waived; then
 *     the waiver is said as a notice.
 */
import { Effect, Schema } from "effect";
import { MESSAGE_BYTES_MIN } from "../../projections/definition/weight.ts";
import { isNewEnough, minimumVersion } from "./binary.ts";
import {
  type InspectError,
  JetStreamOff,
  NotDurable,
  PayloadTooSmall,
  ServerTooOld,
  ServerUnreachable,
} from "./errors.ts";
import { greet } from "./nats-greeting.ts";
import { fetchMonitor } from "./nats-monitor.ts";
import { redisInfo } from "./redis-info.ts";

export interface NatsInspection {
  /** Without credentials. */
  readonly url: string;
  readonly version: string;
  readonly jetStream: boolean;
  readonly maxPayloadBytes: number;
  /** Whether it syncs to disk before it acknowledges; `unknown` if its monitoring was not found. */
  readonly sync: "always" | "lazy" | "unknown";
  /** Time between syncs if lazy. */
  readonly syncIntervalMs: number | undefined;
}

export interface RedisInspection {
  readonly url: string;
  readonly version: string;
  readonly evictionPolicy: string;
}

const defaultMonitorPort = 8222;

/** URLs go into messages and logs, passwords do not. */
export const withoutCredentials = (url: string): string => url.replace(/\/\/[^@/,]*@/g, "//");

/** What /varz says; a server without JetStream omits most of it. */
const Varz = Schema.Struct({
  server_id: Schema.String,
  jetstream: Schema.optional(
    Schema.Struct({
      config: Schema.optional(
        Schema.Struct({
          sync_interval: Schema.optional(Schema.Finite),
          sync_always: Schema.optional(Schema.Boolean),
        }),
      ),
    }),
  ),
});

/**
 * Asks the server at `url` (a list is allowed). `monitorUrl` is its monitoring endpoint; without it
 * TIDEMARK_NATS_MONITOR_URL, or else the usual port on the same host is tried. An answer counts only
 * if it is from the same server.
 */
export const inspectNats = Effect.fn("inspectNats")(function* (
  url: string,
  monitorUrl?: string | undefined,
): Effect.fn.Return<NatsInspection, ServerUnreachable> {
  const where = withoutCredentials(url);
  const { host, greeting } = yield* greet(url).pipe(
    Effect.mapError((detail) => new ServerUnreachable({ server: "nats-server", where, detail })),
  );
  const hostInUrl = host.includes(":") ? `[${host}]` : host;
  const monitor =
    monitorUrl ??
    process.env["TIDEMARK_NATS_MONITOR_URL"] ??
    `http://${hostInUrl}:${defaultMonitorPort}`;
  const varz = yield* fetchMonitor(monitor, "/varz").pipe(
    Effect.flatMap(Schema.decodeUnknownEffect(Varz)),
    Effect.option,
  );
  const config =
    varz._tag === "Some" && varz.value.server_id === greeting.server_id
      ? varz.value.jetstream?.config
      : undefined;
  const lazyNanos = config?.sync_interval;
  return {
    url: where,
    version: greeting.version,
    jetStream: greeting.jetstream === true,
    maxPayloadBytes: greeting.max_payload,
    sync: config === undefined ? "unknown" : config.sync_always === true ? "always" : "lazy",
    syncIntervalMs:
      config === undefined || config.sync_always === true || lazyNanos === undefined
        ? undefined
        : lazyNanos / 1e6,
  };
});

/** Refuses a server that Tidemark cannot rely on. Returns what the operator should know. */
export const requireNats = Effect.fnUntraced(function* (
  inspection: NatsInspection,
  options: { readonly requireFsync: boolean },
): Effect.fn.Return<readonly string[], InspectError> {
  const { url: where, version, sync } = inspection;
  const server = "nats-server";
  if (!isNewEnough(server, version)) {
    const minimum = minimumVersion[server];
    return yield* new ServerTooOld({ server, where, actual: version, minimum });
  }
  if (!inspection.jetStream) return yield* new JetStreamOff({ where });
  if (inspection.maxPayloadBytes < MESSAGE_BYTES_MIN) {
    const actualBytes = inspection.maxPayloadBytes;
    return yield* new PayloadTooSmall({ where, actualBytes, minimumBytes: MESSAGE_BYTES_MIN });
  }
  if (sync === "always") return [];
  if (options.requireFsync) return yield* new NotDurable({ where, reason: sync });
  return [
    sync === "lazy"
      ? `${where} acknowledges before it syncs to disk: a power failure can lose acknowledged events`
      : `${where} may acknowledge before it syncs to disk: its monitoring endpoint was not found`,
  ];
});

export const inspectRedis = Effect.fn("inspectRedis")(function* (
  url: string,
): Effect.fn.Return<RedisInspection, ServerUnreachable> {
  const where = withoutCredentials(url);
  const unreachable = Effect.mapError(
    (detail: string) => new ServerUnreachable({ server: "redis-server", where, detail }),
  );
  const about = yield* redisInfo(url, "server").pipe(unreachable);
  const memory = yield* redisInfo(url, "memory").pipe(unreachable);
  return {
    url: where,
    version: about["redis_version"] ?? "unknown",
    evictionPolicy: memory["maxmemory_policy"] ?? "unknown",
  };
});

/** Refuses a Redis that is too old. Returns what the operator should know. */
export const requireRedis = Effect.fnUntraced(function* (
  inspection: RedisInspection,
): Effect.fn.Return<readonly string[], ServerTooOld> {
  const { url: where, version, evictionPolicy } = inspection;
  const server = "redis-server";
  if (!isNewEnough(server, version)) {
    const minimum = minimumVersion[server];
    return yield* new ServerTooOld({ server, where, actual: version, minimum });
  }
  return evictionPolicy === "noeviction"
    ? []
    : [`${where} may evict snapshots (${evictionPolicy}): recovery then reads more of the log`];
});
