/**
 * The pure heart of a projection's task on one partition: filter, window, accumulate, publish.
 *
 * Q1. A window closes between two events: as soon as the watermark has passed its end, before the next
 *     event is looked at. So results do not depend on how events were batched.
 * Q2. A slot's revisions are 1, 2, 3 ...; its first publication after the close is its one `final`.
 * Q3. An event for a window that is closed and not expired is counted and published at once as a
 *     correction; one whose window has expired is a dead letter.
 * Q4. The books balance after every batch.
 * Q5. A partial task (plan.merged) publishes partials instead of updates. Its `final` is what it held
 *     when its own watermark passed the end, its corrections are what came later. Before its
 *     partition goes idle it publishes what its open windows hold: it will hold nothing back.
 */
import { DeadLetter_Reason } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { compileExpression } from "../expression/evaluator.ts";
import type { Evaluator } from "../expression/evaluator.ts";
import type { Vector } from "../expression/vector.ts";
import { ACCEPTED, CONFLICT, DUPLICATE, FUTURE } from "../intake/event-batch.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { murmur128 } from "../kernel/hash.ts";
import type { Pane } from "../window/panes.ts";
import { closesAt, expiresAt } from "../window/assigner.ts";
import type { WindowAssigner } from "../window/assigner.ts";
import { makeAssigner } from "../window/assigners.ts";
import { emptyBooks, readBooks, writeBooks } from "./books-keeper.ts";
import { deadLetterOf } from "./dead-letter.ts";
import { DraftWriter } from "./draft-writer.ts";
import type { Publication } from "./draft-writer.ts";
import { keyBytes } from "./key-bytes.ts";
import { FINALIZED, SlotTable, UNPUBLISHED } from "./slot-table.ts";
import { SnapshotMismatch } from "./task-core.ts";
import type { Draft, Progress, TaskCore } from "./task-core.ts";

const SNAPSHOT_LAYOUT = 0x746d_7001;

export class ProjectionCore implements TaskCore<EventBatch> {
  readonly #plan: ProjectionPlan;
  readonly #version: number;
  readonly #where: Evaluator | undefined;
  readonly #key: Evaluator;
  readonly #inputs: readonly (Evaluator | undefined)[];
  readonly #assigner: WindowAssigner;
  readonly #table: SlotTable;
  readonly #draft: DraftWriter;
  readonly #publication: Publication;

  #books: Books = emptyBooks();
  #watermark = Number.NEGATIVE_INFINITY;
  #idle = false;
  #ingestClock = 0;
  /** Position of the last event considered. */
  #sequence = 0;
  #index = 0;
  /** The least watermark at which some pane closes or expires. */
  #nextDue = Number.POSITIVE_INFINITY;
  /** Exactly the slots with UNPUBLISHED set, in the order in which they were touched. */
  #unpublished: number[] = [];

  /** The run: events that were assigned a slot and not yet accumulated. */
  #rows = new Int32Array(1024);
  #slots = new Int32Array(1024);
  #runLength = 0;
  readonly #vectors: (Vector | undefined)[];

  /** The windows of the event at hand. */
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;
  /** Those of them that have not expired; kept for the next event that has the same windows. */
  readonly #live: Pane[] = [];

  constructor(plan: ProjectionPlan, version: number, partition: number) {
    this.#plan = plan;
    this.#version = version;
    this.#where = plan.where === undefined ? undefined : compileExpression(plan.where, plan);
    this.#key = compileExpression(plan.key, plan);
    this.#inputs = plan.aggregates.map(({ definition }) =>
      definition.fn === "count" ? undefined : compileExpression(definition.of, plan),
    );
    this.#vectors = this.#inputs.map(() => undefined);
    this.#assigner = makeAssigner(plan.definition.window);
    this.#starts = new Float64Array(this.#assigner.windowsMax);
    this.#ends = new Float64Array(this.#assigner.windowsMax);
    this.#table = new SlotTable(plan.aggregates);
    const columns = plan.aggregates.map((aggregate) => aggregate.name);
    this.#draft = new DraftWriter(columns, this.#table.accumulators);
    this.#publication = {
      key: new Uint8Array(0),
      windowStart: 0,
      windowEnd: 0,
      kind: Kind.KIND_FINAL,
      revision: 0,
      watermark: 0,
      partition,
      sequence: 0,
      index: 0,
    };
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
    return {
      inputSequence: this.#sequence,
      watermark: Number.isFinite(this.#watermark) ? this.#watermark : undefined,
      idle: this.#idle,
      ingestTime: this.#ingestClock,
      books: { ...this.#books },
      retainFrom: 0,
    };
  }

  /** Live keys, windows and slots: for metrics. */
  size(): { readonly keys: number; readonly windows: number; readonly slots: number } {
    const { keys, panes } = this.#table;
    return { keys: keys.size, windows: panes.panes.size, slots: panes.size };
  }

  apply(batch: EventBatch): void {
    const where = this.#where?.evaluate(batch);
    const key = this.#key.evaluate(batch);
    for (let a = 0; a < this.#inputs.length; a++) {
      this.#vectors[a] = this.#inputs[a]?.evaluate(batch);
    }
    if (this.#rows.length < batch.count) {
      this.#rows = new Int32Array(batch.verdicts.length);
      this.#slots = new Int32Array(batch.verdicts.length);
    }
    this.#events(batch, where, key);
    this.#accumulate();
    this.#at(batch.sequence, Math.max(0, batch.count - 1));
    if (batch.watermarkAfter >= this.#nextDue) this.#passTime(batch.watermarkAfter);
    this.#watermark = batch.watermarkAfter;
    const becameIdle = batch.idle && !this.#idle;
    this.#idle = batch.idle;
    this.#emitEarly(batch.ingestClock, becameIdle);
    this.#ingestClock = batch.ingestClock;
  }

  #events(batch: EventBatch, where: Vector | undefined, key: Vector): void {
    const { count, verdicts, watermarks, eventTimes, typeIndexes } = batch;
    const reads = this.#plan.reads;
    const table = this.#table;
    const books = this.#books;
    const live = this.#live;
    const assigner = this.#assigner;
    const starts = this.#starts;
    const ends = this.#ends;
    const tracksUnpublished = this.#plan.merged || this.#plan.definition.emit.mode !== "final";
    let liveOf = Number.NaN;
    let liveWindows = 0;
    let counted = 0;
    let filtered = 0;
    books.events += count;
    for (let row = 0; row < count; row++) {
      if (verdicts[row] !== ACCEPTED) {
        this.#refuse(batch, row);
        continue;
      }
      const watermark = watermarks[row]!;
      if (watermark >= this.#nextDue) {
        this.#accumulate();
        if (row > 0) this.#at(batch.sequence, row - 1);
        this.#passTime(watermark);
        liveOf = Number.NaN;
      }
      const windows =
        reads[typeIndexes[row]!] !== true ||
        key.valid[row] === 0 ||
        (where !== undefined && (where.valid[row] === 0 || where.values[row] === 0))
          ? 0
          : assigner.assign(eventTimes[row]!, starts, ends);
      if (windows === 0) {
        filtered++;
        continue;
      }
      if (starts[0] !== liveOf || windows !== liveWindows) {
        this.#findLive(windows, watermark);
        liveOf = starts[0]!;
        liveWindows = windows;
      }
      if (live.length === 0) {
        this.#late(batch, row, windows - 1, watermark);
        continue;
      }
      counted++;
      const bytes = keyBytes(key, row);
      const keyId = table.keys.intern(bytes.bytes, bytes.start, bytes.end);
      for (let w = 0; w < live.length; w++) {
        const pane = live[w]!;
        const slot = table.slotOf(pane, keyId);
        if (this.#runLength === this.#rows.length) this.#accumulate();
        this.#rows[this.#runLength] = row;
        this.#slots[this.#runLength++] = slot;
        table.digest.mark(slot);
        if (pane.closed) this.#correct(batch, row, pane, slot, watermark);
        else if (tracksUnpublished) this.#touch(slot);
      }
    }
    books.counted += counted;
    books.filtered += filtered;
  }

  /** The panes of the windows at hand that have not expired, made if need be. */
  #findLive(windows: number, watermark: number): void {
    const { allowedLatenessMs } = this.#plan.definition;
    const live = this.#live;
    live.length = 0;
    for (let w = 0; w < windows; w++) {
      if (watermark >= expiresAt(this.#ends[w]!, allowedLatenessMs)) continue;
      live.push(this.#paneOf(this.#starts[w]!, this.#ends[w]!, watermark));
    }
  }

  #paneOf(start: number, end: number, watermark: number): Pane {
    const existing = this.#table.panes.panes.get(start);
    if (existing !== undefined) return existing;
    const pane = this.#table.panes.open(start, end);
    pane.closed = watermark >= closesAt(end);
    const { allowedLatenessMs } = this.#plan.definition;
    const due = pane.closed ? expiresAt(end, allowedLatenessMs) : closesAt(end);
    if (due < this.#nextDue) this.#nextDue = due;
    return pane;
  }

  #accumulate(): void {
    if (this.#runLength === 0) return;
    const { accumulators } = this.#table;
    for (let a = 0; a < accumulators.length; a++) {
      accumulators[a]!.accumulate(this.#slots, this.#rows, this.#runLength, this.#vectors[a]);
    }
    this.#runLength = 0;
  }

  /** An event for a window already closed: it changes a result that was published. */
  #correct(batch: EventBatch, row: number, pane: Pane, slot: number, watermark: number): void {
    this.#accumulate();
    this.#at(batch.sequence, row);
    const first = (this.#table.flags[slot]! & FINALIZED) === 0 && !this.#plan.merged;
    const kind = first ? Kind.KIND_FINAL : Kind.KIND_CORRECTION;
    this.#publish(pane, slot, kind, watermark);
  }

  /** Closes and expires what is due, in the order of window starts. */
  #passTime(watermark: number): void {
    const { allowedLatenessMs } = this.#plan.definition;
    const due = [...this.#table.panes.panes.values()]
      .filter((pane) => closesAt(pane.end) <= watermark)
      .sort((a, b) => a.start - b.start);
    for (const pane of due) {
      if (!pane.closed) {
        pane.closed = true;
        for (let i = 0; i < pane.count; i++) {
          const slot = pane.slots[i]!;
          this.#publish(pane, slot, Kind.KIND_FINAL, watermark);
          this.#table.digest.mark(slot);
        }
      }
      if (expiresAt(pane.end, allowedLatenessMs) <= watermark) this.#table.drop(pane);
    }
    let next = Number.POSITIVE_INFINITY;
    for (const pane of this.#table.panes.panes.values()) {
      const at = pane.closed ? expiresAt(pane.end, allowedLatenessMs) : closesAt(pane.end);
      if (at < next) next = at;
    }
    this.#nextDue = next;
    const { flags } = this.#table;
    this.#unpublished = this.#unpublished.filter((slot) => (flags[slot]! & UNPUBLISHED) !== 0);
  }

  #touch(slot: number): void {
    const { flags } = this.#table;
    if ((flags[slot]! & UNPUBLISHED) !== 0) return;
    flags[slot]! |= UNPUBLISHED;
    this.#unpublished.push(slot);
  }

  /** After a batch: what the emission mode asks for, at points that the log decides. */
  #emitEarly(ingestClock: number, becameIdle: boolean): void {
    if (this.#unpublished.length === 0) return;
    const { emit } = this.#plan.definition;
    const due =
      emit.mode === "each" ||
      (becameIdle && this.#plan.merged) ||
      (emit.mode === "early" &&
        Math.floor(ingestClock / emit.everyMs) > Math.floor(this.#ingestClock / emit.everyMs));
    if (!due) return;
    for (const slot of this.#unpublished) {
      this.#publish(this.#table.paneOf(slot), slot, Kind.KIND_EARLY, this.#watermark);
      this.#table.digest.mark(slot);
    }
    this.#unpublished = [];
  }

  #at(sequence: number, index: number): void {
    this.#sequence = sequence;
    this.#index = index;
  }

  #publish(pane: Pane, slot: number, kind: Kind, watermark: number): void {
    const { revisions, flags, panes, keys } = this.#table;
    const publication = this.#publication;
    publication.key = keys.bytesOf(panes.keyIds[slot]!);
    publication.windowStart = pane.start;
    publication.windowEnd = pane.end;
    publication.kind = kind;
    publication.revision = ++revisions[slot]!;
    publication.watermark = watermark;
    publication.sequence = this.#sequence;
    publication.index = this.#index;
    flags[slot]! &= ~UNPUBLISHED;
    if (kind === Kind.KIND_FINAL) flags[slot]! |= FINALIZED;
    if (this.#plan.merged) this.#draft.partial(publication, slot);
    else this.#draft.update(publication, slot);
  }

  #refuse(batch: EventBatch, row: number): void {
    const verdict = batch.verdicts[row]!;
    const books = this.#books;
    if (verdict === DUPLICATE || verdict === CONFLICT) {
      books.duplicate++;
      if (verdict === CONFLICT) books.conflict++;
    } else if (verdict === FUTURE) {
      books.future++;
      const skew = this.#plan.topic.definition.maxFutureSkewMs;
      this.#deadLetter(batch, row, DeadLetter_Reason.REASON_FUTURE, {
        error: `event_time is more than ${skew} ms after ingest_time`,
      });
    } else {
      books.invalid++;
      const error = batch.errors.get(row) ?? "does not match its schema";
      this.#deadLetter(batch, row, DeadLetter_Reason.REASON_INVALID, { error });
    }
  }

  /** `last`: index of the event's last window among those at hand. */
  #late(batch: EventBatch, row: number, last: number, watermark: number): void {
    this.#books.late++;
    const window = { start: this.#starts[last]!, end: this.#ends[last]! };
    const { allowedLatenessMs } = this.#plan.definition;
    const lateness = watermark - expiresAt(window.end, allowedLatenessMs);
    this.#deadLetter(batch, row, DeadLetter_Reason.REASON_LATE, {
      window,
      lateness,
      error: `every window of the event had expired, the last one ${lateness} ms before`,
    });
  }

  #deadLetter(
    batch: EventBatch,
    row: number,
    reason: DeadLetter_Reason,
    verdict: Parameters<typeof deadLetterOf>[3],
  ): void {
    const source = {
      plan: this.#plan,
      version: this.#version,
      partition: this.#publication.partition,
    };
    this.#draft.deadLetter(deadLetterOf(source, batch, row, { ...verdict, reason }));
  }

  digest(): Uint8Array {
    this.#table.settleDigest();
    const out = new ByteWriter(256);
    out.uint32(this.#table.digest.low >>> 0);
    out.uint32(this.#table.digest.high >>> 0);
    this.#writeScalars(out);
    const lanes = new Int32Array(4);
    murmur128(out.bytes, 0, out.length, 0, lanes);
    return new Uint8Array(lanes.buffer.slice(0, 8));
  }

  #writeScalars(out: ByteWriter): void {
    out.double(this.#sequence);
    out.uint32(this.#index);
    out.double(this.#watermark);
    out.byte(this.#idle ? 1 : 0);
    out.double(this.#ingestClock);
    writeBooks(this.#books, out);
  }

  snapshot(): Uint8Array {
    const out = new ByteWriter(4096);
    out.uint32(SNAPSHOT_LAYOUT);
    out.block(this.#plan.digest);
    this.#writeScalars(out);
    out.double(this.#nextDue);
    this.#table.write(out);
    this.#writeUnpublished(out);
    return out.finish();
  }

  restore(snapshot: Uint8Array): void {
    const from = new ByteReader(snapshot);
    if (from.uint32() !== SNAPSHOT_LAYOUT) throw new SnapshotMismatch("task: another layout");
    if (!from.block().every((byte, i) => byte === this.#plan.digest[i])) {
      throw new SnapshotMismatch("task: another definition");
    }
    this.#sequence = from.double();
    this.#index = from.uint32();
    this.#watermark = from.double();
    this.#idle = from.byte() === 1;
    this.#ingestClock = from.double();
    this.#books = readBooks(from);
    this.#nextDue = from.double();
    this.#table.read(from);
    this.#readUnpublished(from);
  }

  /** The order of `#unpublished` as ranks in the order of panes and slots, which survives a restore. */
  #writeUnpublished(out: ByteWriter): void {
    if (this.#unpublished.length === 0) return out.uint32(0);
    const ranks = new Map<number, number>();
    for (const pane of this.#table.panes.panes.values()) {
      for (let i = 0; i < pane.count; i++) ranks.set(pane.slots[i]!, ranks.size);
    }
    out.uint32(this.#unpublished.length);
    for (const slot of this.#unpublished) out.uint32(ranks.get(slot)!);
  }

  #readUnpublished(from: ByteReader): void {
    const slots: number[] = [];
    for (const pane of this.#table.panes.panes.values()) {
      for (let i = 0; i < pane.count; i++) slots.push(pane.slots[i]!);
    }
    const count = from.uint32();
    for (let i = 0; i < count; i++) this.#unpublished.push(slots[from.uint32()]!);
  }
}
