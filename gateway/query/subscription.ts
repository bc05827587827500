/**
 * One subscription: the results as of a position of RESULTS, then every update after it.
 *
 * U1. Every commit of every task of the version after the start is sent whole and once, in stream
 *     order, or the subscription ends with OUT_OF_RANGE: commit numbers have no gap.
 * U2. A token says what was sent, all of it: the last update of a commit carries one, as does the end
 *     of the snapshot.
 * U3. Nothing is buffered for a slow consumer. It reads from the entries that all share, and when it
 *     has fallen behind these, from RESULTS itself, until it has caught up.
 * U4. A subscription that asked for no version ends with ABORTED when another one is promoted.
 */
import { Effect } from "effect";
import type { Scope, Semaphore } from "effect";
import { status } from "@grpc/grpc-js";
import type { LogUnavailable } from "../../actors/ports/event-log.ts";
import { ResultLog } from "../../actors/ports/result-log.ts";
import { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import type { SubscribeResponse } from "../../proto/gen/tidemark/v1/query.ts";
import type { Result } from "../../proto/gen/tidemark/v1/result.ts";
import { controlSubject } from "../../proto/subjects.ts";
import { ROWS_A_TURN_MAX, SNAPSHOT_MS_MAX } from "./limits.ts";
import {
  noLongerRetained,
  promotedAway,
  refused,
  unavailable,
  unknownProjection,
} from "./refusal.ts";
import type { QueryRefused } from "./refusal.ts";
import { EntryAssembler, updatesOf } from "./result-entry.ts";
import type { CommitEntry, EntryUpdate, ResultEntry } from "./result-entry.ts";
import { resultOf } from "./result-row.ts";
import type { ResultView } from "./result-view.ts";
import type { StoreSnapshot } from "./result-store.ts";
import { validKeyBytes } from "./row-key.ts";
import { writeResumeToken } from "./tokens.ts";
import type { ResumePoint } from "./tokens.ts";

/** Where responses go. */
export interface ResponseSink {
  /** False when the consumer has enough for now: wait for `drained`. */
  readonly write: (response: SubscribeResponse) => boolean;
  readonly drained: Effect.Effect<void>;
  /** Tells the consumer that the subscription stands: later updates will reach it. */
  readonly started: () => void;
}

export interface SubscriptionRequest {
  readonly projection: string;
  /** Undefined follows the active version. */
  readonly version: number | undefined;
  readonly keyPrefix: string;
  readonly start: "snapshot" | "now" | ResumePoint;
}

/** Never succeeds: it goes on until it is refused or interrupted. */
export const runSubscription = (
  view: ResultView,
  request: SubscriptionRequest,
  snapshots: Semaphore.Semaphore,
  sink: ResponseSink,
): Effect.Effect<never, QueryRefused, ResultLog> =>
  Effect.suspend(() => new Subscription(view, request, snapshots, sink).run());

class Subscription {
  readonly #view: ResultView;
  readonly #request: SubscriptionRequest;
  readonly #snapshots: Semaphore.Semaphore;
  readonly #sink: ResponseSink;
  readonly #prefix: Buffer;
  readonly #generation: number;
  #version = 0;
  #cursor = 0;
  #numbers = new Map<number, number>();

  constructor(
    view: ResultView,
    request: SubscriptionRequest,
    snapshots: Semaphore.Semaphore,
    sink: ResponseSink,
  ) {
    this.#view = view;
    this.#request = request;
    this.#snapshots = snapshots;
    this.#sink = sink;
    this.#prefix = Buffer.from(request.keyPrefix, "utf8");
    this.#generation = view.generation;
  }

  run(): Effect.Effect<never, QueryRefused, ResultLog> {
    return Effect.gen({ self: this }, function* () {
      const { start } = this.#request;
      if (start === "snapshot") yield* this.#sendSnapshot();
      else if (start === "now") yield* this.#startNow();
      else yield* this.#startAfter(start);
      for (;;) yield* this.#follow();
    });
  }

  #startNow(): Effect.Effect<void, QueryRefused> {
    return Effect.gen({ self: this }, function* () {
      const { projection, version } = this.#request;
      this.#version = yield* this.#known(version ?? this.#view.activeVersion(projection));
      this.#cursor = this.#view.position;
      const tasks = this.#view.store.version(projection, this.#version)?.tasks.values() ?? [];
      for (const task of tasks) this.#numbers.set(task.partition, task.number);
      this.#sink.started();
    });
  }

  #startAfter(point: ResumePoint): Effect.Effect<void, QueryRefused, ResultLog> {
    return Effect.gen({ self: this }, function* () {
      const { projection, version } = this.#request;
      const active = yield* this.#known(version ?? this.#view.activeVersion(projection));
      if (active !== point.version) return yield* promotedAway(projection, point.version, active);
      if (point.position > this.#view.position) {
        const log = yield* ResultLog;
        const last = yield* log.lastSequence.pipe(Effect.mapError(logUnavailable));
        if (point.position > last) {
          return yield* noLongerRetained(
            `the token stands at ${point.position} and RESULTS ends at ${last}: ` +
              "it belongs to another log",
          );
        }
      }
      this.#version = point.version;
      this.#cursor = point.position;
      this.#numbers = new Map(point.numbers);
      this.#sink.started();
    });
  }

  #sendSnapshot(): Effect.Effect<void, QueryRefused> {
    const slow = Effect.suspend(() =>
      refused(
        status.ABORTED,
        `the snapshot was not read within ${SNAPSHOT_MS_MAX / 60_000} minutes: read faster, or ` +
          "subscribe to fewer keys with key_prefix",
      ),
    );
    const store = this.#view.store;
    return Effect.scoped(
      Effect.gen({ self: this }, function* () {
        const snapshot = yield* Effect.acquireRelease(
          Effect.sync(() => store.snapshot()),
          (opened) => Effect.sync(() => opened.close()),
        );
        yield* this.#readSnapshot(snapshot);
      }),
    ).pipe(
      Effect.timeoutOrElse({ duration: SNAPSHOT_MS_MAX, orElse: () => slow }),
      this.#snapshots.withPermit,
    );
  }

  #readSnapshot(snapshot: StoreSnapshot): Effect.Effect<void, QueryRefused> {
    return Effect.gen({ self: this }, function* () {
      const { projection, version, keyPrefix } = this.#request;
      // As of the snapshot: a promotion may be in the store before this view has told of it.
      const active = snapshot.promoted(projection) ?? this.#view.unpromotedVersion(projection);
      this.#version = yield* this.#known(version ?? active);
      this.#cursor = snapshot.position;
      this.#numbers = snapshot.numbers(projection, this.#version);
      this.#sink.started();
      const query = { projection, version: this.#version, keyPrefix, from: undefined };
      const scan = snapshot.scan({ ...query, to: undefined });
      let results = 0;
      while (!scan.done) {
        // A store that was emptied no longer knows the names of these rows' values.
        yield* this.#sameLog();
        for (const result of scan.step(ROWS_A_TURN_MAX, ROWS_A_TURN_MAX)) {
          results++;
          yield* this.#send({
            event: { $case: "snapshot", value: result },
            resumeToken: "",
          });
        }
        yield* Effect.yieldNow;
      }
      yield* this.#send({
        event: { $case: "snapshotEnd", value: { results } },
        resumeToken: this.#token(),
      });
    });
  }

  /** Sends what there is, or waits for something. */
  #follow(): Effect.Effect<void, QueryRefused, ResultLog> {
    return Effect.gen({ self: this }, function* () {
      yield* this.#sameLog();
      const { recent, generation } = this.#view;
      if (this.#cursor < recent.since) return yield* this.#catchUp();
      const entry = recent.after(this.#cursor);
      if (entry === undefined) return yield* this.#view.changedAfter(this.#cursor, generation);
      yield* this.#handle(entry);
    });
  }

  /** Reads RESULTS from where the subscription stands until the shared entries go on from there. */
  #catchUp(): Effect.Effect<void, QueryRefused, ResultLog> {
    const { projection } = this.#request;
    const filters = [`results.${projection}.${this.#version}.*`, controlSubject(projection)];
    const behind = () =>
      this.#cursor < this.#view.recent.since && this.#view.generation === this.#generation;
    const reading: Effect.Effect<void, LogUnavailable | QueryRefused, ResultLog | Scope.Scope> =
      Effect.gen({ self: this }, function* () {
        const log = yield* ResultLog;
        const reader = yield* log.open(filters, this.#cursor + 1);
        const assembler = new EntryAssembler();
        while (behind()) {
          // With nothing of ours in between there is nothing to wait for.
          if (this.#view.lastSequence(projection, this.#version) <= this.#cursor) {
            this.#cursor = this.#view.position;
            return;
          }
          const entries: ResultEntry[] = [];
          for (const record of yield* reader.next) assembler.push(record, entries);
          for (const entry of entries) yield* this.#handle(entry);
        }
      });
    return Effect.scoped(reading).pipe(Effect.catchTag("LogUnavailable", logUnavailable));
  }

  #handle(entry: ResultEntry): Effect.Effect<void, QueryRefused> {
    return Effect.gen({ self: this }, function* () {
      const { projection, version } = this.#request;
      const ours = entry.kind !== "unreadable" && entry.projection === projection;
      if (ours && entry.kind === "promotion" && version === undefined) {
        if (entry.version !== this.#version) {
          return yield* promotedAway(projection, this.#version, entry.version);
        }
      }
      if (ours && entry.kind === "commit" && entry.version === this.#version) {
        const expected = (this.#numbers.get(entry.partition) ?? 0) + 1;
        if (entry.number !== expected || !entry.whole) {
          return yield* noLongerRetained(
            `commit ${expected} of partition ${entry.partition} was to come and ${entry.number} came`,
          );
        }
        yield* this.#sendCommit(entry);
      }
      this.#cursor = entry.sequence;
    });
  }

  #sendCommit(entry: CommitEntry): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      let held: Result | undefined;
      for (const update of updatesOf(entry)) {
        if (!this.#wants(update)) continue;
        if (held !== undefined) {
          yield* this.#send({ event: { $case: "update", value: held }, resumeToken: "" });
        }
        held = resultOf(
          { projection: entry.projection, version: entry.version, columns: update.columns },
          Update.decode(update.data.subarray(update.start, update.end)),
        );
      }
      this.#numbers.set(entry.partition, entry.number);
      this.#cursor = entry.sequence;
      if (held === undefined) return;
      yield* this.#send({ event: { $case: "update", value: held }, resumeToken: this.#token() });
    });
  }

  #sameLog(): Effect.Effect<void, QueryRefused> {
    return this.#view.generation === this.#generation
      ? Effect.void
      : noLongerRetained("RESULTS was replaced by another log");
  }

  #wants({ head, data }: EntryUpdate): boolean {
    const prefix = this.#prefix;
    if (prefix.length === 0) return true;
    const key = validKeyBytes(data, head.keyStart, head.keyEnd);
    if (key.length < prefix.length) return false;
    for (let i = 0; i < prefix.length; i++) if (key[i] !== prefix[i]) return false;
    return true;
  }

  #send(response: SubscribeResponse): Effect.Effect<void> {
    return this.#sink.write(response) ? Effect.void : this.#sink.drained;
  }

  #token(): string {
    const { projection, keyPrefix } = this.#request;
    const version = this.#version;
    const position = this.#cursor;
    return writeResumeToken({ projection, version, keyPrefix, position, numbers: this.#numbers });
  }

  #known(version: number | undefined): Effect.Effect<number, QueryRefused> {
    return version === undefined
      ? unknownProjection(this.#view, this.#request.projection)
      : Effect.succeed(version);
  }
}

const logUnavailable = (error: LogUnavailable): QueryRefused =>
  unavailable(`RESULTS cannot be read now: ${error.message}; resume with the last token`);
