/**
 * Which record batches of a partition's log may go: the pure part of a pass of compaction. It is given the log
 * several times over, from its first record on: once to learn what it must keep for its own sake, and then for
 * as many keys at a time as memory has room for.
 *
 * Looked at are the records up to an end, all of them older than what must be kept anyway. Of these a record
 * batch goes once nothing in it is needed:
 *
 * C1. Of each key, and type of event, the newest row stays: the one with the greatest time, of one time the
 *     last in the log. A row that a newer one replaces is not needed, nor what the intake did not accept, nor
 *     an event that is no row.
 * C2. Of an id that the log still holds a second time the first occurrence stays, whatever became of it, or the
 *     second one would count. Duplicates go before it, in a pass of their own; so what is left is judged as it was.
 * C3. What tells a reader of the rest where it stands stays: the last record batch, the last with an event, the
 *     last tick, and those at which the watermark and the ingest clock came to where they are at the end. So a task
 *     that is rebuilt from the rest has, from the end on, the watermark and the clock that it had.
 * C4. In a re-keyed log other events than rows are answered from the rows before them. They stay while they wait
 *     for event time, or in a record batch that stays for another reason; and while one of them stays, no row
 *     goes that it might need: a row is replaced only by one that is in force before any such event. And they
 *     are to be deleted before the rows are, which is the order of `removable`.
 * C5. Any part of what may go may be deleted, in that order, and the same holds of the rest. So a pass may be cut off
 *     anywhere, and two may run at once.
 */
import { ACCEPTED, CONFLICT, DUPLICATE } from "../intake/event-batch.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import { murmur128 } from "../kernel/hash.ts";
import type { BatchIntake } from "../task/partition-actor.ts";
import { IdFilter } from "./id-filter.ts";
import { COMPACTED_KEYS_MAX, COMPACTED_RECORDS_MAX } from "./limits.ts";
import { HASH_END, NewestTable } from "./newest-table.ts";
import { RecordList } from "./record-list.ts";

export interface CompactionRules {
  /** As that of the tasks which read the log: what it accepts is what they see. */
  readonly makeIntake: () => BatchIntake;
  /** Event types that are rows, by type index; undefined: all. */
  readonly rowTypes: readonly boolean[] | undefined;
  /** How long after an id a duplicate of it may come, in ingest time. */
  readonly dedupeHorizonMs: number;
  /** Last sequence that may go. */
  readonly end: number;
  readonly keysMax?: number;
  readonly recordsMax?: number;
}

/** A record batch that may have to stay. */
interface Landmark {
  readonly sequence: number;
  /** The least time of its events that are no rows and not late: what they ask for must stay (C4). */
  readonly asksFrom: number;
  /** The greatest time of its events that are no rows: until then they wait. */
  readonly waitsUntil: number;
}

const NOWHERE: Landmark = {
  sequence: 0,
  asksFrom: Number.POSITIVE_INFINITY,
  waitsUntil: Number.NEGATIVE_INFINITY,
};

const WAITING_MIN = 1024;

export class Compaction {
  readonly #rules: CompactionRules;
  readonly #records: RecordList;
  readonly #duplicates = new IdFilter();
  readonly #hash = new Int32Array(4);
  /** Undefined while the log is read for the first time. */
  #newest: NewestTable | undefined;
  #intake: BatchIntake;
  #done = false;
  /** There are more records than a pass looks at. */
  #full = false;
  #clock = 0;
  #clockAtEnd = 0;
  #watermark = Number.NEGATIVE_INFINITY;
  /** Rows that are in force after it stay, and replace none. */
  #bound = Number.POSITIVE_INFINITY;
  /** Those with events that wait for event time; others among them are sorted out now and then. */
  #waiting: Landmark[] = [];
  #sortOutAt = WAITING_MIN;
  #last = NOWHERE;
  #lastWithEvent = NOWHERE;
  #lastTick = NOWHERE;
  #clockRose = NOWHERE;
  #watermarkRose = NOWHERE;
  /** If that was a tick: the last record batch with an event before it, from which it went on. */
  #watermarkBase = NOWHERE;

  constructor(rules: CompactionRules) {
    this.#rules = rules;
    this.#records = new RecordList(rules.recordsMax ?? COMPACTED_RECORDS_MAX);
    this.#intake = rules.makeIntake();
  }

  /** Whether the log need not be read again. */
  get done(): boolean {
    return this.#done;
  }

  /** How many record batches were looked at. */
  get records(): number {
    return this.#records.count;
  }

  /** If there were more records than a pass looks at: the end of those that one does. */
  get fullAt(): number | undefined {
    return this.#full ? this.#records.last : undefined;
  }

  /** Event time at the end; known after the first reading. */
  get watermark(): number {
    return this.#watermark;
  }

  /** The next record of the log. False: that was enough, this time. */
  read(sequence: number, bytes: Uint8Array): boolean {
    const { end, dedupeHorizonMs } = this.#rules;
    const batch = this.#intake.read(sequence, bytes);
    if (this.#newest !== undefined) {
      if (sequence <= end) this.#compare(batch, this.#newest);
      return sequence < end;
    }
    this.#noteDuplicates(batch);
    if (sequence > end) return batch.ingestClock - this.#clockAtEnd <= dedupeHorizonMs;
    if (!this.#records.add(sequence)) {
      this.#full = true;
      return false;
    }
    this.#learn(batch);
    return true;
  }

  /** The log was read: `read` has said that it is enough, or there is no more. */
  endReading(): void {
    const newest = this.#newest;
    this.#intake = this.#rules.makeIntake();
    if (this.#full) {
      this.#done = true;
    } else if (newest === undefined) {
      this.#keepLandmarks();
      this.#newest = this.#table(0);
    } else {
      newest.forEachSequence((sequence) => this.#records.keep(sequence));
      if (newest.to < HASH_END) this.#newest = this.#table(newest.to);
      else this.#done = true;
    }
  }

  /** In the order in which they are to be deleted; once `done`. */
  removable(): readonly number[] {
    return this.#full ? [] : this.#records.removable();
  }

  #table(from: number): NewestTable {
    return new NewestTable(this.#rules.keysMax ?? COMPACTED_KEYS_MAX, from);
  }

  #isRow(batch: EventBatch, row: number): boolean {
    const { rowTypes } = this.#rules;
    return rowTypes === undefined || rowTypes[batch.typeIndexes[row]!] === true;
  }

  /** C3. */
  #learn(batch: EventBatch): void {
    const { sequence, count, verdicts, eventTimes, watermarks } = batch;
    let holdsEvent = false;
    let { asksFrom, waitsUntil } = NOWHERE;
    for (let row = 0; row < count; row++) {
      if (verdicts[row] !== ACCEPTED) continue;
      holdsEvent = true;
      const time = eventTimes[row]!;
      if (this.#isRow(batch, row)) continue;
      if (time > waitsUntil) waitsUntil = time;
      if (time < asksFrom && time > watermarks[row]!) asksFrom = time;
    }
    const here: Landmark = { sequence, asksFrom, waitsUntil };
    this.#last = here;
    if (batch.watermarkAfter > this.#watermark) {
      this.#watermark = batch.watermarkAfter;
      this.#watermarkRose = here;
      this.#watermarkBase = holdsEvent ? NOWHERE : this.#lastWithEvent;
    }
    if (batch.ingestClock > this.#clock) {
      this.#clock = batch.ingestClock;
      this.#clockRose = here;
    }
    if (holdsEvent) this.#lastWithEvent = here;
    if (batch.idle && count === 0) this.#lastTick = here;
    this.#clockAtEnd = this.#clock;
    if (waitsUntil > this.#watermark) this.#wait(here);
  }

  #wait(landmark: Landmark): void {
    this.#waiting.push(landmark);
    if (this.#waiting.length < this.#sortOutAt) return;
    this.#waiting = this.#stillWaiting;
    this.#sortOutAt = Math.max(WAITING_MIN, this.#waiting.length * 2);
  }

  get #stillWaiting(): Landmark[] {
    return this.#waiting.filter(({ waitsUntil }) => waitsUntil > this.#watermark);
  }

  #keepLandmarks(): void {
    const landmarks = [
      this.#last,
      this.#lastWithEvent,
      this.#lastTick,
      this.#clockRose,
      this.#watermarkRose,
      this.#watermarkBase,
      ...this.#stillWaiting,
    ];
    for (const { sequence } of landmarks) this.#records.keep(sequence);
    if (this.#rules.rowTypes === undefined) return;
    this.#bound = landmarks.reduce(
      (least, { asksFrom }) => Math.min(least, asksFrom),
      this.#watermark,
    );
  }

  #noteDuplicates(batch: EventBatch): void {
    const { count, verdicts, bytes, idStarts, idEnds } = batch;
    for (let row = 0; row < count; row++) {
      if (verdicts[row] !== DUPLICATE && verdicts[row] !== CONFLICT) continue;
      murmur128(bytes, idStarts[row]!, idEnds[row]!, 0, this.#hash);
      this.#duplicates.add(this.#hash);
    }
  }

  #compare(batch: EventBatch, newest: NewestTable): void {
    const { sequence, count, verdicts, eventTimes, watermarks, typeIndexes } = batch;
    const { bytes, keyStarts, keyEnds } = batch;
    const hash = this.#hash;
    const first = newest.from === 0;
    for (let row = 0; row < count; row++) {
      if (verdicts[row] === DUPLICATE || verdicts[row] === CONFLICT) continue;
      if (first && this.#isRepeated(batch, row)) this.#records.keep(sequence);
      if (verdicts[row] !== ACCEPTED) continue;
      const time = eventTimes[row]!;
      if (!this.#isRow(batch, row)) continue;
      if (first) this.#records.holdsRows(sequence);
      const inForce = Math.max(time, watermarks[row]! + 1);
      if (inForce > this.#bound) {
        this.#records.keep(sequence);
        continue;
      }
      murmur128(bytes, keyStarts[row]!, keyEnds[row]!, typeIndexes[row]!, hash);
      if (newest.covers(hash) && !newest.note(hash, time, sequence)) this.#records.keep(sequence);
    }
  }

  /** C2. */
  #isRepeated({ bytes, idStarts, idEnds }: EventBatch, row: number): boolean {
    if (this.#duplicates.isEmpty || idStarts[row] === idEnds[row]) return false;
    murmur128(bytes, idStarts[row]!, idEnds[row]!, 0, this.#hash);
    return this.#duplicates.mayHave(this.#hash);
  }
}
