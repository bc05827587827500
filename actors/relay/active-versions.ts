/**
 * Which version of each projection is the active one, at a place in RESULTS: that of the last
 * promotion before it, 1 when there is none. A function of the stream, so that every reader agrees.
 */
import { Effect } from "effect";
import { Promotion } from "../../proto/gen/tidemark/v1/commit.ts";
import { controlSubject } from "../../proto/subjects.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { untilAvailable } from "../commit/until-available.ts";
import type { ResultLog } from "../ports/result-log.ts";

export const CONTROL_FILTER = "control.*";
export const FIRST_VERSION = 1;

export interface ActiveVersion {
  readonly version: number;
  /** Of a re-keyed projection: the version whose re-keyed log it reads. */
  readonly routing: number;
}

export type ActiveVersions = Map<string, ActiveVersion>;

export const FIRST_ACTIVE: ActiveVersion = { version: FIRST_VERSION, routing: FIRST_VERSION };

/** All that there may have been before this one. */
export const versionsBefore = (version: number): readonly number[] =>
  Array.from({ length: version - FIRST_VERSION }, (_, i) => FIRST_VERSION + i);

/** What a promotion makes active; without one, what is active from the beginning. */
export const activeAfter = (promotion: Promotion | undefined): ActiveVersion => {
  if (promotion === undefined) return FIRST_ACTIVE;
  const { version, routingVersion } = promotion;
  return { version, routing: routingVersion === 0 ? version : routingVersion };
};

/** Of a table that runs within a join: that of the join's log, which it feeds. */
export const activeVersionOf = (active: ActiveVersions, plan: ProjectionPlan): ActiveVersion => {
  const { rowsOf, definition } = plan;
  if (rowsOf === undefined) return active.get(definition.name) ?? FIRST_ACTIVE;
  const { routing } = activeVersionOf(active, rowsOf.join);
  return { version: routing, routing };
};

/** Whether a promotion is complete with this part; parts are appended at once. */
export const isLastPart = ({ partIndex, partCount }: Promotion): boolean =>
  partIndex === Math.max(1, partCount) - 1;

export const applyPromotion = (versions: ActiveVersions, data: Uint8Array): Promotion => {
  const promotion = Promotion.decode(data);
  if (versions.has(promotion.projection)) {
    versions.set(promotion.projection, activeAfter(promotion));
  }
  return promotion;
};

/** The version of one projection that is active after `sequence`. */
const versionAt = Effect.fnUntraced(function* (
  results: ResultLog["Service"],
  projection: string,
  sequence: number,
) {
  const subject = controlSubject(projection);
  const last = yield* untilAvailable(results.last(subject));
  if (last === undefined) return FIRST_ACTIVE;
  if (last.sequence <= sequence) return activeAfter(Promotion.decode(last.data));
  // Later ones exist, so the reader below ends at one of them and never waits.
  return yield* untilAvailable(
    Effect.scoped(
      Effect.gen(function* () {
        const reader = yield* results.open([subject], 1);
        let active = FIRST_ACTIVE;
        while (true) {
          for (const record of yield* reader.next) {
            if (record.sequence > sequence) return active;
            active = activeAfter(Promotion.decode(record.data));
          }
        }
      }),
    ),
  );
});

/** Of the given projections; others are not followed. */
export const activeVersionsAt = Effect.fnUntraced(function* (
  results: ResultLog["Service"],
  projections: readonly string[],
  sequence: number,
) {
  const versions: ActiveVersions = new Map();
  for (const projection of projections) {
    versions.set(projection, yield* versionAt(results, projection, sequence));
  }
  return versions;
});
