/** The Redis adapter keeps the port's contract, and costs only time when Redis fails. */
import { Context, Effect, Fiber, Layer, Schedule } from "effect";
import { Redis } from "ioredis";
import { describe, expect } from "vitest";
import { bytesOf, sameBytes } from "../../actors/ports/contract/bytes.ts";
import {
  SnapshotStoreRig,
  snapshotStoreSuite,
} from "../../actors/ports/contract/snapshot-store.suite.ts";
import { suiteRuntime } from "../../actors/ports/contract/suite-runtime.ts";
import { SnapshotStore, SnapshotUnavailable } from "../../actors/ports/snapshot-store.ts";
import { startTestServers } from "../servers/testing.ts";
import type { TestServers } from "../servers/testing.ts";
import { chunkBytesMax, manifestKey, redisSnapshotStore } from "./snapshot-store.ts";

class Servers extends Context.Service<Servers, TestServers>()("Servers") {}

/** A client of the test's own, to look and to damage. */
class Prober extends Context.Service<Prober, Redis>()("Prober") {}

const servers = Layer.effect(
  Servers,
  Effect.acquireRelease(
    Effect.promise(() => startTestServers()),
    (running) => Effect.promise(() => running.dispose()),
  ),
);

const prober = Layer.effect(
  Prober,
  Effect.gen(function* () {
    const { redisUrl } = yield* Servers;
    return yield* Effect.acquireRelease(
      Effect.sync(() => new Redis(redisUrl).on("error", () => {})),
      (redis) => Effect.sync(() => redis.disconnect()),
    );
  }),
);

const keysOf = (redis: Redis, name: string) =>
  Effect.promise(async () => (await redis.keys(`${manifestKey(name)}*`)).sort());

/** The key of the chunk in the middle. */
const middleChunk = Effect.fnUntraced(function* (name: string) {
  const chunks = (yield* keysOf(yield* Prober, name)).slice(1);
  return chunks[chunks.length >>> 1] ?? "none";
});

const flipBit = Effect.fnUntraced(function* (redis: Redis, key: string, bit: number) {
  const value = yield* Effect.promise(() => redis.getbit(key, bit));
  yield* Effect.promise(() => redis.setbit(key, bit, 1 - value));
});

const rig = Layer.effect(
  SnapshotStoreRig,
  Effect.map(Prober, (redis) => ({
    flipBit: (name: string) =>
      Effect.gen(function* () {
        const chunk = yield* middleChunk(name);
        const bits = 8 * (yield* Effect.promise(() => redis.strlen(chunk)));
        if (bits > 0) yield* flipBit(redis, chunk, Math.floor(bits / 3));
        else yield* flipBit(redis, manifestKey(name), 13);
      }).pipe(Effect.provideService(Prober, redis)),
  })),
);

const store = Layer.unwrap(
  Effect.map(Servers, ({ redisUrl }) =>
    redisSnapshotStore({ url: redisUrl, commandTimeoutMs: 20_000 }),
  ),
);
const layer = Layer.mergeAll(store, rig).pipe(
  Layer.provideMerge(prober),
  Layer.provideMerge(servers),
);

snapshotStoreSuite("Redis", layer);

const snapshot = (epoch: number, size: number) => ({
  epoch,
  inputSequence: size,
  data: bytesOf(epoch, size),
});

describe("Redis fails", () => {
  const test = suiteRuntime(layer);
  const large = 3 * chunkBytesMax + 5;

  test(
    "Z1: a large snapshot replaces a large one and leaves no other key",
    Effect.gen(function* () {
      const snapshots = yield* SnapshotStore;
      const redis = yield* Prober;
      for (const epoch of [1, 2, 3]) {
        yield* snapshots.save("replaced.0", snapshot(epoch, large));
        expect(yield* keysOf(redis, "replaced.0")).toHaveLength(1 + 4);
      }
      expect(yield* snapshots.save("replaced.0", snapshot(2, large))).toBe(false);
      expect(yield* keysOf(redis, "replaced.0")).toHaveLength(1 + 4);
      for (const key of yield* keysOf(redis, "replaced.0")) {
        expect(yield* Effect.promise(() => redis.ttl(key))).toBe(-1);
      }
      yield* snapshots.save("replaced.0", snapshot(4, 10));
      expect(yield* keysOf(redis, "replaced.0")).toHaveLength(1 + 1);
      yield* snapshots.remove("replaced.0");
      expect(yield* keysOf(redis, "replaced.0")).toEqual([]);
    }),
  );

  test(
    "Z1: a save that stops before its manifest leaves the previous snapshot whole",
    Effect.gen(function* () {
      const snapshots = yield* SnapshotStore;
      const redis = yield* Prober;
      yield* snapshots.save("torn.0", snapshot(1, large));
      const whole = yield* keysOf(redis, "torn.0");
      const saving = yield* Effect.forkChild(snapshots.save("torn.0", snapshot(2, 40_000_000)), {
        startImmediately: true,
      });
      const orphans = yield* keysOf(redis, "torn.0").pipe(
        Effect.map((keys) => keys.filter((key) => !whole.includes(key))),
        Effect.repeat({ until: (keys) => keys.length > 0 }),
      );
      yield* Fiber.interrupt(saving);
      expect(yield* snapshots.load("torn.0")).toMatchObject({ epoch: 1 });
      const [orphan = "none"] = orphans;
      expect(yield* Effect.promise(() => redis.ttl(orphan))).toBeGreaterThan(0);
    }),
  );

  test(
    "S2: a missing chunk, and any damaged manifest, is no snapshot and stops no save",
    Effect.gen(function* () {
      const snapshots = yield* SnapshotStore;
      const redis = yield* Prober;
      yield* snapshots.save("missing.0", snapshot(5, large));
      const chunk = yield* middleChunk("missing.0");
      yield* Effect.promise(() => redis.del(chunk));
      expect(yield* snapshots.load("missing.0")).toBeUndefined();
      for (const damage of [
        flipBit(redis, manifestKey("missing.0"), 6),
        Effect.promise(() => redis.set(manifestKey("missing.0"), "")),
        Effect.promise(() => redis.set(manifestKey("missing.0"), "9 9 x 1 1 beef beef")),
        Effect.promise(async () => {
          await redis.del(manifestKey("missing.0"));
          await redis.lpush(manifestKey("missing.0"), "another type");
        }),
      ]) {
        yield* damage;
        const lower = snapshot(4, 1_000);
        expect(yield* snapshots.save("missing.0", lower)).toBe(true);
        const loaded = yield* snapshots.load("missing.0");
        expect(sameBytes(loaded?.data ?? new Uint8Array(), lower.data)).toBe(true);
      }
    }),
  );

  test(
    "FLUSHALL and SCRIPT FLUSH lose the snapshot, nothing else",
    Effect.gen(function* () {
      const snapshots = yield* SnapshotStore;
      const redis = yield* Prober;
      yield* snapshots.save("flushed.0", snapshot(3, 1_000));
      yield* Effect.promise(() => redis.flushall());
      yield* Effect.promise(() => redis.script("FLUSH"));
      expect(yield* snapshots.load("flushed.0")).toBeUndefined();
      expect(yield* snapshots.save("flushed.0", snapshot(1, 10))).toBe(true);
      expect(yield* snapshots.load("flushed.0")).toMatchObject({ epoch: 1 });
    }),
  );

  /** Until the client has connected again. */
  const onceAvailable = Effect.retry({
    schedule: Schedule.spaced("10 millis"),
    while: (error: unknown) => error instanceof SnapshotUnavailable,
  });

  test(
    "Z3: without Redis every call fails, and goes well again when it is back",
    Effect.gen(function* () {
      const snapshots = yield* SnapshotStore;
      const { redis } = yield* Servers;
      yield* Effect.promise(() => redis.kill9());
      for (const call of [
        snapshots.save("down.0", snapshot(1, 10)),
        snapshots.save("down.0", snapshot(1, large)),
        snapshots.load("down.0"),
        snapshots.remove("down.0"),
      ]) {
        const error = yield* Effect.flip(call);
        expect(error).toEqual(new SnapshotUnavailable({ message: "Redis is not connected" }));
      }
      yield* Effect.promise(() => redis.start());
      expect(yield* onceAvailable(snapshots.save("down.0", snapshot(1, large)))).toBe(true);
      expect(yield* snapshots.load("down.0")).toMatchObject({ inputSequence: large });
    }),
  );

  test(
    "Z3: a frozen Redis fails calls, and nothing is left waiting when it goes on",
    Effect.gen(function* () {
      const { redis, redisUrl } = yield* Servers;
      const hasty = redisSnapshotStore({ url: redisUrl, commandTimeoutMs: 300 });
      const snapshots = Context.get(yield* Layer.build(hasty), SnapshotStore);
      yield* onceAvailable(snapshots.save("frozen.0", snapshot(1, 10)));
      yield* Effect.promise(() => redis.freeze());
      for (const call of [
        Effect.asVoid(snapshots.load("frozen.0")),
        Effect.asVoid(snapshots.save("frozen.0", snapshot(2, 10))),
      ]) {
        expect(yield* Effect.flip(call)).toBeInstanceOf(SnapshotUnavailable);
      }
      yield* Effect.promise(() => redis.thaw());
      expect(yield* onceAvailable(snapshots.save("frozen.0", snapshot(3, 10)))).toBe(true);
      expect(yield* onceAvailable(snapshots.load("frozen.0"))).toMatchObject({ epoch: 3 });
    }).pipe(Effect.scoped),
  );

  test(
    "Z3: the layer is built without Redis, and works once it is there",
    Effect.gen(function* () {
      const { redis, redisUrl } = yield* Servers;
      yield* Effect.promise(() => redis.kill9());
      const context = yield* Layer.build(redisSnapshotStore({ url: redisUrl }));
      const snapshots = Context.get(context, SnapshotStore);
      const error = yield* Effect.flip(snapshots.load("late.0"));
      expect(error).toBeInstanceOf(SnapshotUnavailable);
      yield* Effect.promise(() => redis.start());
      expect(yield* onceAvailable(snapshots.load("late.0"))).toBeUndefined();
    }).pipe(Effect.scoped),
  );
});
