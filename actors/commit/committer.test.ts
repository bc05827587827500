import { Effect, Exit, Fiber } from "effect";
import { TestClock } from "effect/testing";
import { describe, expect, test } from "vitest";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { commitSubject } from "../../proto/subjects.ts";
import { Fenced, ResultLog } from "../ports/result-log.ts";
import type { Draft, Progress } from "../task/task-core.ts";
import { broker, turns, virtually } from "../testkit/virtual-engine.ts";
import type { FaultPlan } from "../testkit/virtual-engine.ts";
import { Committer, DefinitionChanged, InvariantBroken } from "./committer.ts";
import { encodeParts, NO_BOOKS } from "./marker.ts";

const TASK = { kind: "window", projection: "p", version: 1, partition: 3 } as const;
const DEFINITION = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const DIGEST = Uint8Array.of(9, 9, 9, 9, 9, 9, 9, 9);

const progressAt = (inputSequence: number, watermark?: number): Progress => ({
  inputSequence,
  watermark,
  idle: false,
  ingestTime: inputSequence,
  books: { ...NO_BOOKS, events: inputSequence, counted: inputSequence },
  retainFrom: 0,
});
const FRESH = { ...progressAt(0), digest: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0) };
const EMPTY: Draft = { fragments: [], updates: 0, partials: 0, deadLetters: 0, routed: 0 };

const fragment = (keys: readonly string[]): Uint8Array =>
  Commit.encode({
    ...Commit.decode(new Uint8Array(0)),
    columns: ["n"],
    updates: keys.map((key) => ({
      key,
      windowStart: 0,
      windowEnd: 10,
      kind: 2,
      revision: 1,
      ordinal: 0,
      watermark: 9,
      partition: 3,
      sequence: 1,
      index: 0,
      values: [],
    })),
  }).finish();

const committerOf = (definition = DEFINITION) =>
  Effect.map(ResultLog, (log) => new Committer(log, TASK, definition));

const stored = Effect.map(broker, (log) =>
  log.results.messages
    .filter(({ subject }) => subject === commitSubject(TASK))
    .map(({ data }) => Commit.decode(data)),
);

test("a take-over raises the epoch and changes nothing else (K3)", () =>
  virtually(
    Effect.gen(function* () {
      const first = yield* committerOf();
      yield* first.takeOver(FRESH);
      yield* first.commit(EMPTY, progressAt(7, 5), DIGEST);
      const second = yield* committerOf();
      const marker = yield* second.takeOver(FRESH);
      expect(marker).toMatchObject({ epoch: 2, number: 3, inputSequence: 7, watermark: 5 });
      expect(marker.books.events).toBe(7);
      const commits = yield* stored;
      expect(commits.map(({ epoch, number }) => [epoch, number])).toEqual([
        [1, 1],
        [1, 2],
        [2, 3],
      ]);
      expect(commits[2]!.digest).toEqual(commits[1]!.digest);
    }),
  ));

test("an owner that has lost its task cannot commit, however late it wakes up", () =>
  virtually(
    Effect.gen(function* () {
      const zombie = yield* committerOf();
      yield* zombie.takeOver(FRESH);
      yield* (yield* committerOf()).takeOver(FRESH);
      const error = yield* Effect.flip(zombie.commit(EMPTY, progressAt(1), DIGEST));
      expect(error).toBeInstanceOf(Fenced);
      expect(yield* stored).toHaveLength(2);
    }),
  ));

test("a commit is its draft's fragments, part by part, with the marker in the last", () =>
  virtually(
    Effect.gen(function* () {
      const committer = yield* committerOf();
      yield* committer.takeOver(FRESH);
      const fragments = [fragment(["a", "b"]), fragment(["c"])];
      yield* committer.commit({ ...EMPTY, fragments, updates: 3 }, progressAt(1, 9), DIGEST);
      const [, first, last] = yield* stored;
      expect(first).toMatchObject({ number: 2, partIndex: 0, partCount: 2, inputSequence: 0 });
      expect(last).toMatchObject({ number: 2, partIndex: 1, partCount: 2, inputSequence: 1 });
      expect(first!.updates.map(({ key }) => key)).toEqual(["a", "b"]);
      expect(last!.updates.map(({ key }) => key)).toEqual(["c"]);
      expect(last!.columns).toEqual(["n"]);
      expect(new Uint8Array(last!.digest)).toEqual(DIGEST);
    }),
  ));

test("a changed definition is not continued, and says what to do (K4)", () =>
  virtually(
    Effect.gen(function* () {
      yield* (yield* committerOf()).takeOver(FRESH);
      const changed = yield* committerOf(Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1));
      const error = yield* Effect.flip(changed.takeOver(FRESH));
      expect(error).toBeInstanceOf(DefinitionChanged);
      expect(error.message).toContain("tidemark replay p --promote");
      expect(yield* stored).toHaveLength(1);
    }),
  ));

describe("an outage costs time only", () => {
  const at = "results.append";
  const plans: Readonly<Record<string, FaultPlan>> = {
    "nothing stored, told so": [{ at, kind: "fail", skip: 1, times: 3 }],
    "stored, told nothing": [{ at, kind: "fail-stored", skip: 1, times: 1 }],
    "the acknowledgement is lost": [{ at, kind: "lose-ack", skip: 1, times: 1 }],
    "stored once, then three times out of reach": [
      { at, kind: "fail-stored", skip: 1, times: 1 },
      { at, kind: "fail", skip: 1, times: 3 },
    ],
  };
  for (const [name, faults] of Object.entries(plans)) {
    test(name, () =>
      virtually(
        Effect.gen(function* () {
          const committer = yield* committerOf();
          yield* committer.takeOver(FRESH);
          const commit = committer.commit(
            { ...EMPTY, fragments: [fragment(["a"])] },
            progressAt(1),
            DIGEST,
          );
          const fiber = yield* Effect.forkChild(commit);
          for (let step = 0; step < 10; step++) {
            yield* turns(5);
            yield* TestClock.adjust("5 seconds");
          }
          expect((yield* Fiber.join(fiber)).number).toBe(2);
          yield* committer.commit(EMPTY, progressAt(2), DIGEST);
          expect((yield* stored).map(({ number }) => number)).toEqual([1, 2, 3]);
        }),
        { faults },
      ),
    );
  }
});

describe("what must never be committed (K1, K2)", () => {
  const broken: Readonly<Record<string, Progress>> = {
    "a position that went back": progressAt(4, 50),
    "a watermark that went back": { ...progressAt(6, 49) },
    "a watermark that was lost": progressAt(6),
  };
  for (const [name, progress] of Object.entries(broken)) {
    test(name, () =>
      virtually(
        Effect.gen(function* () {
          const committer = yield* committerOf();
          yield* committer.takeOver(FRESH);
          yield* committer.commit(EMPTY, progressAt(5, 50), DIGEST);
          const exit = yield* Effect.exit(committer.commit(EMPTY, progress, DIGEST));
          expect(Exit.isFailure(exit) && exit.cause.reasons[0]).toMatchObject({
            defect: expect.any(InvariantBroken),
          });
          expect(yield* stored).toHaveLength(2);
        }),
      ),
    );
  }
});

describe("a commit whose last part a power failure has swallowed", () => {
  /** All parts but the last of a commit as `committer` would append it. */
  const tear = (committer: Committer, keys: readonly string[]) =>
    Effect.gen(function* () {
      const log = yield* broker;
      const { number, epoch } = committer.marker;
      const marker = { ...committer.marker, number: number + 1, epoch };
      const parts = encodeParts(
        TASK,
        marker,
        keys.map((key) => fragment([key])),
      );
      const torn = parts.slice(0, -1).map((data) => ({ subject: commitSubject(TASK), data }));
      log.results.append(torn, -1);
    });

  test("was never made: the next owner goes on from the commit before it", () =>
    virtually(
      Effect.gen(function* () {
        const log = yield* broker;
        const first = yield* committerOf();
        yield* first.takeOver(FRESH);
        yield* first.commit(EMPTY, progressAt(7, 5), DIGEST);
        yield* tear(first, ["a", "b", "c"]);
        expect(yield* Effect.flip(first.commit(EMPTY, progressAt(8, 6), DIGEST))).toBeInstanceOf(
          Fenced,
        );
        const second = yield* committerOf();
        const marker = yield* second.takeOver(FRESH);
        expect(marker).toMatchObject({ epoch: 2, number: 3, inputSequence: 7, watermark: 5 });
        expect(marker.sequence).toBe(log.results.lastSequence);
        yield* second.commit(EMPTY, progressAt(9, 8), DIGEST);
        expect(second.marker.number).toBe(4);
      }),
    ));

  test("and if it was the first of all, it starts from nothing", () =>
    virtually(
      Effect.gen(function* () {
        const log = yield* broker;
        const other = yield* committerOf();
        yield* other.takeOver(FRESH);
        yield* tear(other, ["a", "b", "c"]);
        log.results.deleteBelow(2, () => true);
        const marker = yield* (yield* committerOf()).takeOver(FRESH);
        expect(marker).toMatchObject({ epoch: 1, number: 1, inputSequence: 0 });
      }),
    ));
});
