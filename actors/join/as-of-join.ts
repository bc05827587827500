/**
 * Each left event with the row that a table had for its key at the event's own time: the version that the
 * latest right event up to and including that time gave it. The pure part: rows come in the order of event
 * time, ties in log order.
 *
 * T1. A left event waits until its instant is over, so it sees every version of its own millisecond,
 *     wherever that stands in the log. Of versions of one millisecond the last in the log holds.
 * T2. Of the table only the current version is kept: events before it have been answered already.
 * T3. With a time to live a version is there for events in [its time, its time + ttl).
 * T4. A state is a value: a turn leaves the one that it began with as it was.
 * T5. Where versions are results of a projection they have windows, and the version is the one whose window
 *     ends last; of those the last in the log. Its time to live counts from that end.
 * T6. A right event may come when its time is over: then it is handed over later than that, and is the version
 *     only if none is newer by event time. What was deleted or retracted is remembered by its time or window,
 *     so that no older version takes its place.
 * T7. Unless versions come in order: then the last one holds until it is taken away, whatever its window, and
 *     nothing of it is remembered.
 */
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { appendWithin, type Accepts, type EmitJoined } from "./interval-join.ts";
import { EMITTED_MAX } from "./limits.ts";
import {
  drop,
  emptyBuffer,
  readBuffer,
  readRow,
  sizeOf,
  writeBuffer,
  writeRow,
  type JoinRow,
  type RowBuffer,
} from "./row-buffer.ts";

/** What a right event does to the table's row: gives it, or takes it away. */
export type RowChange = "row" | "deleted" | "retracted";

export interface RightEvent {
  readonly change: RowChange;
  /** Of the event: not later than its turn, and earlier where it came late (T6). */
  readonly time: number;
  readonly cells: Uint8Array;
}

/** Of the result that a version is. */
export interface VersionWindow {
  readonly start: number;
  readonly end: number;
}

export interface AsOfState {
  /** The table's row; undefined when there is none, or none any more. */
  readonly version: JoinRow | undefined;
  /** There is none any more, but the time or window of the last one is still remembered (T6). */
  readonly gone: boolean;
  /** Left events of the current millisecond. */
  readonly waiting: RowBuffer;
}

export interface AsOfSettings {
  /** +Infinity: versions stay until they are replaced or deleted. */
  readonly ttlMs: number;
  readonly mode: "inner" | "left";
  /** Whether an event takes the row for its own; undefined: all do. */
  readonly accepts: Accepts | undefined;
  /** Of a version's cells; undefined: versions have no windows, and the last by time is the row. */
  readonly windowOf: ((cells: Uint8Array) => VersionWindow) | undefined;
  /** Of versions with windows: none is older than one that came before it (T7). */
  readonly inOrder: boolean;
}

/** Formats of a state's version. */
const NO_VERSION = 0;
const VERSION = 1;
const GONE = 2;

export class AsOfJoin {
  readonly #ttl: number;
  readonly #alone: boolean;
  readonly #accepts: Accepts | undefined;
  readonly #windowOf: AsOfSettings["windowOf"];

  readonly #inOrder: boolean;

  constructor({ ttlMs, mode, accepts, windowOf, inOrder }: AsOfSettings) {
    this.#inOrder = inOrder;
    this.#accepts = accepts;
    this.#ttl = ttlMs;
    this.#alone = mode === "left";
    this.#windowOf = windowOf;
  }

  open(): AsOfState {
    return { version: undefined, gone: false, waiting: emptyBuffer() };
  }

  /** An event on both sides sees itself. */
  event(
    state: AsOfState,
    time: number,
    left: Uint8Array | undefined,
    right: RightEvent | undefined,
  ): AsOfState | undefined {
    const { version, gone } = right === undefined ? state : this.#changed(state, time, right);
    const { waiting } = state;
    if (left === undefined) return kept(version, gone, waiting);
    const row = { time, cells: left, matched: false };
    return kept(version, gone, appendWithin(waiting, row, "left"));
  }

  #changed(
    { version, gone }: AsOfState,
    now: number,
    { change, time, cells }: RightEvent,
  ): Pick<AsOfState, "version" | "gone"> {
    const isRow = change === "row";
    if (this.#windowOf === undefined) {
      if (version !== undefined && time < version.time) return { version, gone };
      const row = { time, cells: isRow ? cells : NO_CELLS, matched: false };
      // Whatever it replaces is older, and so over too.
      return this.#expiry(row) <= now ? NOTHING : { version: row, gone: !isRow };
    }
    const row = { time: now, cells, matched: false };
    if (this.#inOrder) {
      return isRow && this.#expiry(row) > now ? { version: row, gone: false } : NOTHING;
    }
    const { start, end } = this.#windowOf(cells);
    const held = version && this.#windowOf(version.cells);
    const isHeld = held !== undefined && held.start === start && held.end === end;
    if (change === "retracted" && !isHeld) return { version, gone };
    if (held !== undefined && end < held.end) return { version, gone };
    if (this.#expiry(row) <= now) return { version, gone };
    return { version: row, gone: !isRow };
  }

  /** When a version is there no more, of itself. */
  #expiry({ time, cells }: JoinRow): number {
    return (this.#windowOf?.(cells).end ?? time) + this.#ttl;
  }

  due({ version, waiting }: AsOfState): number {
    const over = sizeOf(waiting) > 0 ? waiting.rows[waiting.from]!.time + 1 : Infinity;
    return Math.min(over, version === undefined ? Infinity : this.#expiry(version));
  }

  /**
   * All events before `time` were there: those that wait are answered, then the version may expire. A timer
   * answers only so many; if some are left, the next timer is due at once.
   */
  timer(state: AsOfState, time: number, emit: EmitJoined): AsOfState | undefined {
    const { version, gone, waiting } = state;
    const row = gone ? undefined : version;
    const end = Math.min(waiting.to, waiting.from + EMITTED_MAX);
    for (let i = waiting.from; i < end; i++) {
      const left = waiting.rows[i]!;
      const seen = row && this.#accepts?.(left, row) !== false ? row : undefined;
      if (seen !== undefined || this.#alone) emit(left.time, left.time + 1, left, seen);
    }
    if (end < waiting.to) return { version, gone, waiting: drop(waiting, end - waiting.from) };
    const expired = version !== undefined && this.#expiry(version) <= time;
    return expired ? undefined : kept(version, gone, emptyBuffer());
  }

  write({ version, gone, waiting }: AsOfState, out: ByteWriter): void {
    out.byte(version === undefined ? NO_VERSION : gone ? GONE : VERSION);
    if (version !== undefined) writeRow(version, out);
    writeBuffer(waiting, out);
  }

  read(from: ByteReader): AsOfState {
    const format = from.byte();
    const version = format === NO_VERSION ? undefined : readRow(from);
    return { version, gone: format === GONE, waiting: readBuffer(from) };
  }
}

const NOTHING = { version: undefined, gone: false };
const NO_CELLS = new Uint8Array(0);

const kept = (
  version: JoinRow | undefined,
  gone: boolean,
  waiting: RowBuffer,
): AsOfState | undefined =>
  version === undefined && sizeOf(waiting) === 0 ? undefined : { version, gone, waiting };
