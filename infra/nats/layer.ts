/** All NATS adapters over one connection. */
import { Effect, Layer } from "effect";
import type { EventLog } from "../../actors/ports/event-log.ts";
import type { IngestLog } from "../../actors/ports/ingest-log.ts";
import type { RekeyLog } from "../../actors/ports/rekey-log.ts";
import type { RelayTarget } from "../../actors/ports/relay-target.ts";
import type { ResultLog } from "../../actors/ports/result-log.ts";
import { Connection, connectionLayer } from "./connection.ts";
import type { ConnectError, ConnectionOptions } from "./connection.ts";
import { natsEventLog } from "./event-log.ts";
import { natsIngestLog } from "./ingest-log.ts";
import type { IngestOptions } from "./ingest-log.ts";
import { natsRekeyLog } from "./rekey-log.ts";
import { natsRelayTarget } from "./relay-target.ts";
import { natsResultLog } from "./result-log.ts";
import { keepTrimmed } from "./retention.ts";
import type { TargetRetention } from "./retention.ts";

export interface NatsOptions extends ConnectionOptions {
  readonly ingest?: IngestOptions;
  /** A process that runs a relay gives this: it then trims what the relay fills. */
  readonly retention?: TargetRetention;
}

export type NatsServices = Connection | EventLog | RekeyLog | ResultLog | IngestLog | RelayTarget;

/** Trims PROJECTIONS and DLQ while it is built. */
export const retentionLayer = (retention: TargetRetention): Layer.Layer<never, never, Connection> =>
  Layer.effectDiscard(Effect.flatMap(Connection, (link) => keepTrimmed(link, retention)));

/** The streams must be there: see `provision`. */
export const natsLayer = (options: NatsOptions): Layer.Layer<NatsServices, ConnectError> =>
  Layer.mergeAll(
    natsEventLog,
    natsRekeyLog,
    natsResultLog,
    natsIngestLog(options.ingest),
    natsRelayTarget,
    options.retention === undefined ? Layer.empty : retentionLayer(options.retention),
  ).pipe(Layer.provideMerge(connectionLayer(options)));
