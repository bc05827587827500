/** The memory adapters keep the ports' contracts. */
import { Effect, Layer } from "effect";
import {
  EventLogRig,
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
import {
  SnapshotStoreRig,
  snapshotStoreSuite,
} from "../../actors/ports/contract/snapshot-store.suite.ts";
import { Faults } from "./faults.ts";
import { memoryLayer } from "./layer.ts";
import { MemoryBroker } from "./memory-broker.ts";

const rigs = Layer.mergeAll(
  Layer.effect(
    EventLogRig,
    Effect.map(MemoryBroker, (broker) => ({
      truncate: (partition: number, sequence: number) =>
        Effect.sync(() =>
          broker.events(contractTopic, partition).deleteBelow(sequence, () => true),
        ),
    })),
  ),
  Layer.effect(
    IngestLogRig,
    Effect.map(MemoryBroker, (broker) => ({
      limit: (partition: number, bytes: number | undefined) =>
        Effect.sync(() => {
          broker.events(contractTopic, partition).maxBytes = bytes ?? Infinity;
        }),
    })),
  ),
  Layer.effect(
    RelayTargetRig,
    Effect.map(MemoryBroker, (broker) => ({
      published: (target: "projections" | "dlq") =>
        Effect.sync(() =>
          broker.target(target).messages.filter(({ subject }) => !subject.startsWith("relay.")),
        ),
    })),
  ),
  Layer.effect(
    SnapshotStoreRig,
    Effect.map(Faults, (faults) => ({
      flipBit: (name: string) =>
        Effect.sync(() => faults.add([{ at: "snapshots.load", kind: "corrupt", name }])),
    })),
  ),
);

const layer = rigs.pipe(Layer.provideMerge(memoryLayer()));

eventLogSuite("memory", layer);
ingestLogSuite("memory", layer);
resultLogSuite("memory", layer);
rekeyLogSuite("memory", layer);
relayTargetSuite("memory", layer);
snapshotStoreSuite("memory", layer);
