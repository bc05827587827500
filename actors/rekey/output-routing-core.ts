/**
 * A routing task whose events are what another task would publish: it runs that task's core, and passes its output
 * on instead. Of a table of a join these are rows (`table-rows-output.ts`), or first partials (`partials-output.ts`).
 *
 * O1. What is passed on, and in which order, is a function of the log that the core reads: neither the commits nor, of
 *     a log of events, the record batches come into it.
 * O2. An event has the watermark that stood before the one with which the output was made.
 * O3. The books are the core's. Dead letters are for the projection's own tasks to tell.
 */
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Books, Update } from "../../proto/gen/tidemark/v1/commit.ts";
import { Event } from "../../proto/gen/tidemark/v1/event.ts";
import { partitionOfBytes } from "../../proto/partitioner.ts";
import type { RekeyPlan } from "../../projections/definition/rekey.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { DraftWriter, emptyRoutedEvent } from "../task/draft-writer.ts";
import type { Draft, Progress, TaskCore } from "../task/task-core.ts";
import { readSnapshotHead, writeSnapshotHead } from "../task/task-progress.ts";

const SNAPSHOT_LAYOUT = 0x746d_7404;

/** What updates and partials have alike. */
export type OutputItem = Pick<Update, "key" | "sequence" | "index">;

/** Which output is passed on, and as which events. */
export interface RoutedOutput<Item extends OutputItem> {
  itemsOf(commit: Commit): readonly Item[];
  /** O2. `before`: the watermark that stood before the batch. */
  watermarkOf(item: Item, batch: EventBatch, before: number): number;
  eventOf(item: Item, watermark: number): Event;
}

export interface OutputRoutingOptions<Item extends OutputItem> {
  readonly rekey: RekeyPlan;
  readonly core: TaskCore<EventBatch>;
  readonly output: RoutedOutput<Item>;
}

/** Where the output stands for an event of the log that is read. */
export const watermarkBefore = (
  { sequence, index }: OutputItem,
  batch: EventBatch,
  before: number,
): number => {
  // Published by the event at that position, or after it and before the next.
  const ofBatch = sequence === batch.sequence && index < batch.count;
  return ofBatch ? batch.watermarks[index]! : before;
};

const encoder = new TextEncoder();

export class OutputRoutingCore<Item extends OutputItem> implements TaskCore<EventBatch> {
  readonly #rekey: RekeyPlan;
  readonly #core: TaskCore<EventBatch>;
  readonly #output: RoutedOutput<Item>;
  readonly #draft = new DraftWriter([], []);
  readonly #routed = emptyRoutedEvent();

  constructor({ rekey, core, output }: OutputRoutingOptions<Item>) {
    this.#rekey = rekey;
    this.#core = core;
    this.#output = output;
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
    return this.#core.progress();
  }

  apply(batch: EventBatch): void {
    const before = this.#core.progress().watermark ?? Number.NEGATIVE_INFINITY;
    this.#core.apply(batch);
    if (this.#core.pendingItems === 0) return;
    for (const fragment of this.#core.take().fragments) {
      const items = this.#output.itemsOf(Commit.decode(fragment));
      for (const item of items) this.#route(item, batch, before);
    }
  }

  #route(item: Item, batch: EventBatch, before: number): void {
    const watermark = this.#output.watermarkOf(item, batch, before);
    const group = encoder.encode(item.key);
    const event = Event.encode(this.#output.eventOf(item, watermark)).finish();
    const routed = this.#routed;
    routed.partition = partitionOfBytes(group, 0, group.length, this.#rekey.partitions);
    routed.group = group;
    routed.groupEnd = group.length;
    routed.sequence = item.sequence;
    routed.index = item.index;
    routed.ingestTime = batch.ingestTime;
    routed.watermark = watermark;
    routed.event = event;
    routed.eventEnd = event.length;
    this.#draft.routed(routed);
  }

  adoptBooks(books: Books): void {
    this.#core.adoptBooks(books);
  }

  digest(): Uint8Array {
    return this.#core.digest();
  }

  snapshot(): Uint8Array {
    const out = new ByteWriter(4096);
    writeSnapshotHead(out, SNAPSHOT_LAYOUT, this.#rekey.digest);
    out.block(this.#core.snapshot());
    return out.finish();
  }

  restore(snapshot: Uint8Array): void {
    const from = new ByteReader(snapshot);
    readSnapshotHead(from, SNAPSHOT_LAYOUT, this.#rekey.digest);
    this.#core.restore(from.block());
  }
}
