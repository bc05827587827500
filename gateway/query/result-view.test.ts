import { Effect, Latch, Layer, Semaphore } from "effect";
import { TestClock } from "effect/testing";
import { writeFileSync } from "node:fs";
import { LogUnavailable } from "../../actors/ports/event-log.ts";
import { ResultLog } from "../../actors/ports/result-log.ts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { commitMessage, commitOf, entriesOf, HOUR, recordOf, updateOf } from "./commits.suite.ts";
import type { Followed, ViewOptions } from "./query-system.suite.ts";
import { QuerySystem } from "./query-system.suite.ts";
import { QUIET_MS } from "./limits.ts";
import { noQueryMetrics } from "./query-metrics.ts";
import type { AppliedOutcome } from "./query-metrics.ts";
import { makeResultView, positionOf } from "./result-view.ts";
import { ResultStore } from "./result-store.ts";
import { runSubscription } from "./subscription.ts";

let system: QuerySystem;
const open: Followed[] = [];

beforeEach(async () => {
  system = await QuerySystem.start();
});
afterEach(async () => {
  for (const followed of open.splice(0)) await followed.stop();
  await system.stop();
});

const follow = async (options: ViewOptions = {}): Promise<Followed> => {
  const followed = await system.view(options);
  open.push(followed);
  return followed;
};

const caughtUp = async (options: ViewOptions = {}): Promise<Followed> => {
  const followed = await follow(options);
  await Effect.runPromise(followed.view.caughtUp);
  return followed;
};

const revision = (key: string, number: number) => updateOf(key, 0, number, { revision: number });

const keys = ({ view }: Followed, version = 1): string[] =>
  view.store
    .scan({ projection: "departures", version, keyPrefix: "", from: undefined, to: undefined })
    .step(1e6, 1e6)
    .map(({ key, revision: number }) => `${key}${number}`);

describe("the view", () => {
  it("V1: takes in what is there and what comes, and goes on after a restart", async () => {
    await system.commit(commitOf(1, [revision("a", 1), revision("b", 1)]));
    const first = await caughtUp();
    expect(keys(first)).toEqual(["a1", "b1"]);
    await first.reached(await system.commit(commitOf(2, [revision("a", 2)])));
    expect(keys(first)).toEqual(["a2", "b1"]);
    await open.pop()!.stop();

    await system.commit(commitOf(3, [revision("c", 1)]));
    const second = await caughtUp();
    expect(keys(second)).toEqual(["a2", "b1", "c1"]);
    expect(second.view.store.version("departures", 1)).toMatchObject({ missing: 0, results: 3 });
    expect(system.logged).toEqual([]);
  });

  it("keeps results that RESULTS no longer has", async () => {
    await system.commit(commitOf(1, [revision("a", 1)]));
    await caughtUp();
    await open.pop()!.stop();
    const last = await system.commit(commitOf(2, [revision("b", 1)]));
    await system.run(system.log.trim("results.departures.1.0", last));
    expect(keys(await caughtUp())).toEqual(["a1", "b1"]);
  });

  it("splits what it reads into transactions of whole commits", async () => {
    const many = (number: number) =>
      commitOf(
        number,
        Array.from({ length: 7 }, (_, i) => updateOf(`k${i}`, number * HOUR, 1)),
      );
    for (let number = 1; number <= 6; number++) await system.commit(many(number));
    const outcomes: AppliedOutcome[] = [];
    const metrics = {
      ...noQueryMetrics,
      applied: (outcome: AppliedOutcome) => outcomes.push(outcome),
    };
    const options = { directory: system.folder, projections: [], metrics, transactionRowsMax: 15 };
    await system.run(
      Effect.scoped(Effect.flatMap(makeResultView(options), (view) => view.caughtUp)),
    );
    expect(outcomes.map(({ commits, rows, pending }) => ({ commits, rows, pending }))).toEqual([
      { commits: 2, rows: 14, pending: 4 },
      { commits: 2, rows: 14, pending: 2 },
      { commits: 2, rows: 14, pending: 0 },
    ]);
  });

  it("follows promotions, before and after a restart", async () => {
    await system.commit(commitOf(1, [], { version: 3 }));
    await system.commit(commitOf(1, [], { version: 2 }));
    const first = await caughtUp();
    expect(first.view.activeVersion("departures")).toBe(2);
    expect(first.view.versions("departures")).toEqual([2, 3]);
    await first.reached(await system.promote("departures", 3));
    expect(first.view.activeVersion("departures")).toBe(3);
    await open.pop()!.stop();
    const second = await caughtUp({ projections: [{ name: "departures", version: 1 }] });
    expect(second.view.activeVersion("departures")).toBe(3);
    expect(second.view.versions("departures")).toEqual([2, 3]);
    expect(second.view.activeVersion("arrivals")).toBeUndefined();
  });

  it("knows configured projections before their first commit", async () => {
    const { view } = await caughtUp({ projections: [{ name: "departures", version: 4 }] });
    expect(view.projections()).toEqual(["departures"]);
    expect(view.activeVersion("departures")).toBe(4);
  });
});

describe("V3: what was not seen", () => {
  it("is logged and counted when commit numbers jump", async () => {
    const last = await system.commit(commitOf(1, [revision("a", 1)]));
    await system.commit(commitOf(2, [revision("b", 1)]));
    const third = await system.commit(commitOf(3, [revision("c", 1)]));
    await system.run(system.log.trim("results.departures.1.0", third));
    expect(last).toBeLessThan(third);
    const followed = await caughtUp();
    expect(keys(followed)).toEqual(["c1"]);
    expect(followed.view.store.version("departures", 1)?.missing).toBe(2);
    expect(system.logged).toEqual([
      "results of departures may be missing: commit 1 of version 1, partition 0, was to come and " +
        "3 came. The commits between had left RESULTS before this gateway read them, or were " +
        "purged; replay the projection",
    ]);
  });

  it("is logged when a record cannot be read, and shows as a jump after it", async () => {
    await system.commit(commitOf(1, [revision("a", 1)]));
    const subject = "results.departures.1.0";
    await system.append({ subject, data: Uint8Array.of(0xaa, 0x01, 0x7f) });
    await system.commit(commitOf(3, [revision("b", 1)]));
    await system.append({ subject, data: Uint8Array.of(1) });
    const followed = await caughtUp();
    expect(keys(followed)).toEqual(["a1", "b1"]);
    expect(followed.view.store.version("departures", 1)?.missing).toBe(1);
    expect(followed.view.position).toBe(4);
    expect(system.logged).toEqual([
      expect.stringContaining("commit 2 of version 1"),
      "record 2 of RESULTS on results.departures.1.0 cannot be read: the commit breaks off",
      "record 4 of RESULTS on results.departures.1.0 cannot be read: the commit breaks off",
    ]);
  });

  it("a commit on the subject of another task is not believed", async () => {
    const { data } = commitMessage(commitOf(1, [revision("a", 1)]));
    await system.append({ subject: "results.arrivals.1.0", data });
    const followed = await caughtUp();
    expect(keys(followed)).toEqual([]);
    expect(system.logged).toEqual([
      "record 1 of RESULTS on results.arrivals.1.0 cannot be read: " +
        "it says that it belongs to results.departures.1.0",
    ]);
  });
});

describe("V4: a store of another RESULTS is emptied", () => {
  const otherLog = async () => {
    const { folder } = system;
    await system.stop();
    system = await QuerySystem.start();
    return folder;
  };

  it("when its position lies beyond the end", async () => {
    await system.commit(commitOf(1, [revision("a", 1)]));
    await system.commit(commitOf(2, [revision("b", 1)]));
    await caughtUp();
    await open.pop()!.stop();
    const directory = await otherLog();
    await system.commit(commitOf(1, [revision("z", 1)]));
    const followed = await caughtUp({ directory });
    expect(keys(followed)).toEqual(["z1"]);
    expect(system.logged).toEqual([
      "the query store is emptied and rebuilt: RESULTS ends at 1, the query store is at 2, so it " +
        "belongs to another log",
    ]);
  });

  it("when the record at its position is another one", async () => {
    await system.commit(commitOf(1, [revision("a", 1)]));
    await caughtUp();
    await open.pop()!.stop();
    const directory = await otherLog();
    await system.commit(commitOf(1, [revision("y", 1)]));
    await system.commit(commitOf(2, [revision("z", 1)]));
    const followed = await caughtUp({ directory });
    expect(keys(followed)).toEqual(["y1", "z1"]);
    expect(followed.view.generation).toBe(1);
    expect(system.logged[0]).toContain("record 1 of RESULTS is not the one");
  });

  it("is not, when the record at its position was trimmed", async () => {
    await system.commit(commitOf(1, [revision("a", 1)]));
    await caughtUp();
    await open.pop()!.stop();
    const last = await system.commit(commitOf(2, [revision("b", 1)]));
    await system.run(system.log.trim("results.departures.1.0", last));
    const followed = await caughtUp();
    expect(keys(followed)).toEqual(["a1", "b1"]);
    expect(followed.view.generation).toBe(0);
  });
});

describe("V4: a RESULTS that is replaced under a running view", () => {
  it("empties the store, and ends subscriptions that stood in the old one", async () => {
    const [before, after] = [await QuerySystem.start(), await QuerySystem.start()];
    const replaced = Latch.makeUnsafe(false);
    const lost = new LogUnavailable({ stream: "RESULTS", message: "the server is gone" });
    const broken = Effect.andThen(replaced.await, lost);
    const now = () => (replaced.isOpen() ? after.log : before.log);
    const log = ResultLog.of({
      last: (subject) => now().last(subject),
      lastBefore: (subject, sequence) => now().lastBefore(subject, sequence),
      append: (subject, parts, expected) => now().append(subject, parts, expected),
      trim: (subject, sequence, before) => now().trim(subject, sequence, before),
      lastSequence: Effect.suspend(() => now().lastSequence),
      open: (filters, from) =>
        replaced.isOpen()
          ? after.log.open(filters, from)
          : Effect.map(before.log.open(filters, from), ({ next }) => ({
              next: Effect.raceFirst(next, broken),
            })),
    });
    await before.commit(commitOf(1, [revision("a", 1)]));
    await before.commit(commitOf(2, [revision("b", 1)]));
    await after.commit(commitOf(1, [revision("z", 1)]));

    system = await QuerySystem.start(Layer.succeed(ResultLog, log));
    const followed = await caughtUp();
    expect(keys(followed)).toEqual(["a1", "b1"]);
    const sink = { write: () => true, drained: Effect.void, started: () => {} };
    const request = { projection: "departures", version: 1, keyPrefix: "", start: "now" as const };
    const permits = Semaphore.makeUnsafe(1);
    const ending = system.run(Effect.flip(runSubscription(followed.view, request, permits, sink)));
    replaced.openUnsafe();
    expect((await ending).message).toContain("RESULTS was replaced by another log");
    await Effect.runPromise(followed.view.caughtUp);
    expect(keys(followed)).toEqual(["z1"]);
    expect(system.logged).toEqual([
      expect.stringContaining("the server is gone"),
      expect.stringContaining("RESULTS ends at 1, the query store is at 2"),
    ]);
  });
});

describe("V5: caught up", () => {
  it("is at once with an empty RESULTS", async () => {
    await caughtUp();
  });

  it("is not before the last record that was there at the start", async () => {
    await system.commit(commitOf(1, [revision("a", 1)]));
    system.faults.add([{ at: "results.next", kind: "fail", times: 1 }]);
    const followed = await follow();
    expect(followed.view.isCaughtUp).toBe(false);
    await Effect.runPromise(followed.view.caughtUp);
    expect(keys(followed)).toEqual(["a1"]);
    expect(system.logged).toEqual([
      expect.stringMatching(/results cannot be followed now; trying again in \d+ ms: injected/),
    ]);
  });

  it("is with nothing to read for the store after its position", async () => {
    await system.commit(commitOf(1, [revision("a", 1)]));
    await caughtUp();
    await open.pop()!.stop();
    await system.append({ subject: "partials.departures.1.0", data: Uint8Array.of() });
    expect(keys(await caughtUp())).toEqual(["a1"]);
  });

  it("is after a quiet while when RESULTS holds nothing for an empty store", async () => {
    await system.append({ subject: "partials.departures.1.0", data: Uint8Array.of() });
    const options = { directory: system.folder, projections: [], metrics: noQueryMetrics };
    await system.run(
      Effect.scoped(
        Effect.gen(function* () {
          const view = yield* makeResultView(options);
          yield* TestClock.adjust(QUIET_MS - 1);
          expect(view.isCaughtUp).toBe(false);
          yield* TestClock.adjust(1);
          yield* view.caughtUp;
        }),
      ).pipe(Effect.provide(TestClock.layer())),
    );
  });
});

describe("a store that fails", () => {
  it("is read again when somebody else has written to it", async () => {
    await system.commit(commitOf(1, [revision("a", 1)]));
    const followed = await caughtUp();
    const second = commitOf(2, [revision("b", 1)]);
    const { store: other } = ResultStore.open(system.folder);
    const transaction = other.begin();
    const record = recordOf(2, commitMessage(second));
    for (const entry of entriesOf([record])) transaction.add(entry);
    await other.commit(transaction, positionOf(record));
    await other.close();
    await followed.reached(await system.commit(second));
    await followed.reached(await system.commit(commitOf(3, [revision("c", 1)])));
    expect(keys(followed)).toEqual(["a1", "b1", "c1"]);
    expect(followed.view.store.version("departures", 1)).toMatchObject({ results: 3, missing: 0 });
    expect(system.logged).toEqual([expect.stringContaining("give each gateway its own")]);
  });

  it("is an error that names the folder when it cannot be opened", async () => {
    const file = `${system.folder}/file`;
    writeFileSync(file, "");
    await expect(follow({ directory: `${file}/store` })).rejects.toThrow(
      `the query store in ${file}/store cannot be opened`,
    );
  });
});
