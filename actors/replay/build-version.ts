/**
 * Builds one version of a projection from the log, beside the live one: the same tasks, the same
 * commits, under another version's subjects, at full speed up to where the log ends now.
 *
 * D1. It reads from the first retained record to the bound that was taken at the start, and commits
 *     exactly that: the workers go on from there once the version is promoted.
 * D2. A merged projection is complete when its merging task has included the last partial.
 */
import { Effect, Exit, Scope } from "effect";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { untilAvailable } from "../commit/until-available.ts";
import type { LogBounds } from "../ports/event-log.ts";
import { PartitionActor } from "../task/partition-actor.ts";
import type { EventTask } from "../task/partition-actor.ts";
import type { EngineSettings } from "../task/settings.ts";
import { TaskActor } from "../task/task-actor.ts";
import { MergeOwner } from "../worker/merge-owner.ts";
import type { Ports } from "../worker/partition-owner.ts";
import { intakeOf, mergeSpec, partitionSpec } from "../worker/task-specs.ts";
import type { ReplayBound } from "./compare-results.ts";
import { ReplayFailed } from "./errors.ts";

export interface BuildProgress {
  readonly phase: "reading" | "merging" | "done";
  readonly records: number;
  readonly recordsTotal: number;
  readonly bytes: number;
  readonly events: number;
}

export interface BuildOptions {
  readonly plan: ProjectionPlan;
  readonly version: number;
  readonly ports: Ports;
  readonly settings: EngineSettings;
  /** Called whenever something was applied: cheap, and as often as several thousand times a second. */
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

const eventsOf = (task: EventTask): number => task.core.progress().books.events;

export const buildVersion = Effect.fn("buildVersion")(
  function* (options: BuildOptions): Effect.fn.Return<BuiltVersion, ReplayFailed, Scope.Scope> {
    const { plan, version, ports, settings, onProgress } = options;
    const { name: topic, partitions } = plan.topic.definition;
    const projection = plan.definition.name;
    const scope = yield* Scope.Scope;

    let phase: BuildProgress["phase"] = "reading";
    let records = 0;
    let bytes = 0;
    const parts: Part[] = [];
    const report = () =>
      onProgress({
        phase,
        records,
        recordsTotal: parts.reduce((sum, { bounds }) => sum + bounds.last + 1 - bounds.first, 0),
        bytes,
        events: parts.reduce((sum, { task }) => sum + eventsOf(task), 0),
      });
    const refuse = (task: TaskActor<never>) =>
      Effect.suspend(() => {
        const { state, reason } = task.life;
        if (state !== "fenced" && state !== "quarantined") return Effect.void;
        const message = `task ${task.committer.subject} is ${state}: ${reason}`;
        return Effect.fail(new ReplayFailed({ projection, version, message }));
      });

    for (let partition = 0; partition < partitions; partition++) {
      const bounds = yield* untilAvailable(ports.events.bounds(topic, partition));
      const task = new TaskActor(partitionSpec(plan, version, partition), ports.results, settings);
      const actor = new PartitionActor(
        {
          topic,
          partition,
          events: ports.events,
          snapshots: ports.snapshots,
          settings,
          makeIntake: () => intakeOf({ topic: plan.topic, plans: [plan] }),
          from: undefined,
          until: bounds.last,
          rebuild: () => Effect.void,
          onApplied: (_, applied) => {
            records += applied.length;
            for (const { data } of applied) bytes += data.byteLength;
            report();
          },
        },
        [task],
      );
      parts.push({ actor, task, bounds });
    }

    const merge = plan.merged
      ? new MergeOwner(mergeSpec(plan, version), ports, settings)
      : undefined;
    if (merge !== undefined) {
      yield* Scope.addFinalizer(scope, merge.abandon);
      yield* merge.start;
    }

    const build = Effect.fnUntraced(function* ({ actor, task }: Part) {
      yield* task.takeOver;
      yield* refuse(task);
      yield* task.startCommits(scope);
      yield* actor.run;
      task.declareIdle();
      yield* actor.drain;
      yield* refuse(task);
    });
    yield* Effect.forEach(parts, build, { concurrency: "unbounded", discard: true });

    const sequences = parts.map(({ bounds }) => bounds.last);
    const lastPartial = Math.max(...parts.map(({ task }) => task.marker.sequence));
    if (merge === undefined) {
      phase = "done";
      report();
      const marks = parts.flatMap(({ task }) => task.marker.watermark ?? []);
      const watermark = marks.length === 0 ? undefined : Math.max(...marks);
      return { sequences, watermark, events: sumOf(parts), resultsSequence: lastPartial };
    }
    phase = "merging";
    report();
    yield* merge.reached(lastPartial);
    yield* merge.drain;
    yield* refuse(merge.task);
    phase = "done";
    report();
    const { sequence, watermark } = merge.task.marker;
    return { sequences, watermark, events: sumOf(parts), resultsSequence: sequence };
  },
  // The tasks' fibers end with the build, however it ends.
  (build) =>
    Effect.acquireUseRelease(
      Scope.make(),
      (scope) => Scope.provide(build, scope),
      (scope) => Scope.close(scope, Exit.void),
    ),
);

const sumOf = (parts: readonly Part[]): number =>
  parts.reduce((sum, { task }) => sum + eventsOf(task), 0);
