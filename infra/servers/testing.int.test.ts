import { existsSync } from "node:fs";
import { Redis } from "ioredis";
import { AckPolicy, connect } from "nats";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestServers, startTestServers } from "./testing.ts";

let servers: TestServers;
beforeAll(async () => {
  servers = await startTestServers();
});
afterAll(() => servers.dispose());

test("what JetStream acknowledged is there after kill -9, on the same port", async () => {
  const before = await connect({ servers: servers.natsUrl });
  const manager = await before.jetstreamManager();
  await manager.streams.add({ name: "S", subjects: ["s"] });
  await before.jetstream().publish("s", "kept");
  await before.close();

  const killed = servers.nats.pid();
  await servers.nats.kill9();
  expect(() => process.kill(killed, 0)).toThrow("ESRCH");
  await servers.nats.start();
  expect(servers.nats.pid()).not.toBe(killed);
  expect(servers.nats.running().port).toBe(servers.nats.port);

  const after = await connect({ servers: servers.natsUrl });
  const info = await (await after.jetstreamManager()).streams.info("S");
  expect(info.state.messages).toBe(1);
  await after.close();
});

test("Redis answers on the same port after kill -9, and is empty", async () => {
  const before = new Redis(servers.redisUrl);
  await before.set("key", "value");
  before.disconnect();
  await servers.redis.kill9();
  await servers.redis.restart();
  const after = new Redis(servers.redisUrl);
  expect(await after.get("key")).toBeNull();
  after.disconnect();
});

test("a message of 8 MB passes", async () => {
  const client = await connect({ servers: servers.natsUrl });
  expect(client.info?.max_payload).toBe(8 * 1024 * 1024);
  const manager = await client.jetstreamManager();
  await manager.streams.add({ name: "BIG", subjects: ["big"] });
  await client.jetstream().publish("big", new Uint8Array(8 * 1024 * 1024 - 1_024));
  await manager.consumers.add("BIG", { durable_name: "c", ack_policy: AckPolicy.Explicit });
  const message = await (await client.jetstream().consumers.get("BIG", "c")).next();
  expect(message?.data.length).toBe(8 * 1024 * 1024 - 1_024);
  await client.close();
});

test("two pairs live side by side, and disposing one removes its folder and its processes", async () => {
  const other = await startTestServers();
  expect(other.natsUrl).not.toBe(servers.natsUrl);
  expect(other.redisUrl).not.toBe(servers.redisUrl);
  const pids = [other.nats.pid(), other.redis.pid()];
  await other.dispose();
  expect(existsSync(other.dir)).toBe(false);
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  expect(() => process.kill(servers.nats.pid(), 0)).not.toThrow();
});
