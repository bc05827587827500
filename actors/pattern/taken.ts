/**
 * The events that a partial match has taken, as a list from the last to the first. Partial matches
 * that began alike share what they have in common.
 *
 * T1. Immutable: a partial match that goes two ways is two links to one list.
 */
import type { Scalar } from "./scalar.ts";

/** What is kept of an event. */
export interface PatternEvent {
  /** A bit for each prefilter that it satisfies: see `conditions.ts`. */
  readonly mask: number;
  /** The captured expressions, null where no condition or value can ask for it. */
  readonly values: readonly Scalar[];
  /** About what the values take, in memory and in a result. */
  readonly bytes: number;
}

/** What a link and the smallest value take beside text. */
const LINK_BYTES = 16;
const VALUE_BYTES = 16;

export const bytesOf = (values: readonly Scalar[]): number => {
  let bytes = 0;
  for (const value of values) {
    bytes += VALUE_BYTES + (typeof value === "string" ? Buffer.byteLength(value) : 0);
  }
  return bytes;
};

export interface Taken {
  readonly event: PatternEvent;
  readonly time: number;
  /** Counts the key's events: neighbours differ by one. */
  readonly sequence: number;
  /** Of the automaton, and its step. */
  readonly state: number;
  readonly step: number;
  readonly previous: Taken | undefined;
  readonly length: number;
  /** Of all of them together. */
  readonly bytes: number;
  readonly startSequence: number;
  readonly startTime: number;
}

export const takenOf = (
  event: PatternEvent,
  time: number,
  sequence: number,
  state: number,
  step: number,
  previous: Taken | undefined,
): Taken => ({
  event,
  time,
  sequence,
  state,
  step,
  previous,
  length: previous === undefined ? 1 : previous.length + 1,
  bytes: (previous === undefined ? 0 : previous.bytes) + LINK_BYTES + event.bytes,
  startSequence: previous === undefined ? sequence : previous.startSequence,
  startTime: previous === undefined ? time : previous.startTime,
});

/** From the first to the last. */
export const pathOf = (last: Taken): readonly Taken[] => {
  const path = new Array<Taken>(last.length);
  let at: Taken | undefined = last;
  for (let i = last.length - 1; at !== undefined; i--, at = at.previous) path[i] = at;
  return path;
};

/**
 * The order of matches that are complete at the same time: by their events, where the first
 * difference decides and the earlier event comes first, then by their steps.
 */
export const compareTaken = (left: Taken, right: Taken): number => {
  if (left === right) return 0;
  const a = pathOf(left);
  const b = pathOf(right);
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    if (a[i]!.sequence !== b[i]!.sequence) return a[i]!.sequence - b[i]!.sequence;
  }
  if (a.length !== b.length) return a.length - b.length;
  for (let i = 0; i < shared; i++) {
    if (a[i]!.step !== b[i]!.step) return a[i]!.step - b[i]!.step;
  }
  return 0;
};

/** Sorted, and each only once: a repeated group can reach the same match on two ways. */
export const inOrder = (matches: readonly Taken[]): readonly Taken[] => {
  if (matches.length < 2) return matches;
  const sorted = [...matches].sort(compareTaken);
  return sorted.filter((each, i) => i === 0 || compareTaken(sorted[i - 1]!, each) !== 0);
};
