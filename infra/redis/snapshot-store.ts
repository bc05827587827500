/**
 * SnapshotStore on Redis.
 *
 *     tidemark:snapshot:{<name>}               manifest: what the snapshot is, with its checksum
 *     tidemark:snapshot:{<name>}:<id>:<index>  its bytes, at most 4 MiB a chunk
 *
 * Z1. The manifest is written last, by the script that checks epoch and sequence: until then the
 *     previous snapshot is whole, afterwards the new one is.
 * Z2. Chunks that never got a manifest expire by themselves.
 * Z3. Nothing here waits for Redis longer than its time limit; the system goes on without.
 *
 * The braces keep the keys of one snapshot on one node of a Redis Cluster.
 */
import { createHash, randomUUID } from "node:crypto";
import { Effect, Layer } from "effect";
import type { Redis } from "ioredis";
import { SnapshotStore, SnapshotUnavailable } from "../../actors/ports/snapshot-store.ts";
import type { Snapshot } from "../../actors/ports/snapshot-store.ts";
import { connectRedis, runScript } from "./client.ts";
import type { RedisOptions } from "./client.ts";
import { decodeManifest, encodeManifest } from "./manifest.ts";
import type { Manifest } from "./manifest.ts";
import { removeScript, saveScript } from "./scripts.ts";

export interface RedisSnapshotOptions extends RedisOptions {
  /** Time limit of one save or load, all its chunks together. */
  readonly withinMs?: number;
}

export const chunkBytesMax = 4 * 1024 * 1024;
const orphanSeconds = 600;
const defaultWithinMs = 20_000;
/** A snapshot that is replaced while it is loaded is loaded anew. */
const loadAttemptsMax = 3;

export const manifestKey = (name: string): string => `tidemark:snapshot:{${name}}`;
const chunkKey = (name: string, id: string, index: number): string =>
  `${manifestKey(name)}:${id}:${index}`;

const unavailable = (message: string): SnapshotUnavailable => new SnapshotUnavailable({ message });

/** The same bytes, as ioredis takes them. */
const asBuffer = (data: Uint8Array): Buffer =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength);

const makeStore = (redis: Redis, withinMs: number): SnapshotStore["Service"] => {
  const bounded = <A>(effect: Effect.Effect<A, SnapshotUnavailable>) =>
    effect.pipe(
      Effect.timeoutOrElse({
        duration: withinMs,
        orElse: () => Effect.fail(unavailable(`Redis took longer than ${withinMs} ms`)),
      }),
    );

  const command = <A>(run: () => Promise<A>): Effect.Effect<A, SnapshotUnavailable> =>
    Effect.tryPromise({
      try: run,
      catch: (cause) => {
        const detail = cause instanceof Error ? cause.message : String(cause);
        // What the client says then is about its queues.
        return unavailable(redis.status === "ready" ? detail : "Redis is not connected");
      },
    });

  const save = Effect.fnUntraced(function* (name: string, snapshot: Snapshot) {
    const { epoch, inputSequence } = snapshot;
    const data = asBuffer(snapshot.data);
    const id = randomUUID();
    const chunks = Math.max(1, Math.ceil(data.length / chunkBytesMax));
    const hash = createHash("sha256");
    for (let index = 0; index < chunks; index++) {
      const chunk = data.subarray(index * chunkBytesMax, (index + 1) * chunkBytesMax);
      hash.update(chunk);
      if (chunks === 1) break;
      yield* command(() => redis.set(chunkKey(name, id, index), chunk, "EX", orphanSeconds));
    }
    const checksum = hash.digest("hex");
    const bytes = data.length;
    const line = encodeManifest({ epoch, inputSequence, id, chunks, bytes, checksum });
    const args = [epoch, inputSequence, id, chunks, line, ...(chunks === 1 ? [data] : [])];
    const saved = yield* command(() => runScript(redis, saveScript, manifestKey(name), args));
    return saved === 1;
  });

  const manifestOf = (name: string) =>
    Effect.map(
      command(() => redis.get(manifestKey(name))),
      (line) => (line === null ? undefined : (decodeManifest(line) ?? "damaged")),
    );

  /** The bytes, or undefined when they are not all there or not the same. */
  const read = Effect.fnUntraced(function* (name: string, manifest: Manifest) {
    const { id, chunks, bytes, checksum } = manifest;
    const parts: Buffer[] = [];
    const hash = createHash("sha256");
    for (let index = 0; index < chunks; index++) {
      const part = yield* command(() => redis.getBuffer(chunkKey(name, id, index)));
      if (part === null) return undefined;
      hash.update(part);
      parts.push(part);
    }
    const [only] = parts;
    const data = parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
    return data.length === bytes && hash.digest("hex") === checksum ? data : undefined;
  });

  const load = Effect.fnUntraced(function* (name: string) {
    let previousId = "";
    for (let attempt = 0; attempt < loadAttemptsMax; attempt++) {
      const manifest = yield* manifestOf(name);
      if (manifest === undefined) return undefined;
      if (manifest === "damaged" || manifest.id === previousId) break;
      const data = yield* read(name, manifest);
      const { epoch, inputSequence } = manifest;
      if (data !== undefined) return { epoch, inputSequence, data };
      previousId = manifest.id;
    }
    yield* Effect.logWarning(`the snapshot ${name} is damaged; going on without it`);
    return undefined;
  });

  return SnapshotStore.of({
    save: (name, snapshot) => bounded(save(name, snapshot)),
    load: (name) => bounded(load(name)),
    remove: (name) =>
      bounded(Effect.asVoid(command(() => runScript(redis, removeScript, manifestKey(name), [])))),
  });
};

/** Is built with or without Redis at hand: it connects when it can. */
export const redisSnapshotStore = (options: RedisSnapshotOptions): Layer.Layer<SnapshotStore> =>
  Layer.effect(
    SnapshotStore,
    Effect.map(connectRedis(options), (redis) =>
      makeStore(redis, options.withinMs ?? defaultWithinMs),
    ),
  );
