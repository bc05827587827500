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
 *     place in RESULTS is all that a restart needs: one for each upstream that is held back, one for all others.
 * R5. An upstream that is too far ahead is held back (see WatermarkAlignment): `gather` steps over its commits, and
 *     whoever writes brings them later (`catchUp`), each after the one before it.
 * R6. Rows of a compacted topic stand in record batches of their own, so that no other event is kept for their
 *     sake. Where both wait, the rows are written first: the log includes more of their upstreams then, and
 *     all others still stand where they stood.
 */
import type { Commit, Routed } from "../../proto/gen/tidemark/v1/commit.ts";
import { RecordBatch, Rekeyed } from "../../proto/gen/tidemark/v1/event.ts";
import { endsCommit } from "../commit/parts.ts";
import { ByteWriter, tagOf } from "../kernel/byte-writer.ts";
import { extentOf, includedOf, joinExtents, sameExtent } from "./log-extent.ts";
import type { LogExtent } from "./log-extent.ts";
import { WatermarkAlignment } from "./watermark-alignment.ts";
import type { AlignmentLimits } from "./watermark-alignment.ts";

/** Stands for minus infinity in `Rekeyed.watermarks`. */
export const NO_WATERMARK = Number.MIN_SAFE_INTEGER;

/** Of one message of 1 MiB, with room for where the upstreams stand. */
const BATCH_BYTES_MAX = 896 * 1024;
/** What an event takes beside its own bytes and its group's. */
const EVENT_OVERHEAD_BYTES = 40;

const EVENTS = tagOf(2, 2);
const REKEYED = tagOf(4, 2);
const GROUPS = tagOf(4, 2);

/** Events that wait to be appended together. */
interface Waiting {
  events: Routed[];
  upstreams: number[];
}

/** The log of one partition, and what is to be appended to it. */
interface Target {
  extent: LogExtent;
  /** The same once what `encode` gave last is in the log. */
  next: LogExtent;
  epoch: number;
  rows: Waiting;
  others: Waiting;
  bytes: number;
  /** Where its log says that the upstreams stand; kept where rows are written first (R6). */
  told: ReadonlyMap<number, UpstreamState>;
  /** The newest record batch of its log, for a take-over. */
  readonly last: RecordBatch | undefined;
}

interface UpstreamState {
  readonly watermark: number | undefined;
  readonly idle: boolean;
  /** Last sequence of its log that is routed. */
  readonly inputSequence: number;
}

/** An upstream that is held back. */
interface Held {
  /** Up to this RESULTS sequence all of it was gathered. */
  position: number;
  /** The last one that was stepped over. */
  skipped: number;
  /** Up to this one nobody knows, after a restart, whether some were. */
  readonly unsure: number;
}

const NONE: ReadonlySet<number> = new Set();

const nothing = (): Waiting => ({ events: [], upstreams: [] });

/** Whether what waits must go into two record batches: rows first (R6). */
const isSplit = ({ rows, others }: Target): boolean =>
  rows.events.length > 0 && others.events.length > 0;

const statesOf = (rekeyed: Rekeyed | undefined): ReadonlyMap<number, UpstreamState> =>
  new Map(
    rekeyed?.upstreams.map(({ partition, watermark, idle, inputSequence }) => [
      partition,
      { watermark, idle, inputSequence },
    ]),
  );

export class RekeyWriter {
  readonly #targets: readonly Target[];
  readonly #upstreams = new Map<number, UpstreamState>();
  /** Upstreams whose events are rows of a compacted topic. */
  readonly #rowUpstreams: ReadonlySet<number>;
  readonly #out = new ByteWriter(64 * 1024);
  readonly #side = new ByteWriter(16 * 1024);
  readonly #alignment: WatermarkAlignment;
  readonly #upstreamCount: number;
  readonly #held = new Map<number, Held>();
  #ingestTime = 0;
  #position = 0;
  /** Last RESULTS sequence that there will be. */
  #end = Number.POSITIVE_INFINITY;
  /** Events and bytes of the commit at hand. */
  #commitEvents = 0;
  #commitBytes = 0;

  /** `lasts`: the newest record batch of each partition's log, undefined where it is empty. */
  constructor(
    lasts: readonly (Uint8Array | undefined)[],
    upstreams: number,
    limits?: AlignmentLimits,
    rowUpstreams: ReadonlySet<number> = NONE,
  ) {
    this.#rowUpstreams = rowUpstreams;
    this.#targets = lasts.map((data) => {
      const last = data === undefined ? undefined : RecordBatch.decode(data);
      const extent = extentOf(last?.rekeyed);
      const epoch = last?.rekeyed?.epoch ?? 0;
      const waiting = { rows: nothing(), others: nothing(), bytes: 0 };
      return { extent, next: extent, epoch, ...waiting, told: statesOf(last?.rekeyed), last };
    });
    this.#position = Math.min(...this.#targets.map(({ extent }) => extent.position));
    // What was known where reading goes on, not where the furthest partition stands.
    const behind = this.#targets.find(({ extent }) => extent.position === this.#position)?.last;
    this.#ingestTime = behind?.ingestTime ?? 0;
    this.#resume();
    this.#upstreamCount = upstreams;
    this.#alignment = new WatermarkAlignment(upstreams, limits);
    this.#alignment.resume(this.#upstreams);
  }

  /** Each upstream is as far as the partition says that includes least of it. */
  #resume(): void {
    for (const upstream of new Set(this.#targets.flatMap(({ told }) => [...told.keys()]))) {
      const included = this.#targets.map(({ extent }) => includedOf(extent, upstream));
      const position = Math.min(...included);
      const state = this.#targets[included.indexOf(position)]!.told.get(upstream);
      if (state !== undefined) this.#upstreams.set(upstream, state);
      if (position >= this.#position) continue;
      this.#held.set(upstream, { position, skipped: position, unsure: this.#position });
    }
  }

  /** Last RESULTS sequence that was gathered, of all upstreams that are not held back. */
  get position(): number {
    return this.#position;
  }

  /** Last RESULTS sequence that the logs of all partitions include. */
  get written(): number {
    return Math.min(
      ...this.#targets.flatMap(({ extent }) => [extent.position, ...extent.held.values()]),
    );
  }

  /** Partitions for which events are waiting. */
  get waiting(): readonly number[] {
    return [...this.#targets.keys()].filter((partition) => this.isWaiting(partition));
  }

  isWaiting(partition: number): boolean {
    const { rows, others } = this.#targets[partition]!;
    return rows.events.length + others.events.length > 0;
  }

  get waitingEvents(): number {
    return this.#targets.reduce(
      (sum, { rows, others }) => sum + rows.events.length + others.events.length,
      0,
    );
  }

  /** Partitions whose logs do not say yet how far the upstreams are. */
  get behind(): readonly number[] {
    const gathered = this.#gathered;
    return [...this.#targets.keys()].filter((p) => {
      const { extent } = this.#targets[p]!;
      return !sameExtent(extent, joinExtents(extent, gathered));
    });
  }

  get #gathered(): LogExtent {
    const held = [...this.#held].map(([upstream, { position }]) => [upstream, position] as const);
    return { position: this.#position, held: new Map(held) };
  }

  /** Whether what waits must be written before this much more is gathered. */
  isFull(bytes: number): boolean {
    return this.#targets.some(
      (target) => target.bytes > 0 && target.bytes + bytes > BATCH_BYTES_MAX,
    );
  }

  /** One record of RESULTS: a part of a commit. */
  gather(sequence: number, commit: Commit): void {
    const held = this.#held.get(commit.partition);
    this.#position = sequence;
    if (held === undefined) this.#add(sequence, commit);
    else if (sequence > held.position) held.skipped = sequence;
    // The reader that brings what was stepped over was faster.
    else if (endsCommit(commit) && this.#hasAll(held)) this.#letGo(commit.partition);
    this.#noteEnds();
  }

  /** Upstreams that are held back, and after which RESULTS sequence of theirs they would go on. */
  get held(): readonly { readonly upstream: number; readonly position: number }[] {
    return [...this.#held].map(([upstream, { position }]) => ({ upstream, position }));
  }

  /** Whether an upstream that is held back may go on. */
  mayGoOn(upstream: number): boolean {
    return this.#held.has(upstream) && this.#alignment.mayGoOn(upstream);
  }

  /** The next record of an upstream that is held back. */
  catchUp(sequence: number, commit: Commit): void {
    const held = this.#held.get(commit.partition);
    // It may have been let go, and held back again further on, since its reader was opened.
    if (held === undefined || sequence <= held.position) return;
    held.position = sequence;
    this.#add(sequence, commit);
    // Then what comes from now on is not to be stepped over.
    if (endsCommit(commit) && this.#hasAll(held)) this.#letGo(commit.partition);
  }

  /** `last`: of the commits of an upstream the last one in RESULTS, as of a moment ago. */
  confirm(upstream: number, last: number): void {
    const held = this.#held.get(upstream);
    if (held === undefined || last > held.position || held.skipped > held.position) return;
    if (held.position <= this.#position) this.#letGo(upstream);
  }

  /** Of the upstream all was gathered that came so far, and nothing that has still to come to `gather`. */
  #hasAll({ position, skipped, unsure }: Held): boolean {
    return position >= skipped && position >= unsure && position <= this.#position;
  }

  #letGo(upstream: number): void {
    this.#held.delete(upstream);
    this.#noteEnds();
  }

  /**
   * After this RESULTS sequence nothing more will come. An upstream of which all was gathered holds nobody back then;
   * those that are still held back go on side by side, as ever.
   */
  endAt(sequence: number): void {
    this.#end = sequence;
    this.#noteEnds();
  }

  #noteEnds(): void {
    if (this.#position < this.#end) return;
    for (let upstream = 0; upstream < this.#upstreamCount; upstream++) {
      if (!this.#held.has(upstream)) this.#alignment.end(upstream);
    }
  }

  /** Upstreams of `idleUpstreams` that are not. */
  wake(awake: ReadonlySet<number>): void {
    if (awake.size > 0) this.#alignment.wake(awake);
  }

  #add(sequence: number, commit: Commit): void {
    const { partition, watermark, idle, inputSequence, ingestTime } = commit;
    for (const routed of commit.routed) {
      const target = this.#targets[routed.partition];
      if (target === undefined || sequence <= includedOf(target.extent, partition)) continue;
      const bytes = routed.event.length + routed.group.length + EVENT_OVERHEAD_BYTES;
      const waiting = this.#rowUpstreams.has(partition) ? target.rows : target.others;
      waiting.events.push(routed);
      waiting.upstreams.push(partition);
      target.bytes += bytes;
      this.#commitEvents++;
      this.#commitBytes += bytes;
    }
    if (!endsCommit(commit)) return;
    const state = { watermark, idle, inputSequence };
    this.#upstreams.set(partition, state);
    if (ingestTime > this.#ingestTime) this.#ingestTime = ingestTime;
    this.#alignment.note(partition, state, this.#commitEvents, this.#commitBytes);
    this.#commitEvents = 0;
    this.#commitBytes = 0;
    this.#holdBack();
  }

  /** R5. Between two commits. */
  #holdBack(): void {
    for (const upstream of this.#upstreams.keys()) {
      if (this.#held.has(upstream) || !this.#alignment.mustWait(upstream)) continue;
      const position = this.#position;
      this.#held.set(upstream, { position, skipped: position, unsure: position });
    }
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
        position: target.extent.position,
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
   * idle ones whose logs hold more than was routed (R3). After `wrote` there may be another (`isWaiting`).
   */
  encode(partition: number, awake: ReadonlySet<number> = NONE): Uint8Array {
    const target = this.#targets[partition]!;
    const out = this.#out;
    const side = this.#side;
    out.reset();
    side.reset();
    out.varintField(0x08, this.#ingestTime);
    const { events, upstreams } = target.rows.events.length > 0 ? target.rows : target.others;
    for (const { event } of events) out.bytesField(EVENTS, event);
    for (const { group } of events) side.stringField(GROUPS, group);
    target.next = this.#extentAfter(target);
    const { position, held } = target.next;
    const columns = Rekeyed.encode({
      position,
      epoch: target.epoch,
      upstreams: [...this.#statesAfter(target)]
        .map(([upstream, state]) => ({
          ...state,
          partition: upstream,
          idle: state.idle && !awake.has(upstream),
          position: held.get(upstream),
        }))
        .toSorted((a, b) => a.partition - b.partition),
      groups: [],
      partitions: upstreams,
      sequences: events.map(({ sequence }) => sequence),
      indexes: events.map(({ index }) => index),
      ingestTimes: events.map(({ ingestTime }) => ingestTime),
      watermarks: events.map(({ watermark }) => watermark ?? NO_WATERMARK),
    }).finish();
    side.raw(columns);
    out.bytesField(REKEYED, side.bytes, 0, side.length);
    return out.finish();
  }

  /** How far a partition's log goes with its next record batch. */
  #extentAfter(target: Target): LogExtent {
    // After a restart something may be read again that only other partitions have not.
    const all = joinExtents(target.extent, this.#gathered);
    if (!isSplit(target)) return all;
    const { position, held } = target.extent;
    const rows = [...this.#rowUpstreams].map(
      (upstream) => [upstream, includedOf(all, upstream)] as const,
    );
    return { position, held: new Map([...held, ...rows]) };
  }

  /** Where the upstreams stand then. */
  #statesAfter(target: Target): ReadonlyMap<number, UpstreamState> {
    if (!isSplit(target)) return this.#upstreams;
    const isRow = (upstream: number) => this.#rowUpstreams.has(upstream);
    return new Map([
      ...[...this.#upstreams].filter(([upstream]) => isRow(upstream)),
      ...[...target.told]
        .filter(([upstream]) => !isRow(upstream))
        .map(([upstream, state]) => [upstream, this.#stillIdle(upstream, state)] as const),
    ]);
  }

  /** R3: what was told of an upstream that is to be written after the rows. More of it may be waiting. */
  #stillIdle(upstream: number, told: UpstreamState): UpstreamState {
    const { inputSequence } = this.#upstreams.get(upstream) ?? told;
    return told.idle && inputSequence > told.inputSequence ? { ...told, idle: false } : told;
  }

  /** What `encode` gave is in the log. */
  wrote(partition: number): void {
    const target = this.#targets[partition]!;
    target.extent = target.next;
    if (this.#rowUpstreams.size > 0) target.told = new Map(this.#statesAfter(target));
    if (isSplit(target)) {
      target.rows = nothing();
      return;
    }
    target.rows = nothing();
    target.others = nothing();
    target.bytes = 0;
  }

  /** Of the relay that writes the logs: the highest. */
  get epoch(): number {
    return Math.max(...this.#targets.map(({ epoch }) => epoch));
  }
}
