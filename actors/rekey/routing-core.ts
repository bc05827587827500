/**
 * The pure heart of a routing task, the first stage of a re-keyed projection: judges the events of one
 * partition of a source as every task does, and passes on those that count, each with its group and
 * with the watermark that stood before it.
 *
 * T1. Which events are passed on, and in which order, is a function of the log: nothing is held back
 *     between two record batches.
 * T2. An event is passed on byte for byte.
 * T3. The books balance after every batch; `counted` is what was passed on.
 */
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import { partitionOfBytes } from "../../proto/partitioner.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import type { RekeyPlan, RoutePlan } from "../../projections/definition/rekey.ts";
import { ACCEPTED } from "../intake/event-batch.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { readBooks, writeBooks } from "../task/books-keeper.ts";
import { DraftWriter, emptyRoutedEvent } from "../task/draft-writer.ts";
import { EventGate } from "../task/event-gate.ts";
import { keyBytes } from "../task/key-bytes.ts";
import type { Draft, Progress, TaskCore } from "../task/task-core.ts";
import { readSnapshotHead, TaskProgress, writeSnapshotHead } from "../task/task-progress.ts";

const SNAPSHOT_LAYOUT = 0x746d_7201;

export interface RoutingOptions {
  readonly plan: ProjectionPlan;
  readonly rekey: RekeyPlan;
  readonly route: RoutePlan;
  readonly version: number;
  /** Of the source. */
  readonly partition: number;
}

export class RoutingCore implements TaskCore<EventBatch> {
  readonly #rekey: RekeyPlan;
  readonly #draft: DraftWriter;
  readonly #progress = new TaskProgress();
  readonly #gate: EventGate;
  readonly #routed = emptyRoutedEvent();

  constructor({ plan, rekey, route, version, partition }: RoutingOptions) {
    this.#rekey = rekey;
    this.#draft = new DraftWriter([], [], plan);
    const task = { plan: { ...route, definition: plan.definition }, version, partition };
    this.#gate = new EventGate(task, this.#draft);
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

  apply(batch: EventBatch): void {
    const gate = this.#gate;
    const { count, verdicts } = batch;
    gate.begin(batch);
    let filtered = 0;
    for (let row = 0; row < count; row++) {
      if (verdicts[row] !== ACCEPTED) gate.refuse(batch, row);
      else if (gate.selects(row)) this.#route(batch, row);
      else filtered++;
    }
    gate.books.events += count;
    gate.books.filtered += filtered;
    this.#progress.at(batch.sequence, Math.max(0, count - 1));
    this.#progress.watermark = batch.watermarkAfter;
    this.#progress.pass(batch);
  }

  #route(batch: EventBatch, row: number): void {
    const { bytes, start, end } = keyBytes(this.#gate.key, row);
    if (this.#gate.refusesKey(batch, row, end - start)) return;
    const routed = this.#routed;
    routed.partition = partitionOfBytes(bytes, start, end, this.#rekey.partitions);
    routed.group = bytes;
    routed.groupStart = start;
    routed.groupEnd = end;
    routed.sequence = batch.sequence;
    routed.index = row;
    routed.ingestTime = batch.ingestTime;
    routed.watermark = batch.watermarks[row]!;
    routed.event = batch.bytes;
    routed.eventStart = batch.eventStarts[row]!;
    routed.eventEnd = batch.eventEnds[row]!;
    this.#draft.routed(routed);
    this.#gate.books.counted++;
  }

  adoptBooks(books: Books): void {
    this.#gate.books = { ...books };
  }

  digest(): Uint8Array {
    return this.#progress.digest();
  }

  snapshot(): Uint8Array {
    const out = new ByteWriter(256);
    writeSnapshotHead(out, SNAPSHOT_LAYOUT, this.#rekey.digest);
    this.#progress.write(out);
    writeBooks(this.#gate.books, out);
    return out.finish();
  }

  restore(snapshot: Uint8Array): void {
    const from = new ByteReader(snapshot);
    readSnapshotHead(from, SNAPSHOT_LAYOUT, this.#rekey.digest);
    this.#progress.read(from);
    this.#gate.books = readBooks(from);
  }
}
