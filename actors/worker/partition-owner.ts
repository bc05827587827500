/**
 * Owns one partition of a topic in this worker: takes its tasks over, gives those that stand close
 * together one reader, and brings readers together again when a task that lagged has caught up.
 *
 * O1. Every task of the partition has at most one reader at a time.
 * O2. Tasks far apart never wait for each other: a new projection reads the old log alone.
 * O3. A task changes readers only between two record batches, and to one that it is not behind.
 */
import { Cause, Effect, Exit, Fiber, Scope, Semaphore } from "effect";
import { commitSubject } from "../../proto/subjects.ts";
import { untilAvailable } from "../commit/until-available.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { RekeyLog } from "../ports/rekey-log.ts";
import type { ResultLog } from "../ports/result-log.ts";
import type { SnapshotStore } from "../ports/snapshot-store.ts";
import { tickWhenSilent } from "../task/idle-ticker.ts";
import { keepRunning } from "../task/keep-running.ts";
import { findSnapshots } from "../task/snapshot-index.ts";
import type { FoundSnapshot } from "../task/snapshot-index.ts";
import { PartitionActor } from "../task/partition-actor.ts";
import type { BatchIntake, EventTask } from "../task/partition-actor.ts";
import type { EngineSettings } from "../task/settings.ts";
import { TaskActor } from "../task/task-actor.ts";
import type { TaskSpec } from "../task/task-actor.ts";

export interface Ports {
  readonly events: EventLog["Service"];
  readonly results: ResultLog["Service"];
  readonly snapshots: SnapshotStore["Service"];
  readonly rekeyed: RekeyLog["Service"];
}

export interface OwnerOptions {
  readonly topic: string;
  readonly partition: number;
  /** The log may have holes. */
  readonly compacted?: boolean;
  readonly idleAfterMs: number;
  readonly settings: EngineSettings;
  readonly makeIntake: () => BatchIntake;
}

/** A defect while tasks start is a bug; the other partitions go on, and the log says so. */
export const reported = (change: Effect.Effect<void>): Effect.Effect<void> =>
  change.pipe(
    Effect.catchDefect((defect) => Effect.logError("tasks cannot be started", Cause.die(defect))),
  );

interface Running {
  readonly actor: PartitionActor;
  readonly fiber: Fiber.Fiber<void>;
}

/** Tasks in groups whose positions lie at most `spreadMax` apart, the furthest first. */
export const groupByPosition = <T extends { readonly marker: { readonly inputSequence: number } }>(
  tasks: readonly T[],
  spreadMax: number,
): readonly (readonly T[])[] => {
  const groups: T[][] = [];
  let top = Infinity;
  for (const task of tasks.toSorted((a, b) => b.marker.inputSequence - a.marker.inputSequence)) {
    const position = task.marker.inputSequence;
    const group = groups.at(-1);
    if (group !== undefined && top - position <= spreadMax) group.push(task);
    else {
      groups.push([task]);
      top = position;
    }
  }
  return groups;
};

export class PartitionOwner {
  readonly #options: OwnerOptions;
  readonly #ports: Ports;
  readonly #scope: Scope.Closeable;
  /** The furthest reader first. */
  #readers: Running[] = [];
  /** By commit subject. */
  readonly #tasks = new Map<string, EventTask>();
  readonly #oneAtATime = Semaphore.makeUnsafe(1);

  constructor(options: OwnerOptions, ports: Ports) {
    this.#options = options;
    this.#ports = ports;
    this.#scope = Scope.makeUnsafe();
  }

  /** Every task that was ever started here and not stopped, whatever its state. */
  get tasks(): readonly EventTask[] {
    return [...this.#tasks.values()];
  }

  /** Last sequence that any reader has read. */
  get position(): number {
    return this.#readers[0]?.actor.position ?? 0;
  }

  /** How many readers share the partition's tasks. */
  get readers(): number {
    return this.#readers.length;
  }

  /** Speaks for the partition when it is silent. Runs beside the tasks for as long as they do. */
  readonly ticks: Effect.Effect<never> = Effect.suspend(() =>
    keepRunning(
      { loop: "ticks", of: `partition ${this.#options.topic}/${this.#options.partition}` },
      tickWhenSilent({
        ...this.#options,
        tickEveryMsMax: this.#options.settings.tickEveryMsMax,
        events: this.#ports.events,
        reader: () => this.#readers[0]?.actor,
      }),
    ),
  );

  /** Makes these the tasks that run: drains the others, then takes over those that are missing. */
  runOnly(specs: readonly TaskSpec<EventBatch>[]): Effect.Effect<void> {
    const wanted = new Map(specs.map((spec) => [commitSubject(spec.id), spec]));
    return this.#oneAtATime.withPermit(
      Effect.gen({ self: this }, function* () {
        for (const subject of this.#tasks.keys()) {
          if (!wanted.has(subject)) yield* this.#stop(subject);
        }
        const missing = [...wanted].filter(([subject]) => !this.#tasks.has(subject));
        if (missing.length > 0) yield* this.#start(missing.map(([, spec]) => spec));
      }),
    );
  }

  readonly #start = Effect.fnUntraced(function* (
    this: PartitionOwner,
    specs: readonly TaskSpec<EventBatch>[],
  ) {
    const { settings } = this.#options;
    const tasks = specs.map((spec) => new TaskActor(spec, this.#ports.results, settings));
    for (const task of tasks) this.#tasks.set(task.committer.subject, task);
    yield* Effect.forEach(tasks, (task) => task.takeOver, {
      concurrency: "unbounded",
      discard: true,
    });
    const acquired = tasks.filter((task) => task.life.state === "restoring");
    for (const task of acquired) yield* task.startCommits(this.#scope);
    const waitMs = (yield* this.#mayNeedSnapshot(acquired)) ? settings.snapshotWaitMs : 0;
    const groups = yield* findSnapshots(this.#ports.snapshots, acquired, waitMs);
    for (const { from, tasks: members } of groups) {
      for (const group of groupByPosition(members, settings.readerSpreadMax)) {
        yield* this.#read(group, from);
      }
    }
  });

  /** Whether some task has read records that the log no longer has. */
  readonly #mayNeedSnapshot = Effect.fnUntraced(function* (
    this: PartitionOwner,
    tasks: readonly EventTask[],
  ) {
    if (tasks.every((task) => task.marker.inputSequence === 0)) return false;
    const { topic, partition } = this.#options;
    return (yield* untilAvailable(this.#ports.events.bounds(topic, partition))).first > 1;
  });

  /** After committing what it has. Its neighbours go on. */
  readonly #stop = Effect.fnUntraced(function* (this: PartitionOwner, subject: string) {
    const task = this.#tasks.get(subject);
    if (task === undefined) return;
    for (const { actor } of this.#readers) actor.release(task);
    yield* task.drain;
    this.#tasks.delete(subject);
  });

  /** Stops reading, commits, saves snapshots, and ends. */
  readonly drain: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    yield* Effect.forEach(this.#readers, ({ fiber }) => Fiber.interrupt(fiber), {
      concurrency: "unbounded",
      discard: true,
    });
    yield* Effect.forEach(this.#readers, ({ actor }) => actor.drain, {
      concurrency: "unbounded",
      discard: true,
    });
    // Those that are over, and those that no reader has yet.
    for (const task of this.tasks) yield* task.drain;
    yield* this.abandon;
  });

  /** Stops without another word, as a crash would. What is not committed is read again. */
  readonly abandon: Effect.Effect<void> = Effect.suspend(() => Scope.close(this.#scope, Exit.void));

  readonly #read = Effect.fnUntraced(function* (
    this: PartitionOwner,
    tasks: readonly EventTask[],
    from: FoundSnapshot | undefined,
  ) {
    const actor = new PartitionActor(
      {
        ...this.#options,
        ...this.#ports,
        from,
        until: undefined,
        rebuild: (task) => this.#read([task], undefined),
        onApplied: (reader) => this.#bringTogether(reader),
      },
      tasks,
    );
    const fiber = yield* Effect.forkIn(
      actor.run.pipe(
        Effect.ensuring(
          Effect.sync(() => {
            if (actor.tasks.size > 0) return;
            this.#readers = this.#readers.filter((running) => running.actor !== actor);
          }),
        ),
      ),
      this.#scope,
    );
    this.#readers.push({ actor, fiber });
  });

  /** Hands the tasks of a reader that has caught up to the first one (O3). */
  #bringTogether(reader: PartitionActor): void {
    const first = this.#readers[0]?.actor;
    if (first === undefined || first === reader || !first.caughtUp || !reader.caughtUp) return;
    // A reader without tasks is about to end.
    if (first.tasks.size === 0) return;
    if (reader.position < first.position) return;
    for (const task of reader.tasks) {
      if (!task.online) return;
    }
    for (const task of reader.tasks) {
      reader.release(task);
      first.tasks.add(task);
    }
  }
}
