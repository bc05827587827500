/**
 * The pure heart of a projection's task on one partition: filter, window, accumulate, publish.
 *
 * Q1. A window closes between two events: as soon as the watermark has passed its end, before the next
 *     event is looked at. So results do not depend on how events were batched.
 * Q2. A slot's revisions are 1, 2, 3 ...; its first publication after the close is its one `final`.
 * Q3. An event for a window that is closed and not expired is counted and published at once as a
 *     correction; one whose windows have all expired is a dead letter.
 * Q4. The books balance after every batch.
 * Q5. A partial task (plan.merged) publishes partials instead of updates. Its `final` is what it held
 *     when its own watermark passed the end, its corrections are what came later. Before its
 *     partition goes idle it publishes what its open windows hold: it will hold nothing back.
 */
import { DeadLetter_Reason } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { compileInput } from "../expression/aggregate-input.ts";
import { compileExpression } from "../expression/evaluator.ts";
import type { Evaluator } from "../expression/evaluator.ts";
import type { Vector } from "../expression/vector.ts";
import { ACCEPTED, CONFLICT, DUPLICATE, FUTURE } from "../intake/event-batch.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { murmur128 } from "../kernel/hash.ts";
import { expiresAt } from "../window/assigner.ts";
import { makeOperator } from "../window/operators.ts";
import { SlotStore } from "../window/slot-store.ts";
import { COUNTED, LATE, POISON } from "../window/window-operator.ts";
import type { WindowOperator } from "../window/window-operator.ts";
import { emptyBooks, readBooks, writeBooks } from "./books-keeper.ts";
import { deadLetterOf } from "./dead-letter.ts";
import { DraftPublisher } from "./draft-publisher.ts";
import { DraftWriter } from "./draft-writer.ts";
import { keyBytes } from "./key-bytes.ts";
import { SnapshotMismatch } from "./task-core.ts";
import type { Draft, Progress, TaskCore } from "./task-core.ts";

const SNAPSHOT_LAYOUT = 0x746d_7003;

export class ProjectionCore implements TaskCore<EventBatch> {
  readonly #plan: ProjectionPlan;
  readonly #version: number;
  readonly #partition: number;
  readonly #where: Evaluator | undefined;
  readonly #key: Evaluator;
  readonly #inputs: readonly (Evaluator | undefined)[];
  readonly #vectors: (Vector | undefined)[];
  readonly #store: SlotStore;
  readonly #draft: DraftWriter;
  readonly #publisher: DraftPublisher;
  readonly #windows: WindowOperator;

  #books: Books = emptyBooks();
  #watermark = Number.NEGATIVE_INFINITY;
  #idle = false;
  #ingestClock = 0;

  constructor(plan: ProjectionPlan, version: number, partition: number) {
    this.#plan = plan;
    this.#version = version;
    this.#partition = partition;
    this.#where = plan.where === undefined ? undefined : compileExpression(plan.where, plan);
    this.#key = compileExpression(plan.key, plan);
    this.#inputs = plan.aggregates.map((aggregate) => compileInput(aggregate, plan));
    this.#vectors = this.#inputs.map(() => undefined);
    this.#store = new SlotStore(plan.aggregates);
    const columns = plan.aggregates.map((aggregate) => aggregate.name);
    this.#draft = new DraftWriter(columns, this.#store.accumulators);
    this.#publisher = new DraftPublisher(this.#draft, this.#store, plan.merged, partition);
    this.#windows = makeOperator(plan, this.#store, this.#publisher);
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
      inputSequence: this.#publisher.sequence,
      watermark: Number.isFinite(this.#watermark) ? this.#watermark : undefined,
      idle: this.#idle,
      ingestTime: this.#ingestClock,
      books: { ...this.#books },
      retainFrom: 0,
    };
  }

  /** Live keys, windows and slots: for metrics. */
  size(): { readonly keys: number; readonly windows: number; readonly slots: number } {
    const { keys, size } = this.#store;
    return { keys: keys.size, windows: this.#windows.windows, slots: size };
  }

  apply(batch: EventBatch): void {
    const where = this.#where?.evaluate(batch);
    const key = this.#key.evaluate(batch);
    for (let a = 0; a < this.#inputs.length; a++) {
      this.#vectors[a] = this.#inputs[a]?.evaluate(batch);
    }
    this.#publisher.batchSequence = batch.sequence;
    this.#windows.begin(this.#vectors, batch.count);
    this.#events(batch, where, key);
    this.#windows.settle();
    this.#at(batch.sequence, Math.max(0, batch.count - 1));
    if (batch.watermarkAfter >= this.#windows.nextDue) this.#windows.passTime(batch.watermarkAfter);
    this.#watermark = batch.watermarkAfter;
    if (this.#publishesEarly(batch)) this.#windows.publishEarly(this.#watermark);
    this.#idle = batch.idle;
    this.#ingestClock = batch.ingestClock;
  }

  #events(batch: EventBatch, where: Vector | undefined, key: Vector): void {
    const { count, verdicts, watermarks, eventTimes, typeIndexes } = batch;
    const reads = this.#plan.reads;
    const windows = this.#windows;
    const { keys } = this.#store;
    let counted = 0;
    let filtered = 0;
    for (let row = 0; row < count; row++) {
      if (verdicts[row] !== ACCEPTED) {
        this.#refuse(batch, row);
        continue;
      }
      const watermark = watermarks[row]!;
      if (watermark >= windows.nextDue) {
        windows.settle();
        if (row > 0) this.#at(batch.sequence, row - 1);
        windows.passTime(watermark);
      }
      if (
        reads[typeIndexes[row]!] !== true ||
        key.valid[row] === 0 ||
        (where !== undefined && (where.valid[row] === 0 || where.values[row] === 0))
      ) {
        filtered++;
        continue;
      }
      const bytes = keyBytes(key, row);
      const keyId = keys.intern(bytes.bytes, bytes.start, bytes.end);
      const outcome = windows.add(row, eventTimes[row]!, keyId, watermark);
      if (outcome === COUNTED) {
        counted++;
        continue;
      }
      keys.discard(keyId);
      if (outcome === LATE) this.#late(batch, row, watermark);
      else if (outcome === POISON) this.#poison(batch, row);
      else filtered++;
    }
    this.#books.events += count;
    this.#books.counted += counted;
    this.#books.filtered += filtered;
  }

  /** After a batch, at points that the log decides: see EmitDefinition, and Q5. */
  #publishesEarly(batch: EventBatch): boolean {
    const { emit } = this.#plan.definition;
    if (emit.mode === "each") return true;
    if (batch.idle && !this.#idle && this.#plan.merged) return true;
    if (emit.mode === "final") return false;
    const periods = (clock: number) => Math.floor(clock / emit.everyMs);
    return periods(batch.ingestClock) > periods(this.#ingestClock);
  }

  #at(sequence: number, index: number): void {
    this.#publisher.sequence = sequence;
    this.#publisher.index = index;
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
      this.#deadLetter(batch, row, {
        reason: DeadLetter_Reason.REASON_FUTURE,
        error: `event_time is more than ${skew} ms after ingest_time`,
      });
    } else {
      books.invalid++;
      this.#deadLetter(batch, row, {
        reason: DeadLetter_Reason.REASON_INVALID,
        error: batch.errors.get(row) ?? "does not match its schema",
      });
    }
  }

  #late(batch: EventBatch, row: number, watermark: number): void {
    this.#books.late++;
    const window = { ...this.#windows.lateWindow };
    const lateness = watermark - expiresAt(window.end, this.#plan.definition.allowedLatenessMs);
    this.#deadLetter(batch, row, {
      reason: DeadLetter_Reason.REASON_LATE,
      window,
      lateness,
      error: `every window of the event had expired, the last one ${lateness} ms before`,
    });
  }

  #poison(batch: EventBatch, row: number): void {
    this.#books.poison++;
    this.#deadLetter(batch, row, {
      reason: DeadLetter_Reason.REASON_POISON,
      error: this.#windows.poison,
    });
  }

  #deadLetter(batch: EventBatch, row: number, verdict: Parameters<typeof deadLetterOf>[3]): void {
    const task = { plan: this.#plan, version: this.#version, partition: this.#partition };
    this.#draft.deadLetter(deadLetterOf(task, batch, row, verdict));
  }

  digest(): Uint8Array {
    this.#store.settleDigest();
    const out = new ByteWriter(256);
    out.uint32(this.#store.digest.low >>> 0);
    out.uint32(this.#store.digest.high >>> 0);
    this.#writeScalars(out);
    const lanes = new Int32Array(4);
    murmur128(out.bytes, 0, out.length, 0, lanes);
    return new Uint8Array(lanes.buffer.slice(0, 8));
  }

  #writeScalars(out: ByteWriter): void {
    out.double(this.#publisher.sequence);
    out.uint32(this.#publisher.index);
    out.double(this.#watermark);
    out.byte(this.#idle ? 1 : 0);
    out.double(this.#ingestClock);
  }

  adoptBooks(books: Books): void {
    this.#books = { ...books };
  }

  snapshot(): Uint8Array {
    const out = new ByteWriter(4096);
    out.uint32(SNAPSHOT_LAYOUT);
    out.block(this.#plan.digest);
    this.#writeScalars(out);
    writeBooks(this.#books, out);
    this.#windows.write(out);
    return out.finish();
  }

  restore(snapshot: Uint8Array): void {
    const from = new ByteReader(snapshot);
    if (from.uint32() !== SNAPSHOT_LAYOUT) throw new SnapshotMismatch("task: another layout");
    if (!from.block().every((byte, i) => byte === this.#plan.digest[i])) {
      throw new SnapshotMismatch("task: another definition");
    }
    this.#publisher.sequence = from.double();
    this.#publisher.index = from.uint32();
    this.#watermark = from.double();
    this.#idle = from.byte() === 1;
    this.#ingestClock = from.double();
    this.#books = readBooks(from);
    this.#windows.read(from);
  }
}
