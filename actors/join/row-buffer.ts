/**
 * Rows of one side of a join, in the order in which they came: the order of event time, ties in log
 * order.
 *
 * B1. A buffer is a value. Appending and dropping give a new one and leave the old one as it was, so
 *     that a turn that fails has changed nothing; both share one array where they can.
 * B2. Memory follows the rows that are there: an array is copied once most of it was dropped.
 */
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";

/** What a join keeps of an event. */
export interface JoinRow {
  /** Event time, milliseconds since the epoch. */
  readonly time: number;
  /** The values of its side that results need: see `side-reader.ts`. */
  readonly cells: Uint8Array;
  /** Whether it was joined; kept only where results depend on it. */
  matched: boolean;
}

export interface RowBuffer {
  readonly rows: JoinRow[];
  /** Rows [from, to) of `rows` are in the buffer. */
  readonly from: number;
  readonly to: number;
  /** Of the cells of its rows. */
  readonly bytes: number;
}

export const emptyBuffer = (): RowBuffer => ({ rows: [], from: 0, to: 0, bytes: 0 });

export const sizeOf = ({ from, to }: RowBuffer): number => to - from;

const COPIED_AT = 32;

export const append = (buffer: RowBuffer, row: JoinRow): RowBuffer => {
  const { rows, from, to } = buffer;
  const bytes = buffer.bytes + row.cells.length;
  // Another buffer went on from this one's array, or most of the array is dropped rows.
  if (rows.length !== to || (from >= COPIED_AT && from * 2 > to)) {
    const copied = rows.slice(from, to);
    copied.push(row);
    return { rows: copied, from: 0, to: copied.length, bytes };
  }
  rows.push(row);
  return { rows, from, to: to + 1, bytes };
};

/** Without its first rows. */
export const drop = ({ rows, from, to, bytes }: RowBuffer, count: number): RowBuffer => {
  if (from + count === to) return emptyBuffer();
  let left = bytes;
  for (let i = from; i < from + count; i++) left -= rows[i]!.cells.length;
  return { rows, from: from + count, to, bytes: left };
};

/** Index into `rows` of the first row that is not before `time`; `to` if all are. */
export const firstFrom = ({ rows, from, to }: RowBuffer, time: number): number => {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rows[middle]!.time < time) low = middle + 1;
    else high = middle;
  }
  return low;
};

export const writeRow = (row: JoinRow, out: ByteWriter): void => {
  out.double(row.time);
  out.byte(row.matched ? 1 : 0);
  out.block(row.cells);
};

export const readRow = (from: ByteReader): JoinRow => {
  const time = from.double();
  const matched = from.byte() === 1;
  return { time, matched, cells: from.block().slice() };
};

export const writeBuffer = ({ rows, from, to }: RowBuffer, out: ByteWriter): void => {
  out.uint32(to - from);
  for (let i = from; i < to; i++) writeRow(rows[i]!, out);
};

export const readBuffer = (from: ByteReader): RowBuffer => {
  const count = from.uint32();
  const rows = Array.from({ length: count }, () => readRow(from));
  const bytes = rows.reduce((sum, { cells }) => sum + cells.length, 0);
  return { rows, from: 0, to: count, bytes };
};
