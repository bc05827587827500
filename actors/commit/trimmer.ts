/**
 * Keeps a task's own commits from growing without end. Age is known only for commits made while this
 * owner watched, so after a restart trimming falls behind by at most the retention.
 *
 * X1. Nothing younger than the retention is deleted, and never the last commit: it is the marker.
 * X2. Nothing is deleted that a relay has still to read, or that a merging task needs for a rebuild.
 */
import { Effect } from "effect";
import type { LogUnavailable } from "../ports/event-log.ts";
import type { ResultLog } from "../ports/result-log.ts";

/** Coarse on purpose: one mark a round, and at most so many. */
const MARKS_MAX = 10_000;

export class Trimmer {
  readonly #results: ResultLog["Service"];
  readonly #subject: string;
  readonly #retentionMs: number;
  /** Sequence of the marker at some time, the oldest first. */
  #marks: { readonly time: number; readonly sequence: number }[] = [];

  constructor(results: ResultLog["Service"], subject: string, retentionMs: number) {
    this.#results = results;
    this.#subject = subject;
    this.#retentionMs = retentionMs;
  }

  /** One round. `neededFrom`: the oldest RESULTS sequence that somebody has still to read. */
  round(
    now: number,
    markerSequence: number,
    neededFrom: number,
  ): Effect.Effect<void, LogUnavailable> {
    return Effect.suspend(() => {
      if (this.#marks.at(-1)?.sequence !== markerSequence) {
        this.#marks.push({ time: now, sequence: markerSequence });
        if (this.#marks.length > MARKS_MAX) this.#marks.splice(1, 1);
      }
      const old = this.#marks.findLastIndex((mark) => mark.time <= now - this.#retentionMs);
      if (old < 0) return Effect.void;
      const below = Math.min(this.#marks[old]!.sequence, neededFrom);
      this.#marks.splice(0, old);
      return this.#results.trim(this.#subject, below);
    });
  }
}
