/**
 * The marker: the fields of a task's last commit from which the task recovers.
 */
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import type { TaskId } from "../../proto/subjects.ts";
import type { Progress } from "../task/task-core.ts";

export interface Marker extends Progress {
  /** Its own sequence in RESULTS: what the next commit expects. */
  readonly sequence: number;
  readonly epoch: number;
  /** 1, 2, 3 ... per task. */
  readonly number: number;
  readonly digest: Uint8Array;
  readonly definitionDigest: Uint8Array;
}

export const NO_BOOKS: Books = {
  events: 0,
  counted: 0,
  late: 0,
  duplicate: 0,
  conflict: 0,
  future: 0,
  invalid: 0,
  filtered: 0,
  poison: 0,
};

export const readMarker = (sequence: number, data: Uint8Array): Marker => {
  const commit = Commit.decode(data);
  return {
    sequence,
    epoch: commit.epoch,
    number: commit.number,
    inputSequence: commit.inputSequence,
    watermark: commit.watermark,
    idle: commit.idle,
    ingestTime: commit.ingestTime,
    digest: commit.digest,
    books: commit.books ?? NO_BOOKS,
    retainFrom: commit.retainFrom,
    definitionDigest: commit.definitionDigest,
  };
};

const NO_BYTES = Buffer.alloc(0);

/**
 * The messages of one commit. Protobuf messages concatenate, so a part is a fragment of the draft
 * followed by the encoded header, and in the last part by the marker.
 */
export const encodeParts = (
  task: TaskId,
  marker: Omit<Marker, "sequence">,
  fragments: readonly Uint8Array[],
): readonly Uint8Array[] => {
  const partCount = Math.max(1, fragments.length);
  const parts: Uint8Array[] = [];
  for (let partIndex = 0; partIndex < partCount; partIndex++) {
    const last = partIndex === partCount - 1;
    const header = Commit.encode({
      projection: task.projection,
      version: task.version,
      partition: task.partition,
      epoch: marker.epoch,
      number: marker.number,
      partIndex,
      partCount,
      inputSequence: last ? marker.inputSequence : 0,
      watermark: last ? marker.watermark : undefined,
      idle: last && marker.idle,
      digest: last ? Buffer.from(marker.digest) : NO_BYTES,
      books: last ? marker.books : undefined,
      ingestTime: last ? marker.ingestTime : 0,
      definitionDigest: last ? Buffer.from(marker.definitionDigest) : NO_BYTES,
      retainFrom: last ? marker.retainFrom : 0,
      columns: [],
      updates: [],
      partials: [],
      deadLetters: [],
      routed: [],
    }).finish();
    const fragment = fragments[partIndex];
    parts.push(fragment === undefined ? header : Buffer.concat([fragment, header]));
  }
  return parts;
};
