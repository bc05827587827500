export { Connection, connectionLayer, requiredVersion } from "./connection.ts";
export type { ConnectError, ConnectionOptions } from "./connection.ts";
export {
  JetStreamMissing,
  NatsTooOld,
  NatsUnreachable,
  CompactionChanged,
  PartitionsChanged,
  StreamMissing,
  StreamRefused,
} from "./errors.ts";
export { natsEventLog } from "./event-log.ts";
export { natsIngestLog } from "./ingest-log.ts";
export type { IngestOptions } from "./ingest-log.ts";
export { natsLayer, retentionLayer } from "./layer.ts";
export type { NatsOptions, NatsServices } from "./layer.ts";
export { provision } from "./provision.ts";
export type { ProvisionError, ProvisionOptions, TopicStreams } from "./provision.ts";
export { natsRelayTarget } from "./relay-target.ts";
export { natsResultLog } from "./result-log.ts";
export type { TargetRetention } from "./retention.ts";
