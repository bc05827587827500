/** Ingest over gRPC: what whoever wires a gateway needs. */
export { BATCHING_LIMITS, type BatchingLimits } from "./batcher.ts";
export {
  INGEST_LIMITS,
  INGEST_SERVICE_DEFINITION,
  IngestService,
  type IngestLimits,
  type IngestOptions,
} from "./ingest-service.ts";
export { jsonCodec, type JsonCodec, type JsonProblem } from "./json-payload.ts";
export {
  type AppendOutcome,
  type IngestMethod,
  type IngestMetrics,
  noMetrics,
  type RefusalReason,
  type RequestOutcome,
} from "./metrics.ts";
export { type CallStatus, fieldStatus, plainStatus, retryStatus } from "./status.ts";
export type { IngestTopic } from "./topic-gate.ts";
