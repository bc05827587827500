/**
 * The current result of every (projection, version, key, window, ordinal), in an embedded ordered store (LMDB)
 * that this process alone writes.
 *
 * S1. One transaction holds the rows of whole entries of RESULTS, the position after them and the
 *     tasks' commit numbers: after a crash the store is as of some position, never between two.
 * S2. A row is replaced only by a higher revision.
 * S3. Per task, commit n is followed by n + 1 or the difference is added to the version's `missing`.
 * S4. Transactions do not overlap; reads see whole transactions only.
 * S5. A store of another layout is emptied by itself; one that cannot be read is put aside.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { open } from "lmdb";
import type { RootDatabase, Transaction } from "lmdb";
import type { Result } from "../../proto/gen/tidemark/v1/result.ts";
import { keyRange, prefixRange, startRange, versionPrefix } from "./row-key.ts";
import type { KeyRange } from "./row-key.ts";
import { rowColumns, rowIsLive, rowResult } from "./result-row.ts";
import { RowScan } from "./row-scan.ts";
import type { RowQuery } from "./row-scan.ts";
import { fromBytes, START, stateKey, stateRange, toBytes, versionName } from "./store-state.ts";
import type { ActiveState, PositionState, TaskState, VersionState } from "./store-state.ts";
import { whyUnreadable } from "./store-file.ts";
import { StoreTransaction } from "./store-transaction.ts";
import type { AppliedEntries } from "./store-transaction.ts";

/** Raise it when rows or state are written differently: older stores are then rebuilt. */
const LAYOUT = 2;

export type StoreDatabase = RootDatabase<Buffer, Buffer>;

/** Somebody else has written to the store: its owner must read it again before it writes. */
export class StoreTaken extends Error {
  override readonly name = "StoreTaken";
  constructor(directory: string) {
    super(`another process writes to the query store in ${directory}: give each gateway its own`);
  }
}

/** A transaction was not written: the disk is full, or gone. Nothing of it is in the store. */
export class StoreFailed extends Error {
  override readonly name = "StoreFailed";
}

/** The store as of one position, for as long as it is open. */
export interface StoreSnapshot {
  readonly position: number;
  /** The version that was promoted last. */
  readonly promoted: (projection: string) => number | undefined;
  /** The last commit number of each task, by partition. */
  readonly numbers: (projection: string, version: number) => Map<number, number>;
  readonly scan: (query: RowQuery) => RowScan;
  readonly close: () => void;
}

export class ResultStore {
  readonly directory: string;
  readonly #db: StoreDatabase;
  #position: PositionState = START;
  #versions = new Map<string, VersionState>();
  #active = new Map<string, ActiveState>();
  readonly #columns: (readonly string[])[] = [];
  readonly #columnIds = new Map<string, number>();

  private constructor(directory: string, db: StoreDatabase) {
    this.directory = directory;
    this.#db = db;
  }

  /** `reset` says why the store starts empty although there was one. */
  static open(directory: string): { readonly store: ResultStore; readonly reset?: string } {
    mkdirSync(directory, { recursive: true });
    const file = join(directory, "data.mdb");
    const unreadable = existsSync(file) ? whyUnreadable(file) : undefined;
    if (unreadable !== undefined) {
      renameSync(file, `${file}.unreadable`);
      rmSync(join(directory, "lock.mdb"), { force: true });
    }
    let reset = unreadable;
    const db = openDatabase(directory);
    const store = new ResultStore(directory, db);
    const layout = db.get(stateKey("layout"));
    if (layout === undefined || fromBytes<number>(layout) !== LAYOUT) {
      if (layout !== undefined) {
        reset = `it has layout ${fromBytes<number>(layout)} and this version writes ${LAYOUT}`;
      }
      store.clear();
    }
    store.reload();
    return reset === undefined ? { store } : { store, reset };
  }

  get position(): PositionState {
    return this.#position;
  }

  versions(): Iterable<VersionState> {
    return this.#versions.values();
  }

  version(projection: string, version: number): VersionState | undefined {
    return this.#versions.get(versionName(projection, version));
  }

  /** The last promotion of a projection. */
  promoted(projection: string): ActiveState | undefined {
    return this.#active.get(projection);
  }

  /** The latest window of a key, or the one that starts at a time. */
  get(
    projection: string,
    version: number,
    key: string,
    windowStart: number | undefined,
  ): Result | undefined {
    const prefix = versionPrefix(projection, version);
    const range =
      windowStart === undefined ? keyRange(prefix, key) : startRange(prefix, key, windowStart);
    const backwards = { start: range.end, end: range.start, reverse: true };
    for (const { value } of this.#db.getRange(backwards)) {
      if (rowIsLive(value)) return this.#result(projection, version, value);
    }
    return undefined;
  }

  scan(query: RowQuery): RowScan {
    return this.#scan(query, undefined);
  }

  snapshot(): StoreSnapshot {
    const transaction = this.#db.useReadTransaction();
    const position = this.#db.get(stateKey("position"), { transaction });
    let open = true;
    return {
      position: position === undefined ? 0 : fromBytes<PositionState>(position).sequence,
      promoted: (projection) => {
        const active = this.#db.get(stateKey("active", projection), { transaction });
        return active === undefined ? undefined : fromBytes<ActiveState>(active).version;
      },
      numbers: (projection, version) => {
        const numbers = new Map<number, number>();
        const range = { ...stateRange("task", projection, version), transaction };
        for (const { value } of this.#db.getRange(range)) {
          const task = fromBytes<TaskState>(value);
          numbers.set(task.partition, task.number);
        }
        return numbers;
      },
      scan: (query) => this.#scan(query, transaction),
      close: () => {
        if (open) transaction.done();
        open = false;
      },
    };
  }

  /** Gathers entries; nothing is written before `commit`. One at a time (S4). */
  begin(): StoreTransaction {
    return new StoreTransaction(
      (row) => this.#db.getBinaryFast(row),
      (projection, version) => this.version(projection, version),
      (columns) => this.#columnsId(columns),
    );
  }

  /** Writes what the transaction gathered and the position after it, all or nothing. */
  async commit(transaction: StoreTransaction, position: PositionState): Promise<AppliedEntries> {
    const stored = this.#db.get(stateKey("position"));
    const standing = stored === undefined ? START : fromBytes<PositionState>(stored);
    if (standing.sequence !== this.#position.sequence) throw new StoreTaken(this.directory);
    await this.#write((put) => {
      transaction.write(put);
      put(stateKey("position"), toBytes(position));
    });
    this.#position = position;
    for (const state of transaction.versions.values()) {
      this.#versions.set(versionName(state.projection, state.version), state);
    }
    for (const active of transaction.active.values()) this.#active.set(active.projection, active);
    return transaction.applied;
  }

  /** Empties the store: the next position is the beginning of RESULTS. */
  clear(): void {
    this.#db.clearSync();
    this.#db.putSync(stateKey("layout"), toBytes(LAYOUT));
    this.reload();
  }

  /** Reads the state again, after another writer or a failed transaction. */
  reload(): void {
    this.#db.resetReadTxn();
    const position = this.#db.get(stateKey("position"));
    this.#position = position === undefined ? START : fromBytes<PositionState>(position);
    this.#columns.length = 0;
    this.#columnIds.clear();
    for (const { value } of this.#state("columns")) {
      const { id, names } = fromBytes<{ id: number; names: string[] }>(value);
      this.#columns[id] = names;
      this.#columnIds.set(JSON.stringify(names), id);
    }
    const tasks = new Map<string, Map<number, TaskState>>();
    for (const { key, value } of this.#state("task")) {
      const [, projection, version] = key.toString("utf8").split("/");
      const name = versionName(projection!, Number(version));
      const task = fromBytes<TaskState>(value);
      tasks.set(name, (tasks.get(name) ?? new Map<number, TaskState>()).set(task.partition, task));
    }
    this.#versions = new Map();
    for (const { value } of this.#state("version")) {
      const state = fromBytes<Omit<VersionState, "tasks">>(value);
      const name = versionName(state.projection, state.version);
      this.#versions.set(name, { ...state, tasks: tasks.get(name) ?? new Map() });
    }
    this.#active = new Map();
    for (const { value } of this.#state("active")) {
      const active = fromBytes<ActiveState>(value);
      this.#active.set(active.projection, active);
    }
  }

  /** Snapshots must be closed before. */
  close(): Promise<void> {
    return this.#db.close();
  }

  /** One transaction, written and flushed by a thread of its own. */
  async #write(fill: (put: (key: Buffer, value: Buffer) => void) => void): Promise<void> {
    let last: Promise<boolean> | undefined;
    try {
      await this.#db.batch(() =>
        fill((key, value) => {
          const put = this.#db.put(key, value);
          if (put === last) return;
          last = put;
          // All puts share a few promises; that of the batch tells of the same failure.
          put.catch(() => {});
        }),
      );
    } catch (error) {
      const cause = await (error as { commitError?: Promise<never> }).commitError?.catch(String);
      throw new StoreFailed(
        `the query store in ${this.directory} cannot be written: ${cause ?? error}`,
      );
    }
  }

  #state(kind: string) {
    return this.#db.getRange(stateRange(kind));
  }

  #scan(query: RowQuery, transaction: Transaction | undefined): RowScan {
    const prefix = versionPrefix(query.projection, query.version);
    const range: KeyRange = prefixRange(prefix, query.keyPrefix);
    return new RowScan(
      query,
      range,
      ({ start, end }, exclusiveStart) =>
        this.#db.getRange({
          start,
          end,
          exclusiveStart,
          ...(transaction === undefined ? {} : { transaction }),
        }),
      (row) => this.#result(query.projection, query.version, row),
    );
  }

  #result(projection: string, version: number, row: Buffer): Result {
    return rowResult({ projection, version, columns: this.#columns[rowColumns(row)] ?? [] }, row);
  }

  /** Known lists of value names by number; a new one is written at once. */
  #columnsId(names: readonly string[]): number {
    const text = JSON.stringify(names);
    let id = this.#columnIds.get(text);
    if (id === undefined) {
      id = this.#columns.length;
      this.#db.putSync(stateKey("columns", id), toBytes({ id, names }));
      this.#columns.push(names);
      this.#columnIds.set(text, id);
    }
    return id;
  }
}

const openDatabase = (directory: string): StoreDatabase =>
  open<Buffer, Buffer>({
    path: directory,
    noSubdir: false,
    keyEncoding: "binary",
    encoding: "binary",
    cache: false,
    // Transactions are explicit. The implicit ones leave rejections that nobody can handle.
    eventTurnBatching: false,
    maxReaders: 512,
  });
