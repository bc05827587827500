/**
 * Compacts the logs that this worker owns partitions of: those of compacted topics, and those of joins that have
 * one as their table.
 *
 * Q1. Only what the tasks that read the log here have committed is looked at: none of them ever needs a record
 *     again but for a rebuild, which what is left gives as well (C3 of Compaction).
 * Q2. Only what is older than the retention, by the stream's own times; and than the dedupe horizon, within which
 *     a duplicate may come of anything.
 * Q3. A log is read again when what may go has grown by a quarter of what stayed last time: so all passes together
 *     read no more than a few times what was ever written. One in which nothing could go yet is read again when
 *     event time has passed what it was at the end.
 * Q4. Of the log of a version that another has replaced nobody needs a row any more: all goes that is old, but for the
 *     last record batch. It may be gone altogether, or be one that age alone trims; then there is nothing to do.
 */
import { Clock, Effect, Metric } from "effect";
import { isCompacted } from "../../projections/definition/compacted-source.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { rekeyOf } from "../../projections/definition/rekey.ts";
import { commitSubject } from "../../proto/subjects.ts";
import type { TaskId } from "../../proto/subjects.ts";
import { compactLog } from "../compact/compact-log.ts";
import type { Compacted, CompactedLog } from "../compact/compact-log.ts";
import { GROWTH_MIN } from "../compact/limits.ts";
import type { EventLog } from "../ports/event-log.ts";
import { activeVersionOf, versionsBefore } from "../relay/active-versions.ts";
import type { ActiveVersions } from "../relay/active-versions.ts";
import { keepRunning } from "../task/keep-running.ts";
import { counter } from "../task/metrics.ts";
import type { EngineSettings } from "../task/settings.ts";
import type { TaskStatus } from "../task/task-status.ts";
import { ownsPartition } from "./assignment.ts";
import type { WorkerSlot } from "./assignment.ts";
import {
  byTopic,
  intakeOf,
  partitionSpec,
  rekeyedIntakeOf,
  rekeyedTopicOf,
  routingSpecs,
  withStages,
} from "./task-specs.ts";
import type { TopicPlans } from "./task-specs.ts";

export interface CompactionOptions {
  readonly slot: WorkerSlot;
  readonly plans: readonly ProjectionPlan[];
  readonly settings: Pick<EngineSettings, "compactEveryMs">;
  readonly events: EventLog["Service"];
  readonly tasks: () => readonly Pick<TaskStatus, "subject" | "committedPosition" | "watermark">[];
  /** As of now: it changes with promotions. */
  readonly active: ActiveVersions;
}

/** A log of this worker, and who reads it. */
interface OwnedLog extends Omit<CompactedLog, "watermark"> {
  readonly ageMs: number;
  readonly readers: readonly TaskId[];
  /** Whether rows come into force with event time: see `CompactedLog.watermark`. */
  readonly inEventTime: boolean;
  /** Q4. */
  readonly superseded?: boolean;
}

const upTo = (count: number): readonly number[] => [...Array(count).keys()];

const topicLogs = (
  { topic, plans }: TopicPlans,
  { slot, active }: CompactionOptions,
): readonly OwnedLog[] => {
  const { name, partitions, retentionMs, dedupeHorizonMs } = topic.definition;
  if (!isCompacted(topic)) return [];
  const rules = {
    makeIntake: () => intakeOf({ topic, plans }),
    rowTypes: undefined,
    dedupeHorizonMs,
  };
  return upTo(partitions)
    .filter((partition) => ownsPartition(slot, partition))
    .map((partition) => ({
      topic: name,
      partition,
      rules,
      ageMs: Math.max(retentionMs, dedupeHorizonMs),
      readers: plans.flatMap((plan) => {
        const { routing } = activeVersionOf(active, plan);
        return routingSpecs(plan, routing, topic, partition).map(({ id }) => id);
      }),
      inEventTime: false,
    }));
};

const joinLogs = (
  plan: ProjectionPlan,
  { slot, active }: CompactionOptions,
): readonly OwnedLog[] => {
  const { version, routing } = activeVersionOf(active, plan);
  const { name, partitions, retentionMs, compacted } = rekeyedTopicOf(plan, routing);
  if (compacted !== true) return [];
  const rules = {
    makeIntake: () => rekeyedIntakeOf(plan),
    rowTypes: rekeyOf(plan).routes.flatMap(({ topic }) =>
      topic.types.map(() => isCompacted(topic)),
    ),
    // It was looked for before the events were routed.
    dedupeHorizonMs: 0,
  };
  return upTo(partitions)
    .filter((partition) => ownsPartition(slot, partition))
    .flatMap((partition): readonly OwnedLog[] => [
      {
        topic: name,
        partition,
        rules,
        ageMs: retentionMs,
        readers: [partitionSpec(plan, version, partition).id],
        inEventTime: true,
      },
      ...versionsBefore(routing).map((old) => ({
        topic: rekeyedTopicOf(plan, old).name,
        partition,
        rules: { ...rules, rowTypes: [] },
        ageMs: retentionMs,
        readers: [],
        inEventTime: false,
        superseded: true,
      })),
    ]);
};

const logsOf = (options: CompactionOptions): readonly OwnedLog[] => {
  const plans = withStages(options.plans);
  return [
    ...byTopic(plans).flatMap((topicPlans) => topicLogs(topicPlans, options)),
    ...plans.filter(({ rekeyed }) => rekeyed).flatMap((plan) => joinLogs(plan, options)),
  ];
};

export const compactRegularly = Effect.fnUntraced(function* (
  options: CompactionOptions,
): Effect.fn.Return<never> {
  const { settings, events } = options;
  const before = new Map<string, Compacted>();

  /** What all readers have committed (Q1); undefined if one of them has not started. */
  const committed = (readers: readonly TaskId[]) => {
    const statuses = options.tasks();
    const found = readers.map((id) => {
      const subject = commitSubject(id);
      return statuses.find((status) => status.subject === subject);
    });
    if (found.some((status) => status === undefined)) return undefined;
    return {
      position: Math.min(...found.map((status) => status!.committedPosition)),
      watermark: Math.min(...found.map((status) => status!.watermark ?? -Infinity)),
    };
  };

  const isWorthIt = (end: number, watermark: number, last: Compacted | undefined): boolean => {
    if (last === undefined) return true;
    if (!last.decided) return watermark > last.watermark;
    return end - last.end >= Math.max(1, last.kept * GROWTH_MIN);
  };

  const compact = Effect.fnUntraced(function* (owned: OwnedLog) {
    const { ageMs, readers, inEventTime, superseded = false, ...log } = owned;
    const read = committed(readers);
    if (read === undefined) return;
    const { topic, partition } = log;
    const now = yield* Clock.currentTimeMillis;
    const young = yield* events.sequenceAt(topic, partition, now - ageMs);
    const end = Math.min(young - 1, read.position);
    const { first, last } = yield* events.bounds(topic, partition);
    const name = superseded ? `${topic}/${partition}, replaced` : `${topic}/${partition}`;
    const watermark = inEventTime ? read.watermark : Infinity;
    if (end < first || !isWorthIt(end, watermark, before.get(name))) return;
    // Where that is denied, the log is not read at all.
    if (superseded && first < last) yield* events.remove(topic, partition, [first]);
    const compacted = yield* compactLog(events, { ...log, watermark }, end);
    before.set(name, compacted);
    yield* Metric.update(counter("compacted", { topic }), compacted.removed);
    yield* Effect.logDebug(
      `compacted ${name} up to ${end}: ${compacted.removed} record batches are deleted, ${compacted.kept} stay`,
    );
  });

  const round = Effect.suspend(() =>
    Effect.forEach(
      logsOf(options),
      (log) =>
        compact(log).pipe(
          Effect.catch((error) =>
            log.superseded
              ? Effect.void
              : Effect.logWarning(
                  `${log.topic}/${log.partition} is not compacted this time: ${error.message}`,
                ),
          ),
        ),
      { discard: true },
    ),
  );
  const rounds = Effect.sleep(settings.compactEveryMs).pipe(Effect.andThen(round), Effect.forever);
  return yield* keepRunning({ loop: "compaction", of: "this worker" }, rounds);
});
