/**
 * A projection at work on all partitions of its topic, in memory: the engine's own intake, cores and
 * merging core, fed with record batches; what they publish is decoded and kept.
 *
 * R1. Every commit is handed to the merging core at once, in the order in which it was made.
 * R2. A restart goes on from snapshots in fresh objects, whose digests are those of the old ones. Nothing
 *     else asks for digests, so a run without restarts ends as a state does that is rebuilt from the log.
 * R3. After every record batch the books balance, and hold as many events as were read.
 * R4. Of a re-keyed projection the lanes are the partitions of its own log. Every commit of a routing
 *     task is relayed at once.
 */
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { readingsOf, rekeyOf } from "../../projections/definition/rekey.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { Intake } from "../intake/intake.ts";
import { RekeyedIntake } from "../rekey/rekeyed-intake.ts";
import { imbalance } from "../task/books-keeper.ts";
import { makeCore, makeMergeCore } from "../task/cores.ts";
import type { MergeCore } from "../task/merge-core.ts";
import type { TaskCore } from "../task/task-core.ts";
import { partitionsOf } from "../worker/task-specs.ts";
import { encodeEntry, encodeTick, isPulse } from "./case-log.ts";
import type { LogBatch } from "./case-log.ts";
import { markerOf, sumOfBooks } from "./lane.ts";
import { letterRow, updateRow } from "./output.ts";
import type { Row } from "./case.ts";
import { RoutingStage } from "./routing-stage.ts";
import type { RoutedBatch } from "./routing-stage.ts";

const VERSION = 1;

interface Lane {
  intake: Intake | RekeyedIntake;
  core: TaskCore<EventBatch>;
  sequence: number;
  events: number;
}

export class ProjectionRun {
  readonly updates: Row[] = [];
  readonly deadLetters: Row[] = [];
  /** What a merging task could not place: part of `deadLetters`. */
  orphans = 0;
  /** Windows, as `key@start`, of which some partition held something in time. */
  readonly inTime = new Set<string>();
  /** What must never be, and was. */
  readonly breaches: string[] = [];
  readonly #plan: ProjectionPlan;
  readonly #columns: readonly string[];
  readonly #lanes: Lane[];
  readonly #routing: RoutingStage | undefined;
  #merge: MergeCore | undefined;
  #commits = 0;
  #pulses = 0;

  constructor(plan: ProjectionPlan) {
    this.#plan = plan;
    this.#routing = plan.rekeyed ? new RoutingStage(plan, VERSION) : undefined;
    this.#columns = plan.outputs.map(({ name }) => name);
    this.#lanes = Array.from({ length: partitionsOf(plan) }, (_, partition) => ({
      intake: this.#makeIntake(),
      core: this.#makeCore(partition),
      sequence: 0,
      events: 0,
    }));
    if (this.#routing !== undefined) this.#relay(this.#routing.relay());
    if (!plan.merged) return;
    this.#merge = makeMergeCore(plan, VERSION);
    // A partition that never held an event says so: it holds nobody back.
    this.#lanes.forEach((_, partition) => this.#commit(partition));
  }

  #makeIntake(): Intake | RekeyedIntake {
    const plan = this.#plan;
    return plan.rekeyed
      ? new RekeyedIntake(plan, rekeyOf(plan))
      : new Intake(plan.topic, plan.columns);
  }

  #makeCore(partition: number): TaskCore<EventBatch> {
    const plan = this.#plan;
    return makeCore(plan.rekeyed ? rekeyOf(plan).keyed : plan, VERSION, partition);
  }

  read(batch: LogBatch): void {
    const readers = this.#readersOf(batch.lane).length;
    this.#pulses += readers * batch.events.filter(isPulse).length;
    this.#append(batch.lane, batch.events.length, encodeEntry(batch));
  }

  tick(lane: number, time: number): void {
    this.#append(lane, 0, encodeTick(time));
  }

  #append(lane: number, events: number, bytes: Uint8Array): void {
    if (this.#routing === undefined) {
      this.#lanes[lane]!.events += events;
      this.#apply(lane, bytes);
      return;
    }
    const { topic, partition } = this.#placeOf(lane);
    this.deadLetters.push(...this.#routing.append(topic, partition, bytes).map(letterRow));
    for (const core of this.#readersOf(lane)) {
      const off = imbalance(core.progress().books);
      if (off === 0) continue;
      this.breaches.push(
        `the books of a routing task of partition ${partition} of ${topic} are off by ${off}`,
      );
    }
    this.#relay(this.#routing.relay());
  }

  /** Lanes are the partitions of all topics, numbered through. */
  #placeOf(lane: number): { readonly topic: string; readonly partition: number } {
    let partition = lane;
    const topics = new Map(
      readingsOf(this.#plan).map(({ topic: { definition } }) => [definition.name, definition]),
    );
    for (const { name, partitions } of topics.values()) {
      if (partition < partitions) return { topic: name, partition };
      partition -= partitions;
    }
    throw new Error(`invariant: there is no lane ${lane}`);
  }

  /** The tasks that read a partition of a topic. */
  #readersOf(lane: number): readonly TaskCore<EventBatch>[] {
    if (this.#routing === undefined) return [this.#lanes[lane]!.core];
    const { topic, partition } = this.#placeOf(lane);
    return this.#routing.readersOf(topic, partition);
  }

  #relay(batches: readonly RoutedBatch[]): void {
    for (const { partition, data } of batches) {
      this.#lanes[partition]!.events += RecordBatch.decode(data).events.length;
      this.#apply(partition, data);
    }
  }

  #apply(partition: number, bytes: Uint8Array): void {
    const lane = this.#lanes[partition]!;
    lane.core.apply(lane.intake.read(++lane.sequence, bytes));
    const { books } = lane.core.progress();
    const off = imbalance(books);
    if (off !== 0) this.breaches.push(`the books of partition ${partition} are off by ${off}`);
    if (books.events !== lane.events) {
      this.breaches.push(
        `the books of partition ${partition} hold ${books.events} of ${lane.events} events`,
      );
    }
    this.#commit(partition);
  }

  /** What the task of a partition has published since it last was asked. */
  #commit(partition: number): void {
    const { core } = this.#lanes[partition]!;
    const commit = this.#take(core, partition);
    this.deadLetters.push(...commit.deadLetters.map(letterRow));
    if (this.#merge === undefined) {
      this.updates.push(...commit.updates.map((update) => updateRow(update, this.#columns)));
      return;
    }
    for (const partial of commit.partials) {
      if (partial.kind === Kind.KIND_CORRECTION) continue;
      this.inTime.add(`${partial.key}@${partial.windowStart}`);
    }
    this.#merge.apply({ sequence: ++this.#commits, commit });
    const merged = this.#take(this.#merge, 0);
    this.updates.push(...merged.updates.map((update) => updateRow(update, this.#columns)));
    this.deadLetters.push(...merged.deadLetters.map(letterRow));
    this.orphans += merged.deadLetters.length;
  }

  #take(core: TaskCore<never>, partition: number): Commit {
    return Commit.decode(Buffer.concat([...core.take().fragments, markerOf(core, partition)]));
  }

  restart(): void {
    if (this.#routing !== undefined) {
      this.breaches.push(...this.#routing.restartTasks());
      this.#relay(this.#routing.restartRelay());
    }
    this.#lanes.forEach((lane, partition) => {
      const intake = lane.intake.snapshot();
      lane.intake = this.#makeIntake();
      lane.intake.restore(intake);
      const what = `the task of partition ${partition}`;
      lane.core = this.#restored(lane.core, this.#makeCore(partition), what);
    });
    if (this.#merge === undefined) return;
    const fresh = makeMergeCore(this.#plan, VERSION);
    this.#merge = this.#restored(this.#merge, fresh, "the merging task");
  }

  #restored<Core extends TaskCore<never>>(old: Core, fresh: Core, what: string): Core {
    const before = Buffer.from(old.digest()).toString("hex");
    fresh.restore(old.snapshot());
    const after = Buffer.from(fresh.digest()).toString("hex");
    if (before !== after) {
      this.breaches.push(
        `${what} has another state after a restart: digest ${after}, not ${before}`,
      );
    }
    return fresh;
  }

  /** Of all states, as they are now. */
  get digests(): readonly string[] {
    const cores = [...this.#lanes.map(({ core }) => core), ...(this.#merge ? [this.#merge] : [])];
    return cores.map((core) => Buffer.from(core.digest()).toString("hex"));
  }

  /** Of one partition of a topic. */
  laneWatermark(lane: number): number | undefined {
    return this.#readersOf(lane)[0]!.progress().watermark;
  }

  /** Up to which the projection's results are complete: of its slowest partition that is not idle. */
  get watermark(): number | undefined {
    if (this.#merge !== undefined) return this.#merge.progress().watermark;
    const held = this.#lanes.map(({ core }) => core.progress());
    const counting = held.filter(({ idle, watermark }) => !idle && watermark !== undefined);
    const watermarks = held.flatMap(({ watermark }) => watermark ?? []);
    if (watermarks.length === 0) return undefined;
    return counting.length === 0
      ? Math.max(...watermarks)
      : Math.min(...counting.map(({ watermark }) => watermark!));
  }

  /** Of all partitions together; without the pulses, which no one but the test kit sent. */
  get books(): Books {
    const routing = this.#routing?.books;
    const total = sumOfBooks([
      ...(routing === undefined ? [] : [routing]),
      ...this.#lanes.map(({ core }) => core.progress().books),
    ]);
    // What was passed on is in the books of both stages: as counted in the first, as events in the second,
    // whose events are rows where there is a table.
    if (routing !== undefined) {
      for (const { core } of this.#lanes) {
        const passedOn = core.progress().books.events;
        total.events -= passedOn;
        total.counted -= passedOn;
      }
    }
    total.events -= this.#pulses;
    total.filtered -= this.#pulses;
    return total;
  }
}
