/**
 * A join with a compacted topic as its table, on real servers: compaction that is cut off, nats-server killed, all
 * of Redis lost, a join that is added later; and what the audit says of it.
 */
import { Clock, Effect, Fiber, Layer, References, Schedule } from "effect";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  encode,
  ordersOf,
  planOf,
  pricesOf,
  type Drawn,
} from "../../actors/compact/table-join.suite.ts";
import { EventLog, LogUnavailable } from "../../actors/ports/event-log.ts";
import { ResultLog } from "../../actors/ports/result-log.ts";
import { DEFAULT_SETTINGS } from "../../actors/task/settings.ts";
import { compactRegularly } from "../../actors/worker/compaction.ts";
import { StatusBoard } from "../../actors/worker/status-board.ts";
import { runWorker } from "../../actors/worker/worker.ts";
import type { JoinPlan } from "../../projections/definition/plan.ts";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { routedTopic } from "../../proto/subjects.ts";
import { connect } from "../nats/connection.ts";
import { natsLayer, provision } from "../nats/index.ts";
import { redisSnapshotStore } from "../redis/index.ts";
import { startTestServers, type TestServers } from "../servers/testing.ts";
import { auditAll } from "./commands/audit.ts";
import { plain } from "./terminal/colour.ts";

let servers: TestServers;
beforeAll(async () => {
  servers = await startTestServers();
});
afterAll(() => servers.dispose());

const services = Layer.suspend(() =>
  Layer.mergeAll(
    natsLayer({ url: servers.natsUrl }),
    redisSnapshotStore({ url: servers.redisUrl }),
  ),
);

const DAY = 86_400_000;
// Silence must not move event time: what follows would be late.
const SETTINGS = { idleAfterMs: 3_600_000, retentionMs: DAY, dedupeHorizonMs: 600_000 };
const PLAN = planOf(undefined, SETTINGS);
const LATER = planOf(undefined, { ...SETTINGS, name: "priced-later" });
const TOPICS = [ordersOf(SETTINGS), pricesOf(SETTINGS)].map(({ definition }) => definition);
const VIA = routedTopic("priced", 1);
const ROWS = 10;

const price = (id: string, key: string, time: number): Drawn => ({ id, key, time, type: "Price" });
const order = (id: string, key: string, time: number): Drawn => ({ id, key, time, type: "Order" });

const publish = Effect.fnUntraced(function* (
  topic: "orders" | "prices",
  ...events: readonly Drawn[]
) {
  const now = yield* Clock.currentTimeMillis;
  yield* (yield* EventLog).append(topic, 0, encode({ now, events }));
});

/** All that a log holds. */
const idsIn = Effect.fnUntraced(function* (topic: string) {
  const events = yield* EventLog;
  const { first, last } = yield* events.bounds(topic, 0);
  const ids: string[] = [];
  let position = first - 1;
  const reader = yield* events.open(topic, 0, first, true);
  while (position < last) {
    for (const { sequence, data } of yield* reader.next) {
      ids.push(...RecordBatch.decode(data).events.map(({ id }) => id));
      position = sequence;
    }
  }
  return ids;
}, Effect.scoped);

const results = Effect.fnUntraced(function* (projection: string) {
  const reader = yield* (yield* ResultLog).open([`results.${projection}.>`], 1);
  const found = new Map<string, string | null>();
  while (true) {
    const records = yield* reader.next;
    for (const { data } of records) {
      for (const { values } of Commit.decode(data).updates) {
        const [id, seen] = values.map(({ kind }) => (kind?.value as string | undefined) ?? null);
        found.set(id!, seen ?? null);
      }
    }
    if (records.at(-1)?.pending === 0) return found;
  }
}, Effect.scoped);

/** Polls: real servers keep real time. */
const until = <R>(condition: Effect.Effect<boolean, unknown, R>) =>
  condition.pipe(
    Effect.orElseSucceed(() => false),
    Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: (done: boolean) => done }),
  );

const published = (projection: string, id: string) =>
  until(Effect.map(results(projection), (found) => found.has(id)));

const gone = (topic: string, id: string) => Effect.map(idsIn(topic), (ids) => !ids.includes(id));

// A worker that is interrupted abandons its tasks: as a crash would.
const settings = { ...DEFAULT_SETTINGS, snapshotEveryMs: 200, drainMsMax: 0 };
const work = (plans: readonly JoinPlan[], board = new StatusBoard()) =>
  Effect.map(
    Effect.forkScoped(runWorker({ index: 0, workers: 1, plans, settings, board })),
    (fiber) => ({ fiber, board }),
  );

/** By a clock that stands still, and whose day ago is the given time. */
const aDayAfter =
  (time: number) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Clock.Clock, (clock) =>
      Effect.provideService(effect, Clock.Clock, {
        ...clock,
        currentTimeMillisUnsafe: () => time + DAY,
        currentTimeMillis: Effect.succeed(time + DAY),
        currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
        currentTimeNanos: clock.currentTimeNanos,
        sleep: (duration) => clock.sleep(duration),
      }),
    );

const compact = Effect.fnUntraced(function* (board: StatusBoard, old: number, deletes = Infinity) {
  const events = yield* EventLog;
  let left = deletes;
  const remove: (typeof events)["remove"] = (topic, partition, sequences) => {
    const some = sequences.slice(0, left);
    left -= some.length;
    const cutOff = new LogUnavailable({ stream: topic, message: "killed" });
    return Effect.andThen(
      events.remove(topic, partition, some),
      some.length < sequences.length ? Effect.fail(cutOff) : Effect.void,
    );
  };
  return yield* compactRegularly({
    slot: { index: 0, workers: 1 },
    plans: [PLAN],
    settings: { compactEveryMs: 100 },
    events: { ...events, remove },
    tasks: () => board.status!.tasks,
    active: new Map(),
  }).pipe(aDayAfter(old), Effect.forkScoped);
});

const TIMEOUT_MS = 90_000;

test(
  "rows stay for ever and are seen again without Redis, by joins old and new; the books balance",
  () =>
    Effect.gen(function* () {
      yield* provision({ topics: TOPICS });
      const start = (yield* Clock.currentTimeMillis) - 3_600_000;
      const { fiber, board } = yield* work([PLAN]);
      yield* publish("prices", price("steady", "b", start));
      for (let i = 0; i < ROWS; i++) {
        const time = start + 1_000 * i;
        yield* publish("prices", price(`p${i}`, "a", time));
        yield* publish("orders", order(`o${i}`, "a", time + 10));
        yield* published("priced", `o${i - 1}`).pipe(Effect.when(Effect.succeed(i > 0)));
      }

      // Event time goes on after all that is old.
      yield* published("priced", `o${ROWS - 2}`);
      const old = yield* Clock.currentTimeMillis;
      const young = start + 1_000 * ROWS;
      yield* publish("prices", price("young", "c", young));
      yield* publish("orders", order("young", "c", young));
      yield* published("priced", `o${ROWS - 1}`);

      // Killed between two deletes, and again later.
      const killed = yield* compact(board, old, 3);
      yield* until(Effect.map(idsIn("prices"), (ids) => ids.length < ROWS + 2));
      yield* Fiber.interrupt(killed);
      const ended = yield* compact(board, old);
      yield* until(gone("prices", `p${ROWS - 4}`));
      yield* until(gone(VIA, `p${ROWS - 4}`));
      yield* Fiber.interrupt(ended);
      expect(yield* idsIn("prices")).toContain("steady");
      expect(yield* idsIn("orders")).toHaveLength(ROWS + 1);

      yield* Effect.promise(() => servers.nats.kill9());
      yield* Effect.promise(() => servers.nats.start());
      yield* Fiber.interrupt(fiber);
      const redis = new Redis(servers.redisUrl);
      yield* Effect.promise(() => redis.flushall());
      redis.disconnect();

      const again = yield* work([PLAN, LATER]);
      const later = young + 1_000;
      yield* publish("orders", order("after", "b", later), order("a-after", "a", later));
      yield* publish("prices", price("end", "c", later + 60_000));
      yield* publish("orders", order("end", "c", later + 60_000));
      for (const projection of ["priced", "priced-later"]) {
        yield* published(projection, "after");
        const found = yield* results(projection);
        expect([found.get("after"), found.get("a-after")]).toEqual(["steady", `p${ROWS - 1}`]);
      }
      const found = yield* results("priced");
      for (let i = 0; i < ROWS; i++) expect([i, found.get(`o${i}`)]).toEqual([i, `p${i}`]);
      const lives = again.board.status!.tasks.map(({ subject, state }) => [subject, state]);
      for (const [subject, state] of lives) expect([subject, state]).toEqual([subject, "live"]);

      const link = yield* connect({ url: servers.natsUrl, name: "compacted-topic-test" });
      const plan = { topics: TOPICS, projections: [PLAN.definition, LATER.definition] };
      const quiet = { isTerminal: false, columns: 100, paint: plain, write: () => undefined };
      // For the audit, too, a day has passed since: what it cannot count it does not call off.
      const auditOf = (topics: typeof TOPICS) =>
        auditAll(
          link,
          { plan: { ...plan, topics }, projection: "priced", fast: false },
          quiet,
        ).pipe(aDayAfter(old));
      const audits = yield* auditOf(TOPICS);
      expect(audits.map(({ kind, partition }) => [kind, partition])).toEqual([
        ["join", 0],
        ["routing", 0],
        ["routing", 1],
      ]);
      for (const audit of audits) expect(audit).toMatchObject({ balanced: true, imbalance: 0 });
      expect(audits[1]).toMatchObject({ logEvents: ROWS + 4, difference: 0 });
      expect(audits[2]!.note).toContain("the log is compacted before");

      // Where events are kept for longer since, there are holes that it cannot know of.
      const longer = TOPICS.map((topic) => ({ ...topic, retentionMs: 2 * DAY }));
      const [ofJoin, ofOrders, ofPrices] = yield* auditOf(longer);
      expect(ofOrders).toMatchObject({ balanced: true, difference: 0 });
      for (const audit of [ofJoin, ofPrices]) {
        expect(audit).toMatchObject({ balanced: true, logEvents: undefined });
        expect(audit!.note).toContain("the log is compacted as far as");
      }
    }).pipe(
      Effect.scoped,
      Effect.provide(services),
      Effect.provideService(References.MinimumLogLevel, "None"),
      Effect.runPromise,
    ),
  TIMEOUT_MS,
);
