/**
 * Reads one partition for the tasks that stand close together in it: each record batch is fetched
 * and decoded once, whatever the number of projections, and applied to every task that has not seen
 * it yet.
 *
 * P1. Sequences follow each other without a gap, or reading stops for good (RELIABILITY T7). A compacted log
 *     has holes: what it lacks, the tasks that read it can do without.
 * P2. Between two yields every task stands at the end of a record batch.
 * P3. Reading waits while a task's output outgrows the log (back-pressure).
 * P4. A task that is over, or must be rebuilt, leaves; the others go on.
 */
import { Clock, Effect, Latch, Metric } from "effect";
import type { EventBatch } from "../intake/event-batch.ts";
import { untilAvailable } from "../commit/until-available.ts";
import { LogGap } from "../ports/event-log.ts";
import type { EventLog, LogReader, LogRecord } from "../ports/event-log.ts";
import type { SnapshotStore } from "../ports/snapshot-store.ts";
import { eventsStream } from "../../proto/subjects.ts";
import { groupSnapshotName } from "./group-snapshot.ts";
import { keepRunning } from "./keep-running.ts";
import { counter } from "./metrics.ts";
import type { EngineSettings } from "./settings.ts";
import type { FoundSnapshot } from "./snapshot-index.ts";
import { SnapshotKeeper } from "./snapshot-keeper.ts";
import type { TaskActor } from "./task-actor.ts";

/** The shared front of a partition's tasks: `Intake`, seen from here. */
export interface BatchIntake {
  read(sequence: number, bytes: Uint8Array): EventBatch;
  snapshot(): Uint8Array;
  restore(snapshot: Uint8Array): void;
}

export type EventTask = TaskActor<EventBatch>;

export interface PartitionOptions {
  readonly topic: string;
  readonly partition: number;
  /** The log may have holes. */
  readonly compacted?: boolean;
  readonly events: EventLog["Service"];
  readonly snapshots: SnapshotStore["Service"];
  readonly settings: EngineSettings;
  readonly makeIntake: () => BatchIntake;
  /** What all of the tasks are restored from; undefined rebuilds them from the log. */
  readonly from: FoundSnapshot | undefined;
  /** A replay ends here; undefined reads on for ever. */
  readonly until: number | undefined;
  /** Gives a task whose state differed a reader of its own, from the first retained event. */
  readonly rebuild: (task: EventTask) => Effect.Effect<void>;
  /** After what was fetched has been applied. */
  readonly onApplied: (actor: PartitionActor, records: readonly LogRecord[]) => void;
}

/** Bytes that are applied between two yields. */
const SLICE_BYTES = 512 * 1024;
const REOPEN_AFTER_MS = 250;
const BOUNDS_EVERY_MS = 5_000;

export class PartitionActor {
  readonly tasks: Set<EventTask>;
  readonly #options: PartitionOptions;
  readonly #keeper: SnapshotKeeper;
  readonly #emptied = Latch.makeUnsafe(false);
  readonly #batches: Metric.Counter<number>;
  #intake: BatchIntake;
  #position = 0;
  /** Nothing was read yet, and what comes first is the first retained record. */
  #atLogStart = false;
  #endKnown = 0;
  #caughtUp = false;
  #lastEventAt = 0;

  constructor(options: PartitionOptions, tasks: readonly EventTask[]) {
    this.#options = options;
    this.tasks = new Set(tasks);
    this.#keeper = new SnapshotKeeper(options.snapshots, options.settings.snapshotEveryMs);
    this.#intake = options.makeIntake();
    this.#batches = counter("recordBatches", { topic: options.topic });
  }

  get #compacted(): boolean {
    return this.#options.compacted ?? false;
  }
  /** Last sequence read. */
  get position(): number {
    return this.#position;
  }
  /** Whether the end of the log was reached once. */
  get caughtUp(): boolean {
    return this.#caughtUp;
  }
  /** Clock time when the last event was read, or the end of the log was first reached. */
  get lastEventAt(): number {
    return this.#lastEventAt;
  }
  /** Whether the partition ever held an event that counts; only then can a tick move time. */
  get heldEvent(): boolean {
    for (const task of this.tasks) return task.core.progress().watermark !== undefined;
    return false;
  }
  get snapshotName(): string {
    const ids = [...this.tasks].map((task) => task.id);
    return groupSnapshotName(this.#options.topic, this.#options.partition, ids);
  }

  /** Lets a task go, between two record batches. */
  release(task: EventTask): void {
    this.tasks.delete(task);
    if (this.tasks.size === 0) this.#emptied.openUnsafe();
  }

  /** Until no task is left, or `until` is reached. Interruptible at any point: then `drain`. */
  readonly run: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    yield* this.#load;
    const { topic, partition } = this.#options;
    const heartbeat = { loop: "heartbeat", of: `partition ${topic}/${partition}` } as const;
    yield* Effect.forkScoped(keepRunning(heartbeat, this.#heartbeats));
    yield* Effect.raceFirst(this.#read, this.#emptied.await);
  }).pipe(
    Effect.scoped,
    Effect.catchTag("LogGap", (gap) => this.#stop(gap)),
    Effect.catchDefect((defect) => this.#quarantineAll(`reading failed: ${String(defect)}`)),
  );

  /** After `run` was interrupted: commits what there is, saves a snapshot, stops the tasks. */
  readonly drain: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    const tasks = [...this.tasks];
    const name = this.snapshotName;
    yield* this.#take("now");
    yield* Effect.forEach(tasks, (task) => task.drain, { concurrency: "unbounded", discard: true });
    yield* this.#keeper.saveCommitted(name);
  });

  /** Restores the tasks, or starts empty from the first retained record batch. */
  readonly #load = Effect.gen({ self: this }, function* () {
    const { topic, partition, events } = this.#options;
    const bounds = yield* untilAvailable(events.bounds(topic, partition));
    this.#endKnown = bounds.last;
    this.#refuseCutLog(bounds.first, bounds.last);
    yield* this.#reap;
    const restored = yield* this.#restore(bounds.first);
    if (!restored) {
      this.#intake = this.#options.makeIntake();
      this.#position = bounds.first - 1;
      this.#atLogStart = true;
      for (const task of this.tasks) task.startOver();
    }
    for (const task of this.tasks) {
      task.begin(restored ? "snapshot" : "log", this.#position + 1, this.#compacted);
    }
    yield* Effect.logDebug(
      `${this.snapshotName} goes on from ${restored ? "its snapshot" : "the log"} ` +
        `at ${this.#position + 1}, the log holds ${bounds.first} to ${bounds.last}`,
    );
    yield* this.#reap;
  });

  readonly #restore = Effect.fnUntraced(function* (this: PartitionActor, first: number) {
    const { from } = this.#options;
    if (from === undefined) return false;
    if (!this.#compacted && from.snapshot.inputSequence + 1 < first) return false;
    const { inputSequence, shared, tasks } = from.snapshot;
    try {
      this.#intake.restore(shared);
      for (const task of this.tasks) {
        const state = tasks.get(task.committer.subject);
        if (state === undefined) return false;
        task.restore(state, inputSequence);
      }
    } catch (error) {
      yield* Effect.logWarning(`snapshot ${from.name} is of no use: ${String(error)}`);
      return false;
    }
    this.#position = inputSequence;
    return true;
  });

  /** Records that a task has not read are gone, or the log ends before what it has read. */
  #refuseCutLog(first: number, last: number): void {
    const stream = eventsStream(this.#options.topic, this.#options.partition);
    for (const task of this.tasks) {
      const read = task.marker.inputSequence;
      if (read > 0 && first > read + 1 && !this.#compacted) {
        task.quarantine(new LogGap({ stream, expected: read + 1, found: first }).message);
      } else if (last < read) {
        task.quarantine(
          `stream ${stream} ends at ${last} but ${read} was committed: ` +
            `it was deleted, or restored from an older copy`,
        );
      }
    }
  }

  readonly #read = Effect.gen({ self: this }, function* () {
    const { topic, partition, events, until } = this.#options;
    while (true) {
      const from = this.#position + 1;
      const opened = events.open(topic, partition, from, this.#compacted);
      const done = yield* untilAvailable(opened).pipe(
        Effect.flatMap((reader) => this.#readOn(reader, until ?? Infinity)),
        Effect.scoped,
        Effect.catchTag("LogGap", (gap) => this.#startLater(gap)),
        Effect.catchTag("LogUnavailable", (error) =>
          Effect.logWarning(`reading is interrupted: ${error.message}`).pipe(
            Effect.andThen(Effect.sleep(REOPEN_AFTER_MS)),
            Effect.as(false),
          ),
        ),
      );
      if (done) return;
    }
  });

  /** Retention may cut the log's first records before they are read: that is no gap yet. */
  readonly #startLater = Effect.fnUntraced(function* (this: PartitionActor, gap: LogGap) {
    if (!this.#atLogStart || gap.found <= gap.expected) return yield* gap;
    this.#refuseCutLog(gap.found, Math.max(gap.found - 1, this.#endKnown));
    this.#position = gap.found - 1;
    for (const task of this.tasks) task.noteCutLog();
    yield* this.#reap;
    return false;
  });

  readonly #readOn = Effect.fnUntraced(function* (
    this: PartitionActor,
    reader: LogReader,
    until: number,
  ) {
    while (true) {
      yield* this.#noteEnd;
      if (this.#position >= until) return true;
      const records = yield* reader.next;
      yield* this.#apply(records, until);
      yield* Metric.update(this.#batches, records.length);
      this.#options.onApplied(this, records);
      yield* this.#reap;
    }
  });

  readonly #apply = Effect.fnUntraced(function* (
    this: PartitionActor,
    records: readonly LogRecord[],
    until: number,
  ) {
    const now = yield* Clock.currentTimeMillis;
    let bytes = 0;
    for (const record of records) {
      if (record.sequence > until) return;
      if (record.sequence !== this.#position + 1) {
        if (!this.#compacted) return yield* this.#gap(record.sequence);
        // What a marker names may be gone: then its state is there before what follows.
        for (const task of this.tasks) task.compareBefore(record.sequence);
      }
      this.#atLogStart = false;
      const batch = this.#intake.read(record.sequence, record.data);
      if (batch.count > 0) this.#lastEventAt = now;
      for (const task of this.tasks) {
        // A merging task waits to hear that a partition fell silent, or woke up.
        const urgent = batch.idle !== task.marker.idle;
        task.feed(record.sequence, batch, urgent, true);
      }
      this.#position = record.sequence;
      bytes += record.data.byteLength;
      if (bytes < SLICE_BYTES) continue;
      bytes = 0;
      yield* this.#pause;
    }
    yield* this.#pause;
  });

  /** Lets commits and other partitions run, and waits for tasks whose output outgrows the log. */
  readonly #pause = Effect.gen({ self: this }, function* () {
    yield* Effect.yieldNow;
    for (const task of this.tasks) if (task.overloaded) yield* task.settled;
  });

  #gap(found: number): LogGap {
    const stream = eventsStream(this.#options.topic, this.#options.partition);
    return new LogGap({ stream, expected: this.#position + 1, found });
  }

  /** Tasks become live when the end of the log, as it was a moment ago, is near. */
  readonly #noteEnd = Effect.gen({ self: this }, function* () {
    const waiting = [...this.tasks].some((task) => task.life.state === "catchingUp");
    if (this.#position < this.#endKnown || (this.#caughtUp && !waiting)) return;
    yield* this.#askEnd;
    if (this.#position + this.#options.settings.liveWithin < this.#endKnown) return;
    if (!this.#caughtUp) this.#lastEventAt = yield* Clock.currentTimeMillis;
    this.#caughtUp = true;
    for (const task of this.tasks) task.caughtUp();
  });

  readonly #askEnd = Effect.gen({ self: this }, function* () {
    const { topic, partition, events } = this.#options;
    this.#endKnown = (yield* untilAvailable(events.bounds(topic, partition))).last;
  });

  readonly #heartbeats: Effect.Effect<never> = Effect.gen({ self: this }, function* () {
    let boundsAt = 0;
    while (true) {
      const { partialProgressEveryMs, progressEveryMs } = this.#options.settings;
      yield* Effect.sleep(Math.min(partialProgressEveryMs, progressEveryMs));
      const now = yield* Clock.currentTimeMillis;
      for (const task of this.tasks) task.heartbeat(now);
      yield* this.#take("regularly");
      yield* this.#keeper.saveCommitted(this.snapshotName);
      if (now - boundsAt >= BOUNDS_EVERY_MS) {
        boundsAt = now;
        yield* this.#askEnd;
        for (const task of this.tasks) {
          yield* task.reportLag(Math.max(0, this.#endKnown - task.marker.inputSequence));
        }
      }
      yield* this.#reap;
    }
  });

  #take(due: "now" | "regularly"): Effect.Effect<void> {
    return this.#keeper.take(due, () => ({
      name: this.snapshotName,
      members: [...this.tasks],
      inputSequence: this.#position,
      shared: () => this.#intake.snapshot(),
    }));
  }

  /** P4. A reader without tasks ends only after what leaves it to be rebuilt has another. */
  readonly #reap = Effect.gen({ self: this }, function* () {
    for (const task of this.tasks) {
      yield* task.report;
      const rebuild = task.mustRebuild;
      if ((!task.over && !rebuild) || !this.tasks.delete(task)) continue;
      if (rebuild) yield* this.#rebuild(task);
      if (this.tasks.size === 0) this.#emptied.openUnsafe();
    }
  });

  /** The task is in nobody's hands meanwhile, so this is not to be cut off. */
  #rebuild(task: EventTask): Effect.Effect<void> {
    const { from, rebuild } = this.#options;
    const removed = from === undefined ? Effect.void : this.#keeper.remove(from.name);
    return removed.pipe(
      Effect.andThen(Effect.sync(() => task.startOver())),
      Effect.andThen(rebuild(task)),
      Effect.uninterruptible,
    );
  }

  #stop(gap: LogGap): Effect.Effect<void> {
    const { topic, partition } = this.#options;
    return Metric.update(counter("gaps", { topic, partition: String(partition) }), 1).pipe(
      Effect.andThen(this.#quarantineAll(gap.message)),
    );
  }

  #quarantineAll(reason: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      for (const task of this.tasks) task.quarantine(reason);
      return this.#reap;
    });
  }
}
