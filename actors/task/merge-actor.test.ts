/** A merging task over memory: whatever happens to it, it publishes what an undisturbed one does. */
import { Effect, Fiber, Logger, References } from "effect";
import { TestClock } from "effect/testing";
import { describe, expect, test } from "vitest";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Partial } from "../../proto/gen/tidemark/v1/commit.ts";
import { commitSubject } from "../../proto/subjects.ts";
import { EventLog } from "../ports/event-log.ts";
import { RekeyLog } from "../ports/rekey-log.ts";
import { ResultLog } from "../ports/result-log.ts";
import { SnapshotStore } from "../ports/snapshot-store.ts";
import { encodeBatch, salesPlan, topicPlan } from "../testkit/plans.ts";
import { PartitionRun } from "../testkit/run.ts";
import {
  broker,
  publishedBy,
  SETTINGS,
  turns,
  until,
  virtually,
} from "../testkit/virtual-engine.ts";
import type { Broker } from "../testkit/virtual-engine.ts";
import { MergeOwner } from "../worker/merge-owner.ts";
import { mergeSpec } from "../worker/task-specs.ts";

const PLAN = salesPlan(
  { name: "by-store", key: { field: "store" }, allowedLatenessMs: 12 },
  topicPlan({ partitions: 3 }),
);
const MERGE = mergeSpec(PLAN, 1).id;

interface PartialCommit {
  readonly partition: number;
  readonly parts: readonly Commit[];
}

/** What three partial tasks would commit, a commit a record batch, interleaved. */
const commits = (): readonly PartialCommit[] => {
  const runs = [0, 1, 2].map((partition) => new PartitionRun(PLAN, partition));
  const out: PartialCommit[] = [];
  for (let b = 0; b < 40; b++) {
    const partition = (b * 7) % 3;
    const run = runs[partition]!;
    const already = run.output.partials.length;
    const sales = Array.from({ length: 4 }, (_, i) => ({
      id: `${partition}-${b}-${i}`,
      key: `k${i}`,
      time: b * 3 + ((i * 11) % 17) - 6,
      cents: b * 10 + i,
      weight: (b + i) / 7,
      store: `s${(b + i) % 4}`,
    }));
    run.read(encodeBatch(sales, 1_000_000 + b)).take();
    const partials = run.output.partials.slice(already);
    const { watermark, idle } = run.core.progress();
    const middle = Math.ceil(partials.length / 2);
    const split =
      partials.length > 3 ? [partials.slice(0, middle), partials.slice(middle)] : [partials];
    const part = (items: readonly Partial[], index: number): Commit => ({
      ...Commit.decode(new Uint8Array(0)),
      projection: "by-store",
      version: 1,
      partition,
      partIndex: index,
      partCount: split.length,
      ...(index === split.length - 1 ? { watermark, idle, ingestTime: 1_000_000 + b } : {}),
      partials: [...items],
    });
    out.push({ partition, parts: split.map(part) });
  }
  return out;
};
const COMMITS = commits();

const fill = (log: Broker, from: number, to: number): void => {
  for (const { partition, parts } of COMMITS.slice(from, to)) {
    const subject = commitSubject({ ...MERGE, kind: "partial", partition });
    log.results.append(
      parts.map((part) => ({ subject, data: Commit.encode(part).finish() })),
      -1,
    );
  }
};

const mergeOwner = Effect.gen(function* () {
  const ports = {
    events: yield* EventLog,
    results: yield* ResultLog,
    snapshots: yield* SnapshotStore,
    rekeyed: yield* RekeyLog,
  };
  const owner = new MergeOwner(mergeSpec(PLAN, 1), ports, SETTINGS);
  yield* Effect.addFinalizer(() => owner.abandon);
  return owner;
});

const lastPartial = (log: Broker): number =>
  log.results.messages.findLast(({ subject }) => subject.startsWith("partials."))?.sequence ?? 0;

const done = (log: Broker) => () =>
  publishedBy(log, MERGE).commits.some((commit) => commit.inputSequence === lastPartial(log));

/** RESULTS sequences depend on how often the task committed: they are no part of the result. */
const undisturbed = virtually(
  Effect.gen(function* () {
    const log = yield* broker;
    fill(log, 0, COMMITS.length);
    const owner = yield* mergeOwner;
    yield* owner.start;
    yield* until(done(log));
    return publishedBy(log, MERGE);
  }),
);

test("an undisturbed merging task publishes", async () => {
  const whole = await undisturbed;
  expect(COMMITS.some(({ parts }) => parts.length > 1)).toBe(true);
  expect(whole.updates.length).toBeGreaterThan(20);
});

test("a task that does well says nothing above the level of debugging", async () => {
  const logged: string[] = [];
  const logger = Logger.make<unknown, void>(({ message, logLevel }) => {
    logged.push(`${logLevel} ${String(message)}`);
  });
  await virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      fill(log, 0, COMMITS.length);
      const owner = yield* mergeOwner;
      yield* owner.start;
      yield* until(() => done(log)() && owner.task.life.state === "live");
    }).pipe(
      Effect.provide(Logger.layer([logger])),
      Effect.provideService(References.MinimumLogLevel, "All"),
    ),
  );
  const subject = commitSubject(MERGE);
  expect(logged).toContain(`Debug task ${subject} is live`);
  expect(logged.filter((line) => !/^(Debug|Trace) /.test(line))).toEqual([]);
});

describe("owner after owner crashes, and nothing changes", () => {
  for (const steps of [1, 2, 3, 5, 8, 13]) {
    for (const snapshots of ["kept", "lost"] as const) {
      test(`each after ${steps} steps, snapshots ${snapshots}`, async () => {
        const whole = await undisturbed;
        await virtually(
          Effect.gen(function* () {
            const log = yield* broker;
            for (let at = 0; at < COMMITS.length; at += 5) {
              fill(log, at, at + 5);
              const owner = yield* mergeOwner;
              const starting = yield* Effect.forkScoped(owner.start);
              for (let step = 0; step < steps; step++) {
                yield* turns(step);
                yield* TestClock.adjust(300);
              }
              yield* Fiber.interrupt(starting);
              yield* owner.abandon;
              const store = yield* SnapshotStore;
              if (snapshots === "lost") yield* store.remove(commitSubject(MERGE));
            }
            const last = yield* mergeOwner;
            yield* last.start;
            yield* until(() => done(log)() && last.task.life.state === "live");
            expect(publishedBy(log, MERGE).updates).toEqual(whole.updates);
          }),
          {
            limits: { recordsMax: 3, bytesMax: 1 << 20 },
            faults: [
              { at: "results.append", kind: "fail-stored", skip: steps, times: 2 },
              { at: "results.next", kind: "fail", skip: 3 },
            ],
          },
        );
      });
    }
  }
});

test("no commit stands between the parts of a partial commit (G1)", async () => {
  await virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const owner = yield* mergeOwner;
      yield* owner.start;
      const boundaries = new Set([0]);
      for (const { partition, parts } of COMMITS) {
        const subject = commitSubject({ ...MERGE, kind: "partial", partition });
        for (const part of parts) {
          log.results.append([{ subject, data: Commit.encode(part).finish() }], -1);
          yield* turns(10);
          yield* TestClock.adjust(1_000);
        }
        boundaries.add(lastPartial(log));
      }
      yield* until(done(log));
      for (const { inputSequence } of publishedBy(log, MERGE).commits) {
        expect(boundaries).toContain(inputSequence);
      }
      const whole = yield* Effect.promise(() => undisturbed);
      expect(publishedBy(log, MERGE).updates).toEqual(whole.updates);
    }),
  );
});

test("partials below retain_from are not needed to rebuild open windows without a snapshot", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const store = yield* SnapshotStore;
      const whole = yield* Effect.promise(() => undisturbed);
      for (let at = 0; at < COMMITS.length; at += 5) {
        fill(log, at, at + 5);
        const owner = yield* mergeOwner;
        yield* owner.start;
        yield* until(() => done(log)() && owner.task.life.state !== "restoring");
        yield* owner.drain;
        yield* store.remove(commitSubject(MERGE));
        const { retainFrom } = publishedBy(log, MERGE).commits.at(-1)!;
        for (const partition of [0, 1, 2]) {
          const subject = commitSubject({ ...MERGE, kind: "partial", partition });
          const last = log.results.lastOf(subject)?.sequence ?? 0;
          log.results.deleteBelow(Math.min(retainFrom, last), (other) => other === subject);
        }
      }
      expect(publishedBy(log, MERGE).updates).toEqual(whole.updates);
    }),
  ));

test("partials of a commit whose last part was never stored are not merged (G1)", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const owner = yield* mergeOwner;
      yield* owner.start;
      const torn = COMMITS.findIndex(({ parts }) => parts.length > 1);
      fill(log, 0, torn);
      const { partition, parts } = COMMITS[torn]!;
      const subject = commitSubject({ ...MERGE, kind: "partial", partition });
      // The same keys and windows, and other contents than what is committed in its place.
      const other = parts[0]!.partials.map((partial) => ({
        ...partial,
        accumulators: Buffer.from(parts[0]!.partials[0]!.accumulators),
      }));
      const data = Commit.encode({ ...parts[0]!, partials: other }).finish();
      log.results.append([{ subject, data }], -1);
      yield* turns(20);
      yield* TestClock.adjust(1_000);
      fill(log, torn, COMMITS.length);
      yield* until(done(log));
      const whole = yield* Effect.promise(() => undisturbed);
      expect(publishedBy(log, MERGE).updates).toEqual(whole.updates);
    }),
  ));
