/**
 * The first stage of a re-keyed projection, in memory: routing tasks of all partitions, and the relay
 * that writes the re-keyed log. `append` commits; `relay` copies what was committed since it last was
 * called, as one flush does: so a test decides how the two interleave. Of a table that is re-keyed
 * itself, the first stage comes as far as that with every `relay`.
 */
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import type { DeadLetter } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import {
  inputOf,
  rekeyOf,
  rowUpstreamsOf,
  stagedRoutesOf,
  topicRoutesOf,
} from "../../projections/definition/rekey.ts";
import type { RekeyPlan, StagedRoute } from "../../projections/definition/rekey.ts";
import { Intake } from "../intake/intake.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { RekeyWriter } from "../rekey/rekey-writer.ts";
import type { AlignmentLimits } from "../rekey/watermark-alignment.ts";
import type { TaskCore } from "../task/task-core.ts";
import {
  partitionsOf,
  partitionSpec,
  rekeyedIntakeOf,
  routingSpecs,
} from "../worker/task-specs.ts";
import { Lane, markerOf, sumOfBooks } from "./lane.ts";

export interface RoutedBatch {
  readonly partition: number;
  readonly data: Uint8Array;
}

export class RoutingStage {
  readonly #rekey: RekeyPlan;
  readonly #limits: AlignmentLimits | undefined;
  /** By upstream; none for those that are partitions of a table's log. */
  readonly #lanes = new Map<number, Lane>();
  readonly #tables: readonly TableStage[];
  /** RESULTS: sequence 1 is the first. */
  readonly #commits: Commit[] = [];
  /** The newest record batch of each partition of the re-keyed log. */
  readonly #lasts: (Uint8Array | undefined)[];
  #writer: RekeyWriter;

  constructor(plan: ProjectionPlan, version: number, limits?: AlignmentLimits) {
    this.#rekey = rekeyOf(plan);
    this.#limits = limits;
    for (const route of topicRoutesOf(this.#rekey)) {
      const { topic, columns } = inputOf(route);
      for (let partition = 0; partition < topic.definition.partitions; partition++) {
        const upstream = route.firstUpstream + partition;
        const spec = routingSpecs(plan, version, route.topic, partition).find(
          ({ id }) => id.partition === upstream,
        )!;
        this.#lanes.set(upstream, new Lane(() => new Intake(topic, columns), spec.makeCore));
      }
    }
    this.#tables = stagedRoutesOf(this.#rekey).map((route) => new TableStage(route, version));
    this.#lasts = Array.from({ length: this.#rekey.partitions }, () => undefined);
    this.#writer = this.#makeWriter();
    for (const [upstream, { core }] of this.#lanes) this.#commit(core, upstream);
    for (const table of this.#tables) this.#commitRows(table);
  }

  /** Of the tasks that route, by upstream; those of tables that are re-keyed themselves last. */
  get cores(): readonly TaskCore<never>[] {
    return [
      ...[...this.#lanes.values()].map(({ core }) => core),
      ...this.#tables.flatMap(({ cores }) => cores),
    ];
  }

  /** Of those that read a partition of a topic. */
  readersOf(topic: string, partition: number): readonly TaskCore<EventBatch>[] {
    return [
      ...this.#lanesOf(topic, partition).map(([, { core }]) => core),
      ...this.#tables.flatMap((table) => table.readersOf(topic, partition)),
    ];
  }

  #lanesOf(topic: string, partition: number): readonly (readonly [number, Lane])[] {
    return topicRoutesOf(this.#rekey)
      .filter((route) => inputOf(route).topic.definition.name === topic)
      .map(({ firstUpstream }) => {
        const upstream = firstUpstream + partition;
        return [upstream, this.#lanes.get(upstream)!];
      });
  }

  /** One record batch of a topic, read by all that read it and committed; gives what became dead letters. */
  append(topic: string, partition: number, data: Uint8Array): readonly DeadLetter[] {
    for (const table of this.#tables) table.append(topic, partition, data);
    return this.#lanesOf(topic, partition).flatMap(([upstream]) => this.route(upstream, data));
  }

  /** The same of one upstream. */
  route(upstream: number, data: Uint8Array): readonly DeadLetter[] {
    const lane = this.#lanes.get(upstream)!;
    lane.apply(data);
    return this.#commit(lane.core, upstream).deadLetters;
  }

  #commit(core: TaskCore<never>, upstream: number): Commit {
    const data = Buffer.concat([...core.take().fragments, markerOf(core, upstream)]);
    const commit = Commit.decode(data);
    this.#commits.push(commit);
    return commit;
  }

  #commitRows({ firstUpstream, publishers }: TableStage): void {
    publishers.forEach((core, task) => this.#commit(core, firstUpstream + task));
  }

  /**
   * What one flush of the relay appends: to all partitions, or to those that have events. `most`: it is cut off
   * after so many record batches, and then is to be restarted.
   */
  relay(to: "all" | "waiting" = "all", most = Infinity): readonly RoutedBatch[] {
    for (const table of this.#tables) {
      table.flush(to);
      this.#commitRows(table);
    }
    const writer = this.#writer;
    for (let sequence = writer.position + 1; sequence <= this.#commits.length; sequence++) {
      writer.gather(sequence, this.#commits[sequence - 1]!);
    }
    for (let left = writer.held; left.length > 0;) {
      for (const { upstream, position } of left) this.#catchUp(upstream, position);
      left = writer.held.filter(({ upstream }) => writer.mayGoOn(upstream));
    }
    const batches: RoutedBatch[] = [];
    for (const partition of to === "all" ? writer.behind : writer.waiting) {
      do {
        if (batches.length === most) return batches;
        const data = writer.encode(partition);
        writer.wrote(partition);
        this.#lasts[partition] = data;
        batches.push({ partition, data });
      } while (writer.isWaiting(partition));
    }
    return batches;
  }

  #makeWriter(): RekeyWriter {
    const { upstreams } = this.#rekey;
    return new RekeyWriter(this.#lasts, upstreams, this.#limits, rowUpstreamsOf(this.#rekey));
  }

  /** What an upstream was held back of, as far as it may go on. */
  #catchUp(upstream: number, position: number): void {
    const writer = this.#writer;
    for (let sequence = position + 1; sequence <= this.#commits.length; sequence++) {
      const commit = this.#commits[sequence - 1]!;
      if (commit.partition !== upstream) continue;
      if (!writer.mayGoOn(upstream)) return;
      writer.catchUp(sequence, commit);
    }
    this.#confirm(upstream);
  }

  #confirm(upstream: number): void {
    const last = this.#commits.findLastIndex(({ partition }) => partition === upstream) + 1;
    this.#writer.confirm(upstream, last);
  }

  /** As after a crash of the relay: from what the logs say. */
  restartRelay(): readonly RoutedBatch[] {
    for (const table of this.#tables) table.restartRelay();
    this.#writer = this.#makeWriter();
    for (const { upstream } of this.#writer.held) this.#confirm(upstream);
    return this.#lasts.map((_, partition) => {
      const data = this.#writer.takeOver(partition);
      this.#lasts[partition] = data;
      return { partition, data };
    });
  }

  /** Fresh tasks that go on from snapshots; gives what changed that should not have. */
  restartTasks(): readonly string[] {
    return [
      ...[...this.#lanes].flatMap(([partition, lane]) =>
        lane.restart() ? [] : [`the routing task of partition ${partition} has another state`],
      ),
      ...this.#tables.flatMap((table) => table.restartTasks()),
    ];
  }

  /** Of all tasks. What one of a table's stages passed on to the next is in them once. */
  get books(): Books {
    return sumOfBooks([
      ...[...this.#lanes.values()].map(({ core }) => core.progress().books),
      ...this.#tables.map(({ books }) => books),
    ]);
  }
}

/**
 * A table that is re-keyed itself: its routing tasks and their relay, and the tasks that read its log and publish its
 * results. What the former have committed comes to the latter with `flush`.
 */
class TableStage {
  readonly firstUpstream: number;
  readonly #routing: RoutingStage;
  readonly #lanes: readonly Lane[];

  constructor({ table: plan, firstUpstream }: StagedRoute, version: number) {
    this.firstUpstream = firstUpstream;
    this.#routing = new RoutingStage(plan, version);
    this.#lanes = Array.from({ length: partitionsOf(plan) }, (_, partition) => {
      const { makeCore } = partitionSpec(plan, version, partition);
      return new Lane(() => rekeyedIntakeOf(plan), makeCore);
    });
    this.flush("all");
  }

  get cores() {
    return [...this.#routing.cores, ...this.publishers];
  }

  get publishers() {
    return this.#lanes.map(({ core }) => core);
  }

  get books(): Books {
    const published = this.publishers.map((core) => core.progress().books);
    const total = sumOfBooks([this.#routing.books, ...published]);
    // What was passed on is in the books of both stages.
    for (const { events } of published) {
      total.events -= events;
      total.counted -= events;
    }
    return total;
  }

  append(topic: string, partition: number, data: Uint8Array): void {
    this.#routing.append(topic, partition, data);
  }

  readersOf(topic: string, partition: number) {
    return this.#routing.readersOf(topic, partition);
  }

  flush(to: "all" | "waiting"): void {
    this.#read(this.#routing.relay(to));
  }

  #read(batches: readonly RoutedBatch[]): void {
    for (const { partition, data } of batches) this.#lanes[partition]!.apply(data);
  }

  restartRelay(): void {
    this.#read(this.#routing.restartRelay());
  }

  restartTasks(): readonly string[] {
    return [
      ...this.#routing.restartTasks(),
      ...this.#lanes.flatMap((lane, partition) =>
        lane.restart() ? [] : [`the table's task of partition ${partition} has another state`],
      ),
    ];
  }
}
