/**
 * Saves and loads the snapshot of the tasks that share a reader. A snapshot is a cache (decision
 * 003): every failure here costs time and a warning, nothing else.
 *
 * N1. Bytes taken at input S are saved only once every task has committed S or more, so a snapshot
 *     is never ahead of a marker; and they are loaded only if that still holds.
 * N2. Bytes taken from one set of tasks are never saved under the name of another.
 * N3. Taking and saving use at most about a tenth of the time, however large the state.
 */
import { Clock, Effect, Metric } from "effect";
import type { SnapshotStore, SnapshotUnavailable } from "../ports/snapshot-store.ts";
import { decodeGroupSnapshot, encodeGroupSnapshot } from "./group-snapshot.ts";
import type { GroupSnapshot } from "./group-snapshot.ts";
import { counter, gauge, seconds } from "./metrics.ts";

/** What the keeper must know of a task. */
export interface SnapshotMember {
  readonly position: number;
  readonly online: boolean;
  readonly marker: { readonly inputSequence: number; readonly epoch: number };
  readonly committer: { readonly subject: string };
  readonly core: { snapshot(): Uint8Array };
}

interface Taken {
  readonly name: string;
  readonly members: readonly SnapshotMember[];
  readonly inputSequence: number;
  readonly data: Uint8Array;
}

/** How much longer than a snapshot took nothing is taken: N3. */
const REST_FACTOR = 9;

const failures = counter("snapshotFailures", {});
const bytes = gauge("snapshotBytes", {});
const saveSeconds = seconds("snapshotSeconds", {});

export class SnapshotKeeper {
  readonly #store: SnapshotStore["Service"];
  readonly #everyMs: number;
  #taken: Taken | undefined;
  #savedSequence = 0;
  #dueAt: number | undefined;
  #storeFailed = false;

  constructor(store: SnapshotStore["Service"], everyMs: number) {
    this.#store = store;
    this.#everyMs = everyMs;
  }

  /** The stored snapshot if it is of use to tasks whose oldest marker is given. */
  load(name: string, markerSequence: number): Effect.Effect<GroupSnapshot | undefined> {
    return this.#store.load(name).pipe(
      Effect.map((stored) => {
        if (stored === undefined || stored.inputSequence > markerSequence) return undefined;
        const decoded = decodeGroupSnapshot(stored.data);
        return decoded.inputSequence === stored.inputSequence ? decoded : undefined;
      }),
      Effect.tap((loaded) =>
        Effect.sync(() => {
          this.#savedSequence = loaded?.inputSequence ?? 0;
        }),
      ),
      Effect.catchTag("SnapshotUnavailable", (error) => this.#warn(error)),
      Effect.catchDefect((defect) =>
        Effect.logWarning(`snapshot ${name} cannot be read: ${String(defect)}`).pipe(
          Effect.andThen(Metric.update(failures, 1)),
        ),
      ),
      Effect.map((loaded) => loaded ?? undefined),
    );
  }

  /** A snapshot that led to another digest is thrown away. */
  remove(name: string): Effect.Effect<void> {
    return this.#store
      .remove(name)
      .pipe(Effect.catchTag("SnapshotUnavailable", (error) => this.#warn(error)));
  }

  /**
   * Takes a snapshot when one is due, or at once when `now` is undefined, if all members stand at
   * the same input. Synchronous: members cannot move meanwhile.
   */
  take(
    name: string,
    members: readonly SnapshotMember[],
    inputSequence: number,
    shared: () => Uint8Array,
    now: number | undefined,
  ): void {
    if (now !== undefined) {
      this.#dueAt ??= now + this.#everyMs;
      if (now < this.#dueAt || this.#taken !== undefined) return;
    }
    const aligned = members.every((task) => task.online && task.position === inputSequence);
    if (!aligned || members.length === 0 || inputSequence <= this.#savedSequence) return;
    const tasks = new Map(members.map((task) => [task.committer.subject, task.core.snapshot()]));
    this.#taken = {
      name,
      members,
      inputSequence,
      data: encodeGroupSnapshot({ inputSequence, shared: shared(), tasks }),
    };
  }

  /** Saves what was taken if every member has committed it (N1) and the set is unchanged (N2). */
  saveCommitted(name: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const taken = this.#taken;
      if (taken === undefined) return Effect.void;
      if (taken.name !== name) {
        this.#taken = undefined;
        return Effect.void;
      }
      const committed = taken.members.every(
        (task) => task.marker.inputSequence >= taken.inputSequence,
      );
      return committed ? this.#save(taken) : Effect.void;
    });
  }

  readonly #save = Effect.fnUntraced(function* (this: SnapshotKeeper, taken: Taken) {
    const startedAt = yield* Clock.currentTimeMillis;
    const epoch = Math.max(...taken.members.map((task) => task.marker.epoch));
    const { inputSequence, data } = taken;
    const saved = yield* this.#store
      .save(taken.name, { epoch, inputSequence, data })
      .pipe(Effect.catchTag("SnapshotUnavailable", (error) => this.#warn(error)));
    const now = yield* Clock.currentTimeMillis;
    this.#taken = undefined;
    this.#dueAt = now + Math.max(this.#everyMs, (now - startedAt) * REST_FACTOR);
    if (saved !== true) return;
    this.#savedSequence = inputSequence;
    yield* Metric.update(bytes, data.byteLength);
    yield* Metric.update(saveSeconds, (now - startedAt) / 1000);
    if (this.#storeFailed) {
      this.#storeFailed = false;
      yield* Effect.logInfo("snapshots are saved again");
    }
  });

  /** Says it once an outage. */
  #warn(error: SnapshotUnavailable): Effect.Effect<undefined> {
    return Effect.gen({ self: this }, function* () {
      yield* Metric.update(failures, 1);
      if (this.#storeFailed) return undefined;
      this.#storeFailed = true;
      yield* Effect.logWarning(
        `snapshots cannot be reached (${error.message}): going on without, a restart will take longer`,
      );
      return undefined;
    });
  }
}
