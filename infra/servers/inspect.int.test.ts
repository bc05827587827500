import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Effect, type Scope } from "effect";
import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { inspectNats, inspectRedis, requireNats, requireRedis } from "./inspect.ts";
import { natsAddresses } from "./nats-greeting.ts";
import { NatsServer } from "./nats-server.ts";
import { freePort } from "./ports.ts";
import { RedisServer } from "./redis-server.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidemark-inspect-test-"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true, force: true });
});

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.scoped(effect));
const strict = { requireFsync: true };

/** The URL of something that greets like a nats-server of another kind. */
const greeter = (greeting: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((socket) => socket.on("error", () => undefined).write(greeting));
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)));
    }),
    (server) => Effect.sync(() => server.close()),
  ).pipe(Effect.map((server) => `nats://127.0.0.1:${(server.address() as AddressInfo).port}`));

test("our own servers pass without a remark", async () => {
  await run(
    Effect.gen(function* () {
      const nats = yield* NatsServer.start({ dir });
      const inspection = yield* inspectNats(nats.url, nats.monitorUrl);
      expect(inspection).toEqual({
        url: nats.url,
        version: nats.version,
        jetStream: true,
        maxPayloadBytes: 8 * 1024 * 1024,
        sync: "always",
        syncIntervalMs: undefined,
      });
      expect(yield* requireNats(inspection, strict)).toEqual([]);
      const redis = yield* inspectRedis((yield* RedisServer.start({ dir })).url);
      expect(redis.evictionPolicy).toBe("noeviction");
      expect(yield* requireRedis(redis)).toEqual([]);
    }),
  );
});

test("a server that syncs later is refused, or used with a notice if that was accepted", async () => {
  await run(
    Effect.gen(function* () {
      const nats = yield* NatsServer.start({ dir, fsync: false });
      vi.stubEnv("TIDEMARK_NATS_MONITOR_URL", nats.monitorUrl);
      const inspection = yield* inspectNats(nats.url);
      expect(inspection).toMatchObject({ sync: "lazy", syncIntervalMs: 120_000 });
      const error = yield* Effect.flip(requireNats(inspection, strict));
      expect(error).toMatchObject({ _tag: "NotDurable", reason: "lazy" });
      expect(error.message).toContain("sync_interval: always");
      const notices = yield* requireNats(inspection, { requireFsync: false });
      expect(notices).toHaveLength(1);
      expect(notices[0]).toContain("a power failure can lose acknowledged events");
    }),
  );
});

test("without its monitoring endpoint, or with that of another server, fsync is unknown", async () => {
  await run(
    Effect.gen(function* () {
      const nats = yield* NatsServer.start({ dir: join(dir, "a") });
      const other = yield* NatsServer.start({ dir: join(dir, "b") });
      const nowhere = `http://127.0.0.1:${yield* freePort}`;
      for (const monitorUrl of [nowhere, other.monitorUrl]) {
        const inspection = yield* inspectNats(nats.url, monitorUrl);
        expect(inspection.sync).toBe("unknown");
        const error = yield* Effect.flip(requireNats(inspection, strict));
        expect(error.message).toContain("TIDEMARK_NATS_MONITOR_URL");
      }
    }),
  );
});

test("a server that is too old is refused with both versions", async () => {
  const info = { server_id: "N", version: "2.9.10", jetstream: true, max_payload: 1_048_576 };
  const { error, url } = await run(
    Effect.gen(function* () {
      const url = yield* greeter(`INFO ${JSON.stringify(info)}\r\n`);
      return { url, error: yield* Effect.flip(requireNats(yield* inspectNats(url), strict)) };
    }),
  );
  expect(error.message).toContain(
    `nats-server at ${url} is version 2.9.10; Tidemark needs 2.12.0 or newer.`,
  );
});

test("a server whose messages are too small is refused with both sizes", async () => {
  const info = { server_id: "N", version: "2.12.1", jetstream: true, max_payload: 65_536 };
  const error = await run(
    Effect.gen(function* () {
      const url = yield* greeter(`INFO ${JSON.stringify(info)}\r\n`);
      return yield* Effect.flip(requireNats(yield* inspectNats(url), strict));
    }),
  );
  expect(error._tag).toBe("PayloadTooSmall");
  expect(error.message).toContain("at most 65536 bytes (max_payload); Tidemark needs 1048576");
});

test("a server without JetStream is refused", async () => {
  const info = { server_id: "N", version: "2.12.1", max_payload: 1_048_576 };
  const error = await run(
    Effect.gen(function* () {
      const url = yield* greeter(`INFO ${JSON.stringify(info)}\r\n`);
      return yield* Effect.flip(requireNats(yield* inspectNats(url), strict));
    }),
  );
  expect(error._tag).toBe("JetStreamOff");
});

test("what does not answer, or is something else, is an error that names the URL", async () => {
  await run(
    Effect.gen(function* () {
      const port = yield* freePort;
      const nats = yield* Effect.flip(inspectNats(`nats://me:secret@127.0.0.1:${port}`));
      expect(nats.message).toContain(`nats-server at nats://127.0.0.1:${port} does not answer`);
      expect(nats.message).not.toContain("secret");
      const redis = yield* Effect.flip(inspectRedis(`redis://127.0.0.1:${port}`));
      expect(redis.message).toContain("ECONNREFUSED");
      const web = yield* greeter("HTTP/1.1 400 Bad Request\r\n");
      expect((yield* Effect.flip(inspectNats(web))).message).toContain("it is not a nats-server");
    }),
  );
});

test("a Redis that evicts is used, with a notice", async () => {
  await run(
    Effect.gen(function* () {
      const { url } = yield* RedisServer.start({ dir });
      const redis = new Redis(url);
      yield* Effect.promise(() => redis.config("SET", "maxmemory-policy", "allkeys-lru"));
      redis.disconnect();
      const notices = yield* requireRedis(yield* inspectRedis(url));
      expect(notices).toHaveLength(1);
      expect(notices[0]).toContain("allkeys-lru");
    }),
  );
});

test("a Redis that is too old is refused", async () => {
  const inspection = { url: "redis://r:6379", version: "6.0.16", evictionPolicy: "noeviction" };
  const error = await Effect.runPromise(Effect.flip(requireRedis(inspection)));
  expect(error.message).toContain("is version 6.0.16; Tidemark needs 6.2.0 or newer");
});

test("lists of servers, with and without scheme and port", () => {
  expect(natsAddresses("nats://a:4333, b,tls://[::1]:4444")).toEqual([
    { host: "a", port: 4333 },
    { host: "b", port: 4222 },
    { host: "::1", port: 4444 },
  ]);
});
