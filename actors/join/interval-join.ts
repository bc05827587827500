/**
 * Pairs of events of a key whose times are near each other: a right event is a partner of a left one if
 *
 *     left.time - before <= right.time <= left.time + after
 *
 * both bounds included, and if `accepts` does not object. The pure part: rows come in the order of event time, ties in log order.
 *
 * J1. Every pair of partners is emitted once, by whichever of the two comes later. Its window reaches
 *     from the earlier to the later: [min, max + 1).
 * J2. A row without a partner is known to have none once time has passed its last possible one: in the
 *     millisecond after that. It is emitted then, if the mode says so.
 * J3. A result's window ends with the millisecond in which it is known: [earliest event, known + 1). So results
 *     come in the order of their ends, and those of a key and window at one event time.
 * J4. A row is forgotten when no later event can be its partner: when its timer is due.
 * J5. A state is a value, as its buffers are. The one thing that changes in a row, that it was joined,
 *     changes when the state after it is used: until then `joined` remembers it.
 */
import type { JoinMode } from "../../projections/definition/definition.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { EMITTED_MAX, JOIN_BYTES_PER_KEY_MAX, JOIN_ROWS_PER_KEY_MAX, JoinLimit } from "./limits.ts";
import {
  append,
  drop,
  emptyBuffer,
  firstFrom,
  readBuffer,
  sizeOf,
  writeBuffer,
  type JoinRow,
  type RowBuffer,
} from "./row-buffer.ts";

export interface IntervalState {
  readonly left: RowBuffer;
  readonly right: RowBuffer;
  /** Rows that found their first partner in the turn that made this state. */
  readonly joined: readonly JoinRow[];
}

/** Undefined: the side has no event in this result. */
export type EmitJoined = (
  start: number,
  end: number,
  left: JoinRow | undefined,
  right: JoinRow | undefined,
) => void;

/** Whether two events belong together, besides their key and times. */
export type Accepts = (left: JoinRow, right: JoinRow) => boolean;

export interface IntervalSettings {
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly mode: JoinMode;
  /** Undefined: all do. */
  readonly accepts: Accepts | undefined;
}

const NONE: readonly JoinRow[] = [];

/** Which results a mode asks for. */
interface Wanted {
  readonly pairs: boolean;
  /** The left row alone, when it has its first partner. */
  readonly first: boolean;
  readonly leftAlone: boolean;
  readonly rightAlone: boolean;
}

const WANTED: Readonly<Record<JoinMode, Wanted>> = {
  inner: { pairs: true, first: false, leftAlone: false, rightAlone: false },
  left: { pairs: true, first: false, leftAlone: true, rightAlone: false },
  right: { pairs: true, first: false, leftAlone: false, rightAlone: true },
  full: { pairs: true, first: false, leftAlone: true, rightAlone: true },
  semi: { pairs: false, first: true, leftAlone: false, rightAlone: false },
  anti: { pairs: false, first: false, leftAlone: true, rightAlone: false },
};

export class IntervalJoin {
  readonly #before: number;
  readonly #after: number;
  readonly #wanted: Wanted;
  readonly #accepts: Accepts | undefined;
  /** Whether it matters later that a row was joined. */
  readonly #marksLeft: boolean;
  readonly #marksRight: boolean;

  constructor({ beforeMs, afterMs, mode, accepts }: IntervalSettings) {
    this.#accepts = accepts;
    this.#before = beforeMs;
    this.#after = afterMs;
    this.#wanted = WANTED[mode];
    this.#marksLeft = this.#wanted.leftAlone || this.#wanted.first;
    this.#marksRight = this.#wanted.rightAlone;
  }

  open(): IntervalState {
    return { left: emptyBuffer(), right: emptyBuffer(), joined: NONE };
  }

  /** An event that is on one side, or on both: then it may be its own partner. */
  event(
    state: IntervalState,
    time: number,
    leftCells: Uint8Array | undefined,
    rightCells: Uint8Array | undefined,
    emit: EmitJoined,
  ): IntervalState | undefined {
    settle(state);
    let { left, right } = state;
    const joined: JoinRow[] = [];
    let itself: JoinRow | undefined;
    if (leftCells !== undefined) {
      const row = { time, cells: leftCells, matched: false };
      const matched = this.#leftPartners(row, right, joined, emit);
      // Partners still to come are not before it.
      if (this.#after >= 0) {
        left = appendWithin(left, row, "left");
        if (matched && this.#marksLeft) joined.push((itself = row));
      } else if (!matched && this.#wanted.leftAlone) {
        emit(time, time + 1, row, undefined);
      }
    }
    if (rightCells !== undefined) {
      const row = { time, cells: rightCells, matched: false };
      const matched = this.#rightPartners(row, left, itself, joined, emit);
      if (this.#before >= 0) {
        right = appendWithin(right, row, "right");
        if (matched && this.#marksRight) joined.push(row);
      } else if (!matched && this.#wanted.rightAlone) {
        emit(time, time + 1, undefined, row);
      }
    }
    return kept(left, right, joined.length === 0 ? NONE : joined);
  }

  /** Joins a left row with the right rows that are there; says whether there was any. */
  #leftPartners(row: JoinRow, right: RowBuffer, joined: JoinRow[], emit: EmitJoined): boolean {
    const { pairs, first } = this.#wanted;
    const { rows, to } = right;
    const last = row.time + this.#after;
    let matched = false;
    for (let i = firstFrom(right, row.time - this.#before); i < to; i++) {
      const partner = rows[i]!;
      if (partner.time > last) break;
      if (this.#accepts?.(row, partner) === false) continue;
      if (pairs) emit(partner.time, row.time + 1, row, partner);
      else if (first && !matched) emit(partner.time, row.time + 1, row, undefined);
      if (this.#marksRight && !partner.matched) joined.push(partner);
      matched = true;
    }
    return matched;
  }

  /** `joinedNow`: the one left row that may have been joined in this very turn. */
  #rightPartners(
    row: JoinRow,
    left: RowBuffer,
    joinedNow: JoinRow | undefined,
    joined: JoinRow[],
    emit: EmitJoined,
  ): boolean {
    const { pairs, first } = this.#wanted;
    const { rows, to } = left;
    const last = row.time + this.#before;
    let matched = false;
    for (let i = firstFrom(left, row.time - this.#after); i < to; i++) {
      const partner = rows[i]!;
      if (partner.time > last) break;
      if (this.#accepts?.(partner, row) === false) continue;
      const isFirst = !partner.matched && partner !== joinedNow;
      if (pairs) emit(partner.time, row.time + 1, partner, row);
      else if (first && isFirst) emit(partner.time, row.time + 1, partner, undefined);
      if (this.#marksLeft && isFirst) joined.push(partner);
      matched = true;
    }
    return matched;
  }

  /** When time reaches this, rows have waited long enough; +Infinity when there are none. */
  due({ left, right }: IntervalState): number {
    const leftDue = left.from < left.to ? left.rows[left.from]!.time + this.#after + 1 : Infinity;
    const rightDue =
      right.from < right.to ? right.rows[right.from]!.time + this.#before + 1 : Infinity;
    return Math.min(leftDue, rightDue);
  }

  /**
   * Forgets what has no partner to come: all events before `time` were there. A timer does only so much;
   * if rows are left that are due, so is the next timer.
   */
  timer(state: IntervalState, time: number, emit: EmitJoined): IntervalState | undefined {
    settle(state);
    const { leftAlone, rightAlone } = this.#wanted;
    let emitted = 0;
    const end = Math.min(time + 1, Number.MAX_SAFE_INTEGER);
    const left = expire(state.left, this.#after, time, (row) => {
      if (leftAlone && emitted++ >= EMITTED_MAX) return false;
      if (leftAlone) emit(row.time, end, row, undefined);
      return true;
    });
    const right = expire(state.right, this.#before, time, (row) => {
      if (rightAlone && emitted++ >= EMITTED_MAX) return false;
      if (rightAlone) emit(row.time, end, undefined, row);
      return true;
    });
    return kept(left, right, NONE);
  }

  write(state: IntervalState, out: ByteWriter): void {
    settle(state);
    writeBuffer(state.left, out);
    writeBuffer(state.right, out);
  }

  read(from: ByteReader): IntervalState {
    return { left: readBuffer(from), right: readBuffer(from), joined: NONE };
  }
}

/** This state is the one that counts: its rows were joined. */
const settle = ({ joined }: IntervalState): void => {
  for (const row of joined) row.matched = true;
};

/**
 * Without the rows that have waited for `wait`; hands over those that were never joined, until one is not
 * taken: it stays, and so do those after it.
 */
const expire = (
  buffer: RowBuffer,
  wait: number,
  time: number,
  alone: (row: JoinRow) => boolean,
): RowBuffer => {
  let at = buffer.from;
  for (; at < buffer.to; at++) {
    const row = buffer.rows[at]!;
    // The very sum of `due`: so a timer that is due always forgets a row, however large the times.
    if (row.time + wait + 1 > time) break;
    if (!row.matched && !alone(row)) break;
  }
  return at === buffer.from ? buffer : drop(buffer, at - buffer.from);
};

const kept = (
  left: RowBuffer,
  right: RowBuffer,
  joined: readonly JoinRow[],
): IntervalState | undefined =>
  sizeOf(left) + sizeOf(right) === 0 ? undefined : { left, right, joined };

export const appendWithin = (buffer: RowBuffer, row: JoinRow, side: string): RowBuffer => {
  if (sizeOf(buffer) >= JOIN_ROWS_PER_KEY_MAX) {
    throw new JoinLimit(
      `the key holds ${JOIN_ROWS_PER_KEY_MAX} ${side} events that may still be joined, ` +
        "which is the limit (JOIN_ROWS_PER_KEY_MAX); join within less time, or by a finer key",
    );
  }
  if (buffer.bytes + row.cells.length > JOIN_BYTES_PER_KEY_MAX) {
    throw new JoinLimit(
      `the key holds ${buffer.bytes} bytes of ${side} events that may still be joined; ` +
        `${JOIN_BYTES_PER_KEY_MAX} are the limit (JOIN_BYTES_PER_KEY_MAX); join within less time, by a ` +
        "finer key, or with fewer fields in values",
    );
  }
  return append(buffer, row);
};
