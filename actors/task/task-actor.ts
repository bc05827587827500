/**
 * One task at work: a core, its committer and its life. Whoever reads its input (`partition-actor`,
 * `merge-actor`) feeds it; it commits on a fiber of its own, so that reading goes on while a commit
 * is in flight and the next commit takes all that gathered meanwhile.
 *
 * A1. `feed` is synchronous: between two yields the core always stands at an input's end.
 * A2. Nothing is committed before the digest at the marker was found equal; output up to the marker
 *     is discarded, for it was published before.
 * A3. At most one commit is in flight, and none is ever interrupted by a drain.
 * A4. A failure of this task ends this task only.
 */
import { projectionOfTasks } from "../../projections/definition/table-stage.ts";
import { Cause, Clock, Effect, Exit, Latch } from "effect";
import type { Scope } from "effect";
import type { TaskId } from "../../proto/subjects.ts";
import { Committer } from "../commit/committer.ts";
import type { Marker } from "../commit/marker.ts";
import { Fenced } from "../ports/result-log.ts";
import type { ResultLog } from "../ports/result-log.ts";
import type { EngineSettings } from "./settings.ts";
import type { Progress, TaskCore } from "./task-core.ts";
import { isOver, mayPublish, newLife, step } from "./task-machine.ts";
import type { TaskEvent, TaskLife } from "./task-machine.ts";
import { makeTaskMetrics } from "./task-metrics.ts";
import type { TaskMetrics } from "./task-metrics.ts";

/** What a task is made from. */
export interface TaskSpec<Input> {
  readonly id: TaskId;
  /** Of the definition: `ProjectionPlan.digest`. */
  readonly definitionDigest: Uint8Array;
  /** The projection that is its table, if it has one: where to look when the digest is another. */
  readonly table?: string | undefined;
  readonly makeCore: () => TaskCore<Input>;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export class TaskActor<Input> {
  readonly id: TaskId;
  readonly committer: Committer;
  readonly #spec: TaskSpec<Input>;
  readonly #settings: EngineSettings;
  readonly #metrics: TaskMetrics;
  #life: TaskLife = newLife();
  #core: TaskCore<Input>;
  /** Transitions that are not yet logged. */
  #unlogged: TaskLife[] = [];
  #position = 0;
  /** Whether the core stands where a commit may end: not between the parts of a merged commit. */
  #atBoundary = true;
  /** The state is being rebuilt from a log whose first records are gone. */
  #logWasCut = false;
  /** Neither a snapshot nor the log holds the state; to be counted once. */
  #stateLost = false;
  #startedAt = 0;
  #lastCommitAt = 0;
  #progressDue = false;
  #recoveryMs: number | undefined;
  #mustRebuild = false;
  #lag = 0;
  /** Open while there may be something to commit. */
  readonly #wake = Latch.makeUnsafe(false);
  /** Open while no commit is in flight. */
  readonly #settled = Latch.makeUnsafe(true);
  /** Open once the commit fiber has ended. */
  readonly #ended = Latch.makeUnsafe(false);
  #running = false;
  #commitsWhileDraining = false;
  /** The partition never held an accepted event and has been silent: it holds nothing back. */
  #declaredIdle = false;

  constructor(spec: TaskSpec<Input>, log: ResultLog["Service"], settings: EngineSettings) {
    this.id = spec.id;
    this.#spec = spec;
    this.#settings = settings;
    this.committer = new Committer(log, spec.id, spec.definitionDigest, spec.table);
    this.#metrics = makeTaskMetrics(spec.id);
    this.#core = spec.makeCore();
  }

  get life(): TaskLife {
    return this.#life;
  }
  get over(): boolean {
    return isOver(this.#life);
  }
  /** Last input sequence that the core has seen. */
  get position(): number {
    return this.#position;
  }
  get core(): TaskCore<Input> {
    return this.#core;
  }
  get marker(): Marker {
    return this.committer.marker;
  }
  get online(): boolean {
    return mayPublish(this.#life);
  }
  /** Reading must wait for `settled`: the output outgrows the log. */
  get overloaded(): boolean {
    return !this.#settled.isOpen() && this.#core.pendingBytes > this.#settings.pendingBytesMax;
  }
  get settled(): Effect.Effect<void> {
    return this.#settled.await;
  }
  /** The digest differed with a snapshot: the state is to be rebuilt from the log, elsewhere. */
  get mustRebuild(): boolean {
    return this.#mustRebuild && !this.over;
  }
  /** Input records that are not committed, as of the last look. */
  get lag(): number {
    return this.#lag;
  }
  get recoveryMs(): number | undefined {
    return this.#recoveryMs;
  }

  /** Takes the task from every other owner. Afterwards it is restoring, fenced or quarantined. */
  readonly takeOver: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    this.#startedAt = yield* Clock.currentTimeMillis;
    const fresh = { ...this.#core.progress(), digest: this.#core.digest() };
    const exit = yield* Effect.exit(this.committer.takeOver(fresh));
    if (Exit.isSuccess(exit)) this.#send({ type: "acquired" });
    else this.#fail(exit.cause);
    yield* this.report;
  });

  /** A core that has read nothing, in place of the current one. */
  startOver(): void {
    this.#mustRebuild = false;
    this.#core = this.#spec.makeCore();
    this.#position = 0;
    this.#atBoundary = true;
  }

  /** May throw: the snapshot is then of no use, and the core is to be started over. */
  restore(snapshot: Uint8Array, position: number): void {
    this.#core.restore(snapshot);
    this.#position = position;
  }

  /**
   * The state is loaded and input follows from `fromSequence` on. When the marker lies before it
   * there is nothing to re-read. A compacted log lacks records, wherever it begins.
   */
  begin(from: "snapshot" | "log", fromSequence: number, compacted = false): void {
    this.#send({ type: "loaded", from });
    this.#logWasCut = from === "log" && (fromSequence > 1 || compacted);
    if (fromSequence > this.marker.inputSequence) this.#compare();
  }

  /** Retention has cut the log since `begin`, which said that it is read from its first record. */
  noteCutLog(): void {
    this.#logWasCut = true;
  }

  /**
   * Applies one input. `urgent` asks for a commit even without output; `boundary` says that a
   * commit may end after this input.
   */
  feed(sequence: number, input: Input, urgent: boolean, boundary: boolean): void {
    if (sequence <= this.#position || this.#mustRebuild || this.over) return;
    try {
      this.#core.apply(input);
      this.#position = sequence;
      this.#declaredIdle = false;
      this.#atBoundary = boundary;
      if (this.#life.state === "restoring") {
        if (this.#core.pendingItems > 0) this.#core.take();
        if (boundary && sequence >= this.marker.inputSequence) this.#compare();
        return;
      }
    } catch (error) {
      this.quarantine(`the task failed on input ${sequence}: ${String(error)}`);
      return;
    }
    if (urgent) this.#progressDue = true;
    if (boundary && (urgent || this.#core.pendingItems > 0)) this.#wake.openUnsafe();
  }

  /** For inputs that are missing between the marker and the next: trimmed partials. */
  compareBefore(sequence: number): void {
    if (this.#life.state !== "restoring" || sequence <= this.marker.inputSequence) return;
    this.#compare();
  }

  /** The end of the input as it was known is reached. */
  caughtUp(): void {
    if (this.#life.state === "catchingUp") this.#send({ type: "caughtUp" });
  }

  quarantine(reason: string): void {
    if (!this.over) this.#send({ type: "quarantine", reason });
    this.#wake.openUnsafe();
  }

  /**
   * Says in the next commit that the partition, which never held an accepted event, is idle. Once
   * it holds one, the log itself says so.
   */
  declareIdle(): void {
    if (!this.online || this.#declaredIdle || this.#core.progress().watermark !== undefined) return;
    this.#declaredIdle = true;
    this.#wake.openUnsafe();
  }

  /** To be called now and then: position-only commits are paced by it. */
  heartbeat(now: number): void {
    const everyMs =
      this.id.kind === "partial" || this.id.kind === "routing"
        ? this.#settings.partialProgressEveryMs
        : this.#settings.progressEveryMs;
    if (now - this.#lastCommitAt < everyMs) return;
    this.#progressDue = true;
    this.#wake.openUnsafe();
  }

  /** Logs what changed in the task's life since the last report. */
  readonly report: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    const unlogged = this.#unlogged;
    if (unlogged.length === 0) return;
    this.#unlogged = [];
    for (const life of unlogged) {
      const failed = life.state === "fenced" || life.state === "quarantined";
      const why = life.reason === undefined ? "" : `: ${life.reason}`;
      const line = `task ${this.committer.subject} is ${life.state}${why}`;
      // A system has many tasks: what goes well is told by their states, not by a line of each.
      const log = failed ? Effect.logError : Effect.logDebug;
      yield* log(line).pipe(
        Effect.annotateLogs({ task: this.committer.subject, state: life.state }),
      );
      yield* this.#metrics.state(life.state);
      // Of a version that another has replaced the last lag would stand for ever.
      if (life.state === "stopped") yield* this.reportLag(0);
    }
    if (this.#stateLost) {
      this.#stateLost = false;
      yield* this.#metrics.stateLost;
    }
    if (this.#recoveryMs === undefined && this.online) {
      this.#recoveryMs = (yield* Clock.currentTimeMillis) - this.#startedAt;
      yield* this.#metrics.recovered(this.#recoveryMs);
    }
  });

  reportLag(records: number): Effect.Effect<void> {
    this.#lag = records;
    return this.#metrics.lag(records);
  }

  /** Starts to commit, on a fiber in the scope, whenever there is reason to. */
  startCommits(scope: Scope.Scope): Effect.Effect<void> {
    // At once: a drain that comes first would find nobody to commit.
    return Effect.asVoid(Effect.forkIn(this.#commits, scope, { startImmediately: true }));
  }

  readonly #commits: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    this.#running = true;
    while (!this.over) {
      yield* this.#wake.await;
      this.#wake.closeUnsafe();
      while (this.#wantsCommit()) yield* this.#commit;
      if (this.#life.state === "draining") this.#send({ type: "drained" });
      yield* this.report;
    }
  }).pipe(
    Effect.catchDefect((defect) => {
      this.#fail(Cause.die(defect));
      return this.report;
    }),
    Effect.ensuring(
      Effect.sync(() => {
        this.#running = false;
        this.#settled.openUnsafe();
        this.#ended.openUnsafe();
      }),
    ),
  );

  /** Commits what there is and stops. The caller has stopped feeding. */
  readonly drain: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    if (!this.over && this.#life.state !== "draining") {
      this.#commitsWhileDraining = this.online;
      this.#send({ type: "drain" });
    }
    this.#wake.openUnsafe();
    if (this.#running) yield* this.#ended.await;
    else if (!this.over) this.#send({ type: "drained" });
    yield* this.report;
  });

  #wantsCommit(): boolean {
    const draining = this.#life.state === "draining" && this.#commitsWhileDraining;
    if (!this.#atBoundary || (!this.online && !draining)) return false;
    if (this.#declaredIdle && !this.marker.idle) return true;
    if (this.#position <= this.marker.inputSequence) return false;
    return draining || this.#progressDue || this.#core.pendingItems > 0;
  }

  readonly #commit: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    const startedAt = yield* Clock.currentTimeMillis;
    // The yield may have let another input in.
    if (!this.#wantsCommit()) return;
    const before = this.marker;
    const draft = this.#core.take();
    const progress = this.#progress();
    const digest = this.#core.digest();
    this.#progressDue = false;
    this.#lastCommitAt = startedAt;
    this.#settled.closeUnsafe();
    const exit = yield* Effect.exit(this.committer.commit(draft, progress, digest));
    this.#settled.openUnsafe();
    if (Exit.isFailure(exit)) return this.#fail(exit.cause);
    const durationMs = (yield* Clock.currentTimeMillis) - startedAt;
    yield* this.#metrics.committed(before, exit.value, draft, durationMs);
  });

  #progress(): Progress {
    const progress = this.#core.progress();
    return this.#declaredIdle ? { ...progress, idle: true } : progress;
  }

  #compare(): void {
    const committed = hex(this.marker.digest);
    const found = hex(this.#core.digest());
    const sameState = found === committed;
    if (sameState && this.#booksAgree()) {
      this.#send({ type: "restored" });
      return;
    }
    const difference = sameState
      ? `other books at input ${this.#position} than those that were committed`
      : `digest ${found} at input ${this.#position}, but ${committed} was committed`;
    const what = `the state rebuilt from the log has ${difference} for input ${this.marker.inputSequence}`;
    const why = this.#logWasCut
      ? `the first records of the log are gone, and no snapshot held what they had led to. What was ` +
        `committed stays. If Redis is to come back with its data, start the worker again then; else ` +
        `\`tidemark replay ${projectionOfTasks(this.id.projection)} --promote\` makes a new version of what the log still ` +
        `holds: windows that began before it will lack their first events`
      : `either the log was cut before that input or the code is not deterministic`;
    this.#send({ type: "differed", reason: `${what}: ${why}` });
    this.#mustRebuild = !this.over;
    this.#stateLost = this.over && this.#logWasCut;
  }

  /** Whether the books are those that were committed; what a cut log cannot show is taken over. */
  #booksAgree(): boolean {
    if (this.#logWasCut) this.#core.adoptBooks(this.marker.books);
    const { books } = this.#core.progress();
    return Object.entries(this.marker.books).every(
      ([account, count]) => books[account as keyof typeof books] === count,
    );
  }

  #fail(cause: Cause.Cause<unknown>): void {
    if (this.over) return;
    const error = Cause.squash(cause);
    const reason = error instanceof Error ? error.message : String(error);
    this.#send({ type: error instanceof Fenced ? "fence" : "quarantine", reason });
  }

  #send(event: TaskEvent): void {
    this.#life = step(this.#life, event);
    this.#unlogged.push(this.#life);
  }
}
