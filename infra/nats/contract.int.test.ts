/** The NATS adapters keep the ports' contracts, on a real server. */
import { Effect, Layer } from "effect";
import type { OutgoingMessage } from "../../actors/ports/relay-target.ts";
import {
  EventLogRig,
  compactedTopic,
  contractPartitions,
  contractTopic,
  eventLogSuite,
} from "../../actors/ports/contract/event-log.suite.ts";
import { IngestLogRig, ingestLogSuite } from "../../actors/ports/contract/ingest-log.suite.ts";
import { rekeyLogSuite } from "../../actors/ports/contract/rekey-log.suite.ts";
import {
  RelayTargetRig,
  relayTargetSuite,
} from "../../actors/ports/contract/relay-target.suite.ts";
import { resultLogSuite } from "../../actors/ports/contract/result-log.suite.ts";
import { eventsStream } from "../../proto/subjects.ts";
import { Connection } from "./connection.ts";
import { purge, request, storedMessage, streamInfo } from "./jetstream-api.ts";
import { targetStream } from "./relay-target.ts";
import { natsTestLayer } from "./testing.ts";

const topic = {
  name: contractTopic,
  partitions: contractPartitions,
  retentionMs: 3_600_000,
  maxBytes: 512 * 1024 * 1024,
};

/** Ours of a stored header block, which is UTF-8. */
const tidemarkHeaders = (block: string): OutgoingMessage["headers"] =>
  Buffer.from(block, "latin1")
    .toString("utf8")
    .split("\r\n")
    .flatMap((line): [string, string][] => {
      const colon = line.indexOf(": ");
      return line.startsWith("Tidemark-") ? [[line.slice(0, colon), line.slice(colon + 2)]] : [];
    });

const rigs = Layer.mergeAll(
  Layer.effect(
    EventLogRig,
    Effect.map(Connection, (link) => ({
      truncate: (partition: number, seq: number) =>
        Effect.orDie(purge(link, eventsStream(contractTopic, partition), { seq })),
    })),
  ),
  Layer.effect(
    IngestLogRig,
    Effect.map(Connection, (link) => ({
      limit: (partition: number, bytes = -1) => {
        const stream = eventsStream(contractTopic, partition);
        return Effect.gen(function* () {
          const { config } = yield* streamInfo(link, stream);
          yield* request(link, `$JS.API.STREAM.UPDATE.${stream}`, { ...config, max_bytes: bytes });
        }).pipe(Effect.orDie);
      },
    })),
  ),
  Layer.effect(
    RelayTargetRig,
    Effect.map(Connection, (link) => ({
      published: (target: "projections" | "dlq") =>
        Effect.gen(function* () {
          const stream = targetStream(target);
          const { state } = yield* streamInfo(link, stream);
          const messages: OutgoingMessage[] = [];
          for (let seq = 1; seq <= state.last_seq; seq++) {
            const message = yield* storedMessage(link, stream, { seq });
            if (message === undefined || message.subject.startsWith("relay.")) continue;
            const { subject, data } = message;
            messages.push({ subject, data, headers: tidemarkHeaders(message.headers) });
          }
          return messages;
        }).pipe(Effect.orDie),
    })),
  ),
);

const layer = rigs.pipe(
  Layer.provideMerge(natsTestLayer(topic, { ...topic, name: compactedTopic, compacted: true })),
);

eventLogSuite("NATS", layer);
ingestLogSuite("NATS", layer);
resultLogSuite("NATS", layer);
rekeyLogSuite("NATS", layer);
relayTargetSuite("NATS", layer);
