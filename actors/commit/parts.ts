/**
 * Which records of RESULTS are a commit. A large one is stored as parts, all or nothing; but a server
 * without replicas that lost its power in the middle may keep some of them.
 *
 * T1. Parts are a commit when the last of them is there. Until then they are nothing: the owner was
 *     never told that they were stored, and commits the same again under the same number.
 * T2. Parts of one commit follow each other directly. First parts that are missing have been trimmed.
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { Effect } from "effect";
import type { ResultRecord } from "../ports/result-log.ts";
import { readMarker } from "./marker.ts";
import type { Marker } from "./marker.ts";

/** What tells the parts of a commit from those of another. */
export interface CommitPart {
  readonly epoch: number;
  readonly number: number;
  readonly partIndex: number;
  readonly partCount: number;
}

const EPOCH = 4;
const NUMBER = 5;
const PART_INDEX = 6;
const PART_COUNT = 7;

/** Reads these four fields of an encoded Commit and steps over the rest. */
export const partOf = (commit: Uint8Array): CommitPart => {
  const part = { epoch: 0, number: 0, partIndex: 0, partCount: 0 };
  const reader = new BinaryReader(commit);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (wireType !== WireType.Varint || field < EPOCH || field > PART_COUNT) {
      reader.skip(wireType, field);
      continue;
    }
    const value = Number(reader.uint64());
    if (field === EPOCH) part.epoch = value;
    else if (field === NUMBER) part.number = value;
    else if (field === PART_INDEX) part.partIndex = value;
    else part.partCount = value;
  }
  return part;
};

export const endsCommit = ({ partIndex, partCount }: CommitPart): boolean =>
  partIndex + 1 >= partCount;

const follows = (part: CommitPart, last: CommitPart): boolean =>
  part.epoch === last.epoch && part.number === last.number && part.partIndex === last.partIndex + 1;

/** Holds the parts of one subject back until the last of them has come. */
export class PartAssembler<R> {
  #held: R[] = [];
  #last: CommitPart | undefined;

  /** The records of the commit that this one completes, or nothing yet. */
  push(record: R, part: CommitPart): readonly R[] {
    if (this.#last !== undefined && !follows(part, this.#last)) this.#held = [];
    this.#held.push(record);
    this.#last = part;
    if (!endsCommit(part)) return [];
    const whole = this.#held;
    this.drop();
    return whole;
  }

  /** Forgets what is held: reading begins anew, or something else followed it. */
  drop(): void {
    this.#held = [];
    this.#last = undefined;
  }
}

/** The same for a reader of many subjects in stream order: what follows a part and is none ends the wait (T2). */
export class CommitAssembler {
  readonly #parts = new PartAssembler<ResultRecord>();
  #subject = "";

  push(record: ResultRecord): readonly ResultRecord[] {
    if (record.subject !== this.#subject) this.#parts.drop();
    this.#subject = record.subject;
    return this.#parts.push(record, partOf(record.data));
  }

  drop(): void {
    this.#parts.drop();
  }
}

export interface LastCommit {
  /** Of the last commit that is whole. */
  readonly marker: Marker | undefined;
  /** Of the subject's last message, 0 when it has none: what the next append must expect. */
  readonly sequence: number;
}

interface Records<E> {
  readonly last: (subject: string) => Effect.Effect<ResultRecord | undefined, E>;
  readonly lastBefore: (
    subject: string,
    sequence: number,
  ) => Effect.Effect<ResultRecord | undefined, E>;
}

/** From where a task goes on (T1). */
export const lastCommit = Effect.fnUntraced(function* <E>(
  log: Records<E>,
  subject: string,
): Effect.fn.Return<LastCommit, E> {
  const newest = yield* log.last(subject);
  let record = newest;
  while (record !== undefined && !endsCommit(partOf(record.data))) {
    record = yield* log.lastBefore(subject, record.sequence);
  }
  if (newest !== undefined && record !== newest) {
    yield* Effect.logWarning(
      `${subject} ends with parts of a commit whose last part was never stored; going on from the ` +
        `commit before it`,
    );
  }
  return {
    marker: record === undefined ? undefined : readMarker(record.sequence, record.data),
    sequence: newest?.sequence ?? 0,
  };
});
