/**
 * The pure heart of a projection's task on one partition: filter, window, accumulate, publish.
 *
 * Q1. A window closes between two events: as soon as the watermark has passed its end, before the next
 *     event is looked at. So results do not depend on how events were batched.
 * Q2. A slot's revisions are 1, 2, 3 ...; its first publication after the close is its one `final`.
 * Q3. An event for a window that is closed and not expired is counted and published at once as a
 *     correction; one whose windows have all expired is a dead letter.
 * Q4. The books balance after every batch.
 * Q5. Early updates by event time and by events come between two events, too, so they do not depend on
 *     batches either; those by ingest time come after a batch, which the log holds with its time.
 * Q6. A partial task (plan.merged) publishes partials instead of updates. Its `final` is what it held
 *     when its own watermark passed the end, its corrections are what came later. Before its
 *     partition goes idle it publishes what its open windows hold: it will hold nothing back.
 */
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import type { EarlyTriggers } from "../../projections/definition/definition.ts";
import type { WindowPlan } from "../../projections/definition/plan.ts";
import { compileInput } from "../expression/aggregate-input.ts";
import type { Evaluator } from "../expression/evaluator.ts";
import type { Vector } from "../expression/vector.ts";
import { ACCEPTED } from "../intake/event-batch.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { expiresAt, floorTo } from "../window/assigner.ts";
import { makeOperator } from "../window/operators.ts";
import { SlotStore } from "../window/slot-store.ts";
import { COUNTED, LATE, POISON } from "../window/window-operator.ts";
import type { WindowOperator } from "../window/window-operator.ts";
import { readBooks, writeBooks } from "./books-keeper.ts";
import { failedResultOf } from "./dead-letter.ts";
import { DraftPublisher } from "./draft-publisher.ts";
import { DraftWriter } from "./draft-writer.ts";
import { EventGate } from "./event-gate.ts";
import { keyBytes } from "./key-bytes.ts";
import type { Draft, Progress, TaskCore } from "./task-core.ts";
import { readSnapshotHead, TaskProgress, writeSnapshotHead } from "./task-progress.ts";

const SNAPSHOT_LAYOUT = 0x746d_7006;
/** Less than every watermark but the one before the first event. */
const EVENT_TIME_BEGINS = -Number.MAX_VALUE;

export class ProjectionCore implements TaskCore<EventBatch> {
  readonly #plan: WindowPlan;
  readonly #inputs: readonly (Evaluator | undefined)[];
  readonly #vectors: (Vector | undefined)[];
  readonly #store: SlotStore;
  readonly #draft: DraftWriter;
  readonly #gate: EventGate;
  readonly #publisher: DraftPublisher;
  readonly #windows: WindowOperator;
  readonly #progress = new TaskProgress();
  readonly #early: EarlyTriggers;
  /** The watermark at which event time has next passed a period of `everyEventTimeMs`. */
  #earlyFrom = Number.POSITIVE_INFINITY;

  constructor(plan: WindowPlan, version: number, partition: number) {
    this.#plan = plan;
    this.#inputs = plan.aggregates.map((aggregate) => compileInput(aggregate, plan));
    this.#vectors = this.#inputs.map(() => undefined);
    const { emit } = plan.definition;
    this.#early = emit.mode === "early" ? emit : {};
    this.#store = new SlotStore(plan.aggregates, this.#early.everyEvents);
    const columns = plan.outputs.map(({ name }) => name);
    this.#draft = new DraftWriter(columns, this.#store.accumulators, plan);
    this.#draft.onFailure = (publication, error) =>
      this.#draft.deadLetter(
        failedResultOf({ plan, version }, publication, this.#progress.ingestClock, error),
      );
    this.#gate = new EventGate({ plan, version, partition }, this.#draft);
    const task = { merged: plan.merged, partition };
    this.#publisher = new DraftPublisher(this.#draft, this.#store, this.#progress, task);
    this.#windows = makeOperator(plan, this.#store, this.#publisher);
    this.#findEarly();
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
    return this.#progress.report(this.#gate.books);
  }

  /** Live keys, windows and slots: for metrics. */
  size(): { readonly keys: number; readonly windows: number; readonly slots: number } {
    const { keys, size } = this.#store;
    return { keys: keys.size, windows: this.#windows.windows, slots: size };
  }

  apply(batch: EventBatch): void {
    const progress = this.#progress;
    this.#gate.begin(batch);
    for (let a = 0; a < this.#inputs.length; a++) {
      this.#vectors[a] = this.#inputs[a]?.evaluate(batch);
    }
    this.#publisher.batchSequence = batch.sequence;
    this.#windows.begin(this.#vectors, batch.count);
    this.#events(batch);
    this.#windows.settle();
    progress.at(batch.sequence, Math.max(0, batch.count - 1));
    this.#passTime(batch.watermarkAfter);
    progress.watermark = batch.watermarkAfter;
    if (this.#publishesEarly(batch)) this.#windows.publishEarly(progress.watermark);
    progress.pass(batch);
  }

  #events(batch: EventBatch): void {
    const { count, verdicts, watermarks, eventTimes } = batch;
    const gate = this.#gate;
    const { key } = gate;
    const windows = this.#windows;
    const { keys, ripe } = this.#store;
    let counted = 0;
    let filtered = 0;
    for (let row = 0; row < count; row++) {
      const watermark = watermarks[row]!;
      if (watermark >= windows.nextDue || watermark >= this.#earlyFrom) {
        windows.settle();
        if (row > 0) this.#progress.at(batch.sequence, row - 1);
        this.#passTime(watermark);
      }
      if (verdicts[row] !== ACCEPTED) {
        gate.refuse(batch, row);
        continue;
      }
      if (!gate.selects(row)) {
        filtered++;
        continue;
      }
      const bytes = keyBytes(key, row);
      if (gate.refusesKey(batch, row, bytes.end - bytes.start)) continue;
      const keyId = keys.intern(bytes.bytes, bytes.start, bytes.end);
      const outcome = windows.add(row, eventTimes[row]!, keyId, watermark);
      if (outcome === COUNTED) {
        counted++;
        if (ripe.length > 0) this.#publishRipe(batch, row, watermark);
        continue;
      }
      keys.discard(keyId);
      if (outcome === LATE) this.#late(batch, row, watermark);
      else if (outcome === POISON) this.#poison(batch, row);
      else filtered++;
    }
    gate.books.events += count;
    gate.books.counted += counted;
    gate.books.filtered += filtered;
  }

  #passTime(watermark: number): void {
    if (watermark >= this.#windows.nextDue) this.#windows.passTime(watermark);
    if (watermark < this.#earlyFrom) return;
    // Event time begins with the first event, which passes no period.
    if (this.#earlyFrom > EVENT_TIME_BEGINS) this.#windows.publishEarly(watermark);
    this.#progress.watermark = watermark;
    this.#findEarly();
  }

  #findEarly(): void {
    const { everyEventTimeMs } = this.#early;
    if (everyEventTimeMs === undefined) return;
    const { watermark } = this.#progress;
    this.#earlyFrom = Number.isFinite(watermark)
      ? floorTo(watermark, everyEventTimeMs, 0) + everyEventTimeMs
      : EVENT_TIME_BEGINS;
  }

  /** Windows that have had their number of events. */
  #publishRipe(batch: EventBatch, row: number, watermark: number): void {
    this.#windows.settle();
    this.#progress.at(batch.sequence, row);
    // Before the first event there is no watermark; after it there is.
    const { maxOutOfOrdernessMs } = this.#plan.topic.definition;
    const first = batch.eventTimes[row]! - maxOutOfOrdernessMs - 1;
    this.#windows.publishEarly(Number.isFinite(watermark) ? watermark : first, true);
  }

  /** After a batch, at points that the log decides: see EmitDefinition, and Q6. */
  #publishesEarly(batch: EventBatch): boolean {
    if (batch.idle && !this.#progress.idle && this.#plan.merged) return true;
    return this.#progress.publishesEarly(this.#plan.definition.emit, batch);
  }

  #late(batch: EventBatch, row: number, watermark: number): void {
    const window = { ...this.#windows.lateWindow };
    const lateness = watermark - expiresAt(window.end, this.#plan.definition.allowedLatenessMs);
    const error = `every window of the event had expired, the last one ${lateness} ms before`;
    this.#gate.late(batch, row, window, lateness, error);
  }

  #poison(batch: EventBatch, row: number): void {
    this.#gate.poison(batch, row, this.#windows.poison);
  }

  digest(): Uint8Array {
    this.#store.settleDigest();
    return this.#progress.digest(this.#store.digest);
  }

  adoptBooks(books: Books): void {
    this.#gate.books = { ...books };
  }

  snapshot(): Uint8Array {
    const out = new ByteWriter(4096);
    writeSnapshotHead(out, SNAPSHOT_LAYOUT, this.#plan.digest);
    this.#progress.write(out);
    writeBooks(this.#gate.books, out);
    this.#windows.write(out);
    return out.finish();
  }

  restore(snapshot: Uint8Array): void {
    const from = new ByteReader(snapshot);
    readSnapshotHead(from, SNAPSHOT_LAYOUT, this.#plan.digest);
    this.#progress.read(from);
    this.#gate.books = readBooks(from);
    this.#windows.read(from);
    this.#findEarly();
  }
}
