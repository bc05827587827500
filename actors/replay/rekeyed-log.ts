/**
 * The log that a version of a re-keyed projection is built from: complete up to where its sources ended
 * when the build began. Versions that group the same events alike share the log that the workers
 * write (so what they give is the same to the bit); one that groups otherwise gets a log of its own.
 */
import { Clock, Effect, Fiber, Scope } from "effect";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { inputOf, rekeyOf } from "../../projections/definition/rekey.ts";
import { lastCommit } from "../commit/parts.ts";
import { untilAvailable } from "../commit/until-available.ts";
import { endOfLog } from "../rekey/upstream.ts";
import type { RekeyedTopic } from "../ports/rekey-log.ts";
import type { EngineSettings } from "../task/settings.ts";
import type { Ports } from "../worker/partition-owner.ts";
import { extentIn, includedOf } from "../rekey/log-extent.ts";
import { rekeyRelayOf } from "../worker/rekeyed-owner.ts";
import { rekeyedTopicOf } from "../worker/task-specs.ts";
import { routingSubjectsOf } from "./versions.ts";

const LOOK_EVERY_MS = 100;
/** Workers that do not come further for so long are not there, or run another definition. */
const STANDSTILL_MS_MAX = 30_000;

interface Look {
  /** Grows with all that is read and written. */
  readonly progress: number;
  /** What has not come far enough; undefined when all has. */
  readonly behind: string | undefined;
}

/** Looks until nothing is behind. Gives what is wrong when it stands still. */
const awaitAll = Effect.fnUntraced(function* (
  look: Effect.Effect<Look>,
): Effect.fn.Return<string | undefined> {
  let reached = -1;
  let movedAt = yield* Clock.currentTimeMillis;
  while (true) {
    const { progress, behind } = yield* look;
    if (behind === undefined) return undefined;
    const now = yield* Clock.currentTimeMillis;
    if (progress !== reached) movedAt = now;
    reached = progress;
    if (now - movedAt >= STANDSTILL_MS_MAX) {
      return `its events are not being re-keyed: ${behind}. Is tidemark running with this definition?`;
    }
    yield* Effect.sleep(LOOK_EVERY_MS);
  }
});

/** How far tasks have read, by their commit subjects, and the RESULTS sequences of their last commits. */
const lookAtTasks = Effect.fnUntraced(function* (
  subjects: readonly string[],
  ends: readonly number[],
  { results }: Ports,
): Effect.fn.Return<Look & { readonly committed: readonly number[] }> {
  let progress = 0;
  let behind: string | undefined;
  const committed: number[] = [];
  for (const [at, subject] of subjects.entries()) {
    const { marker } = yield* untilAvailable(lastCommit(results, subject));
    const read = marker?.inputSequence ?? 0;
    progress += read;
    committed.push(marker?.sequence ?? 0);
    if (read < ends[at]!) behind ??= `${subject} stands at ${read} of ${ends[at]}`;
  }
  return { progress, behind, committed };
});

const endsOf = ({ name, partitions }: Pick<RekeyedTopic, "name" | "partitions">, ports: Ports) =>
  Effect.forEach([...Array(partitions).keys()], (partition) => endOfLog(name, partition, ports), {
    concurrency: "unbounded",
  });

/** By partition of the log of a table that is re-keyed itself, once that goes as far as its sources. */
const endsOfTable = Effect.fnUntraced(function* (
  table: ProjectionPlan,
  version: number,
  ports: Ports,
): Effect.fn.Return<readonly number[], string> {
  const problem = yield* awaitRouted(table, version, ports);
  if (problem !== undefined) return yield* Effect.fail(problem);
  return yield* endsOf(rekeyedTopicOf(table, version), ports);
});

/**
 * Waits until the running routing tasks and their relay have come as far as the sources go now. Gives
 * what is wrong when they stand still.
 */
export const awaitRouted = (
  plan: ProjectionPlan,
  routing: number,
  ports: Ports,
): Effect.Effect<string | undefined> =>
  Effect.gen(function* () {
    const byRoute = yield* Effect.forEach(rekeyOf(plan).routes, (route) =>
      route.table?.rekeyed === true
        ? endsOfTable(route.table, routing, ports)
        : endsOf(inputOf(route).topic.definition, ports),
    );
    const ends = byRoute.flat();
    const subjects = routingSubjectsOf(plan, routing);
    const { name, partitions } = rekeyedTopicOf(plan, routing);
    const look = Effect.gen(function* () {
      const tasks = yield* lookAtTasks(subjects, ends, ports);
      let { progress, behind } = tasks;
      for (let partition = 0; partition < partitions; partition++) {
        const last = yield* untilAvailable(ports.rekeyed.last(name, partition));
        const extent = extentIn(last);
        for (const [upstream, committed] of tasks.committed.entries()) {
          const position = includedOf(extent, upstream);
          progress += position;
          if (position < committed) behind ??= `the relay of ${name} stands at ${position}`;
        }
      }
      return { progress, behind };
    });
    return yield* awaitAll(look);
  }).pipe(Effect.catch((problem) => Effect.succeed(problem)));

/**
 * Writes a log of its own for a version: `readSources` runs the routing tasks to their end and gives the
 * RESULTS sequence of their last commit. The workers go on from there once the version is promoted.
 */
export const writeRekeyed = <E>(
  plan: ProjectionPlan,
  version: number,
  ports: Ports,
  settings: EngineSettings,
  readSources: Effect.Effect<number, E, Scope.Scope>,
): Effect.Effect<string | undefined, E, Scope.Scope> =>
  Effect.gen(function* () {
    const relay = rekeyRelayOf(plan, version, ports, settings);
    const relaying = yield* Effect.forkIn(relay.run, yield* Scope.Scope);
    yield* relay.reached(yield* readSources);
    const { state, reason, target } = relay.status;
    yield* Fiber.interrupt(relaying);
    return relay.over ? `the relay of ${target} is ${state}: ${reason}` : undefined;
  });
