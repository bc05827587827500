/**
 * The task of an ordered projection on one partition: it hands the events of each key to an operator in
 * event-time order.
 *
 * O1. An event at time t is late when the watermark had reached t before it: the closing rule of the
 *     window [t, t + 1). Otherwise it is counted and waits until the watermark reaches t. One that says
 *     what holds from t on (`isStanding`) is never late: it waits for the first moment that is not over.
 * O2. Turns of a partition come by event time; at one time first the timers, in the order in which
 *     they were set, then the events, in log order. So what they give does not depend on the order
 *     of arrival within out-of-orderness, nor on batches, nor on restarts.
 * O3. The watermark passes between two events, as in Q1 of ProjectionCore, and all turns of one event
 *     time fall into one pass.
 * O4. A turn happens as a whole or not at all: what throws, or breaks a limit, is a dead letter; the
 *     key's state stays, its neighbours go on. An event then moves from `counted` to `poison`. A
 *     timer is in no account: its dead letter names the key and no event; nor is a result that was
 *     offered and cannot be published.
 * O5. The books balance after every batch.
 */
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { NotPlain } from "../../projections/definition/plain-state.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { describeThrown } from "../../projections/definition/user-code.ts";
import { ACCEPTED } from "../intake/event-batch.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { KeyTable } from "../kernel/key-table.ts";
import { textOf as keyText } from "../kernel/text.ts";
import { readBooks, writeBooks } from "../task/books-keeper.ts";
import { DraftWriter } from "../task/draft-writer.ts";
import type { Publication } from "../task/draft-writer.ts";
import { EventGate } from "../task/event-gate.ts";
import type { TaskOfPlan } from "../task/event-gate.ts";
import { keyBytes } from "../task/key-bytes.ts";
import type { Draft, Progress, TaskCore } from "../task/task-core.ts";
import { readSnapshotHead, TaskProgress, writeSnapshotHead } from "../task/task-progress.ts";
import { GLOBAL_END } from "../window/global.ts";
import { bufferedLetter, resultLetter, timerLetter } from "./dead-letters.ts";
import { EventBuffer } from "./event-buffer.ts";
import { KeyedStates } from "./keyed-states.ts";
import type { KeyRecord } from "./keyed-states.ts";
import type { KeyedOperator } from "./keyed-operator.ts";
import {
  BUFFERED_BYTES_MAX,
  BUFFERED_EVENTS_MAX,
  BUFFERED_EVENTS_OF_KEY_MAX,
  TIMERS_OF_MOMENT_MAX,
  TurnRefused,
} from "./limits.ts";
import { ResultRows } from "./result-row.ts";
import type { Timer } from "./timer-queue.ts";
import { TurnRecorder } from "./turn-recorder.ts";

const SNAPSHOT_LAYOUT = 0x746d_6f0a;

export class OrderedCore<Event, State> implements TaskCore<EventBatch> {
  readonly #task: TaskOfPlan;
  readonly #operator: KeyedOperator<Event, State>;
  readonly #keys = new KeyTable();
  readonly #buffer: EventBuffer<Event>;
  readonly #states: KeyedStates<State>;
  readonly #rows: ResultRows;
  readonly #turn: TurnRecorder;
  readonly #draft: DraftWriter;
  readonly #gate: EventGate;
  readonly #progress = new TaskProgress();
  readonly #publication: Publication;
  /** A null for each output. */
  readonly #nulls: readonly null[];
  /** When the next turn is due. */
  #nextDue = Number.POSITIVE_INFINITY;
  /** How often a key and window had a result at the event time at hand. */
  readonly #ordinals = new Map<string, number>();
  #ordinalsTime = 0;

  constructor(
    plan: ProjectionPlan,
    version: number,
    partition: number,
    operator: KeyedOperator<Event, State>,
  ) {
    this.#task = { plan, version, partition };
    this.#operator = operator;
    this.#buffer = new EventBuffer(this.#keys, partition, operator);
    this.#states = new KeyedStates(this.#keys, operator);
    this.#nulls = plan.outputs.map(() => null);
    this.#rows = new ResultRows(plan.outputs);
    this.#turn = new TurnRecorder(this.#keys, this.#rows);
    const columns = plan.outputs.map(({ name }) => name);
    this.#draft = new DraftWriter(columns, this.#rows.values, plan);
    this.#gate = new EventGate(this.#task, this.#draft);
    this.#publication = {
      key: new Uint8Array(0),
      windowStart: 0,
      windowEnd: 0,
      kind: Kind.KIND_FINAL,
      revision: 1,
      ordinal: 0,
      watermark: 0,
      partition,
      sequence: 0,
      index: 0,
    };
  }

  get pendingBytes(): number {
    return this.#draft.bytes;
  }

  get pendingItems(): number {
    return this.#draft.items;
  }

  take(): Draft {
    return this.#draft.take();
  }

  progress(): Progress {
    return this.#progress.report(this.#gate.books);
  }

  /** Live keys, events that wait and timers that are set: for metrics. */
  size(): { readonly keys: number; readonly buffered: number; readonly timers: number } {
    const { size, timers } = this.#states;
    return { keys: size, buffered: this.#buffer.size, timers: timers.size };
  }

  apply(batch: EventBatch): void {
    const progress = this.#progress;
    this.#gate.begin(batch);
    this.#buffer.begin();
    this.#operator.begin(batch);
    this.#events(batch);
    progress.at(batch.sequence, Math.max(0, batch.count - 1));
    if (batch.watermarkAfter >= this.#nextDue) this.#passTime(batch.watermarkAfter);
    progress.watermark = batch.watermarkAfter;
    const emit = this.#operator.publication?.emit;
    if (emit !== undefined && emit.mode !== "state" && progress.publishesEarly(emit, batch)) {
      this.#publishEarly();
    }
    progress.pass(batch);
  }

  #events(batch: EventBatch): void {
    const { count, verdicts, watermarks, eventTimes } = batch;
    const gate = this.#gate;
    const { books } = gate;
    books.events += count;
    for (let row = 0; row < count; row++) {
      const watermark = watermarks[row]!;
      if (watermark >= this.#nextDue) {
        if (row > 0) this.#progress.at(batch.sequence, row - 1);
        this.#passTime(watermark);
      }
      if (verdicts[row] !== ACCEPTED) {
        gate.refuse(batch, row);
        continue;
      }
      if (!gate.selects(row)) {
        books.filtered++;
        continue;
      }
      this.#add(batch, row, eventTimes[row]!, watermark);
    }
  }

  #add(batch: EventBatch, row: number, time: number, watermark: number): void {
    const gate = this.#gate;
    let event: Event | undefined;
    try {
      event = this.#operator.take(row);
    } catch (error) {
      gate.poison(batch, row, textOf(error));
      return;
    }
    if (event === undefined) {
      gate.books.filtered++;
      return;
    }
    let due = time;
    if (watermark >= time) {
      if (this.#operator.isStanding?.(event) !== true) {
        const lateness = watermark - time;
        const window = { start: time, end: time + 1 };
        gate.late(batch, row, window, lateness, `its time had passed ${lateness} ms before`);
        return;
      }
      due = watermark + 1;
    }
    const { bytes, start, end } = keyBytes(gate.key, row);
    if (gate.refusesKey(batch, row, end - start)) return;
    const keyId = this.#keys.intern(bytes, start, end);
    const full = this.#whyFull(keyId);
    if (full !== undefined) {
      this.#keys.discard(keyId);
      gate.poison(batch, row, full);
      return;
    }
    gate.books.counted++;
    this.#buffer.push(batch, row, keyId, event, due);
    if (due < this.#nextDue) this.#nextDue = due;
  }

  /** Why no more events of a key can wait. */
  #whyFull(keyId: number): string | undefined {
    const buffer = this.#buffer;
    if (buffer.size >= BUFFERED_EVENTS_MAX) {
      return `${BUFFERED_EVENTS_MAX} events of the partition wait for the watermark: the limit`;
    }
    if (buffer.bytes >= BUFFERED_BYTES_MAX) {
      return `${BUFFERED_BYTES_MAX} bytes of events of the partition wait for the watermark: the limit`;
    }
    if (buffer.countOf(keyId) >= BUFFERED_EVENTS_OF_KEY_MAX) {
      return `${BUFFERED_EVENTS_OF_KEY_MAX} events of the key wait for the watermark: the limit`;
    }
    return undefined;
  }

  /** Turns for all that is due at or before the watermark. */
  #passTime(watermark: number): void {
    const buffer = this.#buffer;
    const { timers } = this.#states;
    this.#publication.watermark = watermark;
    for (;;) {
      const time = buffer.least;
      const due = timers.least;
      this.#nextDue = due < time ? due : time;
      if (this.#nextDue > watermark) break;
      if (due <= time) this.#fire(timers.shift());
      else {
        this.#hand(time);
        buffer.shift();
      }
    }
    this.#ordinals.clear();
  }

  /** The turn of the first event of the buffer. */
  #hand(time: number): void {
    const buffer = this.#buffer;
    const keyId = buffer.firstKey;
    const record = this.#states.of(keyId);
    const turn = this.#turn;
    turn.begin(keyId, time);
    turn.give(buffer.firstBytes, buffer.firstStart, buffer.firstEnd);
    let next: State | undefined;
    try {
      const state = record === undefined ? this.#operator.open() : record.state;
      next = this.#operator.event(state, buffer.firstEvent, turn);
      if (next !== undefined) turn.checkTimers(record?.timers);
    } catch (error) {
      this.#poison(error);
      return;
    }
    this.#settle(keyId, record, next, time + 1);
  }

  /** The first event of the buffer was counted, and its turn threw. */
  #poison(error: unknown): void {
    const { books } = this.#gate;
    books.counted--;
    books.poison++;
    const verdict = { watermark: this.#publication.watermark, error: textOf(error) };
    this.#draft.deadLetter(bufferedLetter(this.#task, this.#buffer.first, verdict));
  }

  #fire(timer: Timer): void {
    const { keyId, name, due } = timer;
    const record = this.#states.of(keyId)!;
    const turn = this.#turn;
    record.timers!.delete(name);
    this.#states.mark(record);
    turn.begin(keyId, due);
    let next: State | undefined;
    try {
      this.#countFired(record, due);
      next = this.#operator.timer(record.state, name, turn);
      if (next !== undefined) turn.checkTimers(record.timers);
    } catch (error) {
      const { watermark } = this.#publication;
      const { sequence, index } = this.#progress;
      const verdict = { watermark, sequence, index, timer: name, error: textOf(error) };
      this.#draft.deadLetter(timerLetter(this.#task, turn.key, due, verdict));
      return;
    }
    // Timers come before the events of their time.
    this.#settle(keyId, record, next, due);
  }

  #countFired(record: KeyRecord<State>, time: number): void {
    if (record.moment !== time) {
      record.moment = time;
      record.firedThen = 0;
    }
    if (++record.firedThen <= TIMERS_OF_MOMENT_MAX) return;
    throw new TurnRefused(`more than ${TIMERS_OF_MOMENT_MAX} timers of the key fire at one time`);
  }

  /**
   * The turn is over: does what it asked for. Nothing here throws. `since`: the first millisecond of which
   * the next state is the key's.
   */
  #settle(
    keyId: number,
    record: KeyRecord<State> | undefined,
    next: State | undefined,
    since: number,
  ): void {
    const states = this.#states;
    const { publication } = this.#operator;
    const turn = this.#turn;
    this.#publishRows(keyId);
    if (turn.refused.length > 0) this.#tellRefused();
    if (next === undefined) {
      if (record !== undefined) this.#forget(record, since);
      return;
    }
    let held = record;
    const changed = held?.state !== next;
    if (held === undefined) {
      // When a life began matters only where its state is a result. Elsewhere a state is to be the same
      // whatever led to it: a log may lack what did.
      held =
        publication === undefined
          ? states.add(keyId, next, 0, 0)
          : states.add(keyId, next, turn.time, this.#ordinal(turn.time, GLOBAL_END));
    } else held.state = next;
    if (turn.timers.length > 0) states.applyTimers(held, turn);
    if (publication !== undefined && changed) {
      if (publication.emit.mode === "state") this.#publishState(held, Kind.KIND_EARLY, since);
      else states.markUnpublished(held);
    }
    states.mark(held);
  }

  #publishRows(keyId: number): void {
    const rows = this.#rows;
    if (rows.count === 0) return;
    const publication = this.#publication;
    publication.key = this.#keys.bytesOf(keyId);
    publication.kind = Kind.KIND_FINAL;
    publication.revision = 1;
    for (let row = 0; row < rows.count; row++) {
      publication.windowStart = rows.starts[row]!;
      publication.windowEnd = rows.ends[row]!;
      const { windowStart, windowEnd } = publication;
      publication.ordinal = this.#ordinal(windowStart, windowEnd);
      this.#publish(row);
    }
  }

  #tellRefused(): void {
    const { key, time, refused } = this.#turn;
    const { watermark } = this.#publication;
    const { sequence, index } = this.#progress;
    for (const { start, end, error } of refused) {
      const about = { key, time, window: { start, end } };
      const verdict = { watermark, sequence, index, error };
      this.#draft.deadLetter(resultLetter(this.#task, about, verdict));
    }
  }

  #publish(row: number): void {
    this.#publication.sequence = this.#progress.sequence;
    this.#publication.index = this.#progress.index;
    this.#draft.update(this.#publication, row);
  }

  /** 0, 1, 2 ... for each key and window; see K3 of KeyedOperator for why one event time suffices. */
  #ordinal(start: number, end: number): number {
    const { key, time } = this.#turn;
    if (time !== this.#ordinalsTime) {
      this.#ordinalsTime = time;
      this.#ordinals.clear();
    }
    // By the key and not by its id, which another key may have after this one is forgotten.
    const name = `${start} ${end} ${key}`;
    const ordinal = this.#ordinals.get(name) ?? 0;
    this.#ordinals.set(name, ordinal + 1);
    return ordinal;
  }

  #forget(record: KeyRecord<State>, since: number): void {
    const emit = this.#operator.publication?.emit;
    if (emit?.mode === "state") this.#publishState(record, Kind.KIND_RETRACTION, since);
    else if (emit !== undefined) this.#publishState(record, Kind.KIND_FINAL, GLOBAL_END);
    this.#states.forget(record);
  }

  #publishEarly(): void {
    this.#publication.watermark = this.#progress.watermark;
    for (const record of this.#states.takeUnpublished()) {
      this.#publishState(record, Kind.KIND_EARLY, GLOBAL_END);
    }
  }

  #publishState(record: KeyRecord<State>, kind: Kind, windowEnd: number): void {
    const publication = this.#publication;
    const rows = this.#rows;
    rows.clear();
    try {
      // What is there no more has no values: nothing can keep it from going.
      const retracts = kind === Kind.KIND_RETRACTION;
      const values = retracts ? this.#nulls : this.#operator.publication!.row(record.state);
      rows.add(record.born, windowEnd, values);
    } catch (error) {
      this.#tellUnpublished(record, error);
      return;
    }
    publication.key = this.#keys.bytesOf(record.keyId);
    publication.windowStart = record.born;
    publication.windowEnd = windowEnd;
    publication.kind = kind;
    publication.revision = ++record.revision;
    publication.ordinal = record.ordinal;
    this.#publish(0);
  }

  /** Values were checked with the event; only functions of more than the state can fail now. */
  #tellUnpublished(record: KeyRecord<State>, error: unknown): void {
    const bytes = this.#keys.bytesOf(record.keyId);
    const window = { start: record.born, end: GLOBAL_END };
    const about = { key: keyText(bytes, 0, bytes.length), time: record.born, window };
    const { watermark } = this.#publication;
    const { sequence, index } = this.#progress;
    const verdict = { watermark, sequence, index, error: textOf(error) };
    this.#draft.deadLetter(resultLetter(this.#task, about, verdict));
  }

  digest(): Uint8Array {
    this.#states.settleDigest();
    return this.#progress.digest(this.#buffer.digest, this.#states.digest);
  }

  adoptBooks(books: Books): void {
    this.#gate.books = { ...books };
  }

  snapshot(): Uint8Array {
    const out = new ByteWriter(4096);
    writeSnapshotHead(out, SNAPSHOT_LAYOUT, this.#task.plan.digest);
    this.#progress.write(out);
    writeBooks(this.#gate.books, out);
    this.#buffer.write(out);
    this.#states.write(out);
    return out.finish();
  }

  restore(snapshot: Uint8Array): void {
    const from = new ByteReader(snapshot);
    readSnapshotHead(from, SNAPSHOT_LAYOUT, this.#task.plan.digest);
    this.#progress.read(from);
    this.#gate.books = readBooks(from);
    this.#buffer.read(from);
    this.#states.read(from);
    this.#nextDue = Math.min(this.#buffer.least, this.#states.timers.least);
  }
}

const ERROR_TEXT_MAX = 2_000;

/** What is refused says all in its message. Whatever was thrown, this does not. */
const textOf = (error: unknown): string => {
  if (!(error instanceof TurnRefused || error instanceof NotPlain))
    return describeThrown(error).replace(/^threw /, "");
  const { message } = error;
  return message.length > ERROR_TEXT_MAX ? `${message.slice(0, ERROR_TEXT_MAX)}...` : message;
};
