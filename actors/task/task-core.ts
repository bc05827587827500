/**
 * The pure heart of a projection task: state in, decoded input in, output and new state out. No
 * clock, no I/O, no Effect; the same inputs give the same bytes, however they are sliced into
 * commits. The runtime around it (`task-actor.ts`) reads, commits and snapshots.
 *
 * C1. After `apply(x)` the output of x is in the draft; `take` hands it over once.
 * C2. `digest` depends on the state alone, not on when drafts were taken.
 * C3. restore(snapshot()) gives a core that behaves, and digests, as the original.
 */
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";

/** Output since the last take. */
export interface Draft {
  /**
   * Encoded fields 20 to 24 of a Commit, cut between items so that each fragment is at most
   * DRAFT_FRAGMENT_BYTES_MAX (one item may exceed it alone). Empty when nothing was published.
   */
  readonly fragments: readonly Uint8Array[];
  readonly updates: number;
  readonly partials: number;
  readonly deadLetters: number;
  readonly routed: number;
}

/** The marker fields that the core knows; the runtime adds identity, epoch and number. */
export interface Progress {
  /** Last input sequence applied; 0 before the first. */
  readonly inputSequence: number;
  /** Minus infinity is undefined. */
  readonly watermark: number | undefined;
  readonly idle: boolean;
  readonly ingestTime: number;
  readonly books: Books;
  /** Merging core: oldest RESULTS sequence that its state still needs; 0 otherwise. */
  readonly retainFrom: number;
}

export interface TaskCore<Input> {
  /** Never throws for bad data: that becomes a dead letter. */
  apply(input: Input): void;
  /** Bytes of output waiting for `take`. */
  readonly pendingBytes: number;
  readonly pendingItems: number;
  take(): Draft;
  progress(): Progress;
  /**
   * 8 bytes, of all that later output depends on; so not of the books, which only count. Costs in
   * proportion to what changed since the last call.
   */
  digest(): Uint8Array;
  /**
   * Takes over the books that were committed: a core rebuilt from a log whose first records are gone
   * has the state (no live window is that old) but cannot have counted what it did not see.
   */
  adoptBooks(books: Books): void;
  snapshot(): Uint8Array;
  /** Throws SnapshotMismatch when the bytes are of another layout or definition. */
  restore(snapshot: Uint8Array): void;
}

/** A commit part must fit, with its marker, into one message of 1 MiB. */
export const DRAFT_FRAGMENT_BYTES_MAX = 768 * 1024;

export class SnapshotMismatch extends Error {
  override readonly name = "SnapshotMismatch";
}
