/**
 * What can go wrong between us and NATS. Errors for people are tagged and say what to do; what the
 * server answers is judged here, once, by its code.
 */
import { Schema } from "effect";

export class NatsUnreachable extends Schema.TaggedError<NatsUnreachable>()("NatsUnreachable", {
  url: Schema.String,
  detail: Schema.String,
}) {
  override get message(): string {
    return `NATS at ${this.url} cannot be reached: ${this.detail}`;
  }
}

export class NatsTooOld extends Schema.TaggedError<NatsTooOld>()("NatsTooOld", {
  url: Schema.String,
  found: Schema.String,
  required: Schema.String,
}) {
  override get message(): string {
    return (
      `nats-server at ${this.url} is version ${this.found}, but ${this.required} or newer is needed ` +
      `(commits need atomic batches)`
    );
  }
}

export class JetStreamMissing extends Schema.TaggedError<JetStreamMissing>()("JetStreamMissing", {
  url: Schema.String,
}) {
  override get message(): string {
    return `nats-server at ${this.url} does not answer for JetStream: enable it, with a store_dir`;
  }
}

/** The number of partitions of a topic is fixed when it is made. */
export class PartitionsChanged extends Schema.TaggedError<PartitionsChanged>()(
  "PartitionsChanged",
  { topic: Schema.String, configured: Schema.Number, existing: Schema.Number },
) {
  override get message(): string {
    return (
      `topic ${this.topic} has ${this.existing} partitions, but ${this.configured} are configured; ` +
      `the number is fixed when a topic is made: configure ${this.existing}, or a topic of another name`
    );
  }
}

/** Whether a topic is compacted is fixed when it is made. */
export class CompactionChanged extends Schema.TaggedError<CompactionChanged>()(
  "CompactionChanged",
  { topic: Schema.String, compacted: Schema.Boolean },
) {
  override get message(): string {
    const [is, instead] = this.compacted
      ? ["is compacted, but it is configured without", `set "compacted" to true`]
      : ["is not compacted, but it is configured with", `leave it out`];
    return (
      `topic ${this.topic} ${is} "compacted"; this is fixed when a topic is made: ${instead}, or configure a ` +
      `topic of another name and publish the rows to it`
    );
  }
}

/** A stream of a topic that holds events is gone. */
export class StreamMissing extends Schema.TaggedError<StreamMissing>()("StreamMissing", {
  topic: Schema.String,
  stream: Schema.String,
}) {
  override get message(): string {
    return (
      `stream ${this.stream} does not exist, but other partitions of topic ${this.topic} hold events: ` +
      `its events were deleted; restore it, or delete all streams of the topic to start anew`
    );
  }
}

/** The server does not let a stream be made or changed as it must be. */
export class StreamRefused extends Schema.TaggedError<StreamRefused>()("StreamRefused", {
  stream: Schema.String,
  code: Schema.Number,
  description: Schema.String,
}) {
  override get message(): string {
    const hint =
      this.code === JS.storageResourcesExceeded
        ? `; the maxBytes of all partitions together must fit into the server's max_file_store`
        : "";
    return `stream ${this.stream} cannot be provisioned: ${this.description} (${this.code})${hint}`;
  }
}

/** An error as the JetStream API gives it. */
export interface ApiError {
  readonly code: number;
  readonly err_code: number;
  readonly description: string;
}

/** JetStream's own error codes that we tell apart. */
export const JS = {
  streamNotFound: 10059,
  streamNameInUse: 10058,
  messageNotFound: 10037,
  sequenceNotFound: 10043,
  deleteFailed: 10057,
  accountResourcesExceeded: 10002,
  insufficientResources: 10023,
  memoryResourcesExceeded: 10028,
  storageResourcesExceeded: 10047,
  storeFailed: 10077,
  wrongLastSequence: 10071,
  wrongLastSequenceInFlight: 10164,
  duplicateInProcess: 10158,
  expectedSequenceNotReady: 10163,
  tooManyRequests: 10167,
  batchIncomplete: 10176,
  batchesTooMany: 10210,
} as const;

/**
 * What an error to a publish means for us. `conflict`: the expected sequence is not the last one.
 * `full`: there is no room. `retry`: it may go well in a moment. `refused`: it never will.
 */
export type Verdict = "conflict" | "full" | "retry" | "refused";

const conflicts: ReadonlySet<number> = new Set([
  JS.wrongLastSequence,
  JS.wrongLastSequenceInFlight,
]);
const shortages: ReadonlySet<number> = new Set([
  JS.accountResourcesExceeded,
  JS.insufficientResources,
  JS.memoryResourcesExceeded,
  JS.storageResourcesExceeded,
]);
const passing: ReadonlySet<number> = new Set([
  JS.storeFailed,
  JS.duplicateInProcess,
  JS.expectedSequenceNotReady,
  JS.tooManyRequests,
  JS.batchIncomplete,
  JS.batchesTooMany,
]);
/** One code stands for all that a store can fail with; only its text tells which. */
const noRoom = /maximum (bytes|messages)|no space|disk|quota/i;

export const judge = (error: ApiError): Verdict => {
  if (conflicts.has(error.err_code)) return "conflict";
  if (shortages.has(error.err_code)) return "full";
  if (error.err_code === JS.storeFailed && noRoom.test(error.description)) return "full";
  if (passing.has(error.err_code) || error.code === 503 || error.code === 429) return "retry";
  return "refused";
};
