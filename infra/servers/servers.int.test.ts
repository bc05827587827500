/** Our own servers: how they start, refuse to start, and end. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Effect, type Scope } from "effect";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findBinary } from "./find-binary.ts";
import { NatsServer, natsConfig } from "./nats-server.ts";
import { freePort } from "./ports.ts";
import { isAlive, recordOf } from "./process-identity.ts";
import { redisInfo } from "./redis-info.ts";
import { RedisServer, redisConfig } from "./redis-server.ts";
import { launchServer } from "./server-process.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidemark-servers-test-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.scoped(effect));

/** A port that somebody else holds. */
const heldPort: Effect.Effect<number, never, Scope.Scope> = Effect.acquireRelease(
  Effect.callback<ReturnType<typeof createServer>>((resume) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)));
  }),
  (server) => Effect.sync(() => server.close()),
).pipe(Effect.map((server) => (server.address() as AddressInfo).port));

const kinds = [
  { name: "nats-server" as const, start: NatsServer.start },
  { name: "redis-server" as const, start: RedisServer.start },
];

describe.each(kinds)("$name", ({ name, start }) => {
  test("it ends with its scope", async () => {
    const pid = await run(Effect.map(start({ dir }), (server) => server.pid));
    expect(recordOf(pid)).toBeUndefined();
    expect(existsSync(join(dir, `${name}.owner.json`))).toBe(false);
  });

  test("it ends even when it is frozen", async () => {
    const pid = await run(
      Effect.gen(function* () {
        const server = yield* start({ dir, graceMs: 2_000 });
        yield* server.signal("SIGSTOP");
        return server.pid;
      }),
    );
    expect(recordOf(pid)).toBeUndefined();
  });

  test("a port in use is an error that names the port", async () => {
    const { error, port } = await run(
      Effect.gen(function* () {
        const port = yield* heldPort;
        return { port, error: yield* Effect.flip(start({ dir, port })) };
      }),
    );
    expect(error).toMatchObject({ _tag: "PortInUse", server: name, port });
    expect(error.message).toContain(`Port ${port} is in use, so ${name} cannot listen on it.`);
  });

  test("a directory that cannot be written is an error that names it", async () => {
    const file = join(dir, "file");
    await writeFile(file, "");
    const error = await run(Effect.flip(start({ dir: join(file, "data") })));
    expect(error).toMatchObject({ _tag: "DirectoryUnusable", dir: join(file, "data") });
    expect(error.message).toContain(`${name} cannot write to ${join(file, "data")}`);
  });

  test("a directory serves one owner at a time", async () => {
    const error = await run(
      Effect.gen(function* () {
        yield* start({ dir });
        return yield* Effect.flip(start({ dir }));
      }),
    );
    expect(error).toMatchObject({ _tag: "DirectoryInUse", dir, ownerPid: process.pid });
  });

  test("it takes a directory over from an owner that is dead", async () => {
    const owner = { pid: process.pid, identity: "of a process that had this pid before" };
    await writeFile(join(dir, `${name}.owner.json`), JSON.stringify({ owner }));
    await run(start({ dir }));
  });
});

test("a nats-server left over by a dead owner is ended before another uses its store", async () => {
  const binary = await Effect.runPromise(findBinary("nats-server"));
  const [port, monitorPort] = await Effect.runPromise(Effect.all([freePort, freePort]));
  const config = join(dir, "left-over.conf");
  const settings = { name: "left-over", port, monitorPort, fsync: true, maxStoreBytes: 1e9 };
  await writeFile(config, natsConfig({ ...settings, storeDir: dir }));
  const leftOver = spawn(binary.path, ["-c", config], { env: binary.env, stdio: "ignore" });
  const server = recordOf(leftOver.pid!)!;
  const owner = { pid: server.pid, identity: "of the owner that was killed" };
  await writeFile(join(dir, "nats-server.owner.json"), JSON.stringify({ owner, server }));

  await run(
    Effect.gen(function* () {
      const running = yield* NatsServer.start({ dir });
      expect(isAlive(server)).toBe(false);
      expect(running.pid).not.toBe(server.pid);
    }),
  );
});

test("a stranger that got the pid of a dead server is left alone", async () => {
  const stranger = spawn("sleep", ["600"], { stdio: "ignore" });
  const record = recordOf(stranger.pid!)!;
  try {
    const owner = { pid: 1, identity: "dead" };
    const server = { pid: record.pid, identity: "of the server that had this pid before" };
    await writeFile(join(dir, "nats-server.owner.json"), JSON.stringify({ owner, server }));
    await run(NatsServer.start({ dir }));
    expect(isAlive(record)).toBe(true);
  } finally {
    stranger.kill("SIGKILL");
  }
});

test("the monitoring port of nats-server is named too when it is in use", async () => {
  const { error, port } = await run(
    Effect.gen(function* () {
      const port = yield* heldPort;
      return { port, error: yield* Effect.flip(NatsServer.start({ dir, monitorPort: port })) };
    }),
  );
  expect(error).toMatchObject({ _tag: "PortInUse", port });
});

test("a free port that somebody took first is replaced by another", async () => {
  const binary = await Effect.runPromise(findBinary("redis-server"));
  await run(
    Effect.gen(function* () {
      const taken = yield* heldPort;
      const free = yield* freePort;
      const offers = [taken, taken, free];
      const plan = Effect.sync(() => {
        const port = offers.shift()!;
        return {
          port,
          config: Effect.succeed(redisConfig(port, dir)),
          args: (configFile: string) => [configFile],
          fixedPorts: [],
          answer: () => redisInfo(`redis://127.0.0.1:${port}`, "server").pipe(Effect.asVoid),
        };
      });
      const launched = yield* launchServer({ binary, dir }, plan);
      expect(launched.plan.port).toBe(free);
      expect(launched.running.hasExited()).toBe(false);
    }),
  );
});

test("a server that ends at once says what its log says", async () => {
  const binary = await Effect.runPromise(findBinary("redis-server"));
  const fake = { ...binary, path: join(dir, "broken") };
  await mkdir(join(dir, "data"));
  await writeFile(fake.path, "#!/bin/sh\necho 'Fatal: no such luck' >&2\nexit 3\n", {
    mode: 0o755,
  });
  const error = await run(Effect.flip(RedisServer.start({ dir: join(dir, "data"), binary: fake })));
  expect(error.message).toBe(
    "redis-server did not start: it ended with exit code 3 (Fatal: no such luck). " +
      `Its log is ${join(dir, "data", "redis-server.log")}.`,
  );
});

test("a full disk is an error that names the directory", async () => {
  const binary = await Effect.runPromise(findBinary("nats-server"));
  const fake = { ...binary, path: join(dir, "full") };
  await mkdir(join(dir, "data"));
  const says = "[FTL] could not create storage directory: no space left on device";
  await writeFile(fake.path, `#!/bin/sh\necho '${says}' >&2\nexit 1\n`, { mode: 0o755 });
  const error = await run(Effect.flip(NatsServer.start({ dir: join(dir, "data"), binary: fake })));
  expect(error).toMatchObject({ _tag: "DirectoryUnusable", dir: join(dir, "data") });
  expect(error.message).toContain("no space left on device");
});
