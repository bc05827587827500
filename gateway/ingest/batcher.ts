/**
 * Natural batching: events of one partition gather while earlier ones are on their way to the log,
 * so a lone event leaves at once and load makes batches grow. There is no linger timer.
 *
 *   request ──▶ open ──(full)──▶ waiting ──(slot)──▶ in flight ──▶ settled
 *                 └──────────────(slot)─────────────────▲
 *
 * N1. Batches of a partition are appended in the order in which they were opened.
 * N2. At most `appendsInFlightMax` appends of a partition are under way.
 * N3. When an append fails, all that gathered behind it in its partition fails with it: events that
 *     waited longer than their producer's patience are not tried one timeout after another.
 * N4. `bufferedBytes` is the size of all batches that are not settled. Callers ask for `hasRoom`
 *     before a request and wait with `whenRoom`; one request may go over the bound, no two.
 * N5. Outcomes are always delivered asynchronously, never inside `flush` or `batchFor`.
 */
import { AppendError, type IngestLog } from "../../actors/ports/ingest-log.ts";
import type { GatewayClock } from "../clock.ts";
import { BATCH_HEADER_BYTES, BatchBuffer } from "./batch-buffer.ts";
import type { IngestMetrics } from "./metrics.ts";

export interface BatchingLimits {
  /** A record batch closes at this size, unless its first event alone is larger. */
  readonly batchBytesMax: number;
  readonly batchEventsMax: number;
  readonly appendsInFlightMax: number;
  readonly bufferedBytesMax: number;
}

/**
 * One append in flight a partition: with more, one that is retried would be overtaken, and the log would
 * not keep the order in which events were taken. Throughput comes from batches that grow meanwhile.
 */
export const BATCHING_LIMITS: BatchingLimits = {
  batchBytesMax: 512 * 1024,
  batchEventsMax: 16_384,
  appendsInFlightMax: 1,
  bufferedBytesMax: 64 * 1024 * 1024,
};

const FIRST_CAPACITY = 4096;

export class Batcher {
  readonly limits: BatchingLimits;
  readonly log: IngestLog["Service"];
  readonly clock: GatewayClock;
  readonly metrics: IngestMetrics;
  bufferedBytes = 0;
  #dirty: PartitionLane[] = [];
  #waiting: (() => void)[] = [];

  constructor(options: {
    readonly log: IngestLog["Service"];
    readonly clock: GatewayClock;
    readonly metrics: IngestMetrics;
    readonly limits: BatchingLimits;
  }) {
    this.log = options.log;
    this.clock = options.clock;
    this.metrics = options.metrics;
    const batchBytesMax = Math.min(options.limits.batchBytesMax, options.log.maxBytes);
    this.limits = { ...options.limits, batchBytesMax };
  }

  lane(topic: string, partition: number): PartitionLane {
    return new PartitionLane(this, topic, partition);
  }

  get hasRoom(): boolean {
    return this.bufferedBytes < this.limits.bufferedBytesMax;
  }

  /** Calls back once there is room, in the order of asking; never before it returns. */
  whenRoom(resume: () => void): void {
    this.#waiting.push(resume);
  }

  /** Sends what was gathered since the last flush, as far as slots are free. */
  flush(): void {
    const dirty = this.#dirty;
    for (let i = 0; i < dirty.length; i++) dirty[i].flush();
    dirty.length = 0;
  }

  /** @internal */
  markDirty(lane: PartitionLane): void {
    this.#dirty.push(lane);
  }

  /** @internal */
  release(bytes: number): void {
    this.bufferedBytes -= bytes;
    while (this.#waiting.length > 0 && this.hasRoom) this.#waiting.shift()!();
  }
}

/** The batches of one partition. */
export class PartitionLane {
  readonly partition: number;
  readonly #batcher: Batcher;
  readonly #topic: string;
  #open: BatchBuffer | undefined;
  #waiting: BatchBuffer[] = [];
  #inFlight = 0;
  #dirty = false;
  #capacity = FIRST_CAPACITY;

  constructor(batcher: Batcher, topic: string, partition: number) {
    this.#batcher = batcher;
    this.#topic = topic;
    this.partition = partition;
  }

  /** The open batch, with room for an event that takes `size` bytes in it; counts them as buffered. */
  batchFor(size: number): BatchBuffer {
    const batcher = this.#batcher;
    const limits = batcher.limits;
    let batch = this.#open;
    if (
      batch !== undefined &&
      (batch.length + size > limits.batchBytesMax || batch.count >= limits.batchEventsMax)
    ) {
      this.#waiting.push(batch);
      batch = this.#open = undefined;
      this.#send();
    }
    if (batch === undefined) {
      const capacity = Math.max(this.#capacity, size + BATCH_HEADER_BYTES);
      batch = new BatchBuffer(this.partition, batcher.clock.wallMs(), capacity);
      this.#open = batch;
      batcher.bufferedBytes += batch.length;
    }
    batcher.bufferedBytes += size;
    if (!this.#dirty) {
      this.#dirty = true;
      batcher.markDirty(this);
    }
    return batch;
  }

  /** @internal */
  flush(): void {
    this.#dirty = false;
    this.#send();
  }

  #send(): void {
    while (this.#inFlight < this.#batcher.limits.appendsInFlightMax) {
      let batch = this.#waiting.shift();
      if (batch === undefined) {
        batch = this.#open;
        if (batch === undefined) return;
        this.#open = undefined;
      }
      this.#append(batch);
    }
  }

  #append(batch: BatchBuffer): void {
    const batcher = this.#batcher;
    const started = batcher.clock.monotonicMs();
    // Batches of a busy partition are of much the same size: start the next one near it.
    this.#capacity = Math.min(
      batcher.limits.batchBytesMax,
      Math.max(FIRST_CAPACITY, batch.length + (batch.length >> 2)),
    );
    this.#inFlight++;
    let appended: Promise<number>;
    try {
      const bytes = batch.bytes.subarray(0, batch.length);
      appended = batcher.log.append(this.#topic, this.partition, bytes);
    } catch (error) {
      appended = Promise.reject(error);
    }
    appended.then(
      (sequence) => {
        if (sequence >= 1) batch.sequence = sequence;
        else batch.failure = appendError(`the log acknowledged with sequence ${sequence}`);
        this.#settle(batch, started);
      },
      (error: unknown) => {
        batch.failure = appendError(error);
        this.#settle(batch, started);
      },
    );
  }

  #settle(batch: BatchBuffer, started: number): void {
    this.#inFlight--;
    const failure = batch.failure;
    const behind = failure === undefined ? [] : this.#abandon(failure);
    if (failure === undefined) this.#send();
    this.#finish(batch, started);
    for (const late of behind) this.#finish(late, started);
  }

  /** Takes all that gathered out of the lane, as failed (N3). */
  #abandon(failure: AppendError): BatchBuffer[] {
    const behind = this.#waiting;
    this.#waiting = [];
    if (this.#open !== undefined) behind.push(this.#open);
    this.#open = undefined;
    for (const batch of behind) batch.failure = failure;
    return behind;
  }

  #finish(batch: BatchBuffer, started: number): void {
    const batcher = this.#batcher;
    batcher.metrics.appended({
      topic: this.#topic,
      partition: this.partition,
      events: batch.count,
      bytes: batch.length,
      latencyMs: batcher.clock.monotonicMs() - started,
      failure: batch.failure?.failure.kind,
    });
    const waiters = batch.waiters;
    for (let i = 0; i < waiters.length; i++) waiters[i].settled();
    batcher.release(batch.length);
  }
}

const appendError = (error: unknown): AppendError =>
  error instanceof AppendError
    ? error
    : new AppendError({
        kind: "unavailable",
        message: error instanceof Error ? error.message : String(error),
      });
