/** IngestLog in memory. */
import { Effect, Layer } from "effect";
import { AppendError, IngestLog } from "../../actors/ports/ingest-log.ts";
import { eventsSubject } from "../../proto/subjects.ts";
import { Faults } from "./faults.ts";
import { MemoryBroker } from "./memory-broker.ts";

/** What a server takes by default. */
const maxBytes = 1024 * 1024;

export const memoryIngestLog: Layer.Layer<IngestLog, never, MemoryBroker | Faults> = Layer.effect(
  IngestLog,
  Effect.gen(function* () {
    const broker = yield* MemoryBroker;
    const faults = yield* Faults;

    const append = async (topic: string, partition: number, data: Uint8Array): Promise<number> => {
      const stream = broker.events(topic, partition);
      const fault = faults.take("ingest.append", stream.name);
      if (fault === "fail") {
        throw new AppendError({ kind: "unavailable", message: "injected fault" });
      }
      if (fault === "full") {
        throw new AppendError({ kind: "full", message: `${stream.name} is full (injected fault)` });
      }
      const subject = eventsSubject(topic, partition);
      const outcome = stream.append([{ subject, data }], broker.nextAppendId());
      if (outcome.kind !== "stored") {
        throw new AppendError({ kind: "full", message: `${stream.name} is full` });
      }
      if (fault === "fail-stored") {
        throw new AppendError({ kind: "unavailable", message: "injected fault" });
      }
      return outcome.last;
    };

    return IngestLog.of({ append, maxBytes });
  }),
);
