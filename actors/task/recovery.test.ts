/**
 * A partition's tasks over memory: whatever happens to their owner, RESULTS ends up with the same
 * updates in the same order as if nothing had happened.
 */
import { Effect, Fiber } from "effect";
import { TestClock } from "effect/testing";
import { describe, expect, test } from "vitest";
import { encodeBatch, salesPlan } from "../testkit/plans.ts";
import {
  broker,
  ownerOf,
  publishedBy,
  specOf,
  turns,
  until,
  virtually,
} from "../testkit/virtual-engine.ts";

const PLAN = salesPlan({ allowedLatenessMs: 12 });
const TASK = specOf(PLAN).id;
const BATCHES = Array.from({ length: 30 }, (_, b) =>
  encodeBatch(
    Array.from({ length: 4 }, (_, i) => ({
      id: `${(b * 4 + i) % 110}`,
      key: `k${(b * 7 + i * 3) % 5}`,
      time: b * 4 + ((i * 11) % 23) - 8,
      cents: b * 100 + i,
      weight: (b + i) / 7,
    })),
    1_000_000 + b * 13,
  ),
);

const fill = (batches: readonly Uint8Array[]) =>
  Effect.gen(function* () {
    const stream = (yield* broker).events("sales", 0);
    for (const data of batches) stream.append([{ subject: "events.sales.0", data }], -1);
  });

const done = (log: Parameters<typeof publishedBy>[0]) => () =>
  publishedBy(log, TASK).commits.some((commit) => commit.inputSequence === BATCHES.length);

const undisturbed = virtually(
  Effect.gen(function* () {
    const log = yield* broker;
    yield* fill(BATCHES);
    const owner = yield* ownerOf(PLAN);
    yield* owner.runOnly([specOf(PLAN)]);
    yield* until(done(log));
    return publishedBy(log, TASK);
  }),
);

const expectSame = (published: ReturnType<typeof publishedBy>, whole: typeof published) => {
  expect(published.updates).toEqual(whole.updates);
  expect(published.deadLetters).toEqual(whole.deadLetters);
  expect(published.commits.map((commit) => commit.number)).toEqual(
    published.commits.map((_, index) => index + 1),
  );
  const last = published.commits.at(-1)!;
  expect(last.digest).toEqual(whole.commits.at(-1)!.digest);
  expect(last.books).toEqual(whole.commits.at(-1)!.books);
};

test("an undisturbed owner publishes", async () => {
  const whole = await undisturbed;
  expect(whole.updates.length).toBeGreaterThan(20);
  expect(whole.deadLetters.length).toBeGreaterThan(0);
});

describe("a crash after any number of steps changes nothing", () => {
  for (const step of Array.from({ length: 24 }, (_, i) => i * 3)) {
    test(`${step} steps`, async () => {
      const whole = await undisturbed;
      await virtually(
        Effect.gen(function* () {
          const log = yield* broker;
          yield* fill(BATCHES.slice(0, 15));
          const first = yield* ownerOf(PLAN);
          const starting = yield* Effect.forkScoped(first.runOnly([specOf(PLAN)]));
          yield* turns(step);
          yield* fill(BATCHES.slice(15));
          yield* turns(step);
          yield* Fiber.interrupt(starting);
          yield* first.abandon;
          const second = yield* ownerOf(PLAN);
          yield* second.runOnly([specOf(PLAN)]);
          yield* until(done(log));
          expectSame(publishedBy(log, TASK), whole);
        }),
        { limits: { recordsMax: 3, bytesMax: 1 << 20 } },
      );
    });
  }
});

describe("owner after owner crashes, between snapshots and commits, and nothing changes", () => {
  for (const steps of [2, 3, 5, 8, 13, 21]) {
    test(`each after ${steps} steps`, async () => {
      const whole = await undisturbed;
      await virtually(
        Effect.gen(function* () {
          const log = yield* broker;
          for (let at = 0; at < BATCHES.length; at += 3) {
            yield* fill(BATCHES.slice(at, at + 3));
            const owner = yield* ownerOf(PLAN);
            const starting = yield* Effect.forkScoped(owner.runOnly([specOf(PLAN)]));
            for (let step = 0; step < steps; step++) {
              yield* turns(step);
              yield* TestClock.adjust(130);
            }
            yield* Fiber.interrupt(starting);
            yield* owner.abandon;
          }
          const last = yield* ownerOf(PLAN);
          yield* last.runOnly([specOf(PLAN)]);
          yield* until(done(log));
          expectSame(publishedBy(log, TASK), whole);
        }),
        {
          limits: { recordsMax: 2, bytesMax: 1 << 20 },
          faults: [
            { at: "results.append", kind: "fail-stored", skip: steps, times: 2 },
            { at: "snapshots.save", kind: "fail-stored", skip: 1 },
            { at: "snapshots.load", kind: "corrupt", skip: 2 },
          ],
        },
      );
    });
  }
});
