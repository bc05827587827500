/**
 * A routing task whose events are the results of a projection: the table of a join (decisions 023 and 026). It
 * runs the core of a task of the projection that publishes results, and passes on what that publishes, as events.
 *
 * T1. Which rows are passed on, in which order and with which event time, is a function of the log that the core
 *     reads: of a log of events neither record batches nor commits come into it.
 * T2. A row's time is the end of its window, or, if event time had passed that when it was published, the
 *     first millisecond that event time had not passed: so its own partition never makes it late.
 * T3. How often somebody wants to see open windows, or states, makes no row and takes none away, nor does it
 *     number rows: see `row-core.ts`. Dead letters are the projection's own tasks' to tell.
 * T4. The books are those of the projection: `counted` is what counts in its results.
 */
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Books, Update } from "../../proto/gen/tidemark/v1/commit.ts";
import { Event } from "../../proto/gen/tidemark/v1/event.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import type { Value } from "../../proto/gen/tidemark/v1/result.ts";
import { partitionOfBytes } from "../../proto/partitioner.ts";
import type { FieldSchema } from "../../projections/definition/plan.ts";
import type { RekeyPlan, RoutePlan } from "../../projections/definition/rekey.ts";
import {
  RETRACTION_TYPE,
  ROW_TYPE,
  valueFieldsOf,
  WINDOW_END,
  WINDOW_START,
} from "../../projections/definition/table-rows.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { ByteReader, ByteWriter, tagOf } from "../kernel/byte-writer.ts";
import { EVENT_TIME_MAX } from "../kernel/record-batch-scanner.ts";
import { DraftWriter, emptyRoutedEvent } from "../task/draft-writer.ts";
import type { Draft, Progress, TaskCore } from "../task/task-core.ts";
import { readSnapshotHead, writeSnapshotHead } from "../task/task-progress.ts";
import { rowEndOf } from "./row-core.ts";

const SNAPSHOT_LAYOUT = 0x746d_7402;

/** The watermark that stood before the event with which a result was published. */
type WatermarkOf = (
  batch: EventBatch,
  update: Pick<Update, "sequence" | "index" | "watermark">,
  before: number,
) => number;

export const watermarkOfEvent: WatermarkOf = (batch, { sequence, index }, before) => {
  // Published by the event at that position, or after it and before the next.
  const ofBatch = sequence === batch.sequence && index < batch.count;
  return ofBatch ? batch.watermarks[index]! : before;
};

/** Of what is merged, where an update says it itself: see U5 of MergeCore. */
export const watermarkOfUpdate: WatermarkOf = (_, { watermark }) => watermark;

export interface TableOptions {
  /** Of the join. */
  readonly rekey: RekeyPlan;
  readonly route: RoutePlan;
  /** Of the task that publishes the results. */
  readonly core: TaskCore<EventBatch>;
  readonly watermarkOf: WatermarkOf;
}

const encoder = new TextEncoder();

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;

/** What does not fit the field's type, or cannot be read by expressions, is null. */
const writeValue = (
  { number, scalar }: FieldSchema,
  kind: Value["kind"],
  out: BinaryWriter,
): void => {
  if (scalar === "sint64" && kind?.$case === "intValue") {
    out.uint32(tagOf(number, VARINT)).sint64(kind.value);
  } else if (scalar === "bool" && kind?.$case === "boolValue") {
    out.uint32(tagOf(number, VARINT)).bool(kind.value);
  } else if (scalar === "double" && kind?.$case === "doubleValue") {
    out.uint32(tagOf(number, FIXED64)).double(kind.value);
  } else if (scalar === "string" && kind?.$case === "stringValue") {
    out.uint32(tagOf(number, BYTES)).string(kind.value);
  }
};

export class TableCore implements TaskCore<EventBatch> {
  readonly #rekey: RekeyPlan;
  readonly #core: TaskCore<EventBatch>;
  readonly #watermarkOf: WatermarkOf;
  readonly #draft = new DraftWriter([], []);
  readonly #types: readonly string[];
  readonly #fields: readonly FieldSchema[];
  /** Where the window of a result ends. */
  readonly #endOf: (update: Update) => number;
  readonly #routed = emptyRoutedEvent();

  constructor({ rekey, route, core, watermarkOf }: TableOptions) {
    this.#rekey = rekey;
    this.#core = core;
    this.#watermarkOf = watermarkOf;
    this.#types = route.topic.types.map(({ name }) => name);
    this.#fields = valueFieldsOf(route.table!);
    this.#endOf = rowEndOf(route.table!);
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
      for (const update of Commit.decode(fragment).updates) this.#route(update, batch, before);
    }
  }

  /** `before`: the watermark that stood before the batch. */
  #route(update: Update, batch: EventBatch, before: number): void {
    const { sequence, index } = update;
    const watermark = this.#watermarkOf(batch, update, before);
    const group = encoder.encode(update.key);
    const event = this.#eventOf(update, watermark);
    const routed = this.#routed;
    routed.partition = partitionOfBytes(group, 0, group.length, this.#rekey.partitions);
    routed.group = group;
    routed.groupEnd = group.length;
    routed.sequence = sequence;
    routed.index = index;
    routed.ingestTime = batch.ingestTime;
    routed.watermark = watermark;
    routed.event = event;
    routed.eventEnd = event.length;
    this.#draft.routed(routed);
  }

  #eventOf(update: Update, watermark: number): Uint8Array {
    const { key, windowStart, ordinal, revision, kind } = update;
    const windowEnd = this.#endOf(update);
    const isRetraction = kind === Kind.KIND_RETRACTION;
    return Event.encode({
      id: `${windowStart}/${windowEnd}/${ordinal}/${revision}`,
      type: this.#types[isRetraction ? RETRACTION_TYPE : ROW_TYPE]!,
      key,
      eventTime: Math.min(Math.max(windowEnd, watermark + 1), EVENT_TIME_MAX),
      data: { $case: "protobuf", value: this.#payloadOf(update, windowEnd, !isRetraction) },
    }).finish();
  }

  #payloadOf({ windowStart, values }: Update, windowEnd: number, withValues: boolean): Buffer {
    const out = new BinaryWriter();
    out.uint32(tagOf(WINDOW_START.number, VARINT)).sint64(windowStart);
    out.uint32(tagOf(WINDOW_END.number, VARINT)).sint64(windowEnd);
    if (withValues) {
      this.#fields.forEach((field, index) => writeValue(field, values[index]?.kind, out));
    }
    return Buffer.from(out.finish());
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
