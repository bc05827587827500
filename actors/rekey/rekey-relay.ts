/**
 * Writes the log of a re-keyed projection: copies what its routing tasks committed to RESULTS into the
 * partition of each event's group. The copying is `rekey-writer.ts`; here is when, and how it
 * survives.
 *
 * V1. Each routed event is in the log exactly once and in the order of RESULTS, however often a relay
 *     is killed: its cursor lies in the very record batches that it appends.
 * V2. Natural batching: all that was read at once becomes one record batch a partition, and partitions
 *     are written side by side. One without events hears how far the upstreams are a moment later.
 * V3. A relay that is fenced stops.
 * V4. What is held back (R5 of RekeyWriter) is read from RESULTS once it may go on, by a reader of its own: it lies
 *     there meanwhile, not in memory.
 */
import { Effect, Latch, Metric, Option, Semaphore } from "effect";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { commitSubject, routedFilter } from "../../proto/subjects.ts";
import { CommitAssembler, PartAssembler, partOf } from "../commit/parts.ts";
import { untilAvailable } from "../commit/until-available.ts";
import type { RekeyedTopic, RekeyLog } from "../ports/rekey-log.ts";
import { Fenced } from "../ports/result-log.ts";
import type { ResultLog, ResultReader, ResultRecord } from "../ports/result-log.ts";
import type { RelayStatus } from "../relay/relay.ts";
import { counter, gauge } from "../task/metrics.ts";
import { RekeyWriter } from "./rekey-writer.ts";
import type { Upstream } from "./upstream.ts";
import type { AlignmentLimits } from "./watermark-alignment.ts";

export interface RekeyRelayOptions {
  readonly projection: string;
  /** Of the routing tasks. */
  readonly version: number;
  /** The log that it writes. */
  readonly topic: RekeyedTopic;
  /** How many there are. */
  readonly upstreams: number;
  /** By upstream, as of the moment at which it is run. */
  readonly look: Effect.Effect<readonly Upstream[]>;
  /** Those whose events are rows of a compacted topic (R5 of RekeyWriter). */
  readonly rowUpstreams: ReadonlySet<number>;
  readonly results: ResultLog["Service"];
  readonly rekeyed: RekeyLog["Service"];
  readonly limits: AlignmentLimits;
  /** How long a partition without events may wait to hear of the others. */
  readonly progressEveryMs: number;
}

const REOPEN_AFTER_MS = 250;
/** How long is waited for the commits of an upstream that was held back, which should be there. */
const CATCH_UP_MS_MAX = 1_000;
const TAKEOVERS_MAX = 20;

export class RekeyRelay {
  readonly #options: RekeyRelayOptions;
  readonly #relayed: Metric.Counter<number>;
  readonly #lagGauge: Metric.Gauge<number>;
  readonly #heldGauge: Metric.Gauge<number>;
  /** Writer and sequences change under it only. */
  readonly #oneAtATime = Semaphore.makeUnsafe(1);
  /** Opened whenever all partitions have come further. */
  readonly #advanced = Latch.makeUnsafe(false);
  #writer = new RekeyWriter([], 0);
  /** By partition: last sequence of its log. */
  #sequences: number[] = [];
  #state: RelayStatus["state"] = "starting";
  #reason: string | undefined;
  readonly #parts = new CommitAssembler();
  #lag = 0;
  /** Last RESULTS sequence that there will be, once it is known. */
  #end: number | undefined;

  constructor(options: RekeyRelayOptions) {
    this.#options = options;
    const target = options.topic.name;
    this.#relayed = counter("relayed", { target });
    this.#lagGauge = gauge("relayLag", { target });
    this.#heldGauge = gauge("relayHeldBack", { target });
  }

  get status(): RelayStatus {
    return {
      target: this.#options.topic.name,
      state: this.#state,
      reason: this.#reason,
      position: this.#sequences.length === 0 ? 0 : this.#writer.written,
      lag: this.#lag,
      epoch: this.#sequences.length === 0 ? 0 : this.#writer.epoch,
    };
  }

  get over(): boolean {
    return this.#state === "fenced" || this.#state === "failed";
  }

  /**
   * Waits until everything up to a RESULTS sequence is in the log, or the relay is over. Nothing will come after it,
   * so in the end nothing is held back any more.
   */
  reached(sequence: number): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      yield* this.#oneAtATime.withPermit(
        Effect.sync(() => {
          this.#end = sequence;
          this.#writer.endAt(sequence);
        }),
      );
      while (!this.over && (this.#state === "starting" || this.#writer.written < sequence)) {
        this.#advanced.closeUnsafe();
        yield* this.#advanced.await;
      }
    });
  }

  /** Until interrupted or fenced. */
  readonly run: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    yield* this.#takeOver;
    this.#state = "relaying";
    const { topic } = this.#options;
    yield* Effect.logInfo(`relay of ${topic.name} goes on after ${this.#writer.position}`);
    yield* Effect.raceAllFirst([this.#progress, this.#catchUps, Effect.forever(this.#relay)]);
  }).pipe(
    Effect.catchTag("Fenced", (fenced) => this.#stop("fenced", fenced.message)),
    Effect.catchDefect((defect) => this.#stop("failed", String(defect))),
    Effect.onInterrupt(() =>
      Effect.suspend(() => {
        this.#state = "stopped";
        this.#lag = 0;
        return Metric.update(this.#lagGauge, 0);
      }),
    ),
    Effect.ensuring(Effect.sync(() => this.#advanced.openUnsafe())),
  );

  /** The next epoch, in every partition. */
  readonly #takeOver = Effect.gen({ self: this }, function* () {
    const { topic, rekeyed } = this.#options;
    yield* untilAvailable(rekeyed.ensure(topic));
    const partitions = [...Array(topic.partitions).keys()];
    const lasts = yield* Effect.forEach(
      partitions,
      (partition) => untilAvailable(rekeyed.last(topic.name, partition)),
      { concurrency: "unbounded" },
    );
    const { upstreams, limits, rowUpstreams } = this.#options;
    const writer = new RekeyWriter(
      lasts.map((last) => last?.data),
      upstreams,
      limits,
      rowUpstreams,
    );
    if (this.#end !== undefined) writer.endAt(this.#end);
    this.#sequences = yield* Effect.forEach(
      partitions,
      (partition) => {
        const expected = lasts[partition]?.sequence ?? 0;
        const data = writer.takeOver(partition);
        return untilAvailable(rekeyed.append(topic.name, partition, data, expected));
      },
      { concurrency: "unbounded" },
    );
    this.#writer = writer;
    for (const { upstream } of writer.held) yield* this.#confirm(upstream);
  }).pipe(Effect.retry({ times: TAKEOVERS_MAX, while: (error) => error instanceof Fenced }));

  /** One life of a reader: from where the writer stands until reading fails. */
  readonly #relay = Effect.suspend(() => {
    const { projection, version, results } = this.#options;
    const filters = [routedFilter(projection, version)];
    // Nothing of a commit is copied before its last part was read.
    this.#parts.drop();
    return untilAvailable(results.open(filters, this.#writer.position + 1)).pipe(
      Effect.flatMap((reader) => this.#follow(reader)),
      Effect.scoped,
      Effect.catchTag("LogUnavailable", (error) =>
        Effect.logWarning(`relaying is interrupted: ${error.message}`).pipe(
          Effect.andThen(Effect.sleep(REOPEN_AFTER_MS)),
        ),
      ),
    );
  });

  readonly #follow = Effect.fnUntraced(function* (this: RekeyRelay, reader: ResultReader) {
    while (true) {
      const records = yield* reader.next;
      const copy = Effect.gen({ self: this }, function* () {
        for (const { sequence, data } of records.flatMap((record) => this.#parts.push(record))) {
          if (this.#writer.isFull(data.byteLength)) yield* this.#write(this.#writer.waiting);
          this.#writer.gather(sequence, Commit.decode(data));
        }
        yield* this.#write(this.#writer.waiting);
      });
      yield* this.#oneAtATime.withPermit(copy);
      this.#lag = records.at(-1)?.pending ?? 0;
      yield* Metric.update(this.#lagGauge, this.#lag);
      yield* Effect.yieldNow;
    }
  });

  /** V4. */
  readonly #catchUps: Effect.Effect<never, Fenced> = Effect.gen({ self: this }, function* () {
    while (true) {
      for (const { upstream, position } of this.#writer.held) {
        if (!this.#writer.mayGoOn(upstream)) continue;
        yield* this.#catchUp(upstream, position).pipe(
          Effect.scoped,
          Effect.catchTag("LogUnavailable", (error) =>
            Effect.logWarning(`relaying what was held back is interrupted: ${error.message}`),
          ),
        );
      }
      yield* Metric.update(this.#heldGauge, this.#writer.held.length);
      yield* Effect.sleep(this.#options.progressEveryMs);
    }
  });

  #subjectOf(upstream: number): string {
    const { projection, version } = this.#options;
    return commitSubject({ kind: "routing", projection, version, partition: upstream });
  }

  readonly #catchUp = Effect.fnUntraced(function* (
    this: RekeyRelay,
    upstream: number,
    position: number,
  ) {
    const reader = yield* this.#options.results.open([this.#subjectOf(upstream)], position + 1);
    const parts = new PartAssembler<ResultRecord>();
    while (this.#writer.mayGoOn(upstream)) {
      const read = yield* Effect.timeoutOption(reader.next, CATCH_UP_MS_MAX);
      const records = Option.getOrElse(read, () => []);
      const copy = Effect.gen({ self: this }, function* () {
        for (const record of records) {
          // What is left of them is read again.
          if (!this.#writer.mayGoOn(upstream)) break;
          for (const { sequence, data } of parts.push(record, partOf(record.data))) {
            if (this.#writer.isFull(data.byteLength)) yield* this.#write(this.#writer.waiting);
            this.#writer.catchUp(sequence, Commit.decode(data));
          }
        }
        yield* this.#write(this.#writer.waiting);
      });
      yield* this.#oneAtATime.withPermit(copy);
      if ((records.at(-1)?.pending ?? 0) > 0) continue;
      return yield* this.#confirm(upstream);
    }
  });

  /** Whether there is anything more of an upstream that is held back. */
  #confirm(upstream: number): Effect.Effect<void> {
    return Effect.map(
      untilAvailable(this.#options.results.last(this.#subjectOf(upstream))),
      (last) => this.#writer.confirm(upstream, last?.sequence ?? 0),
    );
  }

  readonly #progress: Effect.Effect<never, Fenced> = Effect.gen({ self: this }, function* () {
    while (true) {
      yield* this.#oneAtATime.withPermit(Effect.suspend(() => this.#write(this.#writer.behind)));
      yield* Effect.sleep(this.#options.progressEveryMs);
    }
  });

  readonly #write = Effect.fnUntraced(function* (
    this: RekeyRelay,
    partitions: readonly number[],
  ): Effect.fn.Return<void, Fenced> {
    if (partitions.length === 0) return;
    const events = this.#writer.waitingEvents;
    const awake = yield* this.#awake;
    this.#writer.wake(awake);
    yield* Effect.forEach(partitions, (partition) => this.#writePartition(partition, awake), {
      concurrency: "unbounded",
      discard: true,
    });
    this.#advanced.openUnsafe();
    yield* Metric.update(this.#relayed, events);
  });

  readonly #writePartition = Effect.fnUntraced(function* (
    this: RekeyRelay,
    partition: number,
    awake: ReadonlySet<number>,
  ): Effect.fn.Return<void, Fenced> {
    const { topic, rekeyed } = this.#options;
    do {
      const data = this.#writer.encode(partition, awake);
      const expected = this.#sequences[partition]!;
      const append = rekeyed.append(topic.name, partition, data, expected);
      this.#sequences[partition] = yield* untilAvailable(append);
      this.#writer.wrote(partition);
    } while (this.#writer.isWaiting(partition));
  });

  /** Upstreams that were said to be idle and have more to route by now (R3 of RekeyWriter). */
  readonly #awake = Effect.gen({ self: this }, function* () {
    const upstreams = yield* this.#options.look;
    const awake = yield* Effect.forEach(
      this.#writer.idleUpstreams,
      ({ upstream, inputSequence }) =>
        Effect.map(upstreams[upstream]!.end, (end) =>
          end === undefined || end > inputSequence ? [upstream] : [],
        ),
      { concurrency: "unbounded" },
    );
    return new Set(awake.flat());
  });

  #stop(state: "fenced" | "failed", reason: string): Effect.Effect<void> {
    this.#state = state;
    this.#reason = reason;
    return Effect.logError(`relay of ${this.#options.topic.name} is ${state}: ${reason}`);
  }
}
