/**
 * What one task tells about itself: a handful of metrics, made once, and moved after each commit.
 */
import { Effect, Metric } from "effect";
import type { Marker } from "../commit/marker.ts";
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import type { TaskId } from "../../proto/subjects.ts";
import { imbalance } from "./books-keeper.ts";
import { counter, gauge, seconds, taskLabels } from "./metrics.ts";
import type { Draft } from "./task-core.ts";
import { TASK_STATES } from "./task-machine.ts";
import type { TaskState } from "./task-machine.ts";

/** All but `events`, their sum, and `conflict`, which is part of `duplicate`. */
const VERDICTS = [
  "counted",
  "late",
  "duplicate",
  "future",
  "invalid",
  "filtered",
  "poison",
] as const satisfies readonly (keyof Books)[];

export interface TaskMetrics {
  readonly state: (state: TaskState) => Effect.Effect<void>;
  readonly committed: (
    before: Marker,
    after: Marker,
    draft: Draft,
    durationMs: number,
  ) => Effect.Effect<void>;
  readonly recovered: (durationMs: number) => Effect.Effect<void>;
  readonly lag: (records: number) => Effect.Effect<void>;
  readonly stateLost: Effect.Effect<void>;
}

export const makeTaskMetrics = (task: TaskId): TaskMetrics => {
  const labels = taskLabels(task);
  const states = TASK_STATES.map(
    (state) => [state, gauge("taskState", { ...labels, state })] as const,
  );
  const verdicts = VERDICTS.map(
    (verdict) => [verdict, counter("events", { ...labels, verdict })] as const,
  );
  const commits = counter("commits", labels);
  const commitSeconds = seconds("commitSeconds", { kind: task.kind });
  const updates = counter("published", { ...labels, item: "update" });
  const partials = counter("published", { ...labels, item: "partial" });
  const deadLetters = counter("published", { ...labels, item: "dead_letter" });
  const watermark = gauge("watermark", labels);
  const recoverySeconds = seconds("recoverySeconds", { kind: task.kind });
  const lag = gauge("lag", labels);
  const booksImbalance = gauge("imbalance", labels);
  return {
    state: (current) =>
      Effect.forEach(
        states,
        ([state, metric]) => Metric.update(metric, state === current ? 1 : 0),
        { discard: true },
      ),
    committed: Effect.fnUntraced(function* (before, after, draft, durationMs) {
      yield* Metric.update(commits, 1);
      yield* Metric.update(commitSeconds, durationMs / 1000);
      for (const [verdict, metric] of verdicts) {
        const count = after.books[verdict] - before.books[verdict];
        if (count > 0) yield* Metric.update(metric, count);
      }
      yield* Metric.update(booksImbalance, imbalance(after.books));
      if (draft.updates > 0) yield* Metric.update(updates, draft.updates);
      if (draft.partials > 0) yield* Metric.update(partials, draft.partials);
      if (draft.deadLetters > 0) yield* Metric.update(deadLetters, draft.deadLetters);
      if (after.watermark !== undefined) {
        yield* Metric.update(watermark, (after.ingestTime - after.watermark) / 1000);
      }
    }),
    recovered: (durationMs) => Metric.update(recoverySeconds, durationMs / 1000),
    lag: (records) => Metric.update(lag, records),
    stateLost: Metric.update(counter("stateLost", labels), 1),
  };
};
