/**
 * What is saved of the tasks that share a reader: the state before them (the intake) and each
 * task's own, all at one input sequence. Protobuf wire format, without a schema of its own: nobody
 * but this file reads it.
 *
 * | field | holds                                           |
 * |-------|-------------------------------------------------|
 * | 1     | layout                                          |
 * | 2     | input sequence                                  |
 * | 3     | the shared state before the tasks               |
 * | 4     | a task: field 1 its commit subject, 2 its state |
 */
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { commitSubject } from "../../proto/subjects.ts";
import type { TaskId } from "../../proto/subjects.ts";
import { SnapshotMismatch } from "./task-core.ts";

const LAYOUT = 1;

export interface GroupSnapshot {
  readonly inputSequence: number;
  /** Empty for a merging task. */
  readonly shared: Uint8Array;
  /** By commit subject. */
  readonly tasks: ReadonlyMap<string, Uint8Array>;
}

/** Named by what it holds, so that another set of projections never loads it. */
export const groupSnapshotName = (
  topic: string,
  partition: number,
  tasks: readonly TaskId[],
): string => {
  const members = tasks.map((task) => `${task.projection}@${task.version}`).toSorted();
  return `${topic}/${partition}/${members.join("+")}`;
};

export const mergeSnapshotName = (task: TaskId): string => commitSubject(task);

export const encodeGroupSnapshot = (snapshot: GroupSnapshot): Uint8Array => {
  const writer = new BinaryWriter()
    .uint32(8)
    .uint32(LAYOUT)
    .uint32(16)
    .uint64(snapshot.inputSequence)
    .uint32(26)
    .bytes(snapshot.shared);
  for (const [subject, state] of snapshot.tasks) {
    writer.uint32(34).fork().uint32(10).string(subject).uint32(18).bytes(state).join();
  }
  return writer.finish();
};

const decodeTask = (reader: BinaryReader): readonly [string, Uint8Array] => {
  const end = reader.uint32() + reader.pos;
  let subject = "";
  let state: Uint8Array = new Uint8Array(0);
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === 10) subject = reader.string();
    else if (tag === 18) state = reader.bytes();
    else throw new SnapshotMismatch(`a group snapshot's task has no field ${tag >>> 3}`);
  }
  return [subject, state];
};

/** Throws SnapshotMismatch, or whatever the wire reader throws, for bytes of another layout. */
export const decodeGroupSnapshot = (bytes: Uint8Array): GroupSnapshot => {
  const reader = new BinaryReader(bytes);
  let layout = 0;
  let inputSequence = 0;
  let shared: Uint8Array = new Uint8Array(0);
  const tasks = new Map<string, Uint8Array>();
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 8) layout = reader.uint32();
    else if (tag === 16) inputSequence = Number(reader.uint64());
    else if (tag === 26) shared = reader.bytes();
    else if (tag === 34) tasks.set(...decodeTask(reader));
    else throw new SnapshotMismatch(`a group snapshot has no field ${tag >>> 3}`);
  }
  if (layout !== LAYOUT) throw new SnapshotMismatch(`a group snapshot has layout ${layout}`);
  return { inputSequence, shared, tasks };
};
