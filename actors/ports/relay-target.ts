/**
 * Port to a stream that the relay fills from RESULTS: PROJECTIONS or DLQ.
 *
 * T1. `publish` is all or nothing and moves the cursor with the messages, under compare-and-set: a
 *     message is published exactly once however often a relay is killed. The effect of one call,
 *     run again after LogUnavailable, is the same publish.
 */
import { Context } from "effect";
import type { Effect } from "effect";
import type { LogUnavailable } from "./event-log.ts";
import type { Fenced } from "./result-log.ts";

export interface OutgoingMessage {
  readonly subject: string;
  /** Values without line breaks: NATS ends a header at one. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly data: Uint8Array;
}

/** How far RESULTS has been relayed. */
export interface RelayCursor {
  /** Last RESULTS sequence wholly relayed. */
  readonly position: number;
  /** How many messages of the next RESULTS record are out already: a commit may need many. */
  readonly offset: number;
  readonly epoch: number;
  /** Sequence of the cursor message itself, 0 when there is none: the compare-and-set token. */
  readonly revision: number;
}

export class RelayTarget extends Context.Service<
  RelayTarget,
  {
    /** Most messages that one publish takes, the cursor not counted. */
    readonly batchSizeMax: number;
    readonly cursor: (target: "projections" | "dlq") => Effect.Effect<RelayCursor, LogUnavailable>;
    /** Returns the new cursor revision. */
    readonly publish: (
      target: "projections" | "dlq",
      messages: readonly OutgoingMessage[],
      cursor: RelayCursor,
    ) => Effect.Effect<number, LogUnavailable | Fenced>;
  }
>()("actors/ports/RelayTarget") {}
