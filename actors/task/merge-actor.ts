/**
 * Reads the partials of one version of a projection from RESULTS, all partitions in stream order, for
 * its merging task.
 *
 * G1. A commit of many parts counts as one input: nothing of it is applied before its last part has
 *     come, and nothing is committed or saved between its parts.
 * G2. The position is the RESULTS sequence of the last partial commit included.
 */
import { Clock, Effect, Latch } from "effect";
import { PartAssembler, partOf } from "../commit/parts.ts";
import { untilAvailable } from "../commit/until-available.ts";
import type { ResultLog, ResultReader, ResultRecord } from "../ports/result-log.ts";
import type { SnapshotStore } from "../ports/snapshot-store.ts";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { partialsFilter } from "../../proto/subjects.ts";
import { mergeSnapshotName } from "./group-snapshot.ts";
import { keepRunning } from "./keep-running.ts";
import type { MergeInput } from "./merge-core.ts";
import type { EngineSettings } from "./settings.ts";
import { findSnapshots } from "./snapshot-index.ts";
import { SnapshotKeeper } from "./snapshot-keeper.ts";
import type { TaskActor } from "./task-actor.ts";

export type MergeTask = TaskActor<MergeInput>;

export interface MergeOptions {
  readonly results: ResultLog["Service"];
  readonly snapshots: SnapshotStore["Service"];
  readonly settings: EngineSettings;
}

const REOPEN_AFTER_MS = 250;
const NOTHING = new Uint8Array(0);

export class MergeActor {
  readonly task: MergeTask;
  readonly #options: MergeOptions;
  readonly #keeper: SnapshotKeeper;
  readonly #name: string;
  /** Open once the task needs no more input here. */
  readonly #over = Latch.makeUnsafe(false);
  /** Opened whenever something was applied. */
  readonly #advanced = Latch.makeUnsafe(false);
  readonly #assemblers = new Map<string, PartAssembler<ResultRecord>>();
  #atBoundary = true;
  #lag = 0;
  /** Whether anything arrived since the last heartbeat. */
  #arrived = false;

  constructor(options: MergeOptions, task: MergeTask) {
    this.#options = options;
    this.task = task;
    this.#keeper = new SnapshotKeeper(options.snapshots, options.settings.snapshotEveryMs);
    this.#name = mergeSnapshotName(task.id);
  }

  /** Until the task is over. Interruptible at any point: then `drain`. */
  readonly run: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    const heartbeat = { loop: "heartbeat", of: `merging task ${this.#name}` } as const;
    yield* Effect.forkScoped(keepRunning(heartbeat, this.#heartbeats));
    let from = yield* this.#load(true);
    while (!this.task.over) {
      yield* Effect.raceFirst(this.#read(from), this.#over.await);
      if (this.task.mustRebuild) {
        yield* this.#keeper.remove(this.#name);
        from = yield* this.#load(false);
      } else {
        from = this.task.position + 1;
      }
    }
  }).pipe(
    Effect.scoped,
    Effect.catchDefect((defect) => {
      this.task.quarantine(`reading failed: ${String(defect)}`);
      return this.task.report;
    }),
    // Whoever waits in `reached` sees that the task is over.
    Effect.ensuring(Effect.sync(() => this.#advanced.openUnsafe())),
  );

  /** Waits until everything up to a RESULTS sequence is applied, or the task is over. */
  reached(sequence: number): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      while (this.task.position < sequence && !this.task.over) {
        this.#advanced.closeUnsafe();
        yield* this.#advanced.await;
      }
    });
  }

  /** After `run` was interrupted: commits what there is, saves a snapshot, stops the task. */
  readonly drain: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    yield* this.#take("now");
    yield* this.task.drain;
    yield* this.#keeper.saveCommitted(this.#name);
  });

  /** Returns the sequence to read from. */
  readonly #load = Effect.fnUntraced(function* (this: MergeActor, useSnapshot: boolean) {
    const restored = useSnapshot && (yield* this.#restore);
    if (!restored) this.task.startOver();
    this.#atBoundary = true;
    const from = this.task.position + 1;
    this.task.begin(restored ? "snapshot" : "log", from);
    yield* this.task.report;
    return from;
  });

  readonly #restore = Effect.gen({ self: this }, function* () {
    const [group] = yield* findSnapshots(this.#options.snapshots, [this.task]);
    const snapshot = group?.from?.snapshot;
    const state = snapshot?.tasks.get(this.task.committer.subject);
    if (snapshot === undefined || state === undefined) return false;
    try {
      this.task.restore(state, snapshot.inputSequence);
      return true;
    } catch (error) {
      yield* Effect.logWarning(`snapshot ${this.#name} is of no use: ${String(error)}`);
      return false;
    }
  });

  #read(from: number): Effect.Effect<void> {
    // Parts that are held come again: the position is before them.
    this.#assemblers.clear();
    const { projection, version } = this.task.id;
    const filters = [partialsFilter(projection, version)];
    return untilAvailable(this.#options.results.open(filters, from)).pipe(
      Effect.flatMap((reader) => this.#readOn(reader)),
      Effect.scoped,
      Effect.catchTag("LogUnavailable", (error) =>
        Effect.logWarning(`reading is interrupted: ${error.message}`).pipe(
          Effect.andThen(Effect.sleep(REOPEN_AFTER_MS)),
        ),
      ),
    );
  }

  readonly #readOn = Effect.fnUntraced(function* (this: MergeActor, reader: ResultReader) {
    while (true) {
      const records = yield* reader.next;
      this.#arrived = true;
      for (const record of records) this.#apply(record);
      this.#advanced.openUnsafe();
      if (this.#lag === 0) this.task.caughtUp();
      yield* Effect.yieldNow;
      if (this.task.overloaded) yield* this.task.settled;
      yield* this.task.report;
      if (this.task.over || this.task.mustRebuild) return;
    }
  });

  #apply(record: ResultRecord): void {
    this.#lag = record.pending;
    const parts = this.#assemblerOf(record.subject).push(record, partOf(record.data));
    if (parts.length === 0) return;
    this.task.compareBefore(record.sequence);
    const first = parts[0]!.sequence;
    for (const part of parts) {
      this.#atBoundary = part === record;
      const input = { sequence: part.sequence, first, commit: Commit.decode(part.data) };
      this.task.feed(part.sequence, input, false, this.#atBoundary);
    }
  }

  #assemblerOf(subject: string): PartAssembler<ResultRecord> {
    let assembler = this.#assemblers.get(subject);
    if (assembler === undefined) {
      assembler = new PartAssembler();
      this.#assemblers.set(subject, assembler);
    }
    return assembler;
  }

  readonly #heartbeats: Effect.Effect<never> = Effect.gen({ self: this }, function* () {
    while (true) {
      yield* Effect.sleep(this.#options.settings.progressEveryMs);
      const now = yield* Clock.currentTimeMillis;
      this.task.heartbeat(now);
      // Nothing may ever follow what a snapshot holds.
      if (!this.#arrived && this.#lag === 0) this.task.caughtUp();
      this.#arrived = false;
      yield* this.#take("regularly");
      yield* this.#keeper.saveCommitted(this.#name);
      yield* this.task.reportLag(this.#lag);
      yield* this.task.report;
      if (!this.task.over) continue;
      this.#over.openUnsafe();
      this.#advanced.openUnsafe();
    }
  });

  /** G1. */
  #take(due: "now" | "regularly"): Effect.Effect<void> {
    return this.#keeper.take(due, () => ({
      name: this.#name,
      members: this.#atBoundary ? [this.task] : [],
      inputSequence: this.task.position,
      shared: () => NOTHING,
    }));
  }
}
