/**
 * Port to snapshots. A snapshot is a cache: losing, tearing or rolling one back costs time, never a
 * result (SEMANTICS E5).
 *
 * S1. `save` refuses an epoch lower than the stored one, and within it a lower input sequence.
 * S2. `load` returns only bytes whose checksum holds; anything else is no snapshot.
 */
import { Context, Schema } from "effect";
import type { Effect } from "effect";

export interface Snapshot {
  readonly epoch: number;
  /** Last input sequence that the state includes. */
  readonly inputSequence: number;
  readonly data: Uint8Array;
}

/** Redis cannot be reached now: go on without, and say so. */
export class SnapshotUnavailable extends Schema.TaggedError<SnapshotUnavailable>()(
  "SnapshotUnavailable",
  { message: Schema.String },
) {}

export class SnapshotStore extends Context.Service<
  SnapshotStore,
  {
    /** False when a higher epoch, or this one at a higher input sequence, has already saved. */
    readonly save: (
      name: string,
      snapshot: Snapshot,
    ) => Effect.Effect<boolean, SnapshotUnavailable>;
    readonly load: (name: string) => Effect.Effect<Snapshot | undefined, SnapshotUnavailable>;
    readonly remove: (name: string) => Effect.Effect<void, SnapshotUnavailable>;
  }
>()("actors/ports/SnapshotStore") {}
