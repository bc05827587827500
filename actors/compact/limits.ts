/** Bounds of a pass of compaction over a partition's log. */

/** Keys that are looked at in one reading of the log. With more, it is read several times. */
export const COMPACTED_KEYS_MAX = 262_144;
/** Record batches that a pass looks at, the first of the log. */
export const COMPACTED_RECORDS_MAX = 4_194_304;
/** Record batches that are deleted before others get their turn, and the pause then. */
export const DELETED_AT_ONCE_MAX = 100;
export const DELETE_PAUSE_MS = 50;

/** A log is read again when what may go has grown by this share of what stayed. */
export const GROWTH_MIN = 0.25;
