/**
 * Copies what was committed to where subscribers are: updates of RESULTS to `projections.>`, dead
 * letters to `dlq.>`. A task like any other: its input is RESULTS, its output one atomic publish that
 * carries its own cursor.
 *
 * Y1. Each update and each dead letter of the active version is published exactly once, in the order
 *     of RESULTS, however often a relay is killed.
 * Y2. What is active is decided by the promotions that precede a commit in the stream. A promotion itself
 *     gives messages: how the new version's results differ from those that were published (decision 012).
 * Y3. A commit of any size is relayed in pieces: the cursor is (position, offset in the next record).
 * Y4. A relay that is fenced stops.
 * Y5. Nothing of a commit goes out before its last part was read, so parts that a power failure left
 *     behind never do.
 */
import { Clock, Effect, Metric } from "effect";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { CommitAssembler } from "../commit/parts.ts";
import { untilAvailable } from "../commit/until-available.ts";
import type { LogUnavailable } from "../ports/event-log.ts";
import type { OutgoingMessage, RelayCursor, RelayTarget } from "../ports/relay-target.ts";
import { Fenced } from "../ports/result-log.ts";
import type { ResultLog, ResultReader, ResultRecord } from "../ports/result-log.ts";
import { counter, gauge } from "../task/metrics.ts";
import { activeVersionsAt, applyPromotion, CONTROL_FILTER, isLastPart } from "./active-versions.ts";
import type { ActiveVersions } from "./active-versions.ts";
import { deadLetterMessages, updateMessage, updateMessages } from "./messages.ts";
import type { RelaySource } from "./messages.ts";
import { settledRows } from "./settled-rows.ts";

export type RelayKind = "projections" | "dlq";

export interface RelayOptions {
  readonly target: RelayKind;
  readonly plans: readonly ProjectionPlan[];
  readonly results: ResultLog["Service"];
  readonly outlet: RelayTarget["Service"];
}

export interface RelayStatus {
  /** What it fills: a stream's part, or the log of a re-keyed projection. */
  readonly target: string;
  readonly state: "starting" | "relaying" | "fenced" | "failed" | "stopped";
  readonly reason: string | undefined;
  /** Last RESULTS sequence wholly relayed. */
  readonly position: number;
  /** RESULTS records that are not relayed yet. */
  readonly lag: number;
  readonly epoch: number;
}

const PUBLISH_BYTES_MAX = 4 * 1024 * 1024;
/** A cursor that moved over records without messages is written this often. */
const CURSOR_EVERY_MS = 5_000;
const REOPEN_AFTER_MS = 250;
const TAKEOVERS_MAX = 20;

export class Relay {
  readonly #options: RelayOptions;
  readonly #plans: ReadonlyMap<string, ProjectionPlan>;
  readonly #relayed: Metric.Counter<number>;
  readonly #lagGauge: Metric.Gauge<number>;
  #versions: ActiveVersions = new Map();
  #cursor: RelayCursor = { position: 0, offset: 0, epoch: 0, revision: 0 };
  #state: RelayStatus["state"] = "starting";
  #reason: string | undefined;
  #lag = 0;
  #publishedAt = 0;

  /** Gathered and not yet published, and where the cursor stands when it is. */
  #messages: OutgoingMessage[] = [];
  readonly #parts = new CommitAssembler();
  #bytes = 0;
  #position = 0;
  #offset = 0;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#plans = new Map(options.plans.map((plan) => [plan.definition.name, plan]));
    this.#relayed = counter("relayed", { target: options.target });
    this.#lagGauge = gauge("relayLag", { target: options.target });
  }

  get status(): RelayStatus {
    return {
      target: this.#options.target,
      state: this.#state,
      reason: this.#reason,
      position: this.#cursor.position,
      lag: this.#lag,
      epoch: this.#cursor.epoch,
    };
  }

  /** Until interrupted or fenced. */
  readonly run: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    yield* this.#takeOver;
    this.#state = "relaying";
    yield* Effect.logInfo(
      `relay of ${this.#options.target} goes on after ${this.#cursor.position}, ` +
        `epoch ${this.#cursor.epoch}`,
    );
    while (true) yield* this.#relay;
  }).pipe(
    Effect.catchTag("Fenced", (fenced) => this.#stop("fenced", fenced.message)),
    Effect.catchDefect((defect) => this.#stop("failed", String(defect))),
    Effect.onInterrupt(() =>
      Effect.sync(() => {
        this.#state = "stopped";
      }),
    ),
  );

  readonly #takeOver = Effect.gen({ self: this }, function* () {
    const { outlet, target } = this.#options;
    const last = yield* untilAvailable(outlet.cursor(target));
    yield* this.#publish([], { ...last, epoch: last.epoch + 1 });
  }).pipe(Effect.retry({ times: TAKEOVERS_MAX, while: (error) => error instanceof Fenced }));

  /** One life of a reader: from the cursor until reading fails. */
  readonly #relay = Effect.gen({ self: this }, function* () {
    const { results, target } = this.#options;
    // What was gathered is gathered again, under the versions that were active then (Y2).
    this.#messages = [];
    this.#bytes = 0;
    this.#parts.drop();
    this.#position = this.#cursor.position;
    this.#offset = this.#cursor.offset;
    const projections = [...this.#plans.keys()];
    this.#versions = yield* activeVersionsAt(results, projections, this.#position);
    const commits =
      target === "projections" ? ["results.>"] : ["results.>", "partials.>", "routed.>"];
    const reader = yield* untilAvailable(
      results.open([...commits, CONTROL_FILTER], this.#cursor.position + 1),
    );
    yield* this.#follow(reader);
  }).pipe(
    Effect.scoped,
    Effect.catchTag("LogUnavailable", (error) =>
      Effect.logWarning(`relaying is interrupted: ${error.message}`).pipe(
        Effect.andThen(Effect.sleep(REOPEN_AFTER_MS)),
      ),
    ),
  );

  readonly #follow = Effect.fnUntraced(function* (this: Relay, reader: ResultReader) {
    while (true) {
      const records = yield* reader.next;
      for (const record of records) {
        for (const whole of this.#completedBy(record)) {
          yield* this.#gather(yield* this.#messagesOf(whole));
          this.#position = whole.sequence;
          this.#offset = 0;
        }
      }
      this.#lag = records.at(-1)?.pending ?? 0;
      yield* Metric.update(this.#lagGauge, this.#lag);
      const now = yield* Clock.currentTimeMillis;
      const stale = now - this.#publishedAt >= CURSOR_EVERY_MS;
      if (this.#messages.length > 0 || stale) yield* this.#flush;
      yield* Effect.yieldNow;
    }
  });

  #completedBy(record: ResultRecord): readonly ResultRecord[] {
    if (!record.subject.startsWith("control.")) return this.#parts.push(record);
    this.#parts.drop();
    return [record];
  }

  #messagesOf(record: ResultRecord): Effect.Effect<readonly OutgoingMessage[], LogUnavailable> {
    return record.subject.startsWith("control.")
      ? this.#promoted(record)
      : Effect.succeed(this.#committed(record));
  }

  /** What a promotion changes for those who followed the version before. */
  readonly #promoted = Effect.fnUntraced(function* (this: Relay, record: ResultRecord) {
    const promotion = applyPromotion(this.#versions, record.data);
    const plan = this.#plans.get(promotion.projection);
    if (plan === undefined || this.#options.target !== "projections") return [];
    const { projection, version, comparedAt } = promotion;
    const source: RelaySource = { projection, version, subjects: plan.definition.subjects };
    const differences = updateMessages(source, record.data);
    if (comparedAt === 0 || !isLastPart(promotion)) return differences;
    const { columns, updates } = yield* settledRows(
      this.#options.results,
      promotion,
      record.sequence,
    );
    return [...differences, ...updates.map((update) => updateMessage(source, columns, update))];
  });

  #committed(record: ResultRecord): readonly OutgoingMessage[] {
    const [kind, projection, version] = record.subject.split(".");
    const plan = this.#plans.get(projection ?? "");
    const active = this.#versions.get(projection ?? "");
    if (plan === undefined || active === undefined) return [];
    const followed = kind === "routed" ? active.routing : active.version;
    if (followed !== Number(version)) return [];
    const source: RelaySource = {
      projection: plan.definition.name,
      version: Number(version),
      subjects: plan.definition.subjects,
    };
    return this.#options.target === "projections"
      ? updateMessages(source, record.data)
      : deadLetterMessages(source, record.data);
  }

  /** Adds the messages of one record, but for those that are out already, and publishes full batches. */
  readonly #gather = Effect.fnUntraced(function* (
    this: Relay,
    messages: readonly OutgoingMessage[],
  ) {
    const { batchSizeMax } = this.#options.outlet;
    for (let index = this.#offset; index < messages.length; index++) {
      const message = messages[index]!;
      if (this.#messages.length === batchSizeMax || this.#bytes >= PUBLISH_BYTES_MAX) {
        yield* this.#flush;
      }
      this.#messages.push(message);
      this.#bytes += message.data.byteLength;
      this.#offset = index + 1;
    }
  });

  readonly #flush = Effect.gen({ self: this }, function* () {
    const messages = this.#messages;
    const { epoch, revision } = this.#cursor;
    this.#messages = [];
    this.#bytes = 0;
    yield* this.#publish(messages, {
      position: this.#position,
      offset: this.#offset,
      epoch,
      revision,
    });
    yield* Metric.update(this.#relayed, messages.length);
  });

  #publish(messages: readonly OutgoingMessage[], cursor: RelayCursor): Effect.Effect<void, Fenced> {
    const { outlet, target } = this.#options;
    return untilAvailable(outlet.publish(target, messages, cursor)).pipe(
      Effect.tap(() =>
        Clock.currentTimeMillis.pipe(Effect.map((now) => (this.#publishedAt = now))),
      ),
      Effect.map((revision) => {
        this.#cursor = { ...cursor, revision };
      }),
    );
  }

  #stop(state: "fenced" | "failed", reason: string): Effect.Effect<void> {
    this.#state = state;
    this.#reason = reason;
    return Effect.logError(`relay of ${this.#options.target} is ${state}: ${reason}`);
  }
}
