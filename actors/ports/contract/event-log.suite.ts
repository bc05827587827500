/** What every EventLog must do: L1 to L5 of the port. */
import { Context, Effect, Fiber } from "effect";
import type { Layer } from "effect";
import { describe, expect } from "vitest";
import { EventLog } from "../event-log.ts";
import type { LogReader, LogRecord } from "../event-log.ts";
import { bytesOf, sameBytes, upTo } from "./bytes.ts";
import { suiteRuntime } from "./suite-runtime.ts";

/** Topic "contract" with at least this many partitions, all empty. */
export const contractTopic = "contract";
export const contractPartitions = 16;
/** The same, of a compacted topic. */
export const compactedTopic = "contract-compacted";

export class EventLogRig extends Context.Service<
  EventLogRig,
  {
    /** Deletes the records below a sequence, as retention does. */
    readonly truncate: (partition: number, sequence: number) => Effect.Effect<void>;
  }
>()("actors/ports/contract/EventLogRig") {}

/** Reads until it has `count` records. */
export const take = Effect.fnUntraced(function* (reader: LogReader, count: number) {
  const records: LogRecord[] = [];
  while (records.length < count) records.push(...(yield* reader.next));
  return records;
});

const sequences = (records: readonly LogRecord[]): readonly number[] =>
  records.map((record) => record.sequence);

/** [first, first + 1, ... last] */
const range = (first: number, last: number): readonly number[] =>
  upTo(last - first + 1).map((offset) => first + offset);

export const eventLogSuite = <E>(
  name: string,
  layer: Layer.Layer<EventLog | EventLogRig, E>,
): void => {
  describe(`EventLog: ${name}`, () => {
    const test = suiteRuntime(layer);
    let used = 0;
    /** A partition that no other test touches, with records 1..count. */
    const partitionWith = Effect.fnUntraced(function* (count: number, size?: number) {
      const log = yield* EventLog;
      const partition = used++;
      for (const index of upTo(count)) {
        yield* log.append(contractTopic, partition, bytesOf(index + 1, size));
      }
      return { log, partition };
    });

    test(
      "L2: an append returns the record's sequence, from 1 without holes",
      Effect.gen(function* () {
        const { log, partition } = yield* partitionWith(0);
        expect(yield* log.bounds(contractTopic, partition)).toEqual({ first: 1, last: 0 });
        for (const sequence of range(1, 5)) {
          const given = yield* log.append(contractTopic, partition, bytesOf(sequence));
          expect(given).toBe(sequence);
        }
        expect(yield* log.bounds(contractTopic, partition)).toEqual({ first: 1, last: 5 });
      }),
    );

    test(
      "L3: a conditional append takes place only at the end that its caller knows",
      Effect.gen(function* () {
        const { log, partition } = yield* partitionWith(0);
        expect(yield* log.appendAfter(contractTopic, partition, bytesOf(1), 0)).toBe(1);
        expect(yield* log.appendAfter(contractTopic, partition, bytesOf(2), 0)).toBeUndefined();
        expect(yield* log.appendAfter(contractTopic, partition, bytesOf(2), 2)).toBeUndefined();
        expect(yield* log.bounds(contractTopic, partition)).toEqual({ first: 1, last: 1 });
        expect(yield* log.appendAfter(contractTopic, partition, bytesOf(2), 1)).toBe(2);
        // Where the log ends does not depend on what is retained.
        yield* (yield* EventLogRig).truncate(partition, 3);
        expect(yield* log.appendAfter(contractTopic, partition, bytesOf(3), 0)).toBeUndefined();
        expect(yield* log.appendAfter(contractTopic, partition, bytesOf(3), 2)).toBe(3);
      }),
    );

    test(
      "L1: a reader delivers what is there and what comes, each once, in order",
      Effect.gen(function* () {
        const { log, partition } = yield* partitionWith(20);
        const reader = yield* log.open(contractTopic, partition, 1);
        const before = yield* take(reader, 20);
        const waiting = yield* Effect.forkChild(take(reader, 20), { startImmediately: true });
        for (const sequence of range(21, 40)) {
          yield* log.append(contractTopic, partition, bytesOf(sequence));
        }
        const records = [...before, ...(yield* Fiber.join(waiting))];
        expect(sequences(records)).toEqual(range(1, 40));
        expect(records.every((one) => sameBytes(one.data, bytesOf(one.sequence)))).toBe(true);
      }).pipe(Effect.scoped),
    );

    test(
      "L1: a reader starts where it is told to, also one past the end",
      Effect.gen(function* () {
        const { log, partition } = yield* partitionWith(10);
        const middle = yield* log.open(contractTopic, partition, 6);
        expect(sequences(yield* take(middle, 5))).toEqual(range(6, 10));
        const end = yield* log.open(contractTopic, partition, 11);
        yield* log.append(contractTopic, partition, bytesOf(11));
        expect(sequences(yield* take(end, 1))).toEqual([11]);
        expect(sequences(yield* take(middle, 1))).toEqual([11]);
      }).pipe(Effect.scoped),
    );

    test(
      "large records come whole, a bounded number of bytes at a time",
      Effect.gen(function* () {
        const { log, partition } = yield* partitionWith(64, 300_000);
        const reader = yield* log.open(contractTopic, partition, 1);
        let read = 0;
        while (read < 64) {
          const records = yield* reader.next;
          const bytes = records.reduce((sum, record) => sum + record.data.length, 0);
          expect(bytes).toBeLessThanOrEqual(16 * 1024 * 1024);
          for (const record of records) {
            read += 1;
            expect(record.sequence).toBe(read);
            expect(sameBytes(record.data, bytesOf(read, 300_000))).toBe(true);
          }
        }
      }).pipe(Effect.scoped),
    );

    test(
      "an interrupted `next` loses nothing",
      Effect.gen(function* () {
        const { log, partition } = yield* partitionWith(0);
        const reader = yield* log.open(contractTopic, partition, 1);
        for (const sequence of range(1, 20)) {
          const waiting = yield* Effect.forkChild(reader.next, { startImmediately: true });
          if (sequence % 2 === 0) yield* log.append(contractTopic, partition, bytesOf(sequence));
          else yield* Fiber.interrupt(waiting);
          if (sequence % 2 === 1) yield* log.append(contractTopic, partition, bytesOf(sequence));
          const records = sequence % 2 === 0 ? yield* Fiber.join(waiting) : yield* take(reader, 1);
          expect(sequences(records)).toEqual([sequence]);
        }
      }).pipe(Effect.scoped),
    );

    test(
      "L1: opening where records were deleted is a LogGap",
      Effect.gen(function* () {
        const { log, partition } = yield* partitionWith(10);
        yield* (yield* EventLogRig).truncate(partition, 7);
        expect(yield* log.bounds(contractTopic, partition)).toEqual({ first: 7, last: 10 });
        const error = yield* Effect.flip(log.open(contractTopic, partition, 6));
        expect(error).toMatchObject({ _tag: "LogGap", expected: 6, found: 7 });
        const reader = yield* log.open(contractTopic, partition, 7);
        expect(sequences(yield* take(reader, 4))).toEqual(range(7, 10));
      }).pipe(Effect.scoped),
    );

    test(
      "L1: opening beyond the end is a LogGap: it is not the log that was read before",
      Effect.gen(function* () {
        const { log, partition } = yield* partitionWith(3);
        const error = yield* Effect.flip(log.open(contractTopic, partition, 5));
        expect(error).toMatchObject({ _tag: "LogGap", expected: 5, found: 3 });
      }).pipe(Effect.scoped),
    );

    test(
      "L1: records deleted ahead of a slow reader are a LogGap, never a jump",
      Effect.gen(function* () {
        const { log, partition } = yield* partitionWith(60, 500_000);
        const reader = yield* log.open(contractTopic, partition, 1);
        let read = (yield* reader.next).length;
        yield* (yield* EventLogRig).truncate(partition, 60);
        const error = yield* Effect.flip(
          Effect.forever(
            Effect.map(reader.next, (records) => {
              for (const record of records) expect(record.sequence).toBe(++read);
            }),
          ),
        );
        expect(read).toBeLessThan(59);
        expect(error).toMatchObject({ _tag: "LogGap", expected: read + 1, found: 60 });
        expect(yield* Effect.flip(reader.next)).toMatchObject({ _tag: "LogGap" });
      }).pipe(Effect.scoped),
    );

    const compactedWith = Effect.fnUntraced(function* (count: number, size?: number) {
      const log = yield* EventLog;
      const partition = used++;
      for (const index of upTo(count)) {
        yield* log.append(compactedTopic, partition, bytesOf(index + 1, size));
      }
      return { log, partition };
    });

    test(
      "L4: a reader of a compacted log gets all that is there, whatever was removed",
      Effect.gen(function* () {
        const { log, partition } = yield* compactedWith(12);
        yield* log.remove(compactedTopic, partition, [1, 2, 5, 6, 9]);
        expect(yield* log.bounds(compactedTopic, partition)).toEqual({ first: 3, last: 12 });
        const reader = yield* log.open(compactedTopic, partition, 1, true);
        const records = yield* take(reader, 7);
        expect(sequences(records)).toEqual([3, 4, 7, 8, 10, 11, 12]);
        expect(records.every((one) => sameBytes(one.data, bytesOf(one.sequence)))).toBe(true);
        const within = yield* log.open(compactedTopic, partition, 6, true);
        expect(sequences(yield* take(within, 5))).toEqual([7, 8, 10, 11, 12]);
        yield* log.append(compactedTopic, partition, bytesOf(13));
        expect(sequences(yield* take(reader, 1))).toEqual([13]);
      }).pipe(Effect.scoped),
    );

    test(
      "L4: what is removed ahead of a reader is no gap, and nothing else is left out",
      Effect.gen(function* () {
        const { log, partition } = yield* compactedWith(60, 500_000);
        const reader = yield* log.open(compactedTopic, partition, 1, true);
        const read = sequences(yield* reader.next).slice();
        const removed = range(1, 60).filter((sequence) => sequence % 3 === 0 && sequence < 60);
        yield* log.remove(compactedTopic, partition, removed);
        const seen = [...read];
        while (seen.at(-1) !== 60) seen.push(...sequences(yield* reader.next));
        expect(seen).toEqual(seen.toSorted((a, b) => a - b));
        const kept = range(1, 60).filter((sequence) => !removed.includes(sequence));
        expect(kept.filter((sequence) => !seen.includes(sequence))).toEqual([]);
        expect(seen.length).toBeLessThan(60);
      }).pipe(Effect.scoped),
    );

    test(
      "L4: a log that is read as a whole one has no holes, and a compacted one does not end early",
      Effect.gen(function* () {
        const { log, partition } = yield* compactedWith(6);
        yield* log.remove(compactedTopic, partition, [4]);
        const whole = yield* log.open(compactedTopic, partition, 1);
        const error = yield* Effect.flip(take(whole, 6));
        expect(error).toMatchObject({ _tag: "LogGap", expected: 4, found: 5 });
        const beyond = yield* Effect.flip(log.open(compactedTopic, partition, 8, true));
        expect(beyond).toMatchObject({ _tag: "LogGap", expected: 8, found: 6 });
      }).pipe(Effect.scoped),
    );

    test(
      "L5: what is gone may be removed again, and sequences are found by time",
      Effect.gen(function* () {
        const { log, partition } = yield* compactedWith(4);
        yield* log.remove(compactedTopic, partition, [1, 3]);
        yield* log.remove(compactedTopic, partition, [3, 1]);
        expect(yield* log.bounds(compactedTopic, partition)).toEqual({ first: 2, last: 4 });
        expect(yield* log.sequenceAt(compactedTopic, partition, 0)).toBe(2);
        const year2100 = 4_102_444_800_000;
        expect(yield* log.sequenceAt(compactedTopic, partition, year2100)).toBe(5);
        expect(yield* log.sequenceAt(compactedTopic, used++, 0)).toBe(1);
      }),
    );
  });
};
