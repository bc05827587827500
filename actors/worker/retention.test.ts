/** What is left of RESULTS after rounds of trimming, on the stream's own times. */
import { Effect, Fiber } from "effect";
import { TestClock } from "effect/testing";
import { expect, test } from "vitest";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { commitSubject } from "../../proto/subjects.ts";
import type { TaskId } from "../../proto/subjects.ts";
import type { JoinProjection } from "../../projections/definition/definition.ts";
import { planProjection } from "../../projections/definition/plan-projection.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { RekeyLog } from "../ports/rekey-log.ts";
import { RelayTarget } from "../ports/relay-target.ts";
import { ResultLog } from "../ports/result-log.ts";
import { BY_KEY, BY_STORE, TOPIC } from "../testkit/sales-run.ts";
import { broker, SETTINGS, turns, virtually } from "../testkit/virtual-engine.ts";
import { trimRegularly } from "./retention.ts";

const MINUTE = 60_000;
const RETENTION = 5 * MINUTE;
const window = (version: number): TaskId => ({
  kind: "window",
  projection: "by-key",
  version,
  partition: 0,
});
const partial = (version: number): TaskId => ({
  ...window(version),
  kind: "partial",
  projection: "by-store",
});

const commit = (task: TaskId, retainFrom = 0) =>
  Effect.map(broker, ({ results }) => {
    const data = Commit.encode({ ...Commit.decode(new Uint8Array(0)), retainFrom }).finish();
    results.append([{ subject: commitSubject(task), data }], -1);
    return results.lastSequence;
  });

/** The relays have read up to here. */
const relayed = (position: number) =>
  Effect.gen(function* () {
    const outlet = yield* RelayTarget;
    for (const target of ["projections", "dlq"] as const) {
      const cursor = yield* outlet.cursor(target);
      yield* outlet.publish(target, [], { ...cursor, position });
    }
  });

/** A worker that lives for two rounds. */
const live = (
  tasks: readonly TaskId[],
  active: readonly (readonly [string, number])[] = [],
  plans: readonly ProjectionPlan[] = [BY_KEY, BY_STORE],
) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkScoped(
      trimRegularly({
        slot: { index: 0, workers: 1 },
        plans,
        settings: { ...SETTINGS, trimEveryMs: MINUTE, resultsRetentionMs: RETENTION },
        results: yield* ResultLog,
        outlet: yield* RelayTarget,
        rekeyed: yield* RekeyLog,
        active: new Map(
          [["by-key", 1] as const, ["by-store", 1] as const, ...active].map(([name, version]) => [
            name,
            { version, routing: version },
          ]),
        ),
        tasks: () => tasks.map((task) => ({ task, commits: 1 })),
      }),
    );
    for (let round = 0; round < 2; round++) {
      yield* turns(20);
      yield* TestClock.adjust(MINUTE);
    }
    yield* turns(20);
    yield* Fiber.interrupt(fiber);
  });

const left = (task: TaskId) =>
  Effect.map(broker, ({ results }) =>
    results.messages
      .filter(({ subject }) => subject === commitSubject(task))
      .map(({ sequence }) => sequence),
  );

test("workers that live for less than the retention trim all the same (X1)", () =>
  virtually(
    Effect.gen(function* () {
      yield* relayed(1_000);
      for (let minute = 0; minute < 20; minute += 2) {
        yield* commit(window(1));
        yield* live([window(1)]);
      }
      // One every two minutes: those of the last five.
      expect(yield* left(window(1))).toEqual([9, 10]);
      for (let minute = 0; minute < 20; minute += 2) yield* live([window(1)]);
      expect(yield* left(window(1))).toEqual([10]);
    }),
  ));

test("what a relay has still to read stays, however old (X2)", () =>
  virtually(
    Effect.gen(function* () {
      yield* relayed(3);
      for (let i = 0; i < 6; i++) yield* commit(window(1));
      yield* TestClock.adjust(RETENTION);
      yield* live([window(1)]);
      expect(yield* left(window(1))).toEqual([4, 5, 6]);
    }),
  ));

test("partials stay as long as events, and what the merging task needs longer (X2, X3)", () =>
  virtually(
    Effect.gen(function* () {
      yield* relayed(1_000);
      for (let i = 0; i < 6; i++) yield* commit(partial(1));
      yield* commit({ ...partial(1), kind: "merge" }, 5);
      yield* TestClock.adjust(RETENTION);
      yield* live([partial(1)]);
      expect(yield* left(partial(1))).toHaveLength(6);
      yield* TestClock.adjust(TOPIC.definition.retentionMs);
      yield* live([partial(1)]);
      expect(yield* left(partial(1))).toEqual([5, 6]);
    }),
  ));

test("a superseded version is trimmed down to its marker, and its successor is not (X4)", () =>
  virtually(
    Effect.gen(function* () {
      for (const version of [1, 2, 3]) {
        for (let i = 0; i < 3; i++) yield* commit(window(version));
        for (let i = 0; i < 3; i++) yield* commit(partial(version));
        yield* commit({ ...partial(version), kind: "merge" }, 1);
      }
      yield* TestClock.adjust(TOPIC.definition.retentionMs);
      yield* relayed(4);
      yield* live(
        [],
        [
          ["by-key", 3],
          ["by-store", 2],
        ],
      );
      expect(yield* left(window(1))).toEqual([3]);
      expect(yield* left(partial(1))).toEqual([5, 6]);
      yield* relayed(1_000);
      yield* live(
        [],
        [
          ["by-key", 3],
          ["by-store", 2],
        ],
      );
      expect(yield* left(partial(1))).toEqual([6]);
      expect(yield* left(window(2))).toEqual([10]);
      // These are the active ones, or come after them: nobody here runs them, so nobody trims them.
      expect(yield* left(window(3))).toHaveLength(3);
      expect(yield* left(partial(2))).toHaveLength(3);
      expect(yield* left(partial(3))).toHaveLength(3);
    }),
  ));

test("what a superseded version has left is trimmed, whatever kind of tasks it had (X4)", () =>
  virtually(
    Effect.gen(function* () {
      // By a field before, and re-keyed; now by key.
      const before = (["partial", "routing"] as const).map((kind) => ({ ...window(1), kind }));
      for (let i = 0; i < 3; i++) for (const task of before) yield* commit(task);
      yield* TestClock.adjust(TOPIC.definition.retentionMs);
      yield* relayed(1_000);
      yield* live([], [["by-key", 2]]);
      expect(yield* left(before[0]!)).toEqual([5]);
      expect(yield* left(before[1]!)).toEqual([6]);
    }),
  ));

test("so is what the table of a join has left that has none any more, or another one (X4)", () =>
  virtually(
    Effect.gen(function* () {
      const join = planProjection(
        {
          kind: "join",
          name: "joined",
          topic: "sales",
          left: {},
          right: {},
          asOf: {},
          values: { id: { event: "id", side: "left" } },
        } as unknown as JoinProjection,
        TOPIC,
      );
      const former = { ...window(1), kind: "routing", projection: "joined_table" } as const;
      for (let i = 0; i < 3; i++) yield* commit(former);
      for (let i = 0; i < 3; i++) yield* commit({ ...former, version: 2 });
      yield* relayed(1_000);
      yield* live([], [["joined", 2]], [join]);
      expect(yield* left(former)).toEqual([3]);
      expect(yield* left({ ...former, version: 2 })).toHaveLength(3);
    }),
  ));
