/**
 * One pass of compaction over the log of a partition: reads it, decides, deletes. It keeps nothing between two
 * passes, may be cut off anywhere, and may run beside another one (C5 of Compaction).
 *
 * P1. It gives way: to the tasks of its process after each slice that it has read, to the server after each
 *     few record batches that it has deleted.
 */
import { Effect } from "effect";
import type { Scope } from "effect";
import type { EventLog, LogGap, LogUnavailable } from "../ports/event-log.ts";
import { Compaction } from "./compaction.ts";
import type { CompactionRules } from "./compaction.ts";
import { DELETED_AT_ONCE_MAX, DELETE_PAUSE_MS, GROWTH_MIN } from "./limits.ts";

export interface CompactedLog {
  readonly topic: string;
  readonly partition: number;
  readonly rules: Omit<CompactionRules, "end">;
  /**
   * How far event time has come in what is committed. Where it is no further than it was at the end of what is
   * to be looked at, nothing goes: rows may have still to come into force. +Infinity where that is no matter.
   */
  readonly watermark: number;
}

export interface Compacted {
  /** Up to here nothing more is to be done for now. */
  readonly end: number;
  readonly removed: number;
  /** Record batches that were looked at and stay. */
  readonly kept: number;
  /** Event time at the end. */
  readonly watermark: number;
  /** False: what is committed was not yet beyond it, so nothing could go. */
  readonly decided: boolean;
}

/** Bytes that are read between two yields. */
const SLICE_BYTES = 512 * 1024;

/** Reads the log once, or as much of it as is asked for. */
const readOnce = Effect.fnUntraced(function* (
  events: EventLog["Service"],
  { topic, partition }: CompactedLog,
  compaction: Compaction,
): Effect.fn.Return<void, LogUnavailable | LogGap, Scope.Scope> {
  const { first, last } = yield* events.bounds(topic, partition);
  const reader = yield* events.open(topic, partition, first, true);
  let bytes = 0;
  for (;;) {
    for (const { sequence, data } of yield* reader.next) {
      // The last record of a log is never removed.
      if (!compaction.read(sequence, data) || sequence >= last) return;
      bytes += data.byteLength;
      if (bytes < SLICE_BYTES) continue;
      bytes = 0;
      yield* Effect.yieldNow;
    }
  }
});

const planOf = Effect.fnUntraced(function* (
  events: EventLog["Service"],
  log: CompactedLog,
  end: number,
): Effect.fn.Return<Compaction, LogUnavailable | LogGap> {
  const compaction = new Compaction({ ...log.rules, end });
  while (!compaction.done) {
    yield* Effect.scoped(readOnce(events, log, compaction));
    compaction.endReading();
    if (compaction.watermark >= log.watermark) break;
  }
  return compaction;
});

/** `end`: the last sequence that may go. */
export const compactLog = Effect.fnUntraced(function* (
  events: EventLog["Service"],
  log: CompactedLog,
  end: number,
): Effect.fn.Return<Compacted, LogUnavailable | LogGap> {
  const compaction = yield* planOf(events, log, end);
  const { fullAt, records, watermark } = compaction;
  if (fullAt !== undefined) {
    const first = yield* compactLog(events, log, fullAt);
    // What lies behind them is looked at next, if they have made room for it.
    return first.removed >= first.kept * GROWTH_MIN ? first : { ...first, end };
  }
  if (!compaction.done) return { end, removed: 0, kept: records, watermark, decided: false };
  const removable = compaction.removable();
  for (let at = 0; at < removable.length; at += DELETED_AT_ONCE_MAX) {
    const some = removable.slice(at, at + DELETED_AT_ONCE_MAX);
    yield* events.remove(log.topic, log.partition, some);
    yield* Effect.sleep(DELETE_PAUSE_MS);
  }
  const removed = removable.length;
  return { end, removed, kept: records - removed, watermark, decided: true };
});
