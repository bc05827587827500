/**
 * What the ingest service tells of its work, once per request and once per append: never per event.
 * The wiring turns it into counters and histograms; there is no metrics library in the hot path.
 */
import type { AppendFailure } from "../../actors/ports/ingest-log.ts";

export type IngestMethod = "Publish" | "PublishBatch" | "PublishStream";

export interface RequestOutcome {
  readonly topic: string;
  readonly method: IngestMethod;
  readonly stored: number;
  readonly quarantined: number;
  readonly invalid: number;
  readonly unavailable: number;
  /** Size of the request. */
  readonly bytes: number;
  /** From the request's arrival to its last acknowledgement by the log. */
  readonly latencyMs: number;
}

export interface AppendOutcome {
  readonly topic: string;
  readonly partition: number;
  readonly events: number;
  readonly bytes: number;
  /** From the append to its acknowledgement or failure. */
  readonly latencyMs: number;
  /** Why the log did not take it; undefined when it did. */
  readonly failure: AppendFailure["kind"] | undefined;
}

export interface IngestMetrics {
  readonly answered: (outcome: RequestOutcome) => void;
  /** A request refused as a whole; `reason` is one of a few words, fit for a label. */
  readonly refused: (method: IngestMethod, reason: RefusalReason) => void;
  readonly appended: (outcome: AppendOutcome) => void;
}

/** Why a request was refused whole, before any of its events was looked at. */
export type RefusalReason =
  | "unknown-topic"
  | "empty"
  | "too-many-events"
  | "too-large"
  | "malformed"
  | "no-room"
  | "draining";

export const noMetrics: IngestMetrics = {
  answered: () => {},
  refused: () => {},
  appended: () => {},
};
