/**
 * One worker process' share of the engine: its partitions, its merging tasks and, in the first
 * worker, the relays.
 *
 * W1. Interrupting it drains: what is read is committed, a snapshot is saved, tasks stop. A drain
 *     that takes longer than `drainMsMax` is abandoned, which costs the next owner time only.
 * W2. It follows promotions: tasks of the version that is no longer active make room.
 * W3. Nothing that one task, partition or relay meets ends the worker.
 */
import { Deferred, Effect, Fiber, Schema } from "effect";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { untilAvailable } from "../commit/until-available.ts";
import { EventLog } from "../ports/event-log.ts";
import { RekeyLog } from "../ports/rekey-log.ts";
import { RelayTarget } from "../ports/relay-target.ts";
import { ResultLog } from "../ports/result-log.ts";
import { SnapshotStore } from "../ports/snapshot-store.ts";
import {
  activeVersionsAt,
  applyPromotion,
  CONTROL_FILTER,
  isLastPart,
} from "../relay/active-versions.ts";
import type { ActiveVersions } from "../relay/active-versions.ts";
import { Relay } from "../relay/relay.ts";
import { keepRunning } from "../task/keep-running.ts";
import { DEFAULT_SETTINGS } from "../task/settings.ts";
import type { EngineSettings } from "../task/settings.ts";
import { ownsRelays } from "./assignment.ts";
import { compactRegularly } from "./compaction.ts";
import { ProjectionHost } from "./projection-host.ts";
import { trimRegularly } from "./retention.ts";
import { StatusBoard } from "./status-board.ts";

export interface WorkerOptions {
  /** 0 to workers - 1. */
  readonly index: number;
  readonly workers: number;
  readonly plans: readonly ProjectionPlan[];
  readonly settings?: Partial<EngineSettings>;
  readonly board?: StatusBoard;
  /** Run once, when every task has been asked to start. */
  readonly ready?: Effect.Effect<void>;
}

/** The options contradict themselves. Do not retry. */
export class WorkerMisconfigured extends Schema.TaggedError<WorkerMisconfigured>()(
  "WorkerMisconfigured",
  { message: Schema.String },
) {}

const check = ({ index, workers, plans }: WorkerOptions): string | undefined => {
  if (!Number.isInteger(workers) || workers < 1) return `workers is ${workers}, not 1 or more`;
  if (!Number.isInteger(index) || index < 0 || index >= workers) {
    return `index ${index} is not one of ${workers} workers`;
  }
  const names = plans.map((plan) => plan.definition.name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  return twice === undefined ? undefined : `projection ${twice} is there twice`;
};

const followPromotions = Effect.fnUntraced(function* (
  results: ResultLog["Service"],
  active: ActiveVersions,
  after: number,
  host: ProjectionHost,
): Effect.fn.Return<never> {
  let position = after;
  const follow = Effect.gen(function* () {
    const reader = yield* results.open([CONTROL_FILTER], position + 1);
    while (true) {
      for (const record of yield* reader.next) {
        const promotion = applyPromotion(active, record.data);
        const { projection, version } = promotion;
        position = record.sequence;
        if (!isLastPart(promotion)) continue;
        yield* Effect.logInfo(`version ${version} of ${projection} is now the active one`);
        yield* host.follow(active);
      }
    }
  });
  return yield* keepRunning(
    { loop: "promotions", of: "this worker" },
    untilAvailable(Effect.scoped(follow)),
  );
});

/** Runs an effect to its end or for a while, whether or not the caller is being interrupted. */
const atMost = (effect: Effect.Effect<void>, ms: number, otherwise: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const done = yield* Deferred.make<void>();
    const finish = Deferred.succeed(done, undefined);
    yield* Effect.forkDetach(Effect.andThen(Effect.exit(effect), finish));
    const late = yield* Effect.sleep(ms).pipe(
      Effect.andThen(otherwise),
      Effect.andThen(finish),
      Effect.forkDetach,
    );
    yield* Deferred.await(done);
    yield* Fiber.interrupt(late);
  });

/** Runs until it is interrupted. */
export const runWorker = Effect.fn("runWorker")(function* (
  options: WorkerOptions,
): Effect.fn.Return<
  never,
  WorkerMisconfigured,
  EventLog | RekeyLog | ResultLog | SnapshotStore | RelayTarget
> {
  const problem = check(options);
  if (problem !== undefined) return yield* new WorkerMisconfigured({ message: problem });
  const { index, workers, plans, board = new StatusBoard() } = options;
  const settings = { ...DEFAULT_SETTINGS, ...options.settings };
  const results = yield* ResultLog;
  const outlet = yield* RelayTarget;
  const ports = {
    events: yield* EventLog,
    results,
    snapshots: yield* SnapshotStore,
    rekeyed: yield* RekeyLog,
  };
  const slot = { index, workers };
  const host = new ProjectionHost({ slot, plans, ports, settings });
  const relays = ownsRelays(slot)
    ? (["projections", "dlq"] as const).map(
        (target) => new Relay({ target, plans, results, outlet }),
      )
    : [];
  board.show(() => ({
    index,
    workers,
    tasks: host.tasks,
    relays: [...relays.map((relay) => relay.status), ...host.relays],
  }));

  const work = Effect.gen(function* () {
    const after = yield* untilAvailable(results.lastSequence);
    const names = plans.map((plan) => plan.definition.name);
    const active = yield* activeVersionsAt(results, names, after);
    yield* host.follow(active);
    if (options.ready !== undefined) yield* options.ready;
    return yield* Effect.all(
      [
        followPromotions(results, active, after, host),
        host.ticks,
        trimRegularly({
          slot,
          plans,
          settings,
          results,
          outlet,
          rekeyed: ports.rekeyed,
          active,
          tasks: () => host.tasks,
        }),
        compactRegularly({
          slot,
          plans,
          settings,
          events: ports.events,
          active,
          tasks: () => host.tasks,
        }),
        ...relays.map((relay) => relay.run),
        Effect.never,
      ],
      { concurrency: "unbounded" },
    );
  });
  const drain = atMost(
    host.drain,
    settings.drainMsMax,
    Effect.logWarning("the drain took too long: what is left is recovered at the next start"),
  );
  yield* work.pipe(Effect.ensuring(drain));
  return yield* Effect.never;
});
