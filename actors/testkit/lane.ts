/** A task at work on one log, in memory: its intake, its core and how far it has read. */
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { emptyBooks } from "../task/books-keeper.ts";
import type { BatchIntake } from "../task/partition-actor.ts";
import type { TaskCore } from "../task/task-core.ts";
import { ACCOUNTS } from "./output.ts";

const hex = (core: TaskCore<never>) => Buffer.from(core.digest()).toString("hex");

/** A fresh core that goes on from the snapshot of another; undefined if its state is another. */
export const restarted = <Core extends TaskCore<never>>(
  old: Core,
  fresh: Core,
): Core | undefined => {
  fresh.restore(old.snapshot());
  return hex(old) === hex(fresh) ? fresh : undefined;
};

export class Lane {
  intake: BatchIntake;
  core: TaskCore<EventBatch>;
  sequence = 0;
  readonly #makeIntake: () => BatchIntake;
  readonly #makeCore: () => TaskCore<EventBatch>;

  constructor(makeIntake: () => BatchIntake, makeCore: () => TaskCore<EventBatch>) {
    this.#makeIntake = makeIntake;
    this.#makeCore = makeCore;
    this.intake = makeIntake();
    this.core = makeCore();
  }

  apply(data: Uint8Array): void {
    this.core.apply(this.intake.read(++this.sequence, data));
  }

  /** Goes on from snapshots in fresh objects; false if the state is another then. */
  restart(): boolean {
    const intake = this.#makeIntake();
    intake.restore(this.intake.snapshot());
    this.intake = intake;
    const core = restarted(this.core, this.#makeCore());
    if (core === undefined) return false;
    this.core = core;
    return true;
  }
}

/** The marker fields of a commit, as a committer would write them. */
export const markerOf = (core: TaskCore<never>, partition: number): Uint8Array => {
  const { watermark, idle, ingestTime } = core.progress();
  return Commit.encode({
    ...Commit.decode(new Uint8Array(0)),
    partition,
    partIndex: 0,
    partCount: 1,
    watermark,
    // A partition that never held an event says so: it holds nobody back.
    idle: idle || watermark === undefined,
    ingestTime,
  }).finish();
};

export const sumOfBooks = (all: readonly Books[]): Books => {
  const total = emptyBooks();
  for (const books of all) for (const account of ACCOUNTS) total[account] += books[account];
  return total;
};
