/** RekeyLog in memory: W1 and W2 of the port, with planned faults. */
import { Effect, Layer } from "effect";
import { RekeyLog } from "../../actors/ports/rekey-log.ts";
import { LogUnavailable } from "../../actors/ports/event-log.ts";
import { eventsSubject } from "../../proto/subjects.ts";
import { compareAndAppend } from "./compare-and-append.ts";
import { Faults } from "./faults.ts";
import { MemoryBroker } from "./memory-broker.ts";

export const memoryRekeyLog: Layer.Layer<RekeyLog, never, MemoryBroker | Faults> = Layer.effect(
  RekeyLog,
  Effect.gen(function* () {
    const broker = yield* MemoryBroker;
    const faults = yield* Faults;

    const last = Effect.fnUntraced(function* (topic: string, partition: number) {
      const stream = broker.events(topic, partition);
      if (faults.take("rekey.last", stream.name) !== undefined) {
        return yield* new LogUnavailable({ stream: stream.name, message: "injected fault" });
      }
      const message = stream.lastOf(eventsSubject(topic, partition));
      return message && { sequence: message.sequence, data: message.data };
    });

    const append = (topic: string, partition: number, data: Uint8Array, expected: number) => {
      const stream = broker.events(topic, partition);
      const subject = eventsSubject(topic, partition);
      return compareAndAppend(faults, {
        stream,
        messages: [{ subject, data }],
        appendId: broker.nextAppendId(),
        subject,
        expected,
        at: "rekey.append",
        name: stream.name,
      });
    };

    return RekeyLog.of({
      // Streams of events come into being when they are first named.
      ensure: () => Effect.void,
      last,
      append,
      remove: (topic, partitions) => Effect.sync(() => broker.removeEvents(topic, partitions)),
    });
  }),
);
