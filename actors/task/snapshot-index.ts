/**
 * Finds the snapshot of each task, whatever set of tasks it was saved with: an entry for each task
 * names the group snapshot that holds it. So a projection that is added, removed or redefined costs
 * its neighbours nothing.
 *
 * J1. A task gets a snapshot only if it is not ahead of the task's marker (E5) and holds its state.
 * J2. Tasks in one group come from one snapshot, or all from none.
 * J3. Where the log alone may not hold the state, because its first records are gone, a short outage of
 *     the store costs time: only after a bounded wait is it treated as if it held nothing.
 */
import { Clock, Effect } from "effect";
import type { SnapshotStore, SnapshotUnavailable } from "../ports/snapshot-store.ts";
import { decodeGroupSnapshot } from "./group-snapshot.ts";
import type { GroupSnapshot } from "./group-snapshot.ts";

/** A snapshot that can be restored from. */
export interface FoundSnapshot {
  readonly name: string;
  readonly snapshot: GroupSnapshot;
}

export interface SnapshotGroup<T> {
  readonly from: FoundSnapshot | undefined;
  readonly tasks: readonly T[];
}

/** What must be known of a task. */
interface Indexed {
  readonly marker: { readonly inputSequence: number; readonly epoch: number };
  readonly committer: { readonly subject: string };
}

const entryName = (task: Indexed): string => `of/${task.committer.subject}`;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Says that the tasks are in the group snapshot of that name. */
export const indexSnapshot = Effect.fnUntraced(function* (
  store: SnapshotStore["Service"],
  name: string,
  tasks: readonly Indexed[],
) {
  const data = encoder.encode(name);
  for (const task of tasks) {
    // Input sequence 0: an entry is as good as what it names.
    yield* store.save(entryName(task), { epoch: task.marker.epoch, inputSequence: 0, data });
  }
});

/** Undefined for bytes that are no group snapshot, or not the one that the store says. */
export const loadGroupSnapshot = Effect.fnUntraced(function* (
  store: SnapshotStore["Service"],
  name: string,
) {
  const stored = yield* store.load(name);
  if (stored === undefined) return undefined;
  try {
    const snapshot = decodeGroupSnapshot(stored.data);
    if (snapshot.inputSequence === stored.inputSequence) return { name, snapshot };
  } catch (error) {
    yield* Effect.logWarning(`snapshot ${name} cannot be read: ${String(error)}`);
  }
  return undefined;
});

const ASK_AGAIN_MS = 1_000;

/**
 * Groups tasks by the snapshot that they can be restored from. Without the store: one group. A store
 * that cannot be reached is asked again for `waitMs`: see J3.
 */
export const findSnapshots = <T extends Indexed>(
  store: SnapshotStore["Service"],
  tasks: readonly T[],
  waitMs = 0,
): Effect.Effect<readonly SnapshotGroup<T>[]> =>
  Effect.gen(function* () {
    const until = (yield* Clock.currentTimeMillis) + waitMs;
    let warned = false;
    const waits = Effect.fnUntraced(function* (error: SnapshotUnavailable) {
      if ((yield* Clock.currentTimeMillis) + ASK_AGAIN_MS > until) return false;
      if (!warned) {
        warned = true;
        yield* Effect.logWarning(
          `snapshots cannot be reached (${error.message}), and the first records of the log are gone: ` +
            `waiting for up to ${waitMs} ms, since only a snapshot may hold all of the state`,
        );
      }
      yield* Effect.sleep(ASK_AGAIN_MS);
      return true;
    });
    return yield* groupBySnapshot(store, tasks).pipe(Effect.retry({ while: waits }));
  }).pipe(
    Effect.catchTag("SnapshotUnavailable", (error) =>
      Effect.logWarning(
        `snapshots cannot be reached (${error.message}): the log is read from its start`,
      ).pipe(Effect.as([{ from: undefined, tasks }])),
    ),
  );

const groupBySnapshot = <T extends Indexed>(
  store: SnapshotStore["Service"],
  tasks: readonly T[],
): Effect.Effect<readonly SnapshotGroup<T>[], SnapshotUnavailable> =>
  Effect.gen(function* () {
    const found = new Map<string, { readonly from: FoundSnapshot | undefined; tasks: T[] }>();
    const none: T[] = [];
    for (const task of tasks) {
      const entry = yield* store.load(entryName(task));
      const name = entry === undefined ? "" : decoder.decode(entry.data);
      if (name !== "" && !found.has(name)) {
        found.set(name, { from: yield* loadGroupSnapshot(store, name), tasks: [] });
      }
      const group = found.get(name);
      const snapshot = group?.from?.snapshot;
      const usable =
        snapshot !== undefined &&
        snapshot.tasks.has(task.committer.subject) &&
        snapshot.inputSequence <= task.marker.inputSequence;
      (usable && group !== undefined ? group.tasks : none).push(task);
    }
    const groups = [...found.values(), { from: undefined, tasks: none }];
    return groups.filter((group) => group.tasks.length > 0);
  });
