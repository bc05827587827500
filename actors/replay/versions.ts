/** Which version a replay builds, and how it becomes the active one. */
import { Clock, Effect } from "effect";
import { Promotion } from "../../proto/gen/tidemark/v1/commit.ts";
import { commitSubject, controlSubject } from "../../proto/subjects.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { rekeyOf } from "../../projections/definition/rekey.ts";
import { lastCommit } from "../commit/parts.ts";
import { untilAvailable } from "../commit/until-available.ts";
import type { ResultLog } from "../ports/result-log.ts";
import { activeAfter } from "../relay/active-versions.ts";
import { mergeSpec, partitionsOf, partitionSpec, withStages } from "../worker/task-specs.ts";
import type { Differences } from "./differences.ts";
import { PromotedElsewhere } from "./errors.ts";

/** Where a projection's versions stand. */
export interface Versions {
  readonly live: number;
  /** Never used before. */
  readonly next: number;
  /**
   * Of a re-keyed projection: the version whose log the next one reads. That of the live one while
   * events are grouped alike, so that both read the same events in the same order; 0 for others.
   */
  readonly routing: number;
  /** Sequence of the last promotion, 0 when there is none: the compare-and-set token. */
  readonly promotion: number;
  /** Whether the live version was made by another definition than the plan's. */
  readonly definitionChanged: boolean;
}

/** Commit subjects of the routing tasks of one version, by upstream. */
export const routingSubjectsOf = (plan: ProjectionPlan, version: number): readonly string[] => {
  if (!plan.rekeyed) return [];
  const projection = plan.definition.name;
  return Array.from({ length: rekeyOf(plan).upstreams }, (_, partition) =>
    commitSubject({ kind: "routing", projection, version, partition }),
  );
};

/** Of the tasks that publish results, or partials of them. */
const resultSubjectsOf = (plan: ProjectionPlan, version: number): readonly string[] => [
  ...Array.from({ length: partitionsOf(plan) }, (_, partition) =>
    commitSubject(partitionSpec(plan, version, partition).id),
  ),
  ...(plan.merged ? [commitSubject(mergeSpec(plan, version).id)] : []),
];

/** Commit subjects of every task of one version; of tables that have several stages those of all of them. */
export const subjectsOf = (plan: ProjectionPlan, version: number): readonly string[] => [
  ...new Set(
    withStages([plan]).flatMap((each) => [
      ...routingSubjectsOf(each, version),
      ...resultSubjectsOf(each, version),
    ]),
  ),
];

export const findVersions = Effect.fnUntraced(function* (
  results: ResultLog["Service"],
  plan: ProjectionPlan,
): Effect.fn.Return<Versions> {
  const lastOf = (subject: string) => untilAvailable(results.last(subject));
  const record = yield* lastOf(controlSubject(plan.definition.name));
  const promotion = record === undefined ? undefined : Promotion.decode(record.data);
  const { version: live, routing: liveRouting } = activeAfter(promotion);
  /** Whether some task of these was made by a definition with another digest. */
  const madeByOther = Effect.fnUntraced(function* (
    subjects: readonly string[],
    digest: Uint8Array,
  ) {
    let known = 0;
    for (const subject of subjects) {
      const { marker } = yield* untilAvailable(lastCommit(results, subject));
      if (marker === undefined) continue;
      known++;
      if (Buffer.compare(marker.definitionDigest, digest) !== 0) return { known, other: true };
    }
    return { known, other: false };
  });
  const definitionChanged = (yield* madeByOther(resultSubjectsOf(plan, live), plan.digest)).other;
  let next = Math.max(live, promotion?.previousVersion ?? live) + 1;
  while (true) {
    let used = false;
    for (const subject of subjectsOf(plan, next)) {
      used ||= (yield* lastOf(subject)) !== undefined;
    }
    if (!used) break;
    next++;
  }
  let routing = 0;
  if (plan.rekeyed) {
    const routed = routingSubjectsOf(plan, liveRouting);
    const { known, other } = yield* madeByOther(routed, rekeyOf(plan).digest);
    routing = known === routed.length && !other ? liveRouting : next;
  }
  return { live, next, routing, promotion: record?.sequence ?? 0, definitionChanged };
});

const NO_BYTES = new Uint8Array(0);

/** From the returned sequence on the version is the active one, for every reader of RESULTS. */
export const promote = Effect.fnUntraced(function* (
  results: ResultLog["Service"],
  projection: string,
  { live, next, routing, promotion }: Versions,
  differences?: Differences,
): Effect.fn.Return<number, PromotedElsewhere> {
  const time = yield* Clock.currentTimeMillis;
  const fragments = differences?.fragments ?? [];
  const partCount = Math.max(1, fragments.length);
  const parts = Array.from({ length: partCount }, (_, partIndex) => {
    const head = Promotion.encode({
      projection,
      version: next,
      previousVersion: live,
      time,
      partIndex,
      partCount,
      comparedAt: differences?.comparedAt ?? 0,
      routingVersion: routing,
      columns: [],
      updates: [],
    }).finish();
    return Buffer.concat([head, fragments[partIndex] ?? NO_BYTES]);
  });
  const append = results.append(controlSubject(projection), parts, promotion);
  return yield* untilAvailable(append).pipe(
    Effect.catchTag("Fenced", () =>
      Effect.fail(new PromotedElsewhere({ projection, version: next })),
    ),
  );
});
