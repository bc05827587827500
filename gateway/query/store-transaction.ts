/**
 * What one store transaction will write: gathers entries, decides what each changes, writes nothing
 * until `write`. Keeps S2 and S3 of the store.
 */
import type { CommitEntry, ResultEntry } from "./result-entry.ts";
import { updatesOf } from "./result-entry.ts";
import { ROW_HEAD_BYTES, rowIsLive, rowRevision, writeRowHead } from "./result-row.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { rowKey, validKeyBytes, versionPrefix } from "./row-key.ts";
import { ROW_KEY_TEXT_BYTES_MAX } from "./limits.ts";
import { stateKey, toBytes, versionName } from "./store-state.ts";
import type { ActiveState, TaskState, VersionState } from "./store-state.ts";

export interface MissedCommits {
  readonly projection: string;
  readonly version: number;
  readonly partition: number;
  /** The number that was to come. */
  readonly expected: number;
  readonly found: number;
}

export interface AppliedEntries {
  /** Updates that replaced a row or made one. */
  readonly applied: number;
  /** Updates whose revision was not higher than the row's. */
  readonly stale: number;
  /** Updates whose key is too long for a row. */
  readonly refused: number;
  readonly missed: readonly MissedCommits[];
}

interface PendingRow {
  readonly key: Buffer;
  value: Buffer;
  revision: number;
  live: boolean;
}

interface VersionDraft {
  projection: string;
  version: number;
  results: number;
  missing: number;
  tasks: Map<number, TaskState>;
  readonly prefix: Buffer;
  readonly changed: Set<number>;
}

export class StoreTransaction {
  readonly versions = new Map<string, VersionDraft>();
  readonly active = new Map<string, ActiveState>();
  readonly applied = { applied: 0, stale: 0, refused: 0, missed: [] as MissedCommits[] };
  readonly #rows = new Map<string, PendingRow>();
  readonly #stored: (row: Buffer) => Buffer | undefined;
  readonly #version: (projection: string, version: number) => VersionState | undefined;
  readonly #columnsId: (columns: readonly string[]) => number;

  constructor(
    stored: (row: Buffer) => Buffer | undefined,
    version: (projection: string, version: number) => VersionState | undefined,
    columnsId: (columns: readonly string[]) => number,
  ) {
    this.#stored = stored;
    this.#version = version;
    this.#columnsId = columnsId;
  }

  add(entry: ResultEntry): void {
    if (entry.kind === "commit") this.#commit(entry);
    else if (entry.kind === "promotion") {
      const { projection, version, sequence } = entry;
      this.active.set(projection, { projection, version, sequence });
    }
  }

  write(put: (key: Buffer, value: Buffer) => void): void {
    for (const row of this.#rows.values()) put(row.key, row.value);
    for (const {
      projection,
      version,
      results,
      missing,
      tasks,
      changed,
    } of this.versions.values()) {
      put(
        stateKey("version", projection, version),
        toBytes({ projection, version, results, missing }),
      );
      for (const partition of changed) {
        put(stateKey("task", projection, version, partition), toBytes(tasks.get(partition)));
      }
    }
    for (const active of this.active.values()) {
      put(stateKey("active", active.projection), toBytes(active));
    }
  }

  #commit(entry: CommitEntry): void {
    const draft = this.#draft(entry.projection, entry.version);
    const { partition, number, sequence, watermark, idle } = entry;
    const expected = (draft.tasks.get(partition)?.number ?? 0) + 1;
    if (number !== expected || !entry.whole) {
      const { projection, version } = entry;
      this.applied.missed.push({ projection, version, partition, expected, found: number });
      draft.missing += Math.max(1, number - expected);
    }
    draft.tasks.set(partition, { partition, number, sequence, watermark, idle });
    draft.changed.add(partition);
    this.#rowsOf(entry, draft);
  }

  #rowsOf(entry: CommitEntry, draft: VersionDraft): void {
    const arena = Buffer.allocUnsafeSlow(entry.bytes + entry.updates * ROW_HEAD_BYTES);
    let at = 0;
    let names: readonly string[] | undefined;
    let columns = 0;
    for (const update of updatesOf(entry)) {
      const { head, data, start, end } = update;
      if (update.columns !== names) {
        names = update.columns;
        columns = this.#columnsId(names);
      }
      const text = validKeyBytes(data, head.keyStart, head.keyEnd);
      if (text.length > ROW_KEY_TEXT_BYTES_MAX) {
        this.applied.refused++;
        draft.missing++;
        continue;
      }
      const { startHigh, startLow, endHigh, endLow, ordinal, revision, kind } = head;
      const key = rowKey(draft.prefix, text, startHigh, startLow, endHigh, endLow, ordinal);
      const value = arena.subarray(at, at + ROW_HEAD_BYTES + end - start);
      if (!this.#upsert(key, value, revision, kind !== Kind.KIND_RETRACTION, draft)) continue;
      writeRowHead(value, revision, kind, columns);
      value.set(data.subarray(start, end), ROW_HEAD_BYTES);
      at += value.length;
    }
  }

  /** False when the row has this revision already, or a higher one. */
  #upsert(
    key: Buffer,
    value: Buffer,
    revision: number,
    live: boolean,
    draft: VersionDraft,
  ): boolean {
    const name = key.toString("latin1");
    const pending = this.#rows.get(name);
    let wasLive = false;
    if (pending !== undefined) {
      if (revision <= pending.revision) return this.#isStale();
      wasLive = pending.live;
      pending.value = value;
      pending.revision = revision;
      pending.live = live;
    } else {
      const stored = this.#stored(key);
      if (stored !== undefined) {
        if (revision <= rowRevision(stored)) return this.#isStale();
        wasLive = rowIsLive(stored);
      }
      this.#rows.set(name, { key, value, revision, live });
    }
    draft.results += Number(live) - Number(wasLive);
    this.applied.applied++;
    return true;
  }

  #isStale(): false {
    this.applied.stale++;
    return false;
  }

  #draft(projection: string, version: number): VersionDraft {
    const name = versionName(projection, version);
    let draft = this.versions.get(name);
    if (draft === undefined) {
      const state = this.#version(projection, version);
      draft = {
        projection,
        version,
        results: state?.results ?? 0,
        missing: state?.missing ?? 0,
        tasks: new Map(state?.tasks),
        prefix: versionPrefix(projection, version),
        changed: new Set(),
      };
      this.versions.set(name, draft);
    }
    return draft;
  }
}
