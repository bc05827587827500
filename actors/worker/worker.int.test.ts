/** A worker on a real nats-server, which is killed, frozen and restarted under it. */
import { Effect, Fiber, Layer, References, Schedule } from "effect";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Faults, memorySnapshotStore } from "../../infra/memory/index.ts";
import { natsLayer } from "../../infra/nats/layer.ts";
import { provision } from "../../infra/nats/provision.ts";
import { startTestServers } from "../../infra/servers/testing.ts";
import type { TestServers } from "../../infra/servers/testing.ts";
import { EventLog } from "../ports/event-log.ts";
import { ResultLog } from "../ports/result-log.ts";
import { DEFAULT_SETTINGS } from "../task/settings.ts";
import {
  batchesOf,
  BY_KEY_ROWS,
  BY_STORE_ROWS,
  PARTITIONS,
  PLANS,
  rowsOf,
  SALES,
} from "../testkit/sales-run.ts";
import { StatusBoard } from "./status-board.ts";
import { runWorker } from "./worker.ts";

let servers: TestServers;
beforeAll(async () => {
  servers = await startTestServers();
});
afterAll(() => servers.dispose());

const services = Layer.suspend(() =>
  Layer.mergeAll(
    natsLayer({ url: servers.natsUrl }),
    memorySnapshotStore.pipe(Layer.provide(Faults.layer())),
  ),
);

const commitsOf = (projection: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const reader = yield* (yield* ResultLog).open([`results.${projection}.>`], 1);
      const commits: Uint8Array[] = [];
      while (true) {
        const records = yield* reader.next;
        commits.push(...records.map(({ data }) => data));
        if (records.at(-1)?.pending === 0) return commits;
      }
    }),
  );

const work = Effect.gen(function* () {
  const board = new StatusBoard();
  const settings = { ...DEFAULT_SETTINGS, snapshotEveryMs: 200 };
  const worker = runWorker({ index: 0, workers: 1, plans: PLANS, settings, board });
  return { board, fiber: yield* Effect.forkScoped(worker) };
});

/** Polls: real servers keep real time. */
const until = <R>(condition: Effect.Effect<boolean, unknown, R>) =>
  condition.pipe(
    Effect.orElseSucceed(() => false),
    Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: (done: boolean) => done }),
  );

test("kill -9, a freeze and a restart of the server change no result", () =>
  Effect.runPromise(
    Effect.gen(function* () {
      const topic = { name: "sales", partitions: PARTITIONS, retentionMs: 3_600_000 };
      yield* provision({ topics: [{ ...topic, maxBytes: 1 << 28 }] });
      const events = yield* EventLog;
      const batches = batchesOf(SALES, yield* Effect.clockWith((clock) => clock.currentTimeMillis));
      const append = (from: number, to: number) =>
        Effect.forEach(
          batches.slice(from, to),
          ({ partition, data }) => events.append("sales", partition, data),
          { discard: true },
        );
      const first = yield* work;
      const third = Math.floor(batches.length / 3);
      yield* append(0, third);
      yield* Effect.promise(() => servers.nats.kill9());
      yield* Effect.sleep(300);
      yield* Effect.promise(() => servers.nats.start());
      yield* append(third, 2 * third).pipe(Effect.retry({ times: 50 }));
      yield* Fiber.interrupt(first.fiber);

      const second = yield* work;
      yield* Effect.promise(() => servers.nats.freeze());
      yield* Effect.sleep(500);
      yield* Effect.promise(() => servers.nats.thaw());
      yield* append(2 * third, batches.length);
      yield* until(
        Effect.gen(function* () {
          const rows = rowsOf(yield* commitsOf("by-key")).length;
          const merged = rowsOf(yield* commitsOf("by-store")).length;
          return rows === BY_KEY_ROWS.length && merged === BY_STORE_ROWS.length;
        }),
      );
      expect(rowsOf(yield* commitsOf("by-key"))).toEqual(BY_KEY_ROWS);
      expect(rowsOf(yield* commitsOf("by-store"))).toEqual(BY_STORE_ROWS);
      for (const { state, reason } of second.board.status!.tasks) {
        expect([state, reason]).toEqual(["live", undefined]);
      }
    }).pipe(
      Effect.scoped,
      Effect.provide(services),
      Effect.provideService(References.MinimumLogLevel, "None"),
    ),
  ));
