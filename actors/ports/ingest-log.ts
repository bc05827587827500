/**
 * Port through which the gateway appends record batches: promises, because this is the hot path and
 * one call carries hundreds of events.
 */
import { Context } from "effect";

/** Why an append was not acknowledged. */
export type AppendFailure =
  /** The stream is full (`discard: new`): back-pressure. */
  | { readonly kind: "full"; readonly message: string }
  /** No acknowledgement in time, or no connection: it may or may not be in the log. */
  | { readonly kind: "unavailable"; readonly message: string };

export class AppendError extends Error {
  override readonly name = "AppendError";
  readonly failure: AppendFailure;
  constructor(failure: AppendFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

export class IngestLog extends Context.Service<
  IngestLog,
  {
    /**
     * Appends one encoded RecordBatch and resolves with its sequence once it is durable; rejects
     * with AppendError. Retries on its own until `timeoutMs`, under one message id, so that a retry
     * is stored once within the log's duplicate window (the engine's dedupe covers the rest).
     */
    readonly append: (topic: string, partition: number, data: Uint8Array) => Promise<number>;
    /** Greatest size of one record batch that the server takes, in bytes. */
    readonly maxBytes: number;
  }
>()("actors/ports/IngestLog") {}
