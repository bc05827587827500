/**
 * Counts the events of a partition's log, as the engine does: a record batch that breaks off has one
 * event for its unreadable rest.
 *
 * N1. The log is read once, whatever the number of stretches that are asked for.
 */
import { Effect } from "effect";
import { RecordBatchScanner } from "../../actors/kernel/record-batch-scanner.ts";
import type { LogGap, LogUnavailable } from "../../actors/ports/event-log.ts";
import { eventsStream } from "../../proto/subjects.ts";
import type { Link } from "../nats/link.ts";
import { openReader } from "../nats/pull-reader.ts";
import type { Stretch } from "./books-audit.ts";

export interface CountOptions {
  readonly topic: string;
  readonly partition: number;
  readonly stretches: readonly Stretch[];
  /** After each read: how many record batches more were read. */
  readonly onRead: (records: number) => void;
}

/** From the first to the last sequence that a stretch needs; undefined when all are empty. */
export const rangeOf = (stretches: readonly Stretch[]): Stretch | undefined => {
  const needed = stretches.filter(({ from, to }) => to > from);
  if (needed.length === 0) return undefined;
  return {
    from: Math.min(...needed.map(({ from }) => from)),
    to: Math.max(...needed.map(({ to }) => to)),
  };
};

/** Returns the count of a stretch that was asked for. */
export const countLog = Effect.fnUntraced(function* (
  link: Link,
  { topic, partition, stretches, onRead }: CountOptions,
): Effect.fn.Return<(stretch: Stretch) => number, LogUnavailable | LogGap> {
  const range = rangeOf(stretches);
  if (range === undefined) return () => 0;
  /** Events after `range.from` up to each sequence at which a stretch ends or begins. */
  const upTo = new Map<number, number>(
    stretches.flatMap(({ from, to }) => [
      [from, 0],
      [to, 0],
    ]),
  );
  const scanner = new RecordBatchScanner([]);
  const read = Effect.gen(function* () {
    const reader = yield* openReader(link, {
      stream: eventsStream(topic, partition),
      filters: [],
      fromSequence: range.from + 1,
      contiguous: true,
    });
    let events = 0;
    let position = range.from;
    while (position < range.to) {
      const records = yield* reader.next;
      for (const { sequence, data } of records) {
        scanner.scan(data);
        events += scanner.count;
        if (upTo.has(sequence)) upTo.set(sequence, events);
        position = sequence;
        if (position === range.to) break;
      }
      onRead(records.length);
      yield* Effect.yieldNow;
    }
  });
  yield* Effect.scoped(read);
  return ({ from, to }) => (to <= from ? 0 : upTo.get(to)! - upTo.get(from)!);
});
