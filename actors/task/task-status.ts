/** What a task says about itself, at this moment, for `/status` and the command line. */
import type { TaskId } from "../../proto/subjects.ts";
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import type { TaskActor } from "./task-actor.ts";
import type { TaskState } from "./task-machine.ts";

export interface TaskStatus {
  readonly task: TaskId;
  /** Of its commits in RESULTS. */
  readonly subject: string;
  readonly state: TaskState;
  /** Why it is fenced or quarantined. */
  readonly reason: string | undefined;
  /** Last input sequence that the state includes, and the last one that is committed. */
  readonly position: number;
  readonly committedPosition: number;
  /** Input records that are not committed yet, as of the last look at the log. */
  readonly lag: number;
  /** Milliseconds since the epoch; undefined before the first event. */
  readonly watermark: number | undefined;
  readonly idle: boolean;
  readonly ingestTime: number;
  readonly epoch: number;
  readonly commits: number;
  /** RESULTS sequence of the last commit. */
  readonly committedAt: number;
  /** Of the committed state: 16 hexadecimal digits. */
  readonly digest: string;
  readonly books: Books | undefined;
  readonly recoveryMs: number | undefined;
}

export const statusOf = <Input>(task: TaskActor<Input>): TaskStatus => {
  const marker = task.committer.last;
  return {
    task: task.id,
    subject: task.committer.subject,
    state: task.life.state,
    reason: task.life.reason,
    position: task.position,
    committedPosition: marker?.inputSequence ?? 0,
    lag: task.lag,
    watermark: marker?.watermark,
    idle: marker?.idle ?? false,
    ingestTime: marker?.ingestTime ?? 0,
    epoch: marker?.epoch ?? 0,
    commits: marker?.number ?? 0,
    committedAt: marker?.sequence ?? 0,
    digest: marker === undefined ? "" : Buffer.from(marker.digest).toString("hex"),
    books: marker?.books,
    recoveryMs: task.recoveryMs,
  };
};
