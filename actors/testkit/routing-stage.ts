/**
 * The first stage of a re-keyed projection, in memory: routing tasks of all partitions, and the relay
 * that writes the re-keyed log. `route` commits; `relay` copies what was committed since it last was
 * called, as one flush does: so a test decides how the two interleave.
 */
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { DeadLetter } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { inputOf, rekeyOf } from "../../projections/definition/rekey.ts";
import type { RekeyPlan, RoutePlan } from "../../projections/definition/rekey.ts";
import { Intake } from "../intake/intake.ts";
import { RekeyWriter } from "../rekey/rekey-writer.ts";
import { makeRoutingCore } from "../rekey/table-core.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import type { TaskCore } from "../task/task-core.ts";

export interface RoutedBatch {
  readonly partition: number;
  readonly data: Uint8Array;
}

interface RoutingLane {
  intake: Intake;
  core: TaskCore<EventBatch>;
  sequence: number;
}

/** The marker fields of a commit, as a committer would write them. */
const markerOf = (core: TaskCore<EventBatch>, upstream: number): Uint8Array => {
  const { watermark, idle, ingestTime } = core.progress();
  return Commit.encode({
    ...Commit.decode(new Uint8Array(0)),
    partition: upstream,
    partIndex: 0,
    partCount: 1,
    watermark,
    // A partition that never held an event says so: it holds nobody back.
    idle: idle || watermark === undefined,
    ingestTime,
  }).finish();
};

export class RoutingStage {
  readonly #plan: ProjectionPlan;
  readonly #rekey: RekeyPlan;
  readonly #version: number;
  readonly #lanes: RoutingLane[];
  /** RESULTS: sequence 1 is the first. */
  readonly #commits: Commit[] = [];
  /** The newest record batch of each partition of the re-keyed log. */
  readonly #lasts: (Uint8Array | undefined)[];
  #writer: RekeyWriter;

  constructor(plan: ProjectionPlan, version: number) {
    this.#plan = plan;
    this.#rekey = rekeyOf(plan);
    this.#version = version;
    this.#lanes = Array.from({ length: this.#rekey.upstreams }, (_, upstream) => ({
      intake: this.#makeIntake(upstream),
      core: this.#makeCore(upstream),
      sequence: 0,
    }));
    this.#lasts = Array.from({ length: this.#rekey.partitions }, () => undefined);
    this.#writer = new RekeyWriter(this.#lasts);
    this.#lanes.forEach((_, partition) => this.#commit(partition));
  }

  get cores(): readonly TaskCore<EventBatch>[] {
    return this.#lanes.map(({ core }) => core);
  }

  #routeOf(upstream: number): RoutePlan {
    return this.#rekey.routes.findLast(({ firstUpstream }) => firstUpstream <= upstream)!;
  }

  #makeIntake(upstream: number): Intake {
    const { topic, columns } = inputOf(this.#routeOf(upstream));
    return new Intake(topic, columns);
  }

  #makeCore(upstream: number): TaskCore<EventBatch> {
    const route = this.#routeOf(upstream);
    return makeRoutingCore({
      plan: this.#plan,
      rekey: this.#rekey,
      route,
      version: this.#version,
      partition: upstream - route.firstUpstream,
    });
  }

  /** One record batch of an upstream, committed; gives what became dead letters. */
  route(upstream: number, data: Uint8Array): readonly DeadLetter[] {
    const lane = this.#lanes[upstream]!;
    lane.core.apply(lane.intake.read(++lane.sequence, data));
    return this.#commit(upstream).deadLetters;
  }

  #commit(partition: number): Commit {
    const { core } = this.#lanes[partition]!;
    const data = Buffer.concat([...core.take().fragments, markerOf(core, partition)]);
    const commit = Commit.decode(data);
    this.#commits.push(commit);
    return commit;
  }

  /** What one flush of the relay appends: to all partitions, or to those that have events. */
  relay(to: "all" | "waiting" = "all"): readonly RoutedBatch[] {
    const writer = this.#writer;
    for (let sequence = writer.position + 1; sequence <= this.#commits.length; sequence++) {
      writer.gather(sequence, this.#commits[sequence - 1]!);
    }
    return (to === "all" ? writer.behind : writer.waiting).map((partition) => {
      const data = writer.encode(partition);
      writer.wrote(partition);
      this.#lasts[partition] = data;
      return { partition, data };
    });
  }

  /** As after a crash of the relay: from what the logs say. */
  restartRelay(): readonly RoutedBatch[] {
    this.#writer = new RekeyWriter(this.#lasts);
    return this.#lasts.map((_, partition) => {
      const data = this.#writer.takeOver(partition);
      this.#lasts[partition] = data;
      return { partition, data };
    });
  }

  /** Fresh tasks that go on from snapshots; gives what changed that should not have. */
  restartTasks(): readonly string[] {
    const hex = (core: TaskCore<EventBatch>) => Buffer.from(core.digest()).toString("hex");
    return this.#lanes.flatMap((lane, partition) => {
      const { intake, core } = lane;
      lane.intake = this.#makeIntake(partition);
      lane.intake.restore(intake.snapshot());
      lane.core = this.#makeCore(partition);
      lane.core.restore(core.snapshot());
      const same = hex(core) === hex(lane.core);
      return same ? [] : [`the routing task of partition ${partition} has another state`];
    });
  }
}
