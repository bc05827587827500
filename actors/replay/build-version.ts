/**
 * Builds one version of a projection from the log, beside the live one: the same tasks, the same
 * commits, under another version's subjects, at full speed up to where the log ends now.
 *
 * D1. It reads from the first retained record to the bound that was taken at the start, and commits
 *     exactly that: the workers go on from there once the version is promoted.
 * D2. A merged projection is complete when its merging task has included the last partial.
 * D3. A re-keyed projection is read from its own log, once that goes as far as the sources do. A table that is
 *     re-keyed itself is such a source: its log is written first.
 */
import { Effect, Exit, Scope } from "effect";
import { isCompacted } from "../../projections/definition/compacted-source.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { rekeyOf, stagedRoutesOf } from "../../projections/definition/rekey.ts";
import { untilAvailable } from "../commit/until-available.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import type { LogBounds, LogRecord } from "../ports/event-log.ts";
import { PartitionActor } from "../task/partition-actor.ts";
import type { BatchIntake, EventTask } from "../task/partition-actor.ts";
import type { EngineSettings } from "../task/settings.ts";
import { TaskActor } from "../task/task-actor.ts";
import type { TaskSpec } from "../task/task-actor.ts";
import type { TaskLife } from "../task/task-machine.ts";
import { MergeOwner } from "../worker/merge-owner.ts";
import type { Ports } from "../worker/partition-owner.ts";
import {
  byTopic,
  intakeOf,
  mergeSpec,
  partitionSpec,
  rekeyedIntakeOf,
  rekeyedTopicOf,
  routingSpecs,
} from "../worker/task-specs.ts";
import type { ReplayBound } from "./compare-results.ts";
import { ReplayFailed } from "./errors.ts";
import { awaitRouted, writeRekeyed } from "./rekeyed-log.ts";

export interface BuildProgress {
  readonly phase: "rekeying" | "reading" | "merging" | "done";
  readonly records: number;
  readonly recordsTotal: number;
  readonly bytes: number;
  readonly events: number;
}

export interface BuildOptions {
  readonly plan: ProjectionPlan;
  readonly version: number;
  /** Of a re-keyed projection: the version whose log is read. */
  readonly routing: number;
  readonly ports: Ports;
  readonly settings: EngineSettings;
  /** Called whenever something was applied: as often as several thousand times a second. */
  readonly onProgress: (progress: BuildProgress) => void;
}

export interface BuiltVersion extends ReplayBound {
  readonly events: number;
  /** Last RESULTS sequence of the version: a reader that has seen it has seen all. */
  readonly resultsSequence: number;
}

interface Part {
  readonly actor: PartitionActor;
  readonly task: EventTask;
  readonly bounds: LogBounds;
}

/** What a part is made from. */
interface PartInput {
  readonly spec: TaskSpec<EventBatch>;
  readonly topic: string;
  readonly partition: number;
  readonly compacted: boolean;
  readonly makeIntake: () => BatchIntake;
}

interface Failing {
  readonly committer: { readonly subject: string };
  readonly life: TaskLife;
}

class VersionBuild {
  readonly #options: BuildOptions;
  readonly #settings: EngineSettings;
  #parts: readonly Part[] = [];
  #phase: BuildProgress["phase"] = "reading";
  #records = 0;
  /** Of all logs that are read, one after the other. */
  #recordsTotal = 0;
  #bytes = 0;

  constructor(options: BuildOptions) {
    this.#options = options;
    // One snapshot at the end: a build that fails starts from the beginning anyway.
    this.#settings = { ...options.settings, snapshotEveryMs: Infinity };
  }

  readonly run: Effect.Effect<BuiltVersion, ReplayFailed, Scope.Scope> = Effect.gen(
    { self: this },
    function* () {
      const { plan, version, routing, ports } = this.#options;
      if (plan.rekeyed) yield* this.#rekey(plan);
      const merge = plan.merged
        ? new MergeOwner(mergeSpec(plan, version), ports, this.#settings)
        : undefined;
      if (merge !== undefined) {
        yield* Effect.addFinalizer(() => merge.abandon);
        yield* merge.start;
      }
      this.#parts = yield* this.#resultParts(plan, routing);
      this.#enter("reading");
      yield* this.#readAll;
      if (merge !== undefined) yield* this.#mergeAll(merge);
      this.#enter("done");
      return this.#built(merge);
    },
  );

  /** D3. */
  #rekey(plan: ProjectionPlan): Effect.Effect<void, ReplayFailed, Scope.Scope> {
    const { version, routing, ports } = this.#options;
    this.#enter("rekeying");
    const log =
      routing === version
        ? writeRekeyed(plan, version, ports, this.#settings, this.#readSources(plan))
        : awaitRouted(plan, routing, ports);
    return Effect.flatMap(log, (problem) =>
      problem === undefined ? Effect.void : this.#fail(problem),
    );
  }

  /** Runs all that routes to a log to its end; gives the RESULTS sequence of its last commit. */
  readonly #readSources = Effect.fnUntraced(function* (
    this: VersionBuild,
    plan: ProjectionPlan,
  ): Effect.fn.Return<number, ReplayFailed, Scope.Scope> {
    const { version } = this.#options;
    const tables = stagedRoutesOf(rekeyOf(plan)).map(({ table }) => table);
    for (const table of tables) yield* this.#rekey(table);
    const parts = [yield* this.#routingParts(plan)];
    for (const table of tables) parts.push(yield* this.#resultParts(table, version));
    this.#parts = parts.flat();
    yield* this.#readAll;
    return Math.max(...this.#parts.map(({ task }) => task.marker.sequence));
  });

  readonly #routingParts = (plan: ProjectionPlan) => {
    const { version } = this.#options;
    const topics = byTopic([plan]);
    const inputs = topics.flatMap(({ topic }) =>
      Array.from({ length: topic.definition.partitions }, (_, partition) =>
        routingSpecs(plan, version, topic, partition).map((spec) => ({
          spec,
          topic: topic.definition.name,
          partition,
          compacted: isCompacted(topic),
          makeIntake: () => intakeOf({ topic, plans: [plan] }),
        })),
      ).flat(),
    );
    return Effect.forEach(inputs, (input) => this.#partOf(input));
  };

  readonly #resultParts = (plan: ProjectionPlan, routing: number) => {
    const { version } = this.#options;
    const {
      name,
      partitions,
      compacted = false,
    } = plan.rekeyed ? rekeyedTopicOf(plan, routing) : plan.topic.definition;
    const makeIntake = () =>
      plan.rekeyed ? rekeyedIntakeOf(plan) : intakeOf({ topic: plan.topic, plans: [plan] });
    return Effect.forEach(Array(partitions).keys(), (partition) => {
      const spec = partitionSpec(plan, version, partition);
      return this.#partOf({ spec, topic: name, partition, compacted, makeIntake });
    });
  };

  readonly #partOf = Effect.fnUntraced(function* (
    this: VersionBuild,
    { spec, topic, partition, compacted, makeIntake }: PartInput,
  ) {
    const { ports } = this.#options;
    const bounds = yield* untilAvailable(ports.events.bounds(topic, partition));
    let passed = bounds.first - 1;
    this.#recordsTotal += bounds.last - passed;
    const task = new TaskActor(spec, ports.results, this.#settings);
    const actor = new PartitionActor(
      {
        topic,
        partition,
        compacted,
        events: ports.events,
        snapshots: ports.snapshots,
        settings: this.#settings,
        makeIntake,
        from: undefined,
        until: bounds.last,
        rebuild: () => Effect.void,
        onApplied: ({ position }, records) => {
          // In a compacted log more is passed than read.
          this.#applied(records, position - passed);
          passed = position;
        },
      },
      [task],
    );
    return { actor, task, bounds };
  });

  readonly #readAll = Effect.suspend(() =>
    Effect.forEach(this.#parts, (part) => this.#read(part), {
      concurrency: "unbounded",
      discard: true,
    }),
  );

  readonly #read = Effect.fnUntraced(function* (this: VersionBuild, { actor, task }: Part) {
    yield* task.takeOver;
    yield* this.#refuse(task);
    yield* task.startCommits(yield* Scope.Scope);
    yield* actor.run;
    task.declareIdle();
    yield* actor.drain;
    yield* this.#refuse(task);
  });

  /** D2. */
  readonly #mergeAll = Effect.fnUntraced(function* (this: VersionBuild, merge: MergeOwner) {
    this.#enter("merging");
    yield* merge.reached(Math.max(...this.#parts.map(({ task }) => task.marker.sequence)));
    yield* merge.drain;
    yield* this.#refuse(merge.task);
  });

  #refuse({ committer, life }: Failing): Effect.Effect<void, ReplayFailed> {
    const { state, reason } = life;
    if (state !== "fenced" && state !== "quarantined") return Effect.void;
    return this.#fail(`task ${committer.subject} is ${state}: ${reason}`);
  }

  #fail(message: string): Effect.Effect<never, ReplayFailed> {
    const { plan, version } = this.#options;
    return Effect.fail(new ReplayFailed({ projection: plan.definition.name, version, message }));
  }

  #built(merge: MergeOwner | undefined): BuiltVersion {
    const markers =
      merge === undefined ? this.#parts.map(({ task }) => task.marker) : [merge.task.marker];
    const watermarks = markers.flatMap(({ watermark }) => watermark ?? []);
    return {
      sequences: this.#parts.map(({ bounds }) => bounds.last),
      watermark: watermarks.length === 0 ? undefined : Math.max(...watermarks),
      events: this.#events,
      resultsSequence: Math.max(...markers.map(({ sequence }) => sequence)),
    };
  }

  get #events(): number {
    return this.#parts.reduce((sum, { task }) => sum + task.core.progress().books.events, 0);
  }

  #applied(records: readonly LogRecord[], passed: number): void {
    this.#records += passed;
    for (const { data } of records) this.#bytes += data.byteLength;
    this.#enter(this.#phase);
  }

  #enter(phase: BuildProgress["phase"]): void {
    this.#phase = phase;
    this.#options.onProgress({
      phase,
      records: this.#records,
      recordsTotal: this.#recordsTotal,
      bytes: this.#bytes,
      events: this.#events,
    });
  }
}

/** The tasks' fibers end with the build, however it ends. */
export const buildVersion = (options: BuildOptions): Effect.Effect<BuiltVersion, ReplayFailed> =>
  Effect.acquireUseRelease(
    Scope.make(),
    (scope) => Scope.provide(new VersionBuild(options).run, scope),
    (scope) => Scope.close(scope, Exit.void),
  );
