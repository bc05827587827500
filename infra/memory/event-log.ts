/** EventLog in memory: L1 to L3 of the port, with planned faults. */
import { Clock, Effect, Layer } from "effect";
import { EventLog, LogGap, LogUnavailable } from "../../actors/ports/event-log.ts";
import type { LogReader, LogRecord } from "../../actors/ports/event-log.ts";
import { eventsSubject } from "../../proto/subjects.ts";
import { Faults } from "./faults.ts";
import type { StoredMessage } from "./memory-stream.ts";
import { MemoryBroker, untilChanged, withinLimits } from "./memory-broker.ts";

const all = (): boolean => true;

/** The records that follow each other without a hole, from the first on. */
const untilHole = (records: readonly StoredMessage[]): readonly StoredMessage[] => {
  const hole = records.findIndex(({ sequence }, at) => sequence !== records[0]!.sequence + at);
  return hole < 0 ? records : records.slice(0, hole);
};

const injected = (stream: string): LogUnavailable =>
  new LogUnavailable({ stream, message: "injected fault" });

export const memoryEventLog: Layer.Layer<EventLog, never, MemoryBroker | Faults> = Layer.effect(
  EventLog,
  Effect.gen(function* () {
    const broker = yield* MemoryBroker;
    const clock = yield* Clock.Clock;
    broker.now = () => clock.currentTimeMillisUnsafe();
    const faults = yield* Faults;

    const bounds = (topic: string, partition: number) =>
      Effect.sync(() => {
        const stream = broker.events(topic, partition);
        return { first: stream.firstSequence, last: stream.lastSequence };
      });

    const open = Effect.fnUntraced(function* (
      topic: string,
      partition: number,
      fromSequence: number,
      compacted = false,
    ) {
      const stream = broker.events(topic, partition);
      let expected = fromSequence;
      const gap = (found: number) => new LogGap({ stream: stream.name, expected, found });
      if (faults.take("events.open", stream.name) !== undefined) {
        return yield* injected(stream.name);
      }
      if (!compacted && stream.firstSequence > expected) return yield* gap(stream.firstSequence);
      if (expected > stream.lastSequence + 1) return yield* gap(stream.lastSequence);

      const next: LogReader["next"] = Effect.gen(function* () {
        if (faults.take("events.next", stream.name) !== undefined) {
          return yield* injected(stream.name);
        }
        for (;;) {
          const found = stream.from(expected, all);
          const first = found[0]?.sequence ?? stream.firstSequence;
          if (!compacted && first > expected) return yield* gap(first);
          const records: readonly LogRecord[] = withinLimits(
            compacted ? found : untilHole(found),
            broker.limits,
          ).map(({ sequence, data }) => ({ sequence, data }));
          if (records.length > 0) {
            expected = records.at(-1)!.sequence + 1;
            return records;
          }
          yield* untilChanged(stream);
        }
      });
      return { next };
    });

    const append = Effect.fnUntraced(function* (
      topic: string,
      partition: number,
      data: Uint8Array,
    ) {
      const stream = broker.events(topic, partition);
      const fault = faults.take("events.append", stream.name);
      if (fault === "fail") return yield* injected(stream.name);
      const subject = eventsSubject(topic, partition);
      const outcome = stream.append([{ subject, data }], broker.nextAppendId());
      if (outcome.kind !== "stored") {
        return yield* new LogUnavailable({ stream: stream.name, message: "the stream is full" });
      }
      if (fault === "fail-stored") return yield* injected(stream.name);
      return outcome.last;
    });

    const appendAfter = (topic: string, partition: number, data: Uint8Array, last: number) =>
      Effect.suspend(() =>
        broker.events(topic, partition).lastSequence === last
          ? append(topic, partition, data)
          : Effect.undefined,
      );

    const sequenceAt = (topic: string, partition: number, time: number) =>
      Effect.sync(() => {
        const { messages, lastSequence } = broker.events(topic, partition);
        return messages.find((message) => message.time >= time)?.sequence ?? lastSequence + 1;
      });

    const remove = Effect.fnUntraced(function* (
      topic: string,
      partition: number,
      sequences: readonly number[],
    ) {
      const stream = broker.events(topic, partition);
      for (const sequence of sequences) {
        // One after the other, as a server does it: a fault leaves the rest.
        if (faults.take("events.remove", stream.name) !== undefined) {
          return yield* injected(stream.name);
        }
        stream.delete(sequence);
      }
    });

    return EventLog.of({ bounds, open, append, appendAfter, sequenceAt, remove });
  }),
);
