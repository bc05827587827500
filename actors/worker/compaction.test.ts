/** Workers that compact, over memory: what is left of the logs, and what a system without snapshots makes of it. */
import { Clock, Effect, Fiber } from "effect";
import { TestClock } from "effect/testing";
import { expect, test } from "vitest";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { routedTopic } from "../../proto/subjects.ts";
import { compactLog } from "../compact/compact-log.ts";
import { encode, planOf, topicRules, type Drawn } from "../compact/table-join.suite.ts";
import { EventLog } from "../ports/event-log.ts";
import type { ActiveVersions } from "../relay/active-versions.ts";
import { RekeyedRun } from "../testkit/rekeyed-run.ts";
import { broker, Faults, SETTINGS, turns, until, virtually } from "../testkit/virtual-engine.ts";
import type { Broker } from "../testkit/virtual-engine.ts";
import { compactRegularly } from "./compaction.ts";
import { StatusBoard } from "./status-board.ts";
import { runWorker } from "./worker.ts";

const PLAN = planOf(undefined);
const VIA = routedTopic("priced", 1);
const settings = { ...SETTINGS, compactEveryMs: 5_000 };
/** Where virtual time begins. */
const START = 1_000_000;

const work = (board = new StatusBoard()) =>
  Effect.map(
    Effect.forkScoped(runWorker({ index: 0, workers: 1, plans: [PLAN], settings, board })),
    (fiber) => ({ fiber, board }),
  );

const publish = (log: Broker, topic: string, now: number, ...events: readonly Drawn[]): void => {
  const data = encode({ now, events });
  log.events(topic, 0).append([{ subject: `events.${topic}.0`, data }], -1);
};

const price = (id: string, key: string, time: number): Drawn => ({ id, key, time, type: "Price" });
const order = (id: string, key: string, time: number): Drawn => ({ id, key, time, type: "Order" });

const results = (log: Broker): Readonly<Record<string, string | null>> =>
  Object.fromEntries(
    log.results.messages
      .filter(({ subject }) => subject.startsWith("results.priced."))
      .flatMap(({ data }) => Commit.decode(data).updates)
      .map(({ values }) => {
        const [id, found] = values.map(({ kind }) => (kind?.value as string | undefined) ?? null);
        return [id!, found!];
      }),
  );

const idsIn = (log: Broker, topic: string): readonly string[] =>
  log
    .events(topic, 0)
    .messages.flatMap(({ data }) => RecordBatch.decode(data).events.map(({ id }) => id));

const ROWS = 12;

/** Rows of a key that change, one that does not, and an order after each. */
const fill = (log: Broker): Effect.Effect<void> =>
  Effect.gen(function* () {
    publish(log, "prices", START, price("steady", "b", START));
    for (let i = 0; i < ROWS; i++) {
      const time = START + 1_000 * i;
      publish(log, "prices", time, price(`p${i}`, "a", time));
      publish(log, "orders", time + 10, order(`o${i}`, "a", time + 10));
      yield* TestClock.adjust(1_000);
    }
  });

const gone = (log: Broker, topic: string, id: string) => () => !idsIn(log, topic).includes(id);

test("replaced rows go from both logs, old orders from the join's; rows that hold stay", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      yield* work();
      yield* fill(log);
      yield* until(gone(log, "prices", `p${ROWS - 3}`));
      yield* until(gone(log, VIA, `o${ROWS - 3}`));
      yield* until(gone(log, VIA, `p${ROWS - 3}`));
      for (const topic of ["prices", VIA]) {
        expect(idsIn(log, topic)).toContain("steady");
        expect(idsIn(log, topic)).toContain(`p${ROWS - 1}`);
      }
      // The orders' own log is kept as ever.
      expect(idsIn(log, "orders")).toHaveLength(ROWS);
      yield* until(() => Object.keys(results(log)).length === ROWS);
      for (let i = 0; i < ROWS; i++) expect(results(log)[`o${i}`]).toBe(`p${i}`);
    }),
  ));

test("without snapshots a new worker rebuilds from what is left, and sees rows of long ago", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const faults = yield* Faults;
      const { fiber } = yield* work();
      yield* fill(log);
      yield* until(gone(log, "prices", `p${ROWS - 3}`));
      yield* until(gone(log, VIA, `p${ROWS - 3}`));
      yield* Fiber.interrupt(fiber);
      faults.add([{ at: "snapshots.load", kind: "corrupt", name: "", times: 1_000 }]);
      const { board } = yield* work();
      const now = yield* Clock.currentTimeMillis;
      publish(log, "orders", now, order("after", "b", now), order("a-after", "a", now));
      yield* until(() => results(log)["after"] !== undefined);
      expect(results(log)).toMatchObject({ after: "steady", "a-after": `p${ROWS - 1}` });
      for (const task of board.status!.tasks) expect(task).toMatchObject({ state: "live" });
    }),
  ));

test("a pass that is cut off between two deletes does no harm, and the next one ends the work", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const faults = yield* Faults;
      faults.add([
        { at: "events.remove", kind: "fail", name: "EVENTS_prices", skip: 1, times: 1 },
        { at: "events.remove", kind: "fail", name: `EVENTS_${VIA}`, skip: 2, times: 1 },
      ]);
      const { fiber } = yield* work();
      yield* fill(log);
      yield* until(() => faults.remaining.length === 0);
      expect(idsIn(log, "prices")).toContain("steady");
      yield* Fiber.interrupt(fiber);
      faults.add([{ at: "snapshots.load", kind: "corrupt", name: "", times: 1_000 }]);
      const { board } = yield* work();
      yield* until(gone(log, "prices", `p${ROWS - 3}`));
      yield* until(gone(log, VIA, `p${ROWS - 3}`));
      yield* until(() => Object.keys(results(log)).length === ROWS);
      for (let i = 0; i < ROWS; i++) expect(results(log)[`o${i}`]).toBe(`p${i}`);
      for (const task of board.status!.tasks) expect(task).toMatchObject({ state: "live" });
    }),
  ));

interface Committed {
  readonly subject: string;
  readonly committedPosition: number;
  readonly watermark: number;
}

/** Passes over the logs of tasks that have committed so much; counts their readings. */
const counted = (tasks: () => readonly Committed[], active: ActiveVersions = new Map()) =>
  Effect.gen(function* () {
    const events = yield* EventLog;
    const count = { readings: 0 };
    yield* Effect.forkScoped(
      compactRegularly({
        slot: { index: 0, workers: 1 },
        plans: [PLAN],
        settings,
        events: {
          ...events,
          open: (...args) => {
            count.readings++;
            return events.open(...args);
          },
        },
        tasks,
        active,
      }),
    );
    const pass = Effect.gen(function* () {
      yield* TestClock.adjust(settings.compactEveryMs);
      yield* turns(50);
      // Deletes are paced.
      yield* TestClock.adjust(1_000);
    });
    return { pass, count };
  });

/** A log of rows of one key. */
const passes = (committed: () => readonly number[]) =>
  Effect.gen(function* () {
    const log = yield* broker;
    const append = (from: number, to: number) => {
      for (let i = from; i < to; i++) publish(log, "prices", START + i, price(`p${i}`, "a", i));
    };
    append(0, ROWS);
    const { pass, count } = yield* counted(() =>
      committed().map((committedPosition) => ({
        subject: "routed.priced.1.1",
        committedPosition,
        watermark: 0,
      })),
    );
    return { append, pass: Effect.map(pass, () => idsIn(log, "prices")), count };
  });

const names = (from: number, to: number): readonly string[] =>
  Array.from({ length: to - from }, (_, at) => `p${from + at}`);

test("Q1: nothing goes that a task has not committed, or while none has said how far it is", () =>
  virtually(
    Effect.gen(function* () {
      let committed: readonly number[] = [];
      const { pass } = yield* passes(() => committed);
      yield* TestClock.adjust(60_000);
      expect(yield* pass).toEqual(names(0, ROWS));
      committed = [5];
      expect(yield* pass).toEqual(names(4, ROWS));
      committed = [ROWS];
      expect(yield* pass).toEqual(names(ROWS - 1, ROWS));
    }),
  ));

test("Q3: a log is read again when it is worth it", () =>
  virtually(
    Effect.gen(function* () {
      let committed = 8;
      const { append, pass, count } = yield* passes(() => [committed]);
      yield* TestClock.adjust(60_000);
      yield* pass;
      const once = count.readings;
      expect(once).toBeGreaterThan(0);
      // Nothing more may go.
      yield* pass;
      expect(count.readings).toBe(once);
      append(ROWS, ROWS + 1);
      committed = ROWS + 1;
      yield* pass;
      expect(count.readings).toBeGreaterThan(once);
    }),
  ));

const PROMOTED: ActiveVersions = new Map([["priced", { version: 2, routing: 2 }]]);

test("Q4: of the log of a version that was replaced all goes that is old, but for its end", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const { fiber } = yield* work();
      yield* fill(log);
      yield* until(() => idsIn(log, VIA).includes(`o${ROWS - 1}`));
      yield* Fiber.interrupt(fiber);
      const { lastSequence } = log.events(VIA, 0);
      expect(idsIn(log, VIA)).toContain("steady");
      const rows = idsIn(log, "prices");
      yield* counted(() => [], PROMOTED);
      yield* until(() => !idsIn(log, VIA).includes("steady"));
      expect(log.events(VIA, 0).lastSequence).toBe(lastSequence);
      expect(log.events(VIA, 0).messages.at(-1)!.sequence).toBe(lastSequence);
      // The topic itself is not that version's.
      expect(idsIn(log, "prices")).toEqual(rows);
    }),
  ));

test("Q4: where deletes are denied, since age alone trims the log, it is not read again and again", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const faults = yield* Faults;
      for (let i = 0; i < ROWS; i++) publish(log, VIA, START + i, price(`p${i}`, "a", i));
      faults.add([{ at: "events.remove", kind: "fail", name: `EVENTS_${VIA}`, times: 1_000 }]);
      const { pass, count } = yield* counted(() => [], PROMOTED);
      yield* TestClock.adjust(60_000);
      yield* pass;
      expect(count.readings).toBe(0);
      expect(idsIn(log, VIA)).toEqual(names(0, ROWS));
    }),
  ));

test("Q3: a join's log in which nothing could go yet is read again when event time has come further", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const run = new RekeyedRun(PLAN);
      for (let i = 0; i < ROWS; i++) {
        run.route(0, encode({ now: i, events: [order(`o${i}`, "a", i)] }));
        run.route(1, encode({ now: i, events: [price(`p${i}`, "a", i)] }));
        run.relay();
      }
      for (const data of run.logs[0]!) {
        log.events(VIA, 0).append([{ subject: `events.${VIA}.0`, data }], -1);
      }
      const committedPosition = run.logs[0]!.length;
      // What is committed stands at the end of the log, where event time is.
      let watermark = ROWS - 1 - 4;
      const { pass, count } = yield* counted(() => [
        { subject: "results.priced.1.0", committedPosition, watermark },
      ]);
      yield* TestClock.adjust(60_000);
      yield* pass;
      expect(count.readings).toBe(1);
      yield* pass;
      expect(count.readings).toBe(1);
      expect(idsIn(log, VIA)).toContain("p0");
      watermark++;
      yield* pass;
      expect(idsIn(log, VIA)).not.toContain("p0");
    }),
  ));

test("where what a pass looks at makes no room, the next one waits until the log has grown", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const events = yield* EventLog;
      const compactFirst = (topic: string) => {
        const rules = { ...topicRules({ end: 0, recordsMax: 4 }) };
        return compactLog(events, { topic, partition: 0, rules, watermark: Infinity }, 8);
      };
      for (let i = 1; i <= 9; i++) {
        publish(log, "prices", i, price(`p${i}`, `key ${i}`, i));
        publish(log, "replaced", i, price(`p${i}`, "key", i));
      }
      expect(yield* compactFirst("prices")).toMatchObject({ end: 8, removed: 0, kept: 4 });
      const replaced = yield* Effect.forkScoped(compactFirst("replaced"));
      yield* TestClock.adjust(1_000);
      expect(yield* Fiber.join(replaced)).toMatchObject({ end: 4, removed: 3, kept: 1 });
    }),
  ));
