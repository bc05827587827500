/**
 * Waits until everything that was sent has gone all the way: committed by every task, merged, relayed
 * to the DLQ, and read by the gateway. By positions, not by time: nothing is compared too early, and
 * nothing waits longer than it must.
 */
import { Effect, Schema } from "effect";
import type { RunFile } from "../processes/run-file.ts";
import { gatewayPosition } from "../cli/gateway-position.ts";
import { survey, type Survey, type SurveyPlan } from "../cli/survey.ts";
import type { ApiFailure } from "../nats/jetstream-api.ts";
import type { Link } from "../nats/link.ts";

const POLL = "100 millis";
/** Without any progress for so long, something is broken. */
const STALLED_AFTER_MS = 120_000;

/** How much is left, as far as can be told, in records of whatever is waited for. */
export interface Waiting {
  readonly tasks: number;
  readonly merges: number;
  readonly deadLetters: number;
  readonly gateway: number;
}

export class Stalled extends Schema.TaggedError<Stalled>()("Stalled", {
  waiting: Schema.Struct({
    tasks: Schema.Finite,
    merges: Schema.Finite,
    deadLetters: Schema.Finite,
    gateway: Schema.Finite,
  }),
}) {
  override get message(): string {
    const { tasks, merges, deadLetters, gateway } = this.waiting;
    return (
      `nothing has moved for ${STALLED_AFTER_MS / 1_000} s: ${tasks} record batches are not committed, ` +
      `${merges} partials not merged, ${deadLetters} dead letters not relayed, ` +
      `${gateway} commits not read by the gateway`
    );
  }
}

/** Last sequence of each partition of a topic. */
export const endOfLog = (seen: Survey, topic: string): ReadonlyMap<number, number> =>
  new Map(
    seen.topics
      .find(({ name }) => name === topic)
      ?.partitions.map(({ partition, last }) => [partition, last]) ?? [],
  );

export interface AwaitOptions {
  readonly link: Link;
  readonly plan: SurveyPlan;
  readonly topic: string;
  readonly run: RunFile;
  readonly nowMs: () => number;
  readonly onProgress: (waiting: Waiting, seen: Survey) => void;
}

const lettersCommitted = (seen: Survey): number =>
  seen.tasks
    .filter(({ kind }) => kind !== "merge")
    .reduce((total, { marker: { books } }) => {
      return total + books.late + books.future + books.invalid + books.poison;
    }, 0);

const remaining = (
  seen: Survey,
  plan: SurveyPlan,
  ends: ReadonlyMap<number, number>,
  gateway: number,
): Waiting => {
  const readers = seen.tasks.filter(({ kind }) => kind !== "merge");
  let tasks = 0;
  for (const [partition, end] of ends) {
    for (const { name } of plan.projections) {
      const task = readers.find((each) => each.projection === name && each.partition === partition);
      tasks += Math.max(0, end - (task?.marker.inputSequence ?? 0));
    }
  }
  const merges = seen.tasks
    .filter(({ kind }) => kind === "merge")
    .reduce((total, { lag }) => total + (lag ?? 0), 0);
  const unmerged = new Set(
    seen.tasks.filter(({ kind }) => kind === "partial").map(({ projection }) => projection),
  );
  for (const { kind, projection } of seen.tasks) if (kind === "merge") unmerged.delete(projection);
  const relayed = seen.deadLetters.reduce((total, { count }) => total + count, 0);
  const results = seen.tasks.filter(({ kind }) => kind !== "partial");
  const committed = Math.max(0, ...results.map(({ marker }) => marker.sequence));
  return {
    tasks,
    merges: merges + unmerged.size,
    deadLetters: Math.max(0, lettersCommitted(seen) - relayed),
    gateway: Math.max(0, committed - gateway),
  };
};

const sum = ({ tasks, merges, deadLetters, gateway }: Waiting): number =>
  tasks + merges + deadLetters + gateway;

/** Returns what the streams said when all had arrived. */
export const awaitResults = Effect.fn("awaitResults")(function* (
  options: AwaitOptions,
): Effect.fn.Return<Survey, ApiFailure | Stalled> {
  const { link, plan, topic, run, nowMs, onProgress } = options;
  const ends = endOfLog(yield* survey(link, plan), topic);
  let least = Infinity;
  let movedAt = nowMs();
  for (;;) {
    // The gateway first: what it has read is then compared with commits that are not older.
    const gateway = yield* gatewayPosition(run);
    const seen = yield* survey(link, plan);
    const waiting = remaining(seen, plan, ends, gateway);
    onProgress(waiting, seen);
    if (sum(waiting) === 0) return seen;
    if (sum(waiting) < least) {
      least = sum(waiting);
      movedAt = nowMs();
    } else if (nowMs() - movedAt > STALLED_AFTER_MS) {
      return yield* new Stalled({ waiting });
    }
    yield* Effect.sleep(POLL);
  }
});
