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

export interface AsOfState {
  /** The table's row; undefined when there is none, or none any more. */
  readonly version: JoinRow | undefined;
  /** Left events of the current millisecond. */
  readonly waiting: RowBuffer;
}

export interface AsOfSettings {
  /** +Infinity: versions stay until they are replaced or deleted. */
  readonly ttlMs: number;
  readonly mode: "inner" | "left";
  /** Whether an event takes the row for its own; undefined: all do. */
  readonly accepts: Accepts | undefined;
}

export class AsOfJoin {
  readonly #ttl: number;
  readonly #alone: boolean;
  readonly #accepts: Accepts | undefined;

  constructor({ ttlMs, mode, accepts }: AsOfSettings) {
    this.#accepts = accepts;
    this.#ttl = ttlMs;
    this.#alone = mode === "left";
  }

  open(): AsOfState {
    return { version: undefined, waiting: emptyBuffer() };
  }

  /** `rightCells`: null deletes the table's row. An event on both sides sees itself. */
  event(
    state: AsOfState,
    time: number,
    leftCells: Uint8Array | undefined,
    rightCells: Uint8Array | null | undefined,
  ): AsOfState | undefined {
    let { version, waiting } = state;
    if (rightCells === null) version = undefined;
    else if (rightCells !== undefined) version = { time, cells: rightCells, matched: false };
    if (leftCells !== undefined) {
      waiting = appendWithin(waiting, { time, cells: leftCells, matched: false }, "left");
    }
    return kept(version, waiting);
  }

  due({ version, waiting }: AsOfState): number {
    const over = sizeOf(waiting) > 0 ? waiting.rows[waiting.from]!.time + 1 : Infinity;
    return Math.min(over, version === undefined ? Infinity : version.time + this.#ttl);
  }

  /**
   * All events before `time` were there: those that wait are answered, then the version may expire. A timer
   * answers only so many; if some are left, the next timer is due at once.
   */
  timer(state: AsOfState, time: number, emit: EmitJoined): AsOfState | undefined {
    const { version, waiting } = state;
    const end = Math.min(waiting.to, waiting.from + EMITTED_MAX);
    for (let i = waiting.from; i < end; i++) {
      const row = waiting.rows[i]!;
      const seen = version && this.#accepts?.(row, version) !== false ? version : undefined;
      if (seen !== undefined || this.#alone) emit(row.time, row.time + 1, row, seen);
    }
    if (end < waiting.to) return { version, waiting: drop(waiting, end - waiting.from) };
    const expired = version !== undefined && version.time + this.#ttl <= time;
    return kept(expired ? undefined : version, emptyBuffer());
  }

  write({ version, waiting }: AsOfState, out: ByteWriter): void {
    out.byte(version === undefined ? 0 : 1);
    if (version !== undefined) writeRow(version, out);
    writeBuffer(waiting, out);
  }

  read(from: ByteReader): AsOfState {
    const version = from.byte() === 1 ? readRow(from) : undefined;
    return { version, waiting: readBuffer(from) };
  }
}

const kept = (version: JoinRow | undefined, waiting: RowBuffer): AsOfState | undefined =>
  version === undefined && sizeOf(waiting) === 0 ? undefined : { version, waiting };
