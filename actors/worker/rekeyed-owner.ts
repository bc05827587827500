/**
 * Owns this worker's share of the second stage of a re-keyed projection: partitions of the projection's
 * own log, and in one worker the relay that writes it. The routing tasks are tasks of the source's
 * partitions, like all that read them.
 *
 * K1. Tasks of one version read one log. When another version is promoted, tasks and relay change over
 *     if it reads another log, else the tasks alone.
 * K2. One partition that cannot start holds no other back.
 */
import { Effect, Exit, Fiber, Scope, Semaphore } from "effect";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { rekeyOf, rowUpstreamsOf } from "../../projections/definition/rekey.ts";
import { untilAvailable } from "../commit/until-available.ts";
import { RekeyRelay } from "../rekey/rekey-relay.ts";
import { lookAtUpstreams } from "../rekey/upstream.ts";
import type { ActiveVersion } from "../relay/active-versions.ts";
import type { RelayStatus } from "../relay/relay.ts";
import type { EngineSettings } from "../task/settings.ts";
import { statusOf } from "../task/task-status.ts";
import type { TaskStatus } from "../task/task-status.ts";
import { ownsMerge, ownsPartition } from "./assignment.ts";
import type { WorkerSlot } from "./assignment.ts";
import { PartitionOwner, reported } from "./partition-owner.ts";
import type { Ports } from "./partition-owner.ts";
import { partitionSpec, rekeyedIntakeOf, rekeyedTopicOf } from "./task-specs.ts";

export interface RekeyedOwnerOptions {
  readonly plan: ProjectionPlan;
  readonly slot: WorkerSlot;
  readonly ports: Ports;
  readonly settings: EngineSettings;
}

export const rekeyRelayOf = (
  plan: ProjectionPlan,
  version: number,
  ports: Ports,
  { partialProgressEveryMs, alignment }: EngineSettings,
): RekeyRelay =>
  new RekeyRelay({
    projection: plan.definition.name,
    version,
    topic: rekeyedTopicOf(plan, version),
    upstreams: rekeyOf(plan).upstreams,
    look: lookAtUpstreams(plan, version, ports),
    rowUpstreams: rowUpstreamsOf(rekeyOf(plan)),
    results: ports.results,
    rekeyed: ports.rekeyed,
    limits: alignment,
    progressEveryMs: partialProgressEveryMs,
  });

/** What reads and writes the log of one routing version here. */
interface Running {
  readonly routing: number;
  readonly partitions: readonly { readonly partition: number; readonly owner: PartitionOwner }[];
  readonly relay: RekeyRelay | undefined;
  readonly relaying: Fiber.Fiber<void> | undefined;
}

export class RekeyedOwner {
  readonly plan: ProjectionPlan;
  readonly #options: RekeyedOwnerOptions;
  readonly #scope = Scope.makeUnsafe();
  readonly #oneAtATime = Semaphore.makeUnsafe(1);
  #running: Running | undefined;

  constructor(options: RekeyedOwnerOptions) {
    this.plan = options.plan;
    this.#options = options;
  }

  get tasks(): readonly TaskStatus[] {
    return (this.#running?.partitions ?? []).flatMap(({ owner }) =>
      owner.tasks.map((task) => statusOf(task)),
    );
  }

  get relays(): readonly RelayStatus[] {
    const relay = this.#running?.relay;
    return relay === undefined ? [] : [relay.status];
  }

  /** Makes the tasks of this version those that run (K1). */
  follow({ version, routing }: ActiveVersion): Effect.Effect<void> {
    return this.#oneAtATime.withPermit(
      Effect.gen({ self: this }, function* () {
        if (this.#running?.routing !== routing) {
          yield* this.#stop;
          yield* this.#start(routing);
        }
        yield* Effect.forEach(
          this.#running?.partitions ?? [],
          ({ partition, owner }) =>
            reported(owner.runOnly([partitionSpec(this.plan, version, partition)])),
          { concurrency: "unbounded", discard: true },
        );
      }),
    );
  }

  readonly #start = Effect.fnUntraced(function* (this: RekeyedOwner, routing: number) {
    const { plan, slot, ports, settings } = this.#options;
    const topic = rekeyedTopicOf(plan, routing);
    yield* untilAvailable(ports.rekeyed.ensure(topic));
    const options = {
      topic: topic.name,
      compacted: topic.compacted ?? false,
      idleAfterMs: plan.topic.definition.idleAfterMs,
      settings,
      makeIntake: () => rekeyedIntakeOf(plan),
    };
    const partitions = [...Array(rekeyOf(plan).partitions).keys()]
      .filter((partition) => ownsPartition(slot, partition))
      .map((partition) => ({
        partition,
        owner: new PartitionOwner({ ...options, partition }, ports),
      }));
    const relay = ownsMerge(slot, plan.definition.name)
      ? rekeyRelayOf(plan, routing, ports, settings)
      : undefined;
    const relaying = relay && (yield* Effect.forkIn(relay.run, this.#scope));
    this.#running = { routing, partitions, relay, relaying };
  });

  readonly #stop: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    const running = this.#running;
    if (running === undefined) return;
    if (running.relaying !== undefined) yield* Fiber.interrupt(running.relaying);
    yield* Effect.forEach(running.partitions, ({ owner }) => owner.drain, {
      concurrency: "unbounded",
      discard: true,
    });
    // Not before: who is interrupted in between leaves it to be drained.
    this.#running = undefined;
  });

  /** Commits what there is, saves snapshots and stops. */
  readonly drain: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    yield* this.#stop;
    yield* Scope.close(this.#scope, Exit.void);
  });

  /** Stops as a crash would. */
  readonly abandon: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    yield* Scope.close(this.#scope, Exit.void);
    for (const { owner } of this.#running?.partitions ?? []) yield* owner.abandon;
  });
}
