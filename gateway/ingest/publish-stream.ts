/**
 * One PublishStream call: requests in, one response each out, in the order of the requests.
 *
 * S1. Responses leave in request order, whichever request the log acknowledges first.
 * S2. At most `streamRequestsMax` requests are unanswered, or answered and not read by the client;
 *     beyond that, and while the gateway has no room, the stream is not read on.
 * S3. A request that is refused whole is answered in its turn and the stream goes on, so one bad
 *     request costs no other: a single rejection of index 0 speaks for all its events, and each of
 *     them has VERDICT_INVALID as far as they could be counted within the limit of a batch.
 * S4. When the log fails, the events get VERDICT_UNAVAILABLE and the stream goes on.
 * S5. After half-close every request is answered, then the call ends with OK. After a cancel what
 *     was taken still goes into the log; its responses are dropped.
 */
import type { ServerDuplexStream } from "@grpc/grpc-js";
import { Verdict } from "../../proto/gen/tidemark/v1/ingest.ts";
import type { IngestService, Refusal } from "./ingest-service.ts";
import { short } from "./ingest-request.ts";
import { encodeRefusal, encodeResponse } from "./response.ts";
import type { CallStatus } from "./status.ts";

/** The place of a response in the order; its bytes come when the log has answered. */
interface Answer {
  bytes: Buffer | undefined;
}

export class PublishStream {
  readonly #service: IngestService;
  readonly #call: ServerDuplexStream<Buffer, Buffer>;
  readonly #closed: () => void;
  #answers: Answer[] = [];
  /** A request that came when there was no room. */
  #held: Buffer | undefined;
  #paused = false;
  #halfClosed = false;
  #stopping: CallStatus | undefined;
  #over = false;

  constructor(
    service: IngestService,
    call: ServerDuplexStream<Buffer, Buffer>,
    closed: () => void,
  ) {
    this.#service = service;
    this.#call = call;
    this.#closed = closed;
    boundReadAhead(call);
    call.on("data", (bytes: Buffer) => this.#receive(bytes));
    call.on("end", () => {
      this.#halfClosed = true;
      this.#finish();
    });
    call.on("drain", () => this.#readOn());
    call.on("cancelled", () => this.#end());
    call.on("close", () => this.#end());
  }

  /** Reads nothing more, answers what was taken, then ends the call with `status`. */
  stop(status: CallStatus): void {
    this.#stopping = status;
    this.#held = undefined;
    this.#pause();
    this.#finish();
  }

  #receive(bytes: Buffer): void {
    if (this.#over || this.#stopping !== undefined) return;
    if (!this.#service.batcher.hasRoom) {
      this.#held = bytes;
      this.#pause();
      this.#service.batcher.whenRoom(() => this.#release());
      return;
    }
    this.#take(bytes);
    if (this.#full) this.#pause();
  }

  #release(): void {
    const bytes = this.#held;
    this.#held = undefined;
    if (this.#over || bytes === undefined) return;
    this.#take(bytes);
    this.#readOn();
  }

  #take(bytes: Buffer): void {
    const answer: Answer = { bytes: undefined };
    this.#answers.push(answer);
    const refusal = this.#service.submit("PublishStream", bytes, (request) => {
      if (this.#over) return;
      answer.bytes = encodeResponse(request);
      if (this.#answers[0] === answer) this.#flush();
    });
    if (refusal === undefined) return;
    answer.bytes = refusalResponse(refusal);
    if (this.#answers[0] === answer) this.#flush();
  }

  #flush(): void {
    const answers = this.#answers;
    let written = 0;
    for (; written < answers.length; written++) {
      const bytes = answers[written].bytes;
      if (bytes === undefined) break;
      this.#call.write(bytes);
    }
    answers.splice(0, written);
    this.#readOn();
    this.#finish();
  }

  get #full(): boolean {
    const max = this.#service.limits.streamRequestsMax;
    if (this.#answers.length >= max) return true;
    // Without `writableNeedDrain` no "drain" would follow to read on.
    return this.#call.writableNeedDrain && this.#answers.length + this.#call.writableLength >= max;
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#call.pause();
  }

  #readOn(): void {
    if (!this.#paused || this.#over || this.#stopping !== undefined) return;
    if (this.#held !== undefined || this.#full) return;
    this.#paused = false;
    this.#call.resume();
  }

  #finish(): void {
    if (this.#over || this.#answers.length > 0 || this.#held !== undefined) return;
    if (this.#stopping !== undefined) {
      this.#call.emit("error", this.#stopping);
      this.#end();
    } else if (this.#halfClosed) {
      this.#call.end();
      this.#end();
    }
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#answers = [];
    this.#held = undefined;
    this.#closed();
  }
}

const refusalResponse = (refusal: Refusal): Buffer =>
  encodeRefusal(new Uint8Array(refusal.events).fill(Verdict.VERDICT_INVALID), {
    index: 0,
    verdict: Verdict.VERDICT_INVALID,
    field: refusal.field,
    reason: short(refusal.explanation),
  });

/**
 * A call is an object stream, so it would read 16 whole requests ahead while paused, up to many
 * megabytes. grpc-js has no option for it.
 */
const boundReadAhead = (call: ServerDuplexStream<Buffer, Buffer>): void => {
  const state = (call as unknown as { _readableState?: { highWaterMark?: number } })._readableState;
  if (state?.highWaterMark !== undefined) state.highWaterMark = 1;
};
