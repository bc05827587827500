/** What a join keeps at most of a key. An event beyond is a dead letter; its key's other rows stay. */
import { EMISSIONS_OF_TURN_MAX } from "../ordered/limits.ts";

/** Rows of one side of one key that wait for partners, or for the end of their instant. */
export const JOIN_ROWS_PER_KEY_MAX = 10_000;
/** What results need of one event, encoded. */
export const JOIN_ROW_BYTES_MAX = 64 * 1024;

/** Of all rows of one side of one key: its whole state is written when it has changed. */
export const JOIN_BYTES_PER_KEY_MAX = 8 * 1024 * 1024;

/** Results that a timer emits before it leaves the rest to the next. */
export const EMITTED_MAX = EMISSIONS_OF_TURN_MAX;

export class JoinLimit extends Error {
  override readonly name = "JoinLimit";
}
