/**
 * The gRPC ingest service. Requests arrive as bytes and stay bytes: they are scanned, not decoded.
 *
 * I1. What a response calls stored is in the log: responses follow the log's acknowledgements.
 * I2. A request is handled from its first to its last event without a pause, so the scanners are
 *     shared and nothing is allocated per event.
 * I3. Memory is bounded: beyond `bufferedBytesMax` unary calls are refused with a retry hint and
 *     streams are not read on.
 * I4. Refused whole: unknown topic, no events, too many, malformed bytes, too large. A unary call
 *     gets a status; a stream gets verdicts and goes on (publish-stream.ts).
 * I5. After `drain` nothing new is taken, and its promise waits for all that was.
 */
import {
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { AppendFailure, IngestLog } from "../../actors/ports/ingest-log.ts";
import { IngestServiceService } from "../../proto/gen/tidemark/v1/ingest.ts";
import type { GatewayClock } from "../clock.ts";
import { BATCH_HEADER_BYTES, fieldBytes, GENERATED_ID_BYTES } from "./batch-buffer.ts";
import { Batcher, BATCHING_LIMITS, type BatchingLimits } from "./batcher.ts";
import { IngestRequest } from "./ingest-request.ts";
import type { IngestMethod, IngestMetrics, RefusalReason } from "./metrics.ts";
import { PublishStream } from "./publish-stream.ts";
import { RequestScanner } from "./request-scanner.ts";
import { encodePublishResponse, encodeResponse } from "./response.ts";
import { type CallStatus, fieldStatus, plainStatus, retryStatus } from "./status.ts";
import { type IngestTopic, quote, TopicGate } from "./topic-gate.ts";
import { type FillRandom, UuidV7 } from "./uuid-v7.ts";

export interface IngestLimits {
  /** Of one encoded event, before and after JSON became Protobuf. */
  readonly maxEventBytes: number;
  readonly maxBatchEvents: number;
  readonly maxRequestBytes: number;
  /** Requests of one stream that are not answered yet; beyond, the stream is not read on. */
  readonly streamRequestsMax: number;
  /** What a refusal for lack of room, or an outage of the log, tells the client to wait. */
  readonly retryDelayMs: number;
  /** What a full log tells the client to wait: space comes back by retention, slowly. */
  readonly fullRetryDelayMs: number;
}

export const INGEST_LIMITS: Pick<
  IngestLimits,
  "streamRequestsMax" | "retryDelayMs" | "fullRetryDelayMs"
> = { streamRequestsMax: 1024, retryDelayMs: 250, fullRetryDelayMs: 10_000 };

export interface IngestOptions {
  readonly topics: readonly IngestTopic[];
  readonly log: IngestLog["Service"];
  readonly limits: Pick<IngestLimits, "maxEventBytes" | "maxBatchEvents" | "maxRequestBytes"> &
    Partial<IngestLimits>;
  readonly batching?: Partial<BatchingLimits>;
  readonly clock: GatewayClock;
  readonly metrics: IngestMetrics;
  /** Source of randomness of generated ids. */
  readonly random?: FillRandom;
}

/** A request that was refused before any of its events was looked at. */
export interface Refusal {
  readonly status: CallStatus;
  readonly reason: RefusalReason;
  /** How many events it holds, as far as that can be told. */
  readonly events: number;
  readonly field: string;
  readonly explanation: string;
}

const identity = (bytes: Buffer): Buffer => bytes;

/** The service as grpc-js knows it, except that messages stay bytes. */
export const INGEST_SERVICE_DEFINITION: ServiceDefinition = Object.fromEntries(
  Object.entries(IngestServiceService).map(([name, method]) => [
    name,
    { ...method, requestDeserialize: identity, responseSerialize: identity },
  ]),
);

export class IngestService {
  readonly name = "tidemark.v1.IngestService";
  readonly definition = INGEST_SERVICE_DEFINITION;
  readonly implementation: UntypedServiceImplementation = {
    publish: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) =>
      this.#publish(call.request, reply),
    publishBatch: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) =>
      this.#publishBatch(call.request, reply),
    publishStream: (call: ServerDuplexStream<Buffer, Buffer>) => this.#publishStream(call),
  };
  readonly limits: IngestLimits;
  readonly batcher: Batcher;
  readonly #clock: GatewayClock;
  readonly #metrics: IngestMetrics;
  readonly #gates = new Map<string, TopicGate>();
  readonly #scanner: RequestScanner;
  readonly #streams = new Set<PublishStream>();
  #requestsOpen = 0;
  #draining = false;
  #drained: (() => void)[] = [];

  constructor(options: IngestOptions) {
    this.limits = { ...INGEST_LIMITS, ...options.limits };
    this.#clock = options.clock;
    this.#metrics = options.metrics;
    this.batcher = new Batcher({ ...options, limits: { ...BATCHING_LIMITS, ...options.batching } });
    this.#scanner = new RequestScanner(this.limits.maxBatchEvents);
    const { maxEventBytes } = this.limits;
    const needed = BATCH_HEADER_BYTES + fieldBytes(maxEventBytes + GENERATED_ID_BYTES);
    if (needed > options.log.maxBytes) {
      throw new RangeError(
        `gateway.maxEventBytes is ${maxEventBytes}, but the log takes messages of at most ` +
          `${options.log.maxBytes} bytes, so at most ${maxEventBytes - needed + options.log.maxBytes}`,
      );
    }
    const ids = new UuidV7(options.random);
    for (const topic of options.topics) {
      const gate = new TopicGate({ topic, batcher: this.batcher, maxEventBytes, ids });
      this.#gates.set(gate.name, gate);
    }
  }

  /** Stops taking requests; resolves when all that were taken are answered (I5). */
  drain(): Promise<void> {
    this.#draining = true;
    for (const stream of this.#streams) stream.stop(drainingStatus(this.limits.retryDelayMs));
    return new Promise((resolve) => {
      this.#drained.push(resolve);
      this.#checkDrained();
    });
  }

  /** Unary requests and streams that are not answered to the end. */
  get open(): number {
    return this.#requestsOpen + this.#streams.size;
  }

  #publish(bytes: Buffer, reply: sendUnaryData<Buffer>): void {
    this.#unary("Publish", bytes, reply, (request) => {
      if (request.invalid > 0) {
        const { field, reason } = request.rejections[0];
        return reply(fieldStatus(field, reason));
      }
      const { partition, sequence } = request.batchOf(0)!;
      const position = { partition, sequence, index: request.firstIndex };
      reply(
        null,
        encodePublishResponse({ id: request.id, verdict: request.verdicts[0], position }),
      );
    });
  }

  #publishBatch(bytes: Buffer, reply: sendUnaryData<Buffer>): void {
    this.#unary("PublishBatch", bytes, reply, (request) => reply(null, encodeResponse(request)));
  }

  #unary(
    method: IngestMethod,
    bytes: Buffer,
    reply: sendUnaryData<Buffer>,
    answer: (request: IngestRequest) => void,
  ): void {
    const refusal =
      this.#noRoom(method) ??
      this.submit(method, bytes, (request) => {
        const outage = request.outage;
        if (outage === undefined) answer(request);
        else reply(this.#outageStatus(outage));
      });
    if (refusal !== undefined) reply(refusal.status);
  }

  #publishStream(call: ServerDuplexStream<Buffer, Buffer>): void {
    const stream = new PublishStream(this, call, () => {
      this.#streams.delete(stream);
      this.#checkDrained();
    });
    this.#streams.add(stream);
    if (this.#draining) stream.stop(drainingStatus(this.limits.retryDelayMs));
  }

  /**
   * Takes a request: `done` is called when the fate of each of its events is known. A request that
   * is refused whole is returned as a refusal, and `done` is not called.
   */
  submit(
    method: IngestMethod,
    bytes: Buffer,
    done: (request: IngestRequest) => void,
  ): Refusal | undefined {
    const scanner = this.#scanner;
    const wellFormed = bytes.length <= this.limits.maxRequestBytes && scanner.scan(bytes);
    const refusal = this.#refuse(method, bytes, wellFormed);
    if (refusal !== undefined) {
      this.#metrics.refused(method, refusal.reason);
      return refusal;
    }
    const gate = this.#gates.get(topicOf(bytes, scanner))!;
    const started = this.#clock.monotonicMs();
    const single = method === "Publish";
    const count = single ? 1 : scanner.count;
    const request = new IngestRequest(count, () => {
      this.#metrics.answered({
        topic: gate.name,
        method,
        stored: request.stored,
        quarantined: request.quarantined,
        invalid: request.invalid,
        unavailable: request.unavailable,
        bytes: bytes.length,
        latencyMs: this.#clock.monotonicMs() - started,
      });
      done(request);
      this.#requestsOpen--;
      this.#checkDrained();
    });
    this.#requestsOpen++;
    if (single) {
      const event = mergedEvent(bytes, scanner);
      gate.admit(event, 0, event.length, request, 0);
      if (request.invalid === 0) request.id = gate.lastId(event);
    } else {
      const { starts, ends } = scanner;
      for (let i = 0; i < count; i++) gate.admit(bytes, starts[i], ends[i], request, i);
    }
    this.batcher.flush();
    request.seal();
    return undefined;
  }

  #refuse(method: IngestMethod, bytes: Buffer, wellFormed: boolean): Refusal | undefined {
    const { maxRequestBytes, maxBatchEvents } = this.limits;
    if (bytes.length > maxRequestBytes) {
      const explanation =
        `the request is ${bytes.length} bytes; the limit is ${maxRequestBytes} ` +
        "(gateway.maxRequestBytes): send fewer events at a time";
      const refused = plainStatus(status.RESOURCE_EXHAUSTED, explanation);
      return { status: refused, reason: "too-large", events: 0, field: "", explanation };
    }
    const scanner = this.#scanner;
    if (!wellFormed) return refusal("malformed", 0, "", scanner.problem);
    const topic = topicOf(bytes, scanner);
    if (!this.#gates.has(topic)) {
      const known = `the known topics are ${[...this.#gates.keys()].sort().join(", ")}`;
      const events = Math.min(scanner.count, maxBatchEvents);
      if (topic === "") return refusal("unknown-topic", events, "topic", `is missing; ${known}`);
      const explanation = `unknown topic ${quote(topic)}; ${known}`;
      const refused = plainStatus(status.NOT_FOUND, explanation);
      return { status: refused, reason: "unknown-topic", events, field: "topic", explanation };
    }
    if (scanner.count === 0) {
      return method === "Publish"
        ? refusal("empty", 0, "event", "is missing")
        : refusal("empty", 0, "events", "the batch is empty");
    }
    if (scanner.count > maxBatchEvents) {
      const explanation = `the batch has ${scanner.count} events; the limit is ${maxBatchEvents} (gateway.maxBatchEvents)`;
      return refusal("too-many-events", 0, "events", explanation);
    }
    return undefined;
  }

  /** Why a unary call cannot even be looked at now. */
  #noRoom(method: IngestMethod): Refusal | undefined {
    let refused: Refusal;
    if (this.#draining) {
      const explained = drainingStatus(this.limits.retryDelayMs);
      refused = { ...NOTHING, status: explained, reason: "draining" };
    } else if (!this.batcher.hasRoom) {
      const explained = retryStatus(
        status.RESOURCE_EXHAUSTED,
        `${this.batcher.bufferedBytes} bytes wait for the log; the limit is ` +
          `${this.batcher.limits.bufferedBytesMax}. Try again in ${this.limits.retryDelayMs} ms`,
        this.limits.retryDelayMs,
      );
      refused = { ...NOTHING, status: explained, reason: "no-room" };
    } else return undefined;
    this.#metrics.refused(method, refused.reason);
    return refused;
  }

  #outageStatus(outage: AppendFailure): CallStatus {
    const { retryDelayMs, fullRetryDelayMs } = this.limits;
    return outage.kind === "full"
      ? retryStatus(
          status.RESOURCE_EXHAUSTED,
          `the log is full and takes nothing until retention frees space: ${outage.message}`,
          fullRetryDelayMs,
        )
      : retryStatus(
          status.UNAVAILABLE,
          "the log did not acknowledge; the events may or may not be in it, so send them again " +
            `under the same ids: ${outage.message}`,
          retryDelayMs,
        );
  }

  #checkDrained(): void {
    if (!this.#draining || this.open > 0) return;
    for (const resolve of this.#drained) resolve();
    this.#drained = [];
  }
}

const NOTHING = { events: 0, field: "", explanation: "" } as const;

const refusal = (
  reason: RefusalReason,
  events: number,
  field: string,
  explanation: string,
): Refusal => ({ status: fieldStatus(field, explanation), reason, events, field, explanation });

const drainingStatus = (retryDelayMs: number): CallStatus =>
  retryStatus(
    status.UNAVAILABLE,
    "this gateway is shutting down; connect again for another",
    retryDelayMs,
  );

const topicOf = (bytes: Buffer, scanner: RequestScanner): string =>
  bytes.toString("utf8", scanner.topicStart, scanner.topicEnd);

/**
 * The event of a PublishRequest. Several occurrences of a singular message merge, which is what
 * their bytes do when they stand one behind the other.
 */
const mergedEvent = (bytes: Buffer, scanner: RequestScanner): Buffer => {
  const parts: Buffer[] = [];
  for (let i = 0; i < scanner.count; i++) {
    parts.push(bytes.subarray(scanner.starts[i], scanner.ends[i]));
  }
  return parts.length === 1 ? parts[0] : Buffer.concat(parts);
};
