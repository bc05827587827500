/**
 * What RESULTS says, one entry at a time: a whole commit, a promotion, or a record that cannot be
 * read. The parts of a large commit become one entry, so that readers see all of it or none.
 *
 * E1. Entries come in stream order; the sequence of an entry is that of its last record, and going on
 *     after it loses nothing.
 * E2. Parts of one commit follow each other directly (ResultLog R1). A commit whose first parts are
 *     missing, trimmed, is an entry that is not `whole`. Parts that the last one does not follow are no
 *     commit: a power failure left them behind, and their owner commits the same again.
 */
import { Promotion } from "../../proto/gen/tidemark/v1/commit.ts";
import type { ResultRecord } from "../../actors/ports/result-log.ts";
import { commitSubject, controlSubject } from "../../proto/subjects.ts";
import { readCommitFrame, UpdateHead } from "./commit-frame.ts";
import type { CommitFrame } from "./commit-frame.ts";

interface EntryRecord {
  readonly sequence: number;
  /** The last record of the entry. */
  readonly record: ResultRecord;
  readonly bytes: number;
}

export interface CommitEntry extends EntryRecord {
  readonly kind: "commit";
  readonly projection: string;
  readonly version: number;
  readonly partition: number;
  readonly number: number;
  readonly watermark: number | undefined;
  readonly idle: boolean;
  readonly whole: boolean;
  readonly parts: readonly CommitFrame[];
  /** How many updates the parts hold. */
  readonly updates: number;
}

export interface PromotionEntry extends EntryRecord {
  readonly kind: "promotion";
  readonly projection: string;
  readonly version: number;
}

export interface UnreadableEntry extends EntryRecord {
  readonly kind: "unreadable";
  readonly reason: string;
}

export type ResultEntry = CommitEntry | PromotionEntry | UnreadableEntry;

export class EntryAssembler {
  #parts: CommitFrame[] = [];
  #last: ResultRecord | undefined;

  /** Adds to `entries` what the record completes. */
  push(record: ResultRecord, entries: ResultEntry[]): void {
    let frame: CommitFrame | undefined;
    let other: PromotionEntry | UnreadableEntry | undefined;
    try {
      if (record.subject.startsWith("control.")) other = promotion(record);
      else frame = commitPart(record);
    } catch (error) {
      other = unreadable(record, error);
    }
    if (this.#last !== undefined && !(frame !== undefined && this.#continues(frame))) {
      this.#parts = [];
      this.#last = undefined;
    }
    if (frame === undefined) {
      entries.push(other!);
      return;
    }
    this.#parts.push(frame);
    this.#last = record;
    if (frame.partIndex + 1 >= frame.partCount) {
      this.#finish(record, this.#parts[0]!.partIndex === 0, entries);
    }
  }

  #continues(frame: CommitFrame): boolean {
    const last = this.#parts[this.#parts.length - 1]!;
    return (
      frame.projection === last.projection &&
      frame.version === last.version &&
      frame.partition === last.partition &&
      frame.number === last.number &&
      frame.partIndex === last.partIndex + 1
    );
  }

  #finish(record: ResultRecord, whole: boolean, entries: ResultEntry[]): void {
    const parts = this.#parts;
    const marker = parts[parts.length - 1]!;
    let bytes = 0;
    let updates = 0;
    for (const part of parts) {
      bytes += part.data.length;
      updates += part.updates.length / 2;
    }
    this.#parts = [];
    this.#last = undefined;
    const { projection, version, partition, number, watermark, idle } = marker;
    entries.push({
      kind: "commit",
      sequence: record.sequence,
      record,
      bytes,
      projection,
      version,
      partition,
      number,
      watermark,
      idle,
      whole,
      parts,
      updates,
    });
  }
}

/** One update of an entry; the same object is filled again and again. */
export class EntryUpdate {
  readonly head = new UpdateHead();
  data: Uint8Array = NO_BYTES;
  start = 0;
  end = 0;
  columns: readonly string[] = [];
}

const NO_BYTES = new Uint8Array(0);

/** The updates of an entry. Columns that a part does not repeat are those of the part before it. */
export function* updatesOf(entry: CommitEntry): Generator<EntryUpdate, void> {
  const update = new EntryUpdate();
  for (const part of entry.parts) {
    if (part.columns.length > 0) update.columns = part.columns;
    update.data = part.data;
    for (let i = 0; i < part.updates.length; i += 2) {
      update.start = part.updates[i]!;
      update.end = part.updates[i + 1]!;
      update.head.read(part.data, update.start, update.end);
      yield update;
    }
  }
}

const commitPart = (record: ResultRecord): CommitFrame => {
  const frame = readCommitFrame(record.data);
  const { projection, version, partition } = frame;
  belongs(record, commitSubject({ kind: "window", projection, version, partition }));
  return frame;
};

const promotion = (record: ResultRecord): PromotionEntry => {
  const { projection, version } = Promotion.decode(record.data);
  belongs(record, controlSubject(projection));
  const { sequence, data } = record;
  return { kind: "promotion", sequence, record, bytes: data.length, projection, version };
};

/** Also keeps names that no subject can hold out of the store's keys. */
const belongs = (record: ResultRecord, subject: string): void => {
  if (record.subject !== subject) throw new Error(`it says that it belongs to ${subject}`);
};

const unreadable = (record: ResultRecord, error: unknown): UnreadableEntry => ({
  kind: "unreadable",
  sequence: record.sequence,
  record,
  bytes: record.data.length,
  reason: error instanceof Error ? error.message : String(error),
});
