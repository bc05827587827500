/**
 * The log that a version of a re-keyed projection is built from: complete up to where its sources ended
 * when the build began. Versions that group the same events alike share the log that the workers
 * write (so what they give is the same to the bit); one that groups otherwise gets a log of its own.
 */
import { Clock, Effect, Fiber, Scope } from "effect";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { rekeyOf } from "../../projections/definition/rekey.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { lastCommit } from "../commit/parts.ts";
import { untilAvailable } from "../commit/until-available.ts";
import type { EngineSettings } from "../task/settings.ts";
import type { Ports } from "../worker/partition-owner.ts";
import { rekeyRelayOf } from "../worker/rekeyed-owner.ts";
import { rekeyedTopicOf } from "../worker/task-specs.ts";
import { routingSubjectsOf } from "./versions.ts";

const LOOK_EVERY_MS = 100;
/** Workers that do not come further for so long are not there, or run another definition. */
const STANDSTILL_MS_MAX = 30_000;

/** By upstream: the last sequence of each partition of each source. */
const endsOfSources = (plan: ProjectionPlan, { events }: Ports) =>
  Effect.forEach(
    rekeyOf(plan).routes.flatMap(({ topic: { definition } }) =>
      Array.from({ length: definition.partitions }, (_, partition) => ({
        topic: definition.name,
        partition,
      })),
    ),
    ({ topic, partition }) =>
      Effect.map(untilAvailable(events.bounds(topic, partition)), ({ last }) => last),
    { concurrency: "unbounded" },
  );

/**
 * Waits until the running routing tasks and their relay have come as far as the sources go now. Gives
 * what is wrong when they stand still.
 */
export const awaitRouted = Effect.fnUntraced(function* (
  plan: ProjectionPlan,
  routing: number,
  ports: Ports,
): Effect.fn.Return<string | undefined> {
  const ends = yield* endsOfSources(plan, ports);
  const subjects = routingSubjectsOf(plan, routing);
  const { name, partitions } = rekeyedTopicOf(plan, routing);
  let reached = -1;
  let movedAt = yield* Clock.currentTimeMillis;
  while (true) {
    let progress = 0;
    let behind: string | undefined;
    let committed = 0;
    for (const [upstream, subject] of subjects.entries()) {
      const { marker } = yield* untilAvailable(lastCommit(ports.results, subject));
      const read = marker?.inputSequence ?? 0;
      progress += read;
      committed = Math.max(committed, marker?.sequence ?? 0);
      if (read < ends[upstream]!) behind ??= `${subject} stands at ${read} of ${ends[upstream]}`;
    }
    for (let partition = 0; partition < partitions; partition++) {
      const last = yield* untilAvailable(ports.rekeyed.last(name, partition));
      const position = last && RecordBatch.decode(last.data).rekeyed?.position;
      progress += position ?? 0;
      if ((position ?? 0) < committed) behind ??= `the relay of ${name} stands at ${position ?? 0}`;
    }
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
