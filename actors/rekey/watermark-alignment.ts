/**
 * Keeps the upstreams of a re-keyed log together in event time: what Flink calls watermark alignment. A pure
 * account of what the tasks that read the log have to hold, since it is ahead of the slowest upstream.
 *
 * A1. What is ahead can do nothing there but wait. So once too much waits, the upstreams that are ahead are held
 *     back, until less does or the slowest is as far: no result is later for it.
 * A2. The slowest is never held back. One that is idle, or has ended, holds nobody back, one that was not heard of all.
 * A3. An account that begins anew, over a log that is there, takes it that as much waits as may.
 */

/** Of a partition of a log `BUFFERED_EVENTS_MAX` may wait; how events spread over partitions is not known here. */
export const WAITING_EVENTS_MAX = 200_000;
export const WAITING_BYTES_MAX = 64 * 1024 * 1024;

export interface AlignmentLimits {
  readonly events: number;
  readonly bytes: number;
}

export const ALIGNMENT_LIMITS: AlignmentLimits = {
  events: WAITING_EVENTS_MAX,
  bytes: WAITING_BYTES_MAX,
};

/** What came with a commit. */
interface Waiting {
  readonly watermark: number;
  readonly events: number;
  readonly bytes: number;
}

interface Lane {
  watermark: number;
  idle: boolean;
  /** No more will come of it. */
  ended: boolean;
  /** In the order in which they came; those before `from` wait no more. */
  waiting: Waiting[];
  from: number;
}

/** How far an upstream is. */
export interface Reached {
  /** Undefined before its first event. */
  readonly watermark: number | undefined;
  readonly idle: boolean;
}

export class WatermarkAlignment {
  readonly #limits: AlignmentLimits;
  readonly #upstreams: number;
  readonly #lanes = new Map<number, Lane>();
  #events = 0;
  #bytes = 0;
  /** Of the slowest upstream that holds others back. */
  #floor = Number.NEGATIVE_INFINITY;

  constructor(upstreams: number, limits: AlignmentLimits = ALIGNMENT_LIMITS) {
    this.#upstreams = upstreams;
    this.#limits = limits;
  }

  get waitingEvents(): number {
    return this.#events;
  }

  /** A commit of an upstream was gathered, with so many events. */
  note(upstream: number, { watermark, idle }: Reached, events: number, bytes: number): void {
    const lane = this.#laneOf(upstream);
    lane.watermark = watermark ?? Number.NEGATIVE_INFINITY;
    lane.idle = idle;
    if (events > 0) {
      lane.waiting.push({ watermark: lane.watermark, events, bytes });
      this.#events += events;
      this.#bytes += bytes;
    }
    this.#settle();
  }

  /** A3. */
  resume(upstreams: Iterable<readonly [number, Reached]>): void {
    const { events, bytes } = this.#limits;
    const all = [...upstreams];
    for (const [upstream, reached] of all) this.note(upstream, reached, 0, 0);
    for (const [upstream, reached] of all) {
      if (this.#isAhead(upstream)) this.note(upstream, reached, events + 1, bytes + 1);
    }
  }

  #laneOf(upstream: number): Lane {
    let lane = this.#lanes.get(upstream);
    if (lane === undefined) {
      const watermark = Number.NEGATIVE_INFINITY;
      lane = { watermark, idle: false, ended: false, waiting: [], from: 0 };
      this.#lanes.set(upstream, lane);
    }
    return lane;
  }

  /** Upstreams that were said to be idle have more to tell. */
  wake(upstreams: Iterable<number>): void {
    for (const upstream of upstreams) this.#laneOf(upstream).idle = false;
    this.#settle();
  }

  /** Nothing more will come of an upstream that one could wait for: from now on it holds nobody back. */
  end(upstream: number): void {
    this.#laneOf(upstream).ended = true;
    this.#settle();
  }

  #settle(): void {
    let floor = Number.POSITIVE_INFINITY;
    for (const { idle, ended, watermark } of this.#lanes.values()) {
      if (!idle && !ended && watermark < floor) floor = watermark;
    }
    this.#floor = this.#lanes.size < this.#upstreams ? Number.NEGATIVE_INFINITY : floor;
    for (const lane of this.#lanes.values()) this.#forget(lane);
  }

  /** What waits no more. */
  #forget(lane: Lane): void {
    const { waiting } = lane;
    while (lane.from < waiting.length && waiting[lane.from]!.watermark <= this.#floor) {
      const { events, bytes } = waiting[lane.from]!;
      this.#events -= events;
      this.#bytes -= bytes;
      lane.from++;
    }
    if (lane.from === 0 || lane.from * 2 < waiting.length) return;
    lane.waiting = waiting.slice(lane.from);
    lane.from = 0;
  }

  #exceeds(share: number): boolean {
    const { events, bytes } = this.#limits;
    return this.#events > events * share || this.#bytes > bytes * share;
  }

  #isAhead(upstream: number): boolean {
    const lane = this.#lanes.get(upstream);
    if (lane === undefined || lane.idle || lane.ended) return false;
    return lane.watermark > this.#floor;
  }

  /** Whether no more of an upstream is to be taken for now. */
  mustWait(upstream: number): boolean {
    return this.#exceeds(1) && this.#isAhead(upstream);
  }

  /** Whether one that has waited may go on: not at the very point at which it would have to wait again. */
  mayGoOn(upstream: number): boolean {
    return !this.#exceeds(0.5) || !this.#isAhead(upstream);
  }
}
