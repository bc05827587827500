/**
 * Keeps the store at the end of RESULTS, and tells readers what it knows: which projections and
 * versions there are, which is active, how far it is, what came last.
 *
 * V1. Records are applied in stream order, each once; the store's position says up to where.
 * V2. What subscribers are told of is in the store already: reading after an update sees it.
 * V3. Commits that were not seen, and records that cannot be read, are logged and counted; a version
 *     that lacks some says so (ListProjections) for as long as its rows live.
 * V4. A store that belongs to another RESULTS is emptied: its position lies beyond the end, or the
 *     record at its position is not the one that it remembers.
 * V5. `caughtUp` once the store has all that RESULTS held when it was first opened, and from then on:
 *     when RESULTS cannot be reached, reads answer as of the last commit that was seen.
 */
import { crc32 } from "node:zlib";
import { Effect, Latch, Schema } from "effect";
import type { Scope } from "effect";
import type { LogUnavailable } from "../../actors/ports/event-log.ts";
import { ResultLog } from "../../actors/ports/result-log.ts";
import type { ResultRecord } from "../../actors/ports/result-log.ts";
import {
  GATHERED_ROWS_A_TURN_MAX,
  QUIET_MS,
  RECENT_BYTES_MAX,
  RETRY_MS_MAX,
  RETRY_MS_MIN,
  TRANSACTION_ROWS_MAX,
} from "./limits.ts";
import type { QueryMetrics } from "./query-metrics.ts";
import { RecentEntries } from "./recent-entries.ts";
import { EntryAssembler } from "./result-entry.ts";
import type { ResultEntry } from "./result-entry.ts";
import { ResultStore } from "./result-store.ts";
import type { PositionState, VersionState } from "./store-state.ts";

/** A projection of the configuration, with the version that is active before any promotion. */
export interface KnownProjection {
  readonly name: string;
  readonly version: number;
}

export interface ResultViewOptions {
  readonly directory: string;
  readonly projections: readonly KnownProjection[];
  readonly metrics: QueryMetrics;
  /** Bytes of commits kept for subscribers. */
  readonly recentBytesMax?: number;
  /** Rows of a store transaction. */
  readonly transactionRowsMax?: number;
}

/** The store could not be read or written. Retried. */
class ViewFailed extends Schema.TaggedError<ViewFailed>()("ViewFailed", {
  message: Schema.String,
}) {}

/** The store's folder cannot be used at all: start again when that is mended. */
export class QueryStoreUnusable extends Schema.TaggedError<QueryStoreUnusable>()(
  "QueryStoreUnusable",
  { directory: Schema.String, message: Schema.String },
) {}

/** The store was emptied: RESULTS is read again from its beginning. */
class ViewReset extends Schema.TaggedError<ViewReset>()("ViewReset", {
  message: Schema.String,
}) {}

const FILTERS = ["results.>", "control.>"];

export class ResultView {
  readonly store: ResultStore;
  readonly recent: RecentEntries;
  /** Rises when the store was emptied: no place in RESULTS from before means anything. */
  generation = 0;
  /** Last sequence of RESULTS when it was first opened. */
  target: number | undefined;
  readonly #options: ResultViewOptions;
  readonly #caughtUp = Latch.makeUnsafe(false);
  #published: number;
  #waiters = new Set<() => void>();

  constructor(store: ResultStore, options: ResultViewOptions) {
    this.store = store;
    this.#options = options;
    this.#published = store.position.sequence;
    this.recent = new RecentEntries(options.recentBytesMax ?? RECENT_BYTES_MAX, this.#published);
  }

  get position(): number {
    return this.store.position.sequence;
  }

  get isCaughtUp(): boolean {
    return this.#caughtUp.isOpen();
  }

  get caughtUp(): Effect.Effect<void> {
    return this.#caughtUp.await;
  }

  /** Names in order: configured, seen in RESULTS, or both. */
  projections(): string[] {
    const names = new Set(this.#options.projections.map(({ name }) => name));
    for (const { projection } of this.store.versions()) names.add(projection);
    return [...names].sort();
  }

  /** Versions that have commits, and the active one, in order. */
  versions(projection: string): number[] {
    const versions = new Set<number>();
    for (const state of this.#seen(projection)) versions.add(state.version);
    const active = this.activeVersion(projection);
    if (active !== undefined) versions.add(active);
    return [...versions].sort((a, b) => a - b);
  }

  /** What reads without a version see; undefined for an unknown projection. */
  activeVersion(projection: string): number | undefined {
    return this.store.promoted(projection)?.version ?? this.unpromotedVersion(projection);
  }

  /** The active version as long as none was promoted. */
  unpromotedVersion(projection: string): number | undefined {
    const configured = this.#options.projections.find(({ name }) => name === projection);
    if (configured !== undefined) return configured.version;
    const seen = this.#seen(projection).map((state) => state.version);
    return seen.length === 0 ? undefined : Math.min(...seen);
  }

  /** Last sequence of RESULTS that concerns a version: a commit of it or a promotion. */
  lastSequence(projection: string, version: number): number {
    let last = this.store.promoted(projection)?.sequence ?? 0;
    for (const task of this.store.version(projection, version)?.tasks.values() ?? []) {
      if (task.sequence > last) last = task.sequence;
    }
    return last;
  }

  /** Waits until there is something after a sequence, or all was reset. */
  changedAfter(sequence: number, generation: number): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.#published > sequence || this.generation !== generation) {
        resume(Effect.void);
        return;
      }
      const wake = () => {
        if (this.#published <= sequence && this.generation === generation) return;
        this.#waiters.delete(wake);
        resume(Effect.void);
      };
      this.#waiters.add(wake);
      return Effect.sync(() => void this.#waiters.delete(wake));
    });
  }

  /** Reads RESULTS for ever; ends only by interruption. */
  run(): Effect.Effect<never, never, ResultLog> {
    return Effect.gen({ self: this }, function* () {
      let pauseMs = RETRY_MS_MIN;
      for (;;) {
        const before = this.position;
        const error = yield* Effect.flip(Effect.scoped(this.#tail()));
        if (error._tag === "ViewReset") {
          yield* Effect.logWarning(error.message);
          continue;
        }
        pauseMs = this.position > before ? RETRY_MS_MIN : Math.min(pauseMs * 2, RETRY_MS_MAX);
        yield* Effect.logWarning(
          `results cannot be followed now; trying again in ${pauseMs} ms: ${error.message}`,
        );
        yield* Effect.sleep(pauseMs);
      }
    });
  }

  #tail(): Effect.Effect<never, LogUnavailable | ViewFailed | ViewReset, ResultLog | Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      const log = yield* ResultLog;
      yield* attempt(() => this.store.reload());
      if (this.position > this.#published) this.#startAt(this.position);
      const last = yield* log.lastSequence;
      this.target ??= last;
      if (last < this.position) {
        const position = this.position;
        return yield* this.#reset(`RESULTS ends at ${last}, the query store is at ${position}`);
      }
      if (last === 0) this.#caughtUp.openUnsafe();
      // From the last record that was applied: to recognise the log, and to hear that it is the end.
      const reader = yield* log.open(FILTERS, Math.max(1, this.position));
      const assembler = new EntryAssembler();
      let records = yield* this.#first(reader.next);
      let pending = records.at(-1)!.pending;
      if (records[0]!.sequence === this.position && this.position > 0) {
        if (!isRecord(records[0]!, this.store.position)) {
          return yield* this.#reset(
            `record ${this.position} of RESULTS is not the one that the query store remembers`,
          );
        }
        records = records.slice(1);
      }
      for (;;) {
        const entries: ResultEntry[] = [];
        for (const record of records) assembler.push(record, entries);
        yield* this.#apply(entries, pending);
        if (pending === 0 || this.position >= this.target) this.#caughtUp.openUnsafe();
        records = yield* reader.next;
        pending = records.at(-1)!.pending;
      }
    });
  }

  /** The first delivery. A reader that stays quiet when the store is empty has nothing for us. */
  #first<A, E>(next: Effect.Effect<A, E>): Effect.Effect<A, E, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      if (this.position > 0) return yield* next;
      const quiet = Effect.sleep(QUIET_MS).pipe(
        Effect.andThen(Effect.sync(() => this.#caughtUp.openUnsafe())),
      );
      const records = yield* Effect.scoped(Effect.andThen(Effect.forkScoped(quiet), next));
      return records;
    });
  }

  #reset(reason: string): Effect.Effect<never, ViewReset | ViewFailed> {
    return Effect.gen({ self: this }, function* () {
      yield* attempt(() => this.store.clear());
      this.generation++;
      this.target = undefined;
      this.#caughtUp.closeUnsafe();
      this.#startAt(0);
      return yield* new ViewReset({
        message: `the query store is emptied and rebuilt: ${reason}, so it belongs to another log`,
      });
    });
  }

  /** In transactions of a bounded size, with other work between them. */
  #apply(entries: readonly ResultEntry[], pending: number): Effect.Effect<void, ViewFailed> {
    return Effect.gen({ self: this }, function* () {
      const rowsMax = this.#options.transactionRowsMax ?? TRANSACTION_ROWS_MAX;
      let from = 0;
      while (from < entries.length) {
        const transaction = this.store.begin();
        let rows = 0;
        let rowsThisTurn = 0;
        let to = from;
        for (; to < entries.length; to++) {
          const entry = entries[to]!;
          const updates = entry.kind === "commit" ? entry.updates : 0;
          if (to > from && rows + updates > rowsMax) break;
          rows += updates;
          rowsThisTurn += updates;
          if (rowsThisTurn > GATHERED_ROWS_A_TURN_MAX) {
            yield* Effect.yieldNow;
            rowsThisTurn = 0;
          }
          yield* attempt(() => transaction.add(entry));
        }
        const applied = entries.slice(from, to);
        const { sequence, record } = applied[applied.length - 1]!;
        const outcome = yield* Effect.tryPromise({
          try: () => this.store.commit(transaction, positionOf(record)),
          catch: failed,
        }).pipe(Effect.uninterruptible);
        this.recent.add(applied);
        this.#published = sequence;
        this.#wake();
        yield* this.#report(applied, outcome, pending + entries.length - to);
        from = to;
      }
    });
  }

  #report(
    entries: readonly ResultEntry[],
    { applied, stale, refused, missed }: Awaited<ReturnType<ResultStore["commit"]>>,
    pending: number,
  ): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const { metrics } = this.#options;
      const commits = entries.filter((entry) => entry.kind === "commit").length;
      metrics.applied({ commits, rows: applied, stale, position: this.position, pending });
      for (const { projection, version, partition, expected, found } of missed) {
        metrics.missed(projection, version, Math.max(1, found - expected));
        yield* Effect.logError(
          `results of ${projection} may be missing: commit ${expected} of version ${version}, ` +
            `partition ${partition}, was to come and ${found} came. The commits between had left ` +
            "RESULTS before this gateway read them, or were purged; replay the projection",
        );
      }
      if (refused > 0) {
        yield* Effect.logError(`${refused} updates have keys too long for the query store`);
      }
      for (const entry of entries) {
        if (entry.kind !== "unreadable") continue;
        const { subject } = entry.record;
        yield* Effect.logError(
          `record ${entry.sequence} of RESULTS on ${subject} cannot be read: ${entry.reason}`,
        );
      }
    });
  }

  /** What comes after a position will be published; what came before is only in the store. */
  #startAt(position: number): void {
    this.recent.reset(position);
    this.#published = position;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiters) wake();
  }

  #seen(projection: string): VersionState[] {
    return [...this.store.versions()].filter((state) => state.projection === projection);
  }
}

/** How the store remembers the last record that it applied. */
export const positionOf = ({ sequence, subject, data }: ResultRecord): PositionState => ({
  sequence,
  subject,
  checksum: crc32(data),
});

const isRecord = (record: ResultRecord, { subject, checksum }: PositionState): boolean =>
  record.subject === subject && crc32(record.data) === checksum;

const failed = (error: unknown): ViewFailed =>
  new ViewFailed({ message: error instanceof Error ? error.message : String(error) });

const attempt = <A>(run: () => A): Effect.Effect<A, ViewFailed> =>
  Effect.try({ try: run, catch: failed });

/** Opens the store and follows RESULTS for as long as the scope lives. */
export const makeResultView = (
  options: ResultViewOptions,
): Effect.Effect<ResultView, QueryStoreUnusable, ResultLog | Scope.Scope> =>
  Effect.gen(function* () {
    const { directory } = options;
    const { store, reset } = yield* Effect.acquireRelease(
      Effect.try({
        try: () => ResultStore.open(directory),
        catch: (error) =>
          new QueryStoreUnusable({
            directory,
            message: `the query store in ${directory} cannot be opened: ${failed(error).message}`,
          }),
      }),
      ({ store: opened }) => Effect.promise(() => opened.close()),
    );
    if (reset !== undefined) {
      yield* Effect.logWarning(`the query store starts empty and is rebuilt: ${reset}`);
    }
    const view = new ResultView(store, options);
    yield* Effect.forkScoped(view.run());
    return view;
  });
