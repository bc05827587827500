/** Which version a replay builds, and how it becomes the active one. */
import { Clock, Effect } from "effect";
import { Promotion } from "../../proto/gen/tidemark/v1/commit.ts";
import { commitSubject, controlSubject } from "../../proto/subjects.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { readMarker } from "../commit/marker.ts";
import { untilAvailable } from "../commit/until-available.ts";
import type { ResultLog } from "../ports/result-log.ts";
import { FIRST_VERSION } from "../relay/active-versions.ts";
import { mergeSpec, partitionSpec } from "../worker/task-specs.ts";
import type { Differences } from "./differences.ts";
import { PromotedElsewhere } from "./errors.ts";

/** Where a projection's versions stand. */
export interface Versions {
  readonly live: number;
  /** Never used before. */
  readonly next: number;
  /** Sequence of the last promotion, 0 when there is none: the compare-and-set token. */
  readonly promotion: number;
  /** Whether the live version was made by another definition than the plan's. */
  readonly definitionChanged: boolean;
}

/** Commit subjects of every task of one version. */
export const subjectsOf = (plan: ProjectionPlan, version: number): readonly string[] => [
  ...Array.from({ length: plan.topic.definition.partitions }, (_, partition) =>
    commitSubject(partitionSpec(plan, version, partition).id),
  ),
  ...(plan.merged ? [commitSubject(mergeSpec(plan, version).id)] : []),
];

export const findVersions = Effect.fnUntraced(function* (
  results: ResultLog["Service"],
  plan: ProjectionPlan,
): Effect.fn.Return<Versions> {
  const lastOf = (subject: string) => untilAvailable(results.last(subject));
  const record = yield* lastOf(controlSubject(plan.definition.name));
  const promotion = record === undefined ? undefined : Promotion.decode(record.data);
  const live = promotion?.version ?? FIRST_VERSION;
  let definitionChanged = false;
  for (const subject of subjectsOf(plan, live)) {
    const last = yield* lastOf(subject);
    if (last === undefined) continue;
    const { definitionDigest } = readMarker(last.sequence, last.data);
    if (Buffer.compare(definitionDigest, plan.digest) !== 0) definitionChanged = true;
  }
  let next = Math.max(live, promotion?.previousVersion ?? live) + 1;
  while (true) {
    let used = false;
    for (const subject of subjectsOf(plan, next)) {
      used ||= (yield* lastOf(subject)) !== undefined;
    }
    if (!used) break;
    next++;
  }
  return { live, next, promotion: record?.sequence ?? 0, definitionChanged };
});

const NO_BYTES = new Uint8Array(0);

/** From the returned sequence on the version is the active one, for every reader of RESULTS. */
export const promote = Effect.fnUntraced(function* (
  results: ResultLog["Service"],
  projection: string,
  { live, next, promotion }: Versions,
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
