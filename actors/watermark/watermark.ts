/**
 * The watermark of one partition (SEMANTICS section 3): a function of the log and nothing else.
 *
 * W1. It never goes back.
 * W2. It starts at minus infinity and stays there until the first accepted event.
 */
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";

export class Watermark {
  /** Milliseconds since the epoch, or -Infinity. Every event at or before it is late or on its way out. */
  value = Number.NEGATIVE_INFINITY;
  /** Whether the last thing that the log said was a tick. */
  idle = false;
  #lastEventTime = Number.NEGATIVE_INFINITY;
  #lastIngestTime = 0;
  readonly #maxOutOfOrdernessMs: number;

  constructor(maxOutOfOrdernessMs: number) {
    this.#maxOutOfOrdernessMs = maxOutOfOrdernessMs;
  }

  /** An accepted event, in log order. */
  observe(eventTime: number, ingestTime: number): void {
    this.idle = false;
    this.#lastEventTime = eventTime;
    this.#lastIngestTime = ingestTime;
    const candidate = eventTime - this.#maxOutOfOrdernessMs - 1;
    if (candidate > this.value) this.value = candidate;
  }

  /** A logged tick: event time flows on at the speed of the wall clock from the last event. */
  tick(tickTime: number): void {
    if (this.#lastEventTime === Number.NEGATIVE_INFINITY) return;
    this.idle = true;
    const flowed = this.#lastEventTime + (tickTime - this.#lastIngestTime);
    const candidate = flowed - this.#maxOutOfOrdernessMs - 1;
    if (candidate > this.value) this.value = candidate;
  }

  write(out: ByteWriter): void {
    out.double(this.value);
    out.double(this.#lastEventTime);
    out.double(this.#lastIngestTime);
    out.byte(this.idle ? 1 : 0);
  }

  read(from: ByteReader): void {
    this.value = from.double();
    this.#lastEventTime = from.double();
    this.#lastIngestTime = from.double();
    this.idle = from.byte() === 1;
  }
}

/**
 * The watermark of results that span partitions: the least of those that hold back. A partition that
 * is idle or never held an event does not; one that has not been heard of does.
 *
 * M1. It never goes back, even when an idle partition wakes up behind it.
 */
export class MergedWatermark {
  value = Number.NEGATIVE_INFINITY;
  readonly #values: Float64Array;
  readonly #idle: Uint8Array;
  readonly #heard: Uint8Array;

  constructor(partitions: number) {
    this.#values = new Float64Array(partitions).fill(Number.NEGATIVE_INFINITY);
    this.#idle = new Uint8Array(partitions);
    this.#heard = new Uint8Array(partitions);
  }

  partition(index: number): number {
    return this.#values[index]!;
  }

  update(index: number, value: number, idle: boolean): void {
    this.note(index, value, idle);
    this.advance();
  }

  /**
   * Of several that changed at one moment: `advance` follows when all are noted. False when it need
   * not: the partition was not the one that holds back.
   */
  note(index: number, value: number, idle: boolean): boolean {
    const before = this.#values[index]!;
    const heldBack = this.#heard[index] === 0 || before <= this.value;
    this.#heard[index] = 1;
    this.#idle[index] = idle ? 1 : 0;
    if (value > before) this.#values[index] = value;
    return heldBack || idle;
  }

  /** The partition has more to tell, not told yet: from now on it holds back what it held back last. */
  wake(index: number): void {
    this.#idle[index] = 0;
  }

  advance(): void {
    let least = Number.POSITIVE_INFINITY;
    let greatest = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < this.#values.length; i++) {
      if (this.#heard[i] === 0) return;
      const watermark = this.#values[i]!;
      if (this.#idle[i] === 0 && watermark < least) least = watermark;
      if (watermark > greatest) greatest = watermark;
    }
    const candidate = least === Number.POSITIVE_INFINITY ? greatest : least;
    if (candidate > this.value) this.value = candidate;
  }

  /** Whether every partition has said that it is idle. */
  get idle(): boolean {
    return this.#idle.every((idle) => idle === 1);
  }

  /** The least watermark of the partitions that ever held an event: windows before it get no more. */
  get floor(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const watermark of this.#values) {
      if (watermark !== Number.NEGATIVE_INFINITY && watermark < least) least = watermark;
    }
    return least === Number.POSITIVE_INFINITY ? Number.NEGATIVE_INFINITY : least;
  }

  /** Whether some partition has yet to hold its first event, which may then be of any age. */
  get awaitsFirst(): boolean {
    return this.#values.includes(Number.NEGATIVE_INFINITY);
  }

  write(out: ByteWriter): void {
    out.double(this.value);
    for (let i = 0; i < this.#values.length; i++) {
      out.double(this.#values[i]!);
      out.byte(this.#idle[i]! | (this.#heard[i]! << 1));
    }
  }

  read(from: ByteReader): void {
    this.value = from.double();
    for (let i = 0; i < this.#values.length; i++) {
      this.#values[i] = from.double();
      const flags = from.byte();
      this.#idle[i] = flags & 1;
      this.#heard[i] = flags >> 1;
    }
  }
}
