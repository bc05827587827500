/**
 * Sends encoded requests over one PublishStream and keeps their order across failures.
 *
 * O1. At most `inFlightMax` requests are unacknowledged: memory is bounded, the gateway sets the pace.
 * O2. A request leaves only after all before it. When the stream breaks, or a response says that an
 *     event may not be in the log, everything from the oldest unacknowledged request on is sent again
 *     in the same order. The log counts each id once, so a resend changes nothing.
 * O3. `flush` resolves when every event is acknowledged as stored. An event that the gateway refuses
 *     as invalid is an error: sending it again would fail again.
 */
import {
  Client,
  credentials,
  status,
  type ClientDuplexStream,
  type ServiceError,
} from "@grpc/grpc-js";
import { PublishStreamResponse, Verdict } from "../../proto/gen/tidemark/v1/ingest.ts";

const METHOD = "/tidemark.v1.IngestService/PublishStream";
const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 1_000;
/** A gateway that takes nothing for so long is not coming back. */
const GIVE_UP_AFTER_MS = 120_000;

export interface EncodedRequest {
  readonly bytes: Buffer;
  readonly events: number;
}

export interface OrderedPublisherOptions {
  /** host:port */
  readonly address: string;
  readonly inFlightMax: number;
  /** After each acknowledged request, with its number of events and its time of sending. */
  readonly onStored?: (request: EncodedRequest) => void;
  /** Each time the stream is opened again after a failure. */
  readonly onRetry?: (reason: string) => void;
}

export class PublishRefused extends Error {
  override readonly name = "PublishRefused";
}

/** What a retry may cure: the gateway or its log is away, or the stream was cut. */
const RETRYABLE: ReadonlySet<number> = new Set([
  status.UNAVAILABLE,
  status.ABORTED,
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.INTERNAL,
  status.RESOURCE_EXHAUSTED,
  status.UNKNOWN,
]);

/** Whether every verdict of a response is STORED, read without decoding the rest of it. */
const allStored = (response: Uint8Array): boolean => {
  // Field 1, packed: one byte a verdict.
  if (response[0] !== 0x0a) return false;
  let length = 0;
  let at = 1;
  for (let shift = 0; at < response.length; shift += 7) {
    const byte = response[at++]!;
    length |= (byte & 127) << shift;
    if (byte < 128) break;
  }
  for (const end = at + length; at < end; at++) {
    if (response[at] !== Verdict.VERDICT_STORED) return false;
  }
  return true;
};

const identity = (bytes: Buffer): Buffer => bytes;

export class OrderedPublisher {
  readonly #options: OrderedPublisherOptions;
  readonly #client: Client;
  /** In order of sending; the first `#sent` of them are on the current stream. */
  readonly #pending: EncodedRequest[] = [];
  #sent = 0;
  #stream: ClientDuplexStream<Buffer, Buffer> | undefined;
  #retryMs = RETRY_FIRST_MS;
  #retryTimer: NodeJS.Timeout | undefined;
  #giveUpTimer: NodeJS.Timeout | undefined;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  /** Events acknowledged as stored. */
  stored = 0;
  retries = 0;

  constructor(options: OrderedPublisherOptions) {
    this.#options = options;
    this.#client = new Client(options.address, credentials.createInsecure(), {
      "grpc.enable_retries": 0,
      "grpc.keepalive_time_ms": 10_000,
      "grpc.initial_reconnect_backoff_ms": RETRY_FIRST_MS,
      "grpc.max_reconnect_backoff_ms": RETRY_MAX_MS,
      "grpc-node.flow_control_window": 1 << 20,
    });
  }

  /** Takes a request as soon as fewer than `inFlightMax` are unacknowledged. */
  async publish(request: EncodedRequest): Promise<void> {
    await this.#until(() => this.#pending.length < this.#options.inFlightMax);
    this.#pending.push(request);
    this.#pump();
  }

  async flush(): Promise<void> {
    await this.#until(() => this.#pending.length === 0);
  }

  close(): void {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#giveUpTimer);
    this.#failure ??= new Error("the publisher is closed");
    this.#stream?.cancel();
    this.#stream = undefined;
    this.#client.close();
    this.#wake?.();
  }

  async #until(done: () => boolean): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (done()) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  #pump(): void {
    if (this.#retryTimer !== undefined || this.#failure !== undefined) return;
    this.#stream ??= this.#open();
    while (this.#sent < this.#pending.length)
      this.#stream.write(this.#pending[this.#sent++]!.bytes);
  }

  #open(): ClientDuplexStream<Buffer, Buffer> {
    const stream = this.#client.makeBidiStreamRequest<Buffer, Buffer>(METHOD, identity, identity);
    // Events of a stream that was given up may still arrive: they must not touch the next one.
    const current = () => this.#stream === stream;
    stream.on("data", (response: Buffer) => {
      if (current()) this.#acknowledge(response);
    });
    stream.on("error", (error: ServiceError) => {
      if (!current()) return;
      if (RETRYABLE.has(error.code)) this.#retry(error.details);
      else this.#fail(new PublishRefused(`the gateway refused a request: ${error.details}`));
    });
    stream.on("end", () => {
      if (current()) this.#retry("the gateway ended the stream");
    });
    return stream;
  }

  #acknowledge(response: Buffer): void {
    const request = this.#pending[0];
    if (request === undefined || this.#sent === 0) {
      this.#fail(new Error("the gateway answered a request that was not sent"));
      return;
    }
    if (!allStored(response)) {
      const { verdicts, rejections } = PublishStreamResponse.decode(response);
      const invalid = rejections.find(({ verdict }) => verdict === Verdict.VERDICT_INVALID);
      if (invalid !== undefined) {
        this.#fail(
          new PublishRefused(
            `the gateway refused event ${invalid.index} of a request: ${invalid.field}: ${invalid.reason}`,
          ),
        );
        return;
      }
      if (verdicts.includes(Verdict.VERDICT_UNAVAILABLE)) {
        this.#retry(rejections[0]?.reason ?? "the log did not acknowledge an event");
        return;
      }
    }
    clearTimeout(this.#giveUpTimer);
    this.#giveUpTimer = undefined;
    this.#retryMs = RETRY_FIRST_MS;
    this.#pending.shift();
    this.#sent--;
    this.stored += request.events;
    this.#options.onStored?.(request);
    this.#wake?.();
  }

  #retry(reason: string): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#sent = 0;
    stream?.cancel();
    this.retries++;
    this.#options.onRetry?.(reason);
    this.#giveUpTimer ??= setTimeout(() => {
      this.#fail(
        new Error(
          `the gateway at ${this.#options.address} has stored nothing for ` +
            `${GIVE_UP_AFTER_MS / 1000} s; its last answer: ${reason}`,
        ),
      );
    }, GIVE_UP_AFTER_MS);
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.#pump();
    }, this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MAX_MS);
  }
}
