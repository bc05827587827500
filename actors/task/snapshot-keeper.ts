/**
 * Saves the snapshot of the tasks that share a reader. A snapshot is a cache (decision
 * 003): every failure here costs time and a warning, nothing else.
 *
 * N1. Bytes taken at input S are saved only once every task has committed S or more, so a snapshot
 *     is never ahead of a marker.
 * N2. Bytes taken from one set of tasks are never saved under the name of another.
 * N3. Taking and saving use at most about a tenth of the time, however large the state.
 */
import { Clock, Effect, Metric } from "effect";
import type { SnapshotStore, SnapshotUnavailable } from "../ports/snapshot-store.ts";
import { encodeGroupSnapshot } from "./group-snapshot.ts";
import { counter, gauge, seconds } from "./metrics.ts";
import { indexSnapshot } from "./snapshot-index.ts";

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
  /** Under which name members are indexed, and how far what is saved there goes. */
  #savedName = "";
  #savedSequence = 0;
  #takenMs = 0;
  #dueAt: number | undefined;
  #storeFailed = false;

  constructor(store: SnapshotStore["Service"], everyMs: number) {
    this.#store = store;
    this.#everyMs = everyMs;
  }

  /** A snapshot that led to another digest is thrown away. */
  remove(name: string): Effect.Effect<void> {
    return this.#store
      .remove(name)
      .pipe(Effect.catchTag("SnapshotUnavailable", (error) => this.#warn(error)));
  }

  /**
   * Takes a snapshot when one is due, or at once when `due` is "now", if all members stand at the
   * same input.
   */
  take(
    due: "now" | "regularly",
    group: () => {
      readonly name: string;
      readonly members: readonly SnapshotMember[];
      readonly inputSequence: number;
      readonly shared: () => Uint8Array;
    },
  ): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const startedAt = yield* Clock.currentTimeMillis;
      if (due === "regularly") {
        this.#dueAt ??= startedAt + this.#everyMs;
        if (startedAt < this.#dueAt || this.#taken !== undefined) return;
      }
      // Without a yield from here on: members must not move meanwhile.
      const { name, members, inputSequence, shared } = group();
      const aligned = members.every((task) => task.online && task.position === inputSequence);
      const known = name === this.#savedName && inputSequence <= this.#savedSequence;
      if (!aligned || members.length === 0 || inputSequence === 0 || known) return;
      const tasks = new Map(members.map((task) => [task.committer.subject, task.core.snapshot()]));
      const data = encodeGroupSnapshot({ inputSequence, shared: shared(), tasks });
      this.#taken = { name, members, inputSequence, data };
      this.#takenMs = (yield* Clock.currentTimeMillis) - startedAt;
    });
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
    const { name, members, inputSequence, data } = taken;
    const saved = yield* this.#store.save(name, { epoch, inputSequence, data }).pipe(
      // Every time: a store that was wiped has lost the entries too, and is found again only by them.
      Effect.tap((kept) => (kept ? indexSnapshot(this.#store, name, members) : Effect.void)),
      Effect.catchTag("SnapshotUnavailable", (error) => this.#warn(error)),
    );
    const now = yield* Clock.currentTimeMillis;
    const tookMs = this.#takenMs + now - startedAt;
    this.#taken = undefined;
    this.#dueAt = now + Math.max(this.#everyMs, tookMs * REST_FACTOR);
    if (saved !== true) return;
    this.#savedName = name;
    this.#savedSequence = inputSequence;
    yield* Metric.update(bytes, data.byteLength);
    yield* Metric.update(saveSeconds, tookMs / 1000);
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
