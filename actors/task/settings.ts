import { ALIGNMENT_LIMITS } from "../rekey/watermark-alignment.ts";
import type { AlignmentLimits } from "../rekey/watermark-alignment.ts";

/**
 * How the runtime around the cores paces itself. None of it can change a result.
 */
export interface EngineSettings {
  /** Longest time that a position moves on without a commit when there is no output. */
  readonly progressEveryMs: number;
  /** The same for tasks with partials: merged results wait for their watermarks. */
  readonly partialProgressEveryMs: number;
  readonly snapshotEveryMs: number;
  /** How long snapshots that cannot be reached are waited for when the log alone may not do. */
  readonly snapshotWaitMs: number;
  /** Output that may wait while a commit is in flight; beyond it reading stops. */
  readonly pendingBytesMax: number;
  /** Tasks of a partition whose positions lie further apart are read for separately. */
  readonly readerSpreadMax: number;
  /** A task this close to the end of the log is live. */
  readonly liveWithin: number;
  /** Ticks of a silent partition come ever less often, down to one in this time. */
  readonly tickEveryMsMax: number;
  /** How much of a re-keyed log may be ahead of its slowest upstream. */
  readonly alignment: AlignmentLimits;
  readonly trimEveryMs: number;
  readonly resultsRetentionMs: number;
  /** How often the logs of compacted topics are looked at. */
  readonly compactEveryMs: number;
  /** How long a drain may take before what is left is abandoned to recovery. */
  readonly drainMsMax: number;
}

export const DEFAULT_SETTINGS: EngineSettings = {
  progressEveryMs: 1_000,
  partialProgressEveryMs: 250,
  snapshotEveryMs: 5_000,
  snapshotWaitMs: 60_000,
  pendingBytesMax: 8 * 1024 * 1024,
  readerSpreadMax: 10_000,
  liveWithin: 64,
  tickEveryMsMax: 60_000,
  alignment: ALIGNMENT_LIMITS,
  trimEveryMs: 180_000,
  resultsRetentionMs: 24 * 3_600_000,
  compactEveryMs: 600_000,
  drainMsMax: 10_000,
};
