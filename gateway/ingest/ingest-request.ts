/**
 * One publish request on its way: where each of its events went, and what became of it, in columns.
 *
 * Q1. `done` is called once, when the last batch that holds one of its events is settled.
 * Q2. An event is VERDICT_STORED or VERDICT_QUARANTINED after `done` only if the log acknowledged it.
 */
import { type Rejection, Verdict } from "../../proto/gen/tidemark/v1/ingest.ts";
import type { AppendFailure } from "../../actors/ports/ingest-log.ts";
import type { BatchBuffer, BatchWaiter } from "./batch-buffer.ts";

const { VERDICT_STORED, VERDICT_QUARANTINED, VERDICT_INVALID, VERDICT_UNAVAILABLE } = Verdict;

export class IngestRequest implements BatchWaiter {
  readonly count: number;
  readonly verdicts: Uint8Array;
  /** By event: place of its batch in `batches`; only for events that were put into one. */
  readonly slots: Uint32Array;
  readonly batches: BatchBuffer[] = [];
  /** By ascending index once it is done. */
  rejections: Rejection[] = [];
  invalid = 0;
  quarantined = 0;
  unavailable = 0;
  /** Index of event 0 within its record batch. */
  firstIndex = 0;
  /** Id of the event of a request that has one. */
  id = "";
  readonly #done: (request: IngestRequest) => void;
  /** Unsettled batches, plus one for the request itself until `seal`. */
  #pending = 1;
  #explained = 0;

  constructor(count: number, done: (request: IngestRequest) => void) {
    this.count = count;
    this.verdicts = new Uint8Array(count);
    this.slots = new Uint32Array(count);
    this.#done = done;
  }

  get stored(): number {
    return this.count - this.invalid - this.quarantined - this.unavailable;
  }

  put(index: number, batch: BatchBuffer, future: boolean): void {
    if (batch.lastWaiter !== this) {
      batch.lastWaiter = this;
      batch.lastSlot = this.batches.push(batch) - 1;
      batch.waiters.push(this);
      this.#pending++;
    }
    if (index === 0) this.firstIndex = batch.count - 1;
    this.slots[index] = batch.lastSlot;
    this.verdicts[index] = future ? VERDICT_QUARANTINED : VERDICT_STORED;
    if (future) this.quarantined++;
  }

  reject(index: number, field: string, reason: string): void {
    this.verdicts[index] = VERDICT_INVALID;
    this.#explain(index, VERDICT_INVALID, field, reason);
    this.invalid++;
  }

  /** All events are in place: from now on it may be done. */
  seal(): void {
    this.settled();
  }

  settled(): void {
    if (--this.#pending > 0) return;
    if (this.batches.some((batch) => batch.failure !== undefined)) this.#countFailures();
    this.#done(this);
  }

  /** Batch that holds event `index`, if it is in the log. */
  batchOf(index: number): BatchBuffer | undefined {
    const verdict = this.verdicts[index];
    if (verdict !== VERDICT_STORED && verdict !== VERDICT_QUARANTINED) return undefined;
    return this.batches[this.slots[index]];
  }

  /** Why nothing of it is in the log, when the log is the reason; undefined otherwise. */
  get outage(): AppendFailure | undefined {
    if (this.unavailable === 0 || this.stored + this.quarantined > 0) return undefined;
    const failures = this.batches.map((batch) => batch.failure!.failure);
    return failures.find((failure) => failure.kind === "unavailable") ?? failures[0];
  }

  #explain(index: number, verdict: Verdict, path: string, text: string): void {
    const brief = this.#explained > EXPLANATION_CHARS_MAX;
    const field = short(path, brief ? BRIEF_CHARS_MAX : FIELD_CHARS_MAX);
    const reason = short(text, brief ? BRIEF_CHARS_MAX : REASON_CHARS_MAX);
    this.#explained += field.length + reason.length;
    this.rejections.push({ index, verdict, field, reason });
  }

  #countFailures(): void {
    for (let index = 0; index < this.count; index++) {
      const batch = this.batchOf(index);
      if (batch?.failure === undefined) continue;
      if (this.verdicts[index] === VERDICT_QUARANTINED) this.quarantined--;
      this.verdicts[index] = VERDICT_UNAVAILABLE;
      this.unavailable++;
      const reason = `partition ${batch.partition}: ${batch.failure.message}`;
      this.#explain(index, VERDICT_UNAVAILABLE, "", reason);
    }
    this.rejections.sort((a, b) => a.index - b.index);
  }
}

/** Both can quote what a producer sent. */
const FIELD_CHARS_MAX = 200;
const REASON_CHARS_MAX = 500;
/** Beyond this in one response, reasons get shorter: a client must be able to take it. */
const EXPLANATION_CHARS_MAX = 512 * 1024;
const BRIEF_CHARS_MAX = 60;

/** At most `max` characters, without halves of surrogate pairs. */
export const short = (text: string, max = REASON_CHARS_MAX): string => {
  const cut = text.length > max ? `${text.slice(0, max - 1)}…` : text;
  return cut.replace(/\p{Surrogate}/gu, "\ufffd");
};
