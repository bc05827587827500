/**
 * Trims the commits of this worker's tasks, and of the versions that they have superseded, every few
 * minutes, as far as nobody needs them any more. Age is what the stream itself says, so trimming does
 * not depend on how long a worker lives.
 *
 * X1. Nothing younger than the retention is deleted, and never the last commit: it is the marker.
 * X2. Nothing is deleted that a relay has still to read, or that a merging task of the active version
 *     needs for a rebuild.
 * X3. Commits with partials are kept as long as the events that they were made from, not just as long as
 *     results: a merging task without a snapshot rebuilds its state from them.
 * X4. Superseded versions are the first worker's, whatever kind of projection they were: a definition may
 *     have been merged before, or re-keyed, and a join's table, too. Once one of their tasks is down to its marker
 *     it is not looked at again.
 * X5. Commits with routed events are not kept at all once they are in the re-keyed log.
 */
import { Clock, Effect } from "effect";
import { commitSubject, controlSubject } from "../../proto/subjects.ts";
import type { TaskId } from "../../proto/subjects.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { rekeyOf } from "../../projections/definition/rekey.ts";
import { tableStageName } from "../../projections/definition/table-stage.ts";
import { lastCommit } from "../commit/parts.ts";
import { extentIn, includedOf } from "../rekey/log-extent.ts";
import type { RekeyLog } from "../ports/rekey-log.ts";
import type { RelayTarget } from "../ports/relay-target.ts";
import type { ResultLog } from "../ports/result-log.ts";
import { activeVersionOf, versionsBefore } from "../relay/active-versions.ts";
import type { ActiveVersions } from "../relay/active-versions.ts";
import { keepRunning } from "../task/keep-running.ts";
import type { EngineSettings } from "../task/settings.ts";
import type { TaskStatus } from "../task/task-status.ts";
import { ownsRelays } from "./assignment.ts";
import type { WorkerSlot } from "./assignment.ts";
import { rekeyedTopicOf, withStages } from "./task-specs.ts";

export interface RetentionOptions {
  readonly slot: WorkerSlot;
  readonly plans: readonly ProjectionPlan[];
  readonly settings: EngineSettings;
  readonly results: ResultLog["Service"];
  readonly outlet: RelayTarget["Service"];
  readonly rekeyed: RekeyLog["Service"];
  readonly tasks: () => readonly Pick<TaskStatus, "task" | "commits">[];
  /** As of now: it changes with promotions. */
  readonly active: ActiveVersions;
}

/** The oldest sequence that a relay has still to read. */
const relayedUpTo = Effect.fnUntraced(function* (outlet: RelayTarget["Service"]) {
  const projections = yield* outlet.cursor("projections");
  const deadLetters = yield* outlet.cursor("dlq");
  return Math.min(projections.position, deadLetters.position) + 1;
});

/** Projections whose last promotion is not relayed: what it changed is told from both versions' commits. */
const unsettledPromotions = Effect.fnUntraced(function* (
  results: ResultLog["Service"],
  plans: readonly ProjectionPlan[],
  relayed: number,
) {
  const unsettled = new Set<string>();
  for (const { definition } of plans) {
    const last = yield* results.last(controlSubject(definition.name));
    if (last !== undefined && last.sequence >= relayed) unsettled.add(definition.name);
  }
  return unsettled;
});

/** The oldest sequence that the merging task of a partial task still needs. */
const mergeNeedsFrom = Effect.fnUntraced(function* (results: ResultLog["Service"], task: TaskId) {
  const merge = commitSubject({ ...task, kind: "merge", partition: 0 });
  return (yield* lastCommit(results, merge)).marker?.retainFrom ?? 0;
});

/** The oldest sequence of a routing task that the relay of its re-keyed log has still to read. */
const relayNeedsFrom = Effect.fnUntraced(function* (
  rekeyed: RekeyLog["Service"],
  plan: ProjectionPlan | undefined,
  { version, partition: upstream }: TaskId,
) {
  if (plan === undefined) return 0;
  const { name, partitions } = rekeyedTopicOf(plan, version);
  let from = Infinity;
  for (let partition = 0; partition < partitions; partition++) {
    const last = yield* rekeyed.last(name, partition);
    from = Math.min(from, includedOf(extentIn(last), upstream) + 1);
  }
  return from;
});

const partitionsOf = (plan: ProjectionPlan, kind: TaskId["kind"]): number =>
  kind === "routing" && plan.rekeyed ? rekeyOf(plan).upstreams : plan.topic.definition.partitions;

/** Some of which may never have been. A merging task commits where the first of `window` would. */
const tasksOf = (
  plan: ProjectionPlan,
  version: number,
  kinds: readonly TaskId["kind"][],
): readonly TaskId[] =>
  kinds.flatMap((kind) =>
    Array.from({ length: partitionsOf(plan, kind) }, (_, partition) => ({
      kind,
      projection: plan.definition.name,
      version,
      partition,
    })),
  );

/** Of the table that a join may have had, whose topic may have been any of these projections'. */
const formerTableTasks = (
  { definition: { kind, name } }: ProjectionPlan,
  version: number,
  plans: readonly ProjectionPlan[],
): readonly TaskId[] => {
  if (kind !== "join") return [];
  const partitions = Math.max(...plans.map((plan) => partitionsOf(plan, "routing")));
  const projection = tableStageName(name);
  return Array.from({ length: partitions }, (_, partition) => ({
    kind: "routing",
    projection,
    version,
    partition,
  }));
};

/** Every task of every version before the active one. */
const superseded = (plans: readonly ProjectionPlan[], active: ActiveVersions): readonly TaskId[] =>
  plans.flatMap((plan) => {
    const { version, routing } = activeVersionOf(active, plan);
    return [
      ...versionsBefore(version).flatMap((old) => tasksOf(plan, old, ["window", "partial"])),
      ...versionsBefore(routing).flatMap((old) => [
        ...tasksOf(plan, old, ["routing"]),
        ...formerTableTasks(plan, old, plans),
      ]),
    ];
  });

export const trimRegularly = Effect.fnUntraced(function* (
  options: RetentionOptions,
): Effect.fn.Return<never> {
  const { slot, settings, results, outlet, rekeyed } = options;
  const plans = withStages(options.plans);
  const finished = new Set<string>();
  const planOf = (task: TaskId) =>
    plans.find(({ definition }) => definition.name === task.projection);
  const retentionOf = (task: TaskId): number => {
    // X5. What it passed on is in the re-keyed log.
    if (task.kind === "routing") return 0;
    if (task.kind !== "partial") return settings.resultsRetentionMs;
    return Math.max(settings.resultsRetentionMs, planOf(task)?.topic.definition.retentionMs ?? 0);
  };
  const neededFrom = (task: TaskId) => {
    if (task.kind === "partial") return mergeNeedsFrom(results, task);
    if (task.kind === "routing") return relayNeedsFrom(rekeyed, planOf(task), task);
    return Effect.succeed(Infinity);
  };
  const round = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis;
    const relayed = yield* relayedUpTo(outlet);
    const unsettled = yield* unsettledPromotions(results, plans, relayed);
    for (const { task, commits } of options.tasks()) {
      if (commits === 0 || unsettled.has(task.projection)) continue;
      const below = Math.min(relayed, yield* neededFrom(task));
      yield* results.trim(commitSubject(task), below, now - retentionOf(task));
    }
    if (!ownsRelays(slot)) return;
    for (const task of superseded(plans, options.active)) {
      const subject = commitSubject(task);
      if (finished.has(subject) || unsettled.has(task.projection)) continue;
      const more = yield* results.trim(subject, relayed, now - retentionOf(task));
      if (!more) finished.add(subject);
    }
  });
  const rounds = Effect.sleep(settings.trimEveryMs).pipe(
    Effect.andThen(round),
    Effect.catchTag("LogUnavailable", (error) =>
      Effect.logWarning(`commits are not trimmed this time: ${error.message}`),
    ),
    Effect.forever,
  );
  return yield* keepRunning({ loop: "trimming", of: "this worker" }, rounds);
});
