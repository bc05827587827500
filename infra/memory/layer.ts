/** The whole outside in one process: every port, one broker, one fault plan. */
import { Layer } from "effect";
import type { EventLog } from "../../actors/ports/event-log.ts";
import type { IngestLog } from "../../actors/ports/ingest-log.ts";
import type { RekeyLog } from "../../actors/ports/rekey-log.ts";
import type { RelayTarget } from "../../actors/ports/relay-target.ts";
import type { ResultLog } from "../../actors/ports/result-log.ts";
import type { SnapshotStore } from "../../actors/ports/snapshot-store.ts";
import { memoryEventLog } from "./event-log.ts";
import { Faults } from "./faults.ts";
import type { FaultPlan } from "./faults.ts";
import { memoryIngestLog } from "./ingest-log.ts";
import { MemoryBroker } from "./memory-broker.ts";
import type { ReadLimits } from "./memory-broker.ts";
import { memoryRekeyLog } from "./rekey-log.ts";
import { memoryRelayTarget } from "./relay-target.ts";
import { memoryResultLog } from "./result-log.ts";
import { memorySnapshotStore } from "./snapshot-store.ts";

export interface MemoryOptions {
  readonly faults?: FaultPlan;
  readonly limits?: ReadLimits;
}

export type MemoryServices =
  EventLog | IngestLog | RekeyLog | ResultLog | RelayTarget | SnapshotStore | MemoryBroker | Faults;

/** Each build is a system of its own: share one build to share its streams. */
export const memoryLayer = (options: MemoryOptions = {}): Layer.Layer<MemoryServices> =>
  Layer.mergeAll(
    memoryEventLog,
    memoryIngestLog,
    memoryRekeyLog,
    memoryResultLog,
    memoryRelayTarget,
    memorySnapshotStore,
  ).pipe(
    Layer.provideMerge(
      Layer.mergeAll(MemoryBroker.layer(options.limits), Faults.layer(options.faults)),
    ),
  );
