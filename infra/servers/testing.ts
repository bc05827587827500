/**
 * Real servers for tests: a nats-server and a redis-server of their own for each test file.
 *
 *     let servers: TestServers;
 *     beforeAll(async () => { servers = await startTestServers(); });
 *     afterAll(() => servers.dispose());
 *
 * A pair starts in a fraction of a second, so test files share none: names of streams cannot clash,
 * and any test may kill its servers. What is worth sharing, the binaries, is in the user's cache
 * (`cache-dir.ts`); the first run on a machine fetches them there.
 *
 * If the test process is killed, the servers end and the folder goes all the same.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Effect, Exit, Scope } from "effect";
import { NatsServer, type NatsServerOptions, type RunningNatsServer } from "./nats-server.ts";
import { RedisServer, type RunningRedisServer } from "./redis-server.ts";
import type { RunningServer } from "./server-process.ts";

/** A server that a test may stop, kill, freeze and start again on the same port and folder. */
export interface TestServer<S extends RunningServer = RunningServer> {
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  /** The life that runs now; throws between `stop` and `start`. */
  readonly running: () => S;
  readonly pid: () => number;
  /** SIGKILL; resolves when the process has ended. */
  readonly kill9: () => Promise<void>;
  /** SIGTERM; resolves when the process has ended. */
  readonly stop: () => Promise<void>;
  /** Starts it again; resolves when it answers. Fails if it runs. */
  readonly start: () => Promise<void>;
  /** Stops it if it runs, and starts it. */
  readonly restart: () => Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. */
  readonly freeze: () => Promise<void>;
  readonly thaw: () => Promise<void>;
}

export interface TestServers {
  readonly natsUrl: string;
  readonly redisUrl: string;
  readonly nats: TestServer<RunningNatsServer>;
  readonly redis: TestServer<RunningRedisServer>;
  /** A folder of this test, removed with the servers. */
  readonly dir: string;
  readonly dispose: () => Promise<void>;
}

export interface TestServersOptions {
  readonly nats?: Pick<NatsServerOptions, "fsync" | "maxStoreBytes" | "maxPayloadBytes">;
}

interface Life<S> {
  readonly server: S;
  readonly scope: Scope.Closeable;
}

async function makeTestServer<S extends RunningServer & { readonly port: number }>(
  launch: (previous: S | undefined) => Effect.Effect<S, Error, Scope.Scope>,
): Promise<{ readonly server: TestServer<S>; readonly dispose: () => Promise<void> }> {
  let life: Life<S> | undefined;
  let last: S | undefined;

  const begin = async (): Promise<S> => {
    const scope = await Effect.runPromise(Scope.make());
    const exit = await Effect.runPromiseExit(Scope.provide(launch(last), scope));
    if (Exit.isFailure(exit)) {
      await Effect.runPromise(Scope.close(scope, Exit.void));
      return Effect.runPromise(exit);
    }
    life = { server: exit.value, scope };
    last = exit.value;
    return exit.value;
  };
  const finish = async (): Promise<void> => {
    const ending = life;
    life = undefined;
    if (ending !== undefined) await Effect.runPromise(Scope.close(ending.scope, Exit.void));
  };
  const running = (): S => {
    if (life === undefined) throw new Error("the server is stopped");
    return life.server;
  };

  const first = await begin();
  const server: TestServer<S> = {
    url: first.url,
    port: first.port,
    dir: first.dir,
    running,
    pid: () => running().pid,
    kill9: async () => {
      await Effect.runPromise(running().kill9);
      await finish();
    },
    stop: finish,
    start: async () => {
      if (life !== undefined) throw new Error("the server is running");
      await begin();
    },
    restart: async () => {
      await finish();
      await begin();
    },
    freeze: () => Effect.runPromise(running().signal("SIGSTOP")),
    thaw: () => Effect.runPromise(running().signal("SIGCONT")),
  };
  return { server, dispose: finish };
}

/** Starts both; resolves when both answer. */
export async function startTestServers(options: TestServersOptions = {}): Promise<TestServers> {
  const dir = await mkdtemp(join(tmpdir(), "tidemark-test-"));
  const removeDirs = [dir];
  const [nats, redis] = await Promise.allSettled([
    makeTestServer<RunningNatsServer>((previous) =>
      NatsServer.start({
        ...options.nats,
        dir: join(dir, "nats"),
        removeDirs,
        port: previous?.port,
        monitorPort: previous?.monitorPort,
      }),
    ),
    makeTestServer<RunningRedisServer>((previous) =>
      RedisServer.start({ dir: join(dir, "redis"), removeDirs, port: previous?.port }),
    ),
  ]);
  const dispose = async (): Promise<void> => {
    if (nats.status === "fulfilled") await nats.value.dispose();
    if (redis.status === "fulfilled") await redis.value.dispose();
    await rm(dir, { recursive: true, force: true });
  };
  if (nats.status === "rejected" || redis.status === "rejected") {
    await dispose();
    throw nats.status === "rejected" ? nats.reason : (redis as PromiseRejectedResult).reason;
  }
  return {
    natsUrl: nats.value.server.url,
    redisUrl: redis.value.server.url,
    nats: nats.value.server,
    redis: redis.value.server,
    dir,
    dispose,
  };
}
