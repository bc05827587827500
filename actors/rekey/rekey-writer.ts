/**
 * Turns commits of routing tasks into record batches of a re-keyed log: the pure part of its relay.
 *
 * R1. An event is in its partition's log exactly once: a record batch says up to which RESULTS
 *     sequence it goes, and what lies at or before it is never written again.
 * R2. A partition's log holds the events of each upstream in their order, and with every record batch
 *     how far all upstreams had come. So a reader knows the watermark at any place, wherever it
 *     begins.
 * R3. An upstream is idle only while its log holds nothing that is not routed: what its routing task
 *     said of it last is old when more has come since, for instance while its worker was down. Whoever
 *     writes looks (`idleUpstreams`) after it has gathered, and says which have woken up.
 * R4. Every record batch fits into one message. Only whole RESULTS records go into one, so that a
 *     place in RESULTS is all that a restart needs.
 */
import type { Commit, Routed } from "../../proto/gen/tidemark/v1/commit.ts";
import { RecordBatch, Rekeyed } from "../../proto/gen/tidemark/v1/event.ts";
import { ByteWriter, tagOf } from "../kernel/byte-writer.ts";

/** Stands for minus infinity in `Rekeyed.watermarks`. */
export const NO_WATERMARK = Number.MIN_SAFE_INTEGER;

/** Of one message of 1 MiB, with room for where the upstreams stand. */
const BATCH_BYTES_MAX = 896 * 1024;
/** What an event takes beside its own bytes and its group's. */
const EVENT_OVERHEAD_BYTES = 40;

const EVENTS = tagOf(2, 2);
const REKEYED = tagOf(4, 2);
const GROUPS = tagOf(4, 2);

/** How far the log of one partition goes. */
interface Target {
  /** Last RESULTS sequence that it includes. */
  position: number;
  epoch: number;
  events: Routed[];
  upstreams: number[];
  bytes: number;
  /** The newest record batch of its log, for a take-over. */
  readonly last: RecordBatch | undefined;
}

interface UpstreamState {
  readonly watermark: number | undefined;
  readonly idle: boolean;
  /** Last sequence of its log that is routed. */
  readonly inputSequence: number;
}

const NONE: ReadonlySet<number> = new Set();

export class RekeyWriter {
  readonly #targets: readonly Target[];
  readonly #upstreams = new Map<number, UpstreamState>();
  readonly #out = new ByteWriter(64 * 1024);
  readonly #side = new ByteWriter(16 * 1024);
  #ingestTime = 0;
  #position = 0;

  /** `lasts`: the newest record batch of each partition's log, undefined where it is empty. */
  constructor(lasts: readonly (Uint8Array | undefined)[]) {
    this.#targets = lasts.map((data) => {
      const last = data === undefined ? undefined : RecordBatch.decode(data);
      const { position = 0, epoch = 0 } = last?.rekeyed ?? {};
      return { position, epoch, events: [], upstreams: [], bytes: 0, last };
    });
    this.#position = this.written;
    // What was known where reading goes on, not where the furthest partition stands.
    const behind = this.#targets.find(({ position }) => position === this.#position)?.last;
    this.#ingestTime = behind?.ingestTime ?? 0;
    for (const { partition, watermark, idle, inputSequence } of behind?.rekeyed?.upstreams ?? []) {
      this.#upstreams.set(partition, { watermark, idle, inputSequence });
    }
  }

  /** Last RESULTS sequence that was gathered. */
  get position(): number {
    return this.#position;
  }

  /** Last RESULTS sequence that the logs of all partitions include. */
  get written(): number {
    return Math.min(...this.#targets.map(({ position }) => position));
  }

  /** Partitions for which events are waiting. */
  get waiting(): readonly number[] {
    return [...this.#targets.keys()].filter((p) => this.#targets[p]!.events.length > 0);
  }

  get waitingEvents(): number {
    return this.#targets.reduce((sum, { events }) => sum + events.length, 0);
  }

  /** Partitions whose logs do not say yet how far the upstreams are. */
  get behind(): readonly number[] {
    return [...this.#targets.keys()].filter((p) => this.#targets[p]!.position < this.#position);
  }

  /** Whether what waits must be written before this much more is gathered. */
  isFull(bytes: number): boolean {
    return this.#targets.some(
      (target) => target.bytes > 0 && target.bytes + bytes > BATCH_BYTES_MAX,
    );
  }

  /** One record of RESULTS: a part of a commit. */
  gather(sequence: number, commit: Commit): void {
    for (const routed of commit.routed) {
      const target = this.#targets[routed.partition];
      if (target === undefined || sequence <= target.position) continue;
      target.events.push(routed);
      target.upstreams.push(commit.partition);
      target.bytes += routed.event.length + routed.group.length + EVENT_OVERHEAD_BYTES;
    }
    this.#position = sequence;
    if (commit.partIndex + 1 < commit.partCount) return;
    const { partition, watermark, idle, inputSequence, ingestTime } = commit;
    this.#upstreams.set(partition, { watermark, idle, inputSequence });
    if (ingestTime > this.#ingestTime) this.#ingestTime = ingestTime;
  }

  /**
   * A record batch without events that says what the newest one said, under the next epoch: from then on
   * every other relay is fenced.
   */
  takeOver(partition: number): Uint8Array {
    const target = this.#targets[partition]!;
    target.epoch++;
    const { ingestTime = 0, rekeyed } = target.last ?? {};
    return RecordBatch.encode({
      ingestTime,
      events: [],
      tick: undefined,
      rekeyed: {
        ...Rekeyed.decode(new Uint8Array(0)),
        position: target.position,
        epoch: target.epoch,
        upstreams: rekeyed?.upstreams ?? [],
      },
    }).finish();
  }

  /** Upstreams of which the last thing that was heard is that they are idle. */
  get idleUpstreams(): readonly { readonly upstream: number; readonly inputSequence: number }[] {
    return [...this.#upstreams].flatMap(([upstream, { idle, inputSequence }]) =>
      idle ? { upstream, inputSequence } : [],
    );
  }

  /**
   * The next record batch of a partition: its waiting events, and where the upstreams stand. `awake`: those
   * idle ones whose logs hold more than was routed (R3).
   */
  encode(partition: number, awake: ReadonlySet<number> = NONE): Uint8Array {
    const target = this.#targets[partition]!;
    const out = this.#out;
    const side = this.#side;
    out.reset();
    side.reset();
    out.varintField(0x08, this.#ingestTime);
    for (const { event } of target.events) out.bytesField(EVENTS, event);
    for (const { group } of target.events) side.stringField(GROUPS, group);
    const columns = Rekeyed.encode({
      position: this.#position,
      epoch: target.epoch,
      upstreams: [...this.#upstreams]
        .map(([upstream, state]) => ({
          ...state,
          partition: upstream,
          idle: state.idle && !awake.has(upstream),
        }))
        .toSorted((a, b) => a.partition - b.partition),
      groups: [],
      partitions: target.upstreams,
      sequences: target.events.map(({ sequence }) => sequence),
      indexes: target.events.map(({ index }) => index),
      ingestTimes: target.events.map(({ ingestTime }) => ingestTime),
      watermarks: target.events.map(({ watermark }) => watermark ?? NO_WATERMARK),
    }).finish();
    side.raw(columns);
    out.bytesField(REKEYED, side.bytes, 0, side.length);
    return out.finish();
  }

  /** What `encode` gave is in the log. */
  wrote(partition: number): void {
    const target = this.#targets[partition]!;
    target.position = this.#position;
    target.events = [];
    target.upstreams = [];
    target.bytes = 0;
  }

  /** Of the relay that writes the logs: the highest. */
  get epoch(): number {
    return Math.max(...this.#targets.map(({ epoch }) => epoch));
  }
}
