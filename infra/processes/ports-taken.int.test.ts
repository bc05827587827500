import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Effect } from "effect";
import { afterEach, beforeEach, expect, it } from "vitest";
import { loadConfig } from "../config/load.ts";
import { publishRunFile } from "./run-file.ts";
import { startSystem } from "./system.ts";

let dataDir = "";
let port = 0;
const holder = createServer();
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "tidemark-ports-"));
  await new Promise<void>((done) => holder.listen(0, "127.0.0.1", done));
  ({ port } = holder.address() as AddressInfo);
});
afterEach(async () => {
  await new Promise((done) => holder.close(done));
  await rm(dataDir, { recursive: true });
});

const start = (overrides: object) =>
  Effect.gen(function* () {
    const config = yield* Effect.promise(() =>
      loadConfig({
        cwd: dataDir,
        environment: {},
        overrides: { dataDir, workers: 2, ...overrides },
      }),
    );
    const error = yield* Effect.flip(startSystem({ config, output: "inherit" }));
    return error.message;
  });

it("a taken port is told before servers are started", async () => {
  const message = await Effect.runPromise(
    Effect.scoped(start({ "gateway.port": port, "metrics.port": 0 })),
  );
  expect(message).toBe(
    `port ${port} is in use, so that the gateway cannot listen on it: another Tidemark may be running. ` +
      "End what holds it, or choose another port with --port (gateway.port); 0 takes a free one",
  );
  expect(existsSync(join(dataDir, "nats"))).toBe(false);
});

it("so is one of the row of metrics, and the system that runs on the data folder is named", async () => {
  const message = await Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        yield* publishRunFile(dataDir, {
          startedAt: "2001-01-01T00:00:00.000Z",
          gateway: "127.0.0.1:1",
          natsUrl: "nats://127.0.0.1:1",
          redisUrl: "redis://127.0.0.1:1",
          processes: [],
        });
        // The last of the row: that of the system itself.
        return yield* start({ "gateway.port": 0, "metrics.port": port - 3 });
      }),
    ),
  );
  // One before it may be another's by chance.
  expect(message).toMatch(/^port \d+ is in use, so that a server of metrics cannot listen on it: /);
  expect(message).toContain(`another Tidemark is running, process ${process.pid} on ${dataDir}. `);
  expect(existsSync(join(dataDir, "nats"))).toBe(false);
});
