/**
 * Runs the engine's runtime over memory and virtual time. Nothing here sleeps: `until` lets every
 * fiber go on, and moves the clock in small steps, until a condition holds.
 */
import { Effect, References } from "effect";
import type { Scope } from "effect";
import { TestClock } from "effect/testing";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Partial, Update } from "../../proto/gen/tidemark/v1/commit.ts";
import type { DeadLetter } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import { commitSubject } from "../../proto/subjects.ts";
import type { TaskId } from "../../proto/subjects.ts";
// oxlint-disable-next-line eslint/no-restricted-imports -- a test's wiring, like an entry point's
import { Faults, MemoryBroker, memoryLayer } from "../../infra/memory/index.ts";
// oxlint-disable-next-line eslint/no-restricted-imports
import type { Broker, FaultPlan, MemoryOptions, MemoryServices } from "../../infra/memory/index.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { Intake } from "../intake/intake.ts";
import { imbalance } from "../task/books-keeper.ts";
import { EventLog } from "../ports/event-log.ts";
import { RekeyLog } from "../ports/rekey-log.ts";
import { ResultLog } from "../ports/result-log.ts";
import { SnapshotStore } from "../ports/snapshot-store.ts";
import { makeCore } from "../task/cores.ts";
import { DEFAULT_SETTINGS } from "../task/settings.ts";
import type { EngineSettings } from "../task/settings.ts";
import type { TaskSpec } from "../task/task-actor.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { PartitionOwner } from "../worker/partition-owner.ts";

export { Faults };
export type { Broker, FaultPlan };

/** What `encodeBatch` stamps: the clock must not lie before it, or ticks would go back in time. */
const START_MS = 1_000_000;

/** E7: in every commit of every task the books balance. */
const balanced = Effect.gen(function* () {
  const { results } = yield* MemoryBroker;
  for (const { subject, data } of results.messages) {
    if (!/^(results|partials)\./.test(subject)) continue;
    const { books } = Commit.decode(data);
    if (books === undefined || imbalance(books) === 0) continue;
    return yield* Effect.die(new Error(`${subject}: the books do not balance`));
  }
});

/** One isolated system: its own streams, snapshots and clock. At its end the books are looked at. */
export const virtually = <A, E>(
  program: Effect.Effect<A, E, MemoryServices | Scope.Scope>,
  options: MemoryOptions = {},
): Promise<A> =>
  Effect.runPromise(
    TestClock.setTime(START_MS).pipe(
      Effect.andThen(program),
      Effect.tap(() => balanced),
      Effect.scoped,
      Effect.provide(memoryLayer(options)),
      Effect.provide(TestClock.layer()),
      Effect.provideService(References.MinimumLogLevel, "None"),
    ),
  );

/** Lets everything that can go on do so, `turns` times, without moving the clock. */
export const turns = (count: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let turn = 0; turn < count; turn++) yield* Effect.yieldNow;
  });

const STEPS_MAX = 5_000;

/** Moves the clock by `stepMs` at a time until the condition holds; dies when it never does. */
export const until = (condition: () => boolean, stepMs = 50): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let step = 0; step < STEPS_MAX; step++) {
      yield* turns(5);
      if (condition()) return;
      yield* TestClock.adjust(stepMs);
    }
    return yield* Effect.die(new Error(`it never came true: ${condition.toString()}`));
  });

export const SETTINGS: EngineSettings = { ...DEFAULT_SETTINGS, snapshotEveryMs: 500 };

export const specOf = (plan: ProjectionPlan, partition = 0, version = 1): TaskSpec<EventBatch> => ({
  id: {
    kind: plan.merged ? "partial" : "window",
    projection: plan.definition.name,
    version,
    partition,
  },
  definitionDigest: plan.digest,
  makeCore: () => makeCore(plan, version, partition),
});

/** An owner of partition 0 with real cores. */
export const ownerOf = (plan: ProjectionPlan, settings: EngineSettings = SETTINGS) =>
  Effect.gen(function* () {
    const ports = {
      events: yield* EventLog,
      results: yield* ResultLog,
      snapshots: yield* SnapshotStore,
      rekeyed: yield* RekeyLog,
    };
    const options = {
      topic: plan.topic.definition.name,
      partition: 0,
      idleAfterMs: plan.topic.definition.idleAfterMs,
      settings,
      makeIntake: () => new Intake(plan.topic, plan.columns),
    };
    const owner = new PartitionOwner(options, ports);
    yield* Effect.addFinalizer(() => owner.abandon);
    return owner;
  });

export interface Published {
  readonly commits: readonly Commit[];
  readonly updates: readonly Update[];
  readonly partials: readonly Partial[];
  readonly deadLetters: readonly DeadLetter[];
}

/** All that RESULTS holds of a task, in order. */
export const publishedBy = (broker: Broker, task: TaskId): Published => {
  const subject = commitSubject(task);
  const commits = broker.results.messages
    .filter((message) => message.subject === subject)
    .map((message) => Commit.decode(message.data));
  return {
    commits,
    updates: commits.flatMap((commit) => commit.updates),
    partials: commits.flatMap((commit) => commit.partials),
    deadLetters: commits.flatMap((commit) => commit.deadLetters),
  };
};

export const broker: Effect.Effect<Broker, never, MemoryBroker> = MemoryBroker;
