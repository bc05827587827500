/**
 * Whether the books of a task balance (SEMANTICS E7), and whether they hold the events of the log.
 *
 * U1. The books are held against the log itself: its events are counted, up to the position that was
 *     committed with the books.
 * U2. Of a log whose head retention has cut, the stretch is audited that both the log and RESULTS still
 *     hold: the books must have grown by the events of that stretch. What came before is not judged. A compacted
 *     log is cut where compaction may have deleted record batches last; if it has holes behind that, too, it is not audited.
 * U3. What cannot be judged is never called balanced.
 */
import type { Marker } from "../../actors/commit/marker.ts";
import { imbalance } from "../../actors/task/books-keeper.ts";
import type { ProjectionKind } from "../../projections/definition/plan.ts";
import type { TaskId } from "../../proto/subjects.ts";
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";

export type Balance = Pick<Marker, "inputSequence" | "books">;

/** A stretch of a partition's log: after `from`, up to and with `to`. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** Of the projection, where one task does all its work; else which part of the work is the task's. */
export type BooksKind = ProjectionKind | TaskId["kind"];

export interface AuditedLog {
  /** From here on it is whole. */
  readonly first: number;
  readonly last: number;
  /** What lies before `first` is partly there. */
  readonly compacted: boolean;
}

export interface AuditInput {
  /** Of a re-keyed projection routing tasks and those that read its own log keep books. */
  readonly kind: BooksKind;
  readonly projection: string;
  readonly version: number;
  readonly partition: number;
  readonly committed: Balance;
  /** What the log holds: first and last sequence; undefined when its stream is not there. */
  readonly log: AuditedLog | undefined;
  /** The earliest commit behind which the whole log is there; undefined where none is needed. */
  readonly base: Balance | undefined;
  /** Of a compacted log: where a record batch was missing that should have been there still. */
  readonly hole?: number;
}

export interface Audit {
  readonly kind: BooksKind;
  readonly projection: string;
  readonly version: number;
  readonly partition: number;
  /** Sequence of the log up to which the books go. */
  readonly position: number;
  readonly books: Books;
  /** The part of the log that was counted; undefined where the books were only held against themselves. */
  readonly audited: Stretch | undefined;
  /** Events of that stretch: in the log, and by the books. */
  readonly logEvents: number | undefined;
  readonly bookEvents: number | undefined;
  /** `events` minus all accounts. */
  readonly imbalance: number;
  /** The books' events of the stretch minus the log's. */
  readonly difference: number | undefined;
  readonly balanced: boolean;
  /** What could not be audited, or what is wrong, in words. */
  readonly note: string | undefined;
}

/** What of the log can be counted for a task; undefined: nothing, with the reason. */
export const stretchOf = ({
  committed,
  log,
  base,
  hole,
}: AuditInput): { readonly stretch?: Stretch; readonly broken: boolean; readonly why?: string } => {
  const to = committed.inputSequence;
  if (log === undefined) return { broken: false, why: "its topic is not configured here" };
  if (log.last < to) {
    return { broken: true, why: `the log ends at ${log.last}, before what was committed` };
  }
  if (hole !== undefined) {
    const why =
      `the log is compacted as far as ${hole}: its topics were kept for a shorter time before, or ` +
      `it was compacted meanwhile`;
    return { broken: false, why };
  }
  if (log.first <= 1) return { broken: false, stretch: { from: 0, to } };
  if (log.first > to + 1) {
    return { broken: true, why: `the log begins at ${log.first}: events were deleted unread` };
  }
  const begins = log.compacted
    ? `the log is compacted before ${log.first}`
    : `the log begins at ${log.first}`;
  if (base === undefined || base.inputSequence >= to) {
    return { broken: false, why: `${begins}, and RESULTS has no older books` };
  }
  return {
    broken: false,
    stretch: { from: base.inputSequence, to },
    why: `${begins}: audited after ${base.inputSequence}`,
  };
};

/** `countEvents` is undefined for the fast audit. */
export const auditBooks = (
  input: AuditInput,
  countEvents: ((stretch: Stretch) => number) | undefined,
): Audit => {
  const { kind, projection, version, partition, committed, base } = input;
  const { books } = committed;
  const { stretch, broken, why } = stretchOf(input);
  const audited = countEvents === undefined ? undefined : stretch;
  const logEvents = audited && countEvents?.(audited);
  const bookEvents = audited && books.events - (audited.from === 0 ? 0 : (base?.books.events ?? 0));
  const difference =
    logEvents === undefined || bookEvents === undefined ? undefined : bookEvents - logEvents;
  const off = imbalance(books);
  const { conflict, duplicate } = books;
  const tooManyConflicts = conflict > duplicate;
  const words = [
    ...(tooManyConflicts ? [`${conflict} conflicts among ${duplicate} duplicates`] : []),
    ...(why === undefined ? [] : [why]),
  ];
  return {
    kind,
    projection,
    version,
    partition,
    position: committed.inputSequence,
    books,
    audited,
    logEvents,
    bookEvents,
    imbalance: off,
    difference,
    balanced: off === 0 && (difference ?? 0) === 0 && !broken && !tooManyConflicts,
    note: words.length === 0 ? undefined : words.join("; "),
  };
};
