/**
 * Encodes what a task publishes, as it happens, into the repeated fields of a Commit.
 *
 * F1. A fragment is cut between items; each that holds values begins with the column names, so that
 *     every part of a commit can be read alone.
 * F2. A projection's dead letters are told once, where it publishes its results: not where it runs within a join.
 */
import type { Accumulator } from "../accumulate/accumulator.ts";
import { ByteWriter, tagOf } from "../kernel/byte-writer.ts";
import { DeadLetter } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import type { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { DRAFT_FRAGMENT_BYTES_MAX } from "./task-core.ts";
import type { Draft } from "./task-core.ts";

const COLUMNS = tagOf(20, 2);
const UPDATES = tagOf(21, 2);
const PARTIALS = tagOf(22, 2);
const DEAD_LETTERS = tagOf(23, 2);
const ROUTED = tagOf(24, 2);

/** A value of every update, by slot: an accumulator is one. */
export interface ValueColumn {
  /** Appends the fields of a tidemark.v1.Value; nothing for null. */
  writeValue(slot: number, out: ByteWriter): void;
  /** Why the value that was written last is null, where code of the user's makes it and failed. */
  failure?(slot: number): string | undefined;
}

/** What every update and partial says about itself. */
export interface Publication {
  key: Uint8Array;
  windowStart: number;
  windowEnd: number;
  kind: Kind;
  revision: number;
  ordinal: number;
  /** Milliseconds since the epoch; finite, since nothing is published before the first event. */
  watermark: number;
  partition: number;
  sequence: number;
  index: number;
}

/** An event on its way to the partition of its group: see `Routed` in commit.proto. */
export interface RoutedEvent {
  partition: number;
  /** Ranges of bytes, not copies. */
  group: Uint8Array;
  groupStart: number;
  groupEnd: number;
  sequence: number;
  index: number;
  ingestTime: number;
  /** -Infinity before the partition's first event. */
  watermark: number;
  event: Uint8Array;
  eventStart: number;
  eventEnd: number;
}

/** To be filled and routed, again and again. */
export const emptyRoutedEvent = (): RoutedEvent => ({
  partition: 0,
  group: new Uint8Array(0),
  groupStart: 0,
  groupEnd: 0,
  sequence: 0,
  index: 0,
  ingestTime: 0,
  watermark: 0,
  event: new Uint8Array(0),
  eventStart: 0,
  eventEnd: 0,
});

export class DraftWriter {
  updates = 0;
  partials = 0;
  deadLetters = 0;
  routedEvents = 0;
  readonly #columns: readonly string[];
  readonly #values: readonly ValueColumn[];
  /** Those of them that code of the user's makes. */
  readonly #fallible: readonly ValueColumn[];
  readonly #tellsDeadLetters: boolean;
  /** Called after an update with a value that is null because that code failed. */
  onFailure: ((publication: Publication, error: string) => void) | undefined;
  #fragments: Uint8Array[] = [];
  #fragmentBytes = 0;
  #out = new ByteWriter(64 * 1024);
  #columnsWritten = false;
  readonly #item = new ByteWriter(1024);
  readonly #part = new ByteWriter(256);

  constructor(
    columns: readonly string[],
    values: readonly ValueColumn[],
    { rowsOf }: Pick<ProjectionPlan, "rowsOf"> = {},
  ) {
    this.#columns = columns;
    this.#values = values;
    this.#tellsDeadLetters = rowsOf === undefined;
    this.#fallible = values.filter(({ failure }) => failure !== undefined);
  }

  get bytes(): number {
    return this.#fragmentBytes + this.#out.length;
  }

  get items(): number {
    return this.updates + this.partials + this.deadLetters + this.routedEvents;
  }

  /** The whole value of `slot` as an update. */
  update(publication: Publication, slot: number): void {
    const item = this.#item;
    item.reset();
    item.bytesField(0x0a, publication.key);
    item.varintField(0x10, publication.windowStart);
    item.varintField(0x18, publication.windowEnd);
    item.varintField(0x20, publication.kind);
    item.varintField(0x28, publication.revision);
    item.varintField(0x30, publication.watermark);
    item.varintField(0x38, publication.partition);
    item.varintField(0x40, publication.sequence);
    item.varintField(0x48, publication.index);
    for (const value of this.#values) {
      this.#part.reset();
      value.writeValue(slot, this.#part);
      item.bytesField(0x52, this.#part.bytes, 0, this.#part.length);
    }
    item.varintField(0x58, publication.ordinal);
    this.#append(UPDATES, item.bytes, item.length, true);
    this.updates++;
    for (const value of this.#fallible) {
      const error = value.failure!(slot);
      if (error !== undefined) this.onFailure?.(publication, error);
    }
  }

  /** The accumulators of `slot` as a partial. */
  partial(publication: Publication, slot: number, accumulators: readonly Accumulator[]): void {
    const item = this.#item;
    item.reset();
    item.bytesField(0x0a, publication.key);
    item.varintField(0x10, publication.windowStart);
    item.varintField(0x18, publication.windowEnd);
    item.varintField(0x20, publication.kind);
    item.varintField(0x28, publication.revision);
    item.varintField(0x30, publication.watermark);
    item.varintField(0x38, publication.sequence);
    item.varintField(0x40, publication.index);
    this.#part.reset();
    for (const accumulator of accumulators) accumulator.write(slot, this.#part);
    item.bytesField(0x4a, this.#part.bytes, 0, this.#part.length);
    this.#append(PARTIALS, item.bytes, item.length, false);
    this.partials++;
  }

  deadLetter(letter: DeadLetter): void {
    if (!this.#tellsDeadLetters) return;
    const bytes = DeadLetter.encode(letter).finish();
    this.#append(DEAD_LETTERS, bytes, bytes.length, false);
    this.deadLetters++;
  }

  routed(routed: RoutedEvent): void {
    const item = this.#item;
    item.reset();
    item.varintField(0x08, routed.partition);
    item.bytesField(0x12, routed.group, routed.groupStart, routed.groupEnd);
    item.varintField(0x18, routed.sequence);
    item.varintField(0x20, routed.index);
    item.varintField(0x28, routed.ingestTime);
    if (Number.isFinite(routed.watermark)) {
      item.varint(0x30);
      item.int64(routed.watermark);
    }
    item.bytesField(0x3a, routed.event, routed.eventStart, routed.eventEnd);
    this.#append(ROUTED, item.bytes, item.length, false);
    this.routedEvents++;
  }

  take(): Draft {
    this.#cut();
    const draft: Draft = {
      fragments: this.#fragments,
      updates: this.updates,
      partials: this.partials,
      deadLetters: this.deadLetters,
      routed: this.routedEvents,
    };
    this.#fragments = [];
    this.#fragmentBytes = 0;
    this.updates = 0;
    this.partials = 0;
    this.deadLetters = 0;
    this.routedEvents = 0;
    return draft;
  }

  #append(tag: number, bytes: Uint8Array, length: number, withColumns: boolean): void {
    if (this.#out.length > 0 && this.#out.length + length > DRAFT_FRAGMENT_BYTES_MAX) this.#cut();
    if (withColumns && !this.#columnsWritten) {
      for (const column of this.#columns) this.#out.stringField(COLUMNS, column);
      this.#columnsWritten = true;
    }
    this.#out.bytesField(tag, bytes, 0, length);
  }

  #cut(): void {
    if (this.#out.length === 0) return;
    const fragment = this.#out.finish();
    this.#fragments.push(fragment);
    this.#fragmentBytes += fragment.length;
    this.#out.reset();
    this.#columnsWritten = false;
  }
}
