/**
 * Trims the commits of this worker's tasks, every few minutes, as far as nobody needs them any more.
 *
 * Commits with partials are kept as long as the events that they were made from, not just as long as
 * results: a merging task without a snapshot rebuilds its state from them.
 */
import { Clock, Effect } from "effect";
import { commitSubject } from "../../proto/subjects.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { readMarker } from "../commit/marker.ts";
import { Trimmer } from "../commit/trimmer.ts";
import type { RelayTarget } from "../ports/relay-target.ts";
import type { ResultLog } from "../ports/result-log.ts";
import { keepRunning } from "../task/keep-running.ts";
import type { EngineSettings } from "../task/settings.ts";
import type { TaskStatus } from "../task/task-status.ts";

export interface RetentionOptions {
  readonly plans: readonly ProjectionPlan[];
  readonly settings: EngineSettings;
  readonly results: ResultLog["Service"];
  readonly outlet: RelayTarget["Service"];
  readonly tasks: () => readonly TaskStatus[];
}

/** The oldest sequence that a relay has still to read. */
const relayedUpTo = Effect.fnUntraced(function* (outlet: RelayTarget["Service"]) {
  const projections = yield* outlet.cursor("projections");
  const deadLetters = yield* outlet.cursor("dlq");
  return Math.min(projections.position, deadLetters.position) + 1;
});

/** The oldest sequence that the merging task of a partial task still needs. */
const mergeNeedsFrom = Effect.fnUntraced(function* (
  results: ResultLog["Service"],
  { task }: TaskStatus,
) {
  const merge = commitSubject({ ...task, kind: "merge", partition: 0 });
  const last = yield* results.last(merge);
  return last === undefined ? 0 : readMarker(last.sequence, last.data).retainFrom;
});

export const trimRegularly = Effect.fnUntraced(function* (
  options: RetentionOptions,
): Effect.fn.Return<never> {
  const { plans, settings, results, outlet } = options;
  const trimmers = new Map<string, Trimmer>();
  const trimmerOf = (status: TaskStatus): Trimmer => {
    let trimmer = trimmers.get(status.subject);
    if (trimmer === undefined) {
      const plan = plans.find(({ definition }) => definition.name === status.task.projection);
      const eventsMs = plan?.topic.definition.retentionMs ?? 0;
      const retentionMs =
        status.task.kind === "partial"
          ? Math.max(settings.resultsRetentionMs, eventsMs)
          : settings.resultsRetentionMs;
      trimmer = new Trimmer(results, status.subject, retentionMs);
      trimmers.set(status.subject, trimmer);
    }
    return trimmer;
  };
  const round = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis;
    const relayed = yield* relayedUpTo(outlet);
    for (const status of options.tasks()) {
      if (status.commits === 0) continue;
      const merged =
        status.task.kind === "partial" ? yield* mergeNeedsFrom(results, status) : Infinity;
      const neededFrom = Math.min(relayed, merged);
      yield* trimmerOf(status).round(now, status.committedAt, neededFrom);
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
