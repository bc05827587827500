/** Every bound of the query side, with what happens there. */

/** ListResults: size of a page when the request names none, and the most it may ask for. */
export const PAGE_SIZE_DEFAULT = 1_000;
export const PAGE_SIZE_MAX = 10_000;

/** A page ends early at this many bytes of rows: gRPC clients take 4 MiB by default. */
export const PAGE_BYTES_MAX = 2 * 1024 * 1024;

/** A page ends early, even empty, after looking at this many rows that did not match. */
export const PAGE_ROWS_VISITED_MAX = 100_000;

/** Rows read between two turns of the event loop. */
export const ROWS_A_TURN_MAX = 250;

/** UTF-8 bytes of a key in a request: what the gateway accepts of an event. */
export const KEY_BYTES_MAX = 1_024;

/** UTF-8 bytes of a key in a row: what fits LMDB's longest key; a longer one is not stored. */
export const ROW_KEY_TEXT_BYTES_MAX = 1_800;

/**
 * Rows of one store transaction, if a single commit does not hold more. A transaction writes each
 * touched page once, so larger ones cost less a row; its rows are handed over in one turn.
 */
export const TRANSACTION_ROWS_MAX = 10_000;

/** Rows gathered for a transaction between two turns of the event loop. */
export const GATHERED_ROWS_A_TURN_MAX = 2_000;

/** Commits kept in memory for subscribers; those further behind read RESULTS. */
export const RECENT_BYTES_MAX = 32 * 1024 * 1024;

/** Open subscriptions; more are refused with RESOURCE_EXHAUSTED. */
export const SUBSCRIPTIONS_MAX = 1_000;

/** Subscriptions that read their snapshot at the same time; the others wait for their turn. */
export const SNAPSHOTS_MAX = 64;

/** A snapshot pins the pages of the store that it reads; a slower reader is ended with ABORTED. */
export const SNAPSHOT_MS_MAX = 10 * 60_000;

/** With nothing delivered this long after RESULTS was first opened, it holds nothing for us. */
export const QUIET_MS = 2_000;

/** Pauses between attempts to read RESULTS or to write the store, rising up to the second. */
export const RETRY_MS_MIN = 100;
export const RETRY_MS_MAX = 5_000;
