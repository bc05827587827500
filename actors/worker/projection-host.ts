/**
 * All tasks of this worker: a partition owner for each of its partitions, a merge owner for each of
 * its merging tasks, a re-keyed owner for each projection that is re-keyed, of the versions that are
 * active now. Tables that are re-keyed themselves are projections like any other here.
 *
 * H1. Of each projection exactly the tasks of its active version run here. When another version is
 *     promoted, those of the old one are drained before those of the new one start.
 * H2. One partition that cannot start holds no other back.
 */
import { Effect, Exit, Scope, Semaphore } from "effect";
import { isCompacted } from "../../projections/definition/compacted-source.ts";
import type { ProjectionPlan, TopicPlan } from "../../projections/definition/plan.ts";
import { activeVersionOf } from "../relay/active-versions.ts";
import type { ActiveVersions } from "../relay/active-versions.ts";
import type { RelayStatus } from "../relay/relay.ts";
import type { EngineSettings } from "../task/settings.ts";
import { statusOf } from "../task/task-status.ts";
import type { TaskStatus } from "../task/task-status.ts";
import { ownsMerge, ownsPartition } from "./assignment.ts";
import type { WorkerSlot } from "./assignment.ts";
import { MergeOwner } from "./merge-owner.ts";
import { PartitionOwner, reported } from "./partition-owner.ts";
import type { Ports } from "./partition-owner.ts";
import { RekeyedOwner } from "./rekeyed-owner.ts";
import {
  byTopic,
  intakeOf,
  mergeSpec,
  partitionSpec,
  routingSpecs,
  withStages,
} from "./task-specs.ts";

export interface HostOptions {
  readonly slot: WorkerSlot;
  readonly plans: readonly ProjectionPlan[];
  readonly ports: Ports;
  readonly settings: EngineSettings;
}

interface OwnedPartition {
  readonly topic: TopicPlan;
  readonly partition: number;
  readonly plans: readonly ProjectionPlan[];
  readonly owner: PartitionOwner;
}

interface OwnedMerge {
  readonly plan: ProjectionPlan;
  readonly oneAtATime: Semaphore.Semaphore;
  owner: MergeOwner | undefined;
}

export class ProjectionHost {
  readonly #options: HostOptions;
  readonly #partitions: readonly OwnedPartition[];
  readonly #merges: readonly OwnedMerge[];
  readonly #rekeyed: readonly RekeyedOwner[];
  readonly #scope = Scope.makeUnsafe();

  constructor(options: HostOptions) {
    const { slot, ports, settings } = options;
    this.#options = options;
    const plans = withStages(options.plans);
    this.#partitions = byTopic(plans).flatMap((topicPlans) => {
      const { name, partitions, idleAfterMs } = topicPlans.topic.definition;
      return Array.from({ length: partitions }, (_, partition) => partition)
        .filter((partition) => ownsPartition(slot, partition))
        .map((partition) => {
          const makeIntake = () => intakeOf(topicPlans);
          const compacted = isCompacted(topicPlans.topic);
          const owned = { topic: name, partition, compacted, idleAfterMs, settings, makeIntake };
          return { ...topicPlans, partition, owner: new PartitionOwner(owned, ports) };
        });
    });
    this.#rekeyed = plans
      .filter((plan) => plan.rekeyed)
      .map((plan) => new RekeyedOwner({ plan, slot, ports, settings }));
    this.#merges = plans
      .filter((plan) => plan.merged && ownsMerge(slot, plan.definition.name))
      .map((plan) => ({ plan, oneAtATime: Semaphore.makeUnsafe(1), owner: undefined }));
  }

  /** The tasks that run here, or ran here until they failed. */
  get tasks(): readonly TaskStatus[] {
    return [
      ...this.#partitions.flatMap(({ owner }) => owner.tasks.map((task) => statusOf(task))),
      ...this.#merges.flatMap(({ owner }) => (owner === undefined ? [] : [statusOf(owner.task)])),
      ...this.#rekeyed.flatMap((owner) => owner.tasks),
    ];
  }

  /** Those that write the logs of re-keyed projections from here. */
  get relays(): readonly RelayStatus[] {
    return this.#rekeyed.flatMap((owner) => owner.relays);
  }

  /** Starts in the background what is missing, and stops what is no longer active (H1). */
  readonly follow = Effect.fnUntraced(function* (this: ProjectionHost, active: ActiveVersions) {
    const activeOf = (plan: ProjectionPlan) => activeVersionOf(active, plan);
    for (const { topic, partition, plans, owner } of this.#partitions) {
      const specs = plans.flatMap((plan) => {
        const { version, routing } = activeOf(plan);
        return plan.rekeyed
          ? routingSpecs(plan, routing, topic, partition)
          : [partitionSpec(plan, version, partition)];
      });
      yield* Effect.forkIn(reported(owner.runOnly(specs)), this.#scope);
    }
    for (const merge of this.#merges) {
      const change = this.#changeMerge(merge, activeOf(merge.plan).version);
      yield* Effect.forkIn(reported(merge.oneAtATime.withPermit(change)), this.#scope);
    }
    for (const owner of this.#rekeyed) {
      yield* Effect.forkIn(reported(owner.follow(activeOf(owner.plan))), this.#scope);
    }
  });

  /** Ticks for the silent partitions. Runs for as long as the tasks do. */
  readonly ticks: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach(this.#partitions, ({ owner }) => owner.ticks, {
      concurrency: "unbounded",
      discard: true,
    }),
  );

  /** Commits what there is, saves snapshots and stops. */
  readonly drain: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    yield* Scope.close(this.#scope, Exit.void);
    const drains = [
      ...this.#partitions.map(({ owner }) => owner.drain),
      ...this.#merges.map(({ owner }) => owner?.drain ?? Effect.void),
      ...this.#rekeyed.map((owner) => owner.drain),
    ];
    yield* Effect.all(drains, { concurrency: "unbounded", discard: true });
  });

  /** Stops everything as a crash would. */
  readonly abandon: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    yield* Scope.close(this.#scope, Exit.void);
    for (const { owner } of this.#partitions) yield* owner.abandon;
    for (const { owner } of this.#merges) if (owner !== undefined) yield* owner.abandon;
    for (const owner of this.#rekeyed) yield* owner.abandon;
  });

  readonly #changeMerge = Effect.fnUntraced(function* (
    this: ProjectionHost,
    merge: OwnedMerge,
    version: number,
  ) {
    if (merge.owner?.task.id.version === version) return;
    if (merge.owner !== undefined) yield* merge.owner.drain;
    const { ports, settings } = this.#options;
    merge.owner = new MergeOwner(mergeSpec(merge.plan, version), ports, settings);
    yield* merge.owner.start;
  });
}
