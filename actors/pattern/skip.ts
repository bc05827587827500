/**
 * After-match skip: what an emitted match takes away from others of its key.
 *
 * S1. It takes away whole starts: no partial or complete match that starts at or before a bound lives on.
 * S2. A match is emitted only when no partial match started at an earlier time: so the earliest start
 *     wins, however late it becomes complete. `noSkip` takes nothing away and so need not wait.
 * S3. So matches of a key with equal times of start and completion are emitted in one turn, or in turns of
 *     one time (K3 of KeyedOperator).
 */
import type { SkipDefinition } from "../../projections/definition/pattern-definition.ts";
import { pathOf, type Taken } from "./taken.ts";

/** The last start that an emitted match takes away; below its own start there are none. */
export type SkipBound = (match: Taken) => number;

export const skipBoundOf = (skip: SkipDefinition, steps: readonly string[]): SkipBound => {
  switch (skip.strategy) {
    case "noSkip":
      return () => Number.NEGATIVE_INFINITY;
    case "skipToNext":
      return (match) => match.startSequence;
    case "skipPastLastEvent":
      return (match) => match.sequence;
    case "skipToFirst":
    case "skipToLast": {
      const step = steps.indexOf(skip.step);
      const first = skip.strategy === "skipToFirst";
      return (match) => {
        const path = pathOf(match);
        const found = first
          ? path.find((taken) => taken.step === step)
          : path.findLast((taken) => taken.step === step);
        // Without an event of that step nothing is skipped.
        return found === undefined ? Number.NEGATIVE_INFINITY : found.sequence - 1;
      };
    }
  }
};
