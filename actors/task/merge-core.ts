/**
 * The pure heart of a merging task (SEMANTICS section 6): combines the latest partial of each partition
 * into the result of a key and window.
 *
 * U1. A partial replaces the previous one of its partition, key and window: reading one twice changes
 *     nothing.
 * U2. Partials are merged in partition order, so floating-point results have the same bits whatever
 *     order they arrived in.
 * U3. A `final` is made of what each partition held when its own watermark passed the window's end;
 *     what came later within allowed lateness follows as corrections. So a final does not depend on
 *     how fast partitions were read. (Where no partition held anything in time, it is the first that
 *     came late.)
 * U4. Nothing is dropped here. A partition that holds its first event after all others have given up
 *     its window counts it (SEMANTICS section 3: it was never late), and so it is corrected here: while
 *     some partition has yet to hold an event, windows are held for longer than they can take events
 *     (`heldUntil`). Only what comes later still is a dead letter.
 * U5. An update stands for the watermark with which it is published; where it makes a row of a table, for the one
 *     that stood before.
 */
import { DeadLetter_Reason, type DeadLetter } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { Commit, Partial } from "../../proto/gen/tidemark/v1/commit.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import type { WindowPlan } from "../../projections/definition/plan.ts";
import { makeAccumulator } from "../accumulate/aggregates.ts";
import type { Accumulator } from "../accumulate/accumulator.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { murmur128 } from "../kernel/hash.ts";
import { CODE_VERSION } from "../version.ts";
import { MergedWatermark } from "../watermark/watermark.ts";
import { closesAt, expiresAt } from "../window/assigner.ts";
import { emptyBooks } from "./books-keeper.ts";
import { failedResultOf } from "./dead-letter.ts";
import { DraftWriter } from "./draft-writer.ts";
import { MergePane, MergePanes } from "./merge-panes.ts";
import type { MergeEntry } from "./merge-panes.ts";
import { SnapshotMismatch } from "./task-core.ts";
import type { Draft, Progress, TaskCore } from "./task-core.ts";

export interface MergeInput {
  /** RESULTS sequence of the commit, or of this part of it. */
  readonly sequence: number;
  /** Of its first part; absent when there is one only. */
  readonly first?: number;
  readonly commit: Commit;
}

const SNAPSHOT_LAYOUT = 0x746d_6d03;

/**
 * How much longer, in event time, a window is held for a partition that never held an event: its own
 * length, or this if it is shorter. Without a bound a topic of fewer keys than partitions would hold
 * every window for ever.
 */
export const FIRST_EVENT_HOLD_MS_MIN = 3_600_000;

const heldUntil = (start: number, end: number, expiry: number): number =>
  Math.min(expiry + Math.max(end - start, FIRST_EVENT_HOLD_MS_MIN), Number.MAX_SAFE_INTEGER);

export class MergeCore implements TaskCore<MergeInput> {
  readonly #plan: WindowPlan;
  readonly #version: number;
  readonly #watermark: MergedWatermark;
  readonly #accumulators: readonly Accumulator[];
  readonly #draft: DraftWriter;
  readonly #panes: MergePanes;
  readonly #scratch = new ByteWriter(256);
  #sequence = 0;
  #ingestTime = 0;
  /** Every partition that ever held an event has reached this; never goes back. */
  #passed = Number.NEGATIVE_INFINITY;
  #unpublished = new Set<MergeEntry>();
  /** The watermark that stood before the input at hand. */
  #stood = Number.NEGATIVE_INFINITY;
  /** With what panes were looked at last: they need not be while it is the same, unless there are new ones. */
  #looked = { watermark: Number.NaN, reached: Number.NaN, awaitsFirst: false };

  constructor(plan: WindowPlan, version: number) {
    this.#plan = plan;
    this.#version = version;
    this.#watermark = new MergedWatermark(plan.topic.definition.partitions);
    this.#accumulators = plan.aggregates.map(makeAccumulator);
    for (const accumulator of this.#accumulators) accumulator.grow(1);
    const columns = plan.aggregates.map((aggregate) => aggregate.name);
    this.#draft = new DraftWriter(columns, this.#accumulators, plan);
    this.#draft.onFailure = (publication, error) =>
      this.#draft.deadLetter(
        failedResultOf({ plan, version }, publication, this.#ingestTime, error),
      );
    this.#panes = new MergePanes(plan.topic.definition.partitions);
  }

  get pendingBytes(): number {
    return this.#draft.bytes;
  }

  get pendingItems(): number {
    return this.#draft.items;
  }

  take(): Draft {
    return this.#draft.take();
  }

  progress(): Progress {
    const { value } = this.#watermark;
    return {
      inputSequence: this.#sequence,
      watermark: Number.isFinite(value) ? value : undefined,
      idle: false,
      ingestTime: this.#ingestTime,
      books: emptyBooks(),
      retainFrom: this.#panes.retainFrom() ?? this.#sequence,
    };
  }

  apply({ sequence, first = sequence, commit }: MergeInput): void {
    this.#sequence = sequence;
    this.#stood = this.#watermark.value;
    for (const partial of commit.partials) this.#upsert(partial, commit.partition, first);
    if (commit.partIndex + 1 < commit.partCount) return;
    if (commit.ingestTime > this.#ingestTime) this.#ingestTime = commit.ingestTime;
    const watermark = commit.watermark ?? Number.NEGATIVE_INFINITY;
    this.#watermark.update(commit.partition, watermark, commit.idle);
    this.#passTime();
    this.#emitEarly();
  }

  #upsert(partial: Partial, partition: number, sequence: number): void {
    const { allowedLatenessMs } = this.#plan.definition;
    let pane = this.#panes.get(partial.windowStart);
    if (pane === undefined) {
      // A window that could not have been dropped yet is one that nobody has held so far.
      const expiry = expiresAt(partial.windowEnd, allowedLatenessMs);
      if (heldUntil(partial.windowStart, partial.windowEnd, expiry) <= this.#passed) {
        return this.#orphan(partial, partition);
      }
      pane = new MergePane(partial.windowStart, partial.windowEnd, sequence);
      pane.closed = this.#watermark.value >= closesAt(pane.end);
      this.#panes.add(pane);
      this.#looked.watermark = Number.NaN;
    } else if (pane.end !== partial.windowEnd) {
      return this.#conflict(partial, partition, pane.end);
    }
    const entry = this.#panes.entry(pane, partial.key);
    if (partial.revision <= entry.revisions[partition]!) return;
    const before = entry.latest[partition];
    const changed = before === undefined || !equal(before, partial.accumulators);
    entry.revisions[partition] = partial.revision;
    entry.latest[partition] = partial.accumulators;
    if (partial.kind !== Kind.KIND_CORRECTION) entry.inTime[partition] = partial.accumulators;
    entry.partition = partition;
    entry.sequence = partial.sequence;
    entry.index = partial.index;
    this.#panes.digest.mark(entry.slot);
    if (pane.closed) this.#publishChange(pane, entry);
    else if (changed) this.#unpublished.add(entry);
  }

  #passTime(): void {
    const watermark = this.#watermark.value;
    const { allowedLatenessMs } = this.#plan.definition;
    const { floor, awaitsFirst } = this.#watermark;
    const reached = Math.min(floor, watermark);
    const looked = this.#looked;
    if (
      looked.watermark === watermark &&
      looked.reached === reached &&
      looked.awaitsFirst === awaitsFirst
    ) {
      return;
    }
    this.#looked = { watermark, reached, awaitsFirst };
    const due = [...this.#panes.all()]
      .filter((pane) => closesAt(pane.end) <= watermark)
      .sort((a, b) => a.start - b.start);
    for (const pane of due) {
      if (!pane.closed) {
        pane.closed = true;
        for (const entry of pane.entries.values()) this.#publishFinal(pane, entry);
      }
      const expiry = expiresAt(pane.end, allowedLatenessMs);
      const until = awaitsFirst ? heldUntil(pane.start, pane.end, expiry) : expiry;
      if (until <= reached) this.#panes.drop(pane);
    }
    this.#passed = Math.max(this.#passed, reached);
  }

  #publishFinal(pane: MergePane, entry: MergeEntry): void {
    this.#unpublished.delete(entry);
    this.#load(entry, true);
    this.#publish(pane, entry, Kind.KIND_FINAL);
    this.#publishChange(pane, entry);
  }

  /** Publishes the entry of a closed pane unless its value is the one that was published last. */
  #publishChange(pane: MergePane, entry: MergeEntry): void {
    const first = !entry.finalized;
    const state = this.#load(entry, first);
    if (!first && equal(state, entry.published!)) return;
    this.#publish(pane, entry, first ? Kind.KIND_FINAL : Kind.KIND_CORRECTION);
    if (first) this.#publishChange(pane, entry);
  }

  #emitEarly(): void {
    if (this.#plan.definition.emit.mode === "final") {
      // Entries wait for their pane to close; only the other modes drain the set here.
      this.#unpublished.clear();
      return;
    }
    for (const entry of this.#unpublished) {
      this.#load(entry, false);
      this.#publish(entry.pane, entry, Kind.KIND_EARLY);
    }
    this.#unpublished.clear();
  }

  /** Merges an entry's partials, in partition order, into slot 0; returns the state's bytes. */
  #load(entry: MergeEntry, asFinal: boolean): Uint8Array {
    for (const accumulator of this.#accumulators) accumulator.clear(0);
    const partials =
      asFinal && entry.inTime.some((bytes) => bytes !== undefined) ? entry.inTime : entry.latest;
    for (const bytes of partials) {
      if (bytes === undefined) continue;
      const reader = new ByteReader(bytes);
      for (const accumulator of this.#accumulators) accumulator.merge(0, reader);
    }
    const out = this.#scratch;
    out.reset();
    for (const accumulator of this.#accumulators) accumulator.write(0, out);
    return out.bytes.subarray(0, out.length);
  }

  /** Publishes what slot 0 holds. */
  #publish(pane: MergePane, entry: MergeEntry, kind: Kind): void {
    entry.revision++;
    if (kind !== Kind.KIND_EARLY) {
      entry.finalized = true;
      entry.published = this.#scratch.finish();
    }
    this.#panes.digest.mark(entry.slot);
    // What makes rows of it asks for the other one: see U5.
    const watermark = this.#plan.rowsOf === undefined ? this.#watermark.value : this.#stood;
    this.#draft.update(
      {
        key: entry.keyBytes,
        windowStart: pane.start,
        windowEnd: pane.end,
        kind,
        revision: entry.revision,
        ordinal: 0,
        watermark: Number.isFinite(watermark) ? watermark : pane.start,
        partition: entry.partition,
        sequence: entry.sequence,
        index: entry.index,
      },
      0,
    );
  }

  #orphan(partial: Partial, partition: number): void {
    const { allowedLatenessMs } = this.#plan.definition;
    this.#refuse(partial, partition, {
      reason: DeadLetter_Reason.REASON_LATE,
      lateness: this.#passed - expiresAt(partial.windowEnd, allowedLatenessMs),
      error:
        `partition ${partition} held its first event long after every other partition had given ` +
        `up the window, which is held for its own length then, or for an hour if it is shorter; ` +
        `the partial is kept here as \`event\``,
    });
  }

  /** Only a custom assigner can do that: a start has one end (Z2), in all partitions. */
  #conflict(partial: Partial, partition: number, end: number): void {
    const { windowStart: start, windowEnd } = partial;
    this.#refuse(partial, partition, {
      reason: DeadLetter_Reason.REASON_POISON,
      lateness: 0,
      error:
        `window.assign returned [${start}, ${windowEnd}) in partition ${partition}, but ` +
        `[${start}, ${end}) in another: a start has one end; the partial is kept here as \`event\``,
    });
  }

  #refuse(
    partial: Partial,
    partition: number,
    why: Pick<DeadLetter, "reason" | "lateness" | "error">,
  ): void {
    this.#draft.deadLetter({
      topic: this.#plan.topic.definition.name,
      projection: this.#plan.definition.name,
      version: this.#version,
      position: { partition, sequence: partial.sequence, index: partial.index },
      eventId: "",
      eventType: "",
      eventKey: partial.key,
      eventTime: partial.windowStart,
      ingestTime: this.#ingestTime,
      window: { start: partial.windowStart, end: partial.windowEnd },
      watermark: Number.isFinite(this.#passed) ? this.#passed : undefined,
      ...why,
      codeVersion: CODE_VERSION,
      event: Buffer.from(partial.accumulators),
    });
  }

  /** A merging task keeps no books: its partitions do. */
  adoptBooks(): void {}

  digest(): Uint8Array {
    this.#panes.settleDigest();
    const out = new ByteWriter(256);
    out.uint32(this.#panes.digest.low >>> 0);
    out.uint32(this.#panes.digest.high >>> 0);
    this.#writeScalars(out);
    const lanes = new Int32Array(4);
    murmur128(out.bytes, 0, out.length, 0, lanes);
    return new Uint8Array(lanes.buffer.slice(0, 8));
  }

  #writeScalars(out: ByteWriter): void {
    out.double(this.#sequence);
    out.double(this.#ingestTime);
    out.double(this.#passed);
    this.#watermark.write(out);
  }

  snapshot(): Uint8Array {
    const out = new ByteWriter(4096);
    out.uint32(SNAPSHOT_LAYOUT);
    out.block(this.#plan.digest);
    this.#writeScalars(out);
    this.#panes.write(out);
    return out.finish();
  }

  restore(snapshot: Uint8Array): void {
    const from = new ByteReader(snapshot);
    if (from.uint32() !== SNAPSHOT_LAYOUT) throw new SnapshotMismatch("merge: another layout");
    if (!equal(from.block(), this.#plan.digest)) {
      throw new SnapshotMismatch("merge: another definition");
    }
    this.#sequence = from.double();
    this.#ingestTime = from.double();
    this.#passed = from.double();
    this.#watermark.read(from);
    this.#panes.read(from);
  }
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
};
