/**
 * What feeds a re-keyed log, seen by its relay: each partition of a topic, or of the log of a table that is re-keyed
 * itself.
 *
 * U1. `end` is where all has been read that there is: the last sequence of the log, 0 if retention has left nothing
 *     of it. Of a table's log it is known once everything that is written to it has come to its own end; until then
 *     undefined.
 * U2. A look is for one moment. What several ends depend on is looked up once, and only if one of them is asked for:
 *     the partitions of a table's log have all of its sources in common, and a table of a table has theirs.
 */
import { Effect } from "effect";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { inputOf, rekeyOf } from "../../projections/definition/rekey.ts";
import type { RoutePlan } from "../../projections/definition/rekey.ts";
import { commitSubject, routedTopic } from "../../proto/subjects.ts";
import type { TaskId } from "../../proto/subjects.ts";
import { lastCommit } from "../commit/parts.ts";
import { untilAvailable } from "../commit/until-available.ts";
import { lastRetained } from "../ports/event-log.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { RekeyLog } from "../ports/rekey-log.ts";
import type { ResultLog } from "../ports/result-log.ts";
import { extentIn } from "./log-extent.ts";

export interface Upstream {
  readonly end: Effect.Effect<number | undefined>;
}

export interface UpstreamPorts {
  readonly events: EventLog["Service"];
  readonly results: ResultLog["Service"];
  readonly rekeyed: RekeyLog["Service"];
}

/** By upstream, of the log that a version of a re-keyed projection reads: a look (U2). */
export const lookAtUpstreams = (
  plan: ProjectionPlan,
  version: number,
  ports: UpstreamPorts,
): Effect.Effect<readonly Upstream[]> =>
  Effect.forEach(rekeyOf(plan).routes, (route) => {
    const { table } = route;
    return table?.rekeyed === true
      ? lookAtTasks(table, version, ports)
      : Effect.succeed(partitionsOf(inputOf(route).topic, ports));
  }).pipe(Effect.map((byRoute) => byRoute.flat()));

/** U1, of a log that nothing else has to be read for. */
export const endOfLog = (
  topic: string,
  partition: number,
  { events }: Pick<UpstreamPorts, "events">,
): Effect.Effect<number> =>
  Effect.map(untilAvailable(events.bounds(topic, partition)), lastRetained);

const numbersTo = (count: number): readonly number[] => [...Array(count).keys()];

const partitionsOf = (
  { definition: { name, partitions } }: RoutePlan["topic"],
  ports: UpstreamPorts,
): readonly Upstream[] =>
  numbersTo(partitions).map((partition) => ({ end: endOfLog(name, partition, ports) }));

/** RESULTS sequence of the last of these tasks' commits, if each of them has read its input to the end. */
const lastOfStage = Effect.fnUntraced(function* (
  tasks: readonly { readonly id: TaskId; readonly input: Upstream }[],
  { results }: UpstreamPorts,
) {
  const sequences = yield* Effect.forEach(
    tasks,
    ({ id, input }) =>
      Effect.gen(function* () {
        // The marker first: what comes into the log meanwhile is more to read.
        const { marker } = yield* untilAvailable(lastCommit(results, commitSubject(id)));
        const end = yield* input.end;
        if (end === undefined || (marker?.inputSequence ?? 0) < end) return undefined;
        return marker?.sequence ?? 0;
      }),
    { concurrency: "unbounded" },
  );
  return sequences.includes(undefined) ? undefined : Math.max(...(sequences as number[]));
});

/** Tasks of a table that is re-keyed itself: they read its log. */
const lookAtTasks = Effect.fnUntraced(function* (
  table: ProjectionPlan,
  version: number,
  ports: UpstreamPorts,
): Effect.fn.Return<readonly Upstream[]> {
  const { name } = table.definition;
  const log = routedTopic(name, version);
  const routing = (yield* lookAtUpstreams(table, version, ports)).map((input, partition) => ({
    id: { kind: "routing", projection: name, version, partition } as const,
    input,
  }));
  const routed = yield* Effect.cached(lastOfStage(routing, ports));
  return numbersTo(rekeyOf(table).partitions).map((partition) => ({
    end: Effect.gen(function* () {
      const committed = yield* routed;
      if (committed === undefined) return undefined;
      const last = yield* untilAvailable(ports.rekeyed.last(log, partition));
      const { position, held } = extentIn(last);
      return held.size === 0 && position >= committed ? last?.sequence : undefined;
    }),
  }));
});
