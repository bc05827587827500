/** Asks a Redis server about itself, over a connection of its own that is closed again. */
import { Redis } from "ioredis";
import { Effect } from "effect";

const timeoutMs = 2_000;

const withConnection = <A>(
  url: string,
  use: (redis: Redis) => Promise<A>,
): Effect.Effect<A, string> =>
  Effect.tryPromise({
    try: async () => {
      const redis = new Redis(url, {
        lazyConnect: true,
        retryStrategy: () => null,
        connectTimeout: timeoutMs,
        commandTimeout: timeoutMs,
        enableReadyCheck: false,
      });
      let problem: Error | undefined;
      redis.on("error", (error: Error) => (problem = error));
      try {
        await redis.connect();
        return await use(redis);
      } catch (cause) {
        throw problem ?? cause;
      } finally {
        redis.disconnect();
      }
    },
    catch: (cause) => (cause instanceof Error ? cause.message : String(cause)),
  });

/** A section of INFO as key and value. */
export const redisInfo = (
  url: string,
  section: string,
): Effect.Effect<Readonly<Record<string, string>>, string> =>
  withConnection(url, async (redis) => {
    const text = await redis.info(section);
    const pairs = [...text.matchAll(/^([^#:\r\n]+):(.*?)\r?$/gm)];
    return Object.fromEntries(pairs.map((pair) => [pair[1]!, pair[2]!]));
  });
