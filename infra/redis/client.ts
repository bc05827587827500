/**
 * A connection to Redis that never holds up its users: while Redis is away every command fails at
 * once, and each command has a time limit.
 */
import { createHash } from "node:crypto";
import { Effect } from "effect";
import type { Scope } from "effect";
import { Redis } from "ioredis";

export interface RedisOptions {
  readonly url: string;
  /** Time limit of one command; a chunk of a snapshot is the largest. */
  readonly commandTimeoutMs?: number;
}

const defaultCommandTimeoutMs = 3_000;
/** How long the start waits for Redis before it goes on without. */
const firstConnectMs = 2_000;
const reconnectDelayMinMs = 50;
const reconnectDelayMaxMs = 2_000;

const make = (options: RedisOptions): Redis => {
  const commandTimeout = options.commandTimeoutMs ?? defaultCommandTimeoutMs;
  return new Redis(options.url, {
    connectionName: "tidemark",
    lazyConnect: true,
    connectTimeout: commandTimeout,
    commandTimeout,
    // A server that is frozen, not gone: do not pile up commands for it.
    socketTimeout: commandTimeout * 2,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (times) =>
      Math.min(reconnectDelayMaxMs, reconnectDelayMinMs * 2 ** Math.min(times - 1, 10)),
  });
};

/** Connects in the background, and stays until the scope closes. Redis need not be there. */
export const connectRedis = Effect.fnUntraced(function* (
  options: RedisOptions,
): Effect.fn.Return<Redis, never, Scope.Scope> {
  const runFork = Effect.runForkWith(yield* Effect.context<never>());
  const { host } = new URL(options.url);
  const log = (message: string) =>
    runFork(Effect.logWarning(message).pipe(Effect.annotateLogs({ redis: host })));
  const redis = yield* Effect.acquireRelease(
    Effect.sync(() => make(options)),
    (client) => Effect.sync(() => client.disconnect()),
  );
  // One line an outage, not one an attempt.
  let away = false;
  redis.on("error", (error: Error) => {
    if (away) return;
    away = true;
    log(`Redis cannot be reached, going on without snapshots: ${error.message}`);
  });
  redis.on("ready", () => {
    if (away) log("Redis can be reached again");
    away = false;
  });
  yield* Effect.ignore(Effect.tryPromise(() => redis.connect())).pipe(
    Effect.timeoutOption(firstConnectMs),
  );
  return redis;
});

/** Runs a script by its digest, and by its text where Redis does not know it yet. */
export const runScript = async (
  redis: Redis,
  script: string,
  key: string,
  args: readonly (string | number | Buffer)[],
): Promise<unknown> => {
  const digest = createHash("sha1").update(script).digest("hex");
  try {
    return await redis.evalsha(digest, 1, key, ...args);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
    return redis.eval(script, 1, key, ...args);
  }
};
