/**
 * One turn of an operator: what it asks for is written down, and done when the turn is over.
 *
 * R1. Nothing of a turn that throws is done.
 * R2. An offered result that is refused changes nothing else of its turn.
 */
import type { KeyTable } from "../kernel/key-table.ts";
import { textOf } from "../kernel/text.ts";
import { TIMERS_OF_KEY_MAX, TurnRefused } from "./limits.ts";
import type { Turn } from "./keyed-operator.ts";
import type { OutputValue } from "./output-value.ts";
import type { ResultRows } from "./result-row.ts";

const NO_BYTES: Uint8Array = new Uint8Array(0);

/** A result that was offered, and why it cannot be published. */
export interface Refused {
  readonly start: number;
  readonly end: number;
  readonly error: string;
}

export class TurnRecorder implements Turn {
  time = 0;
  bytes: Uint8Array = NO_BYTES;
  start = 0;
  end = 0;
  /** Timers to set or, with an undefined due time, to cancel; in this order. */
  readonly timers: { readonly name: string; readonly due: number | undefined }[] = [];
  readonly refused: Refused[] = [];
  readonly #keys: KeyTable;
  readonly #rows: ResultRows;
  #keyId = 0;
  #key: string | undefined;

  constructor(keys: KeyTable, rows: ResultRows) {
    this.#keys = keys;
    this.#rows = rows;
  }

  /** The key must live until the next turn, or have been asked for before. */
  begin(keyId: number, time: number): void {
    this.time = time;
    this.bytes = NO_BYTES;
    this.start = 0;
    this.end = 0;
    this.#keyId = keyId;
    this.#key = undefined;
    // Setting a length costs more than the rest, also where it changes nothing.
    if (this.timers.length > 0) this.timers.length = 0;
    if (this.refused.length > 0) this.refused.length = 0;
    this.#rows.clear();
  }

  /** The event that the turn is for. */
  give(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  get key(): string {
    if (this.#key === undefined) {
      const bytes = this.#keys.bytesOf(this.#keyId);
      this.#key = textOf(bytes, 0, bytes.length);
    }
    return this.#key;
  }

  setTimer(timer: string, due: number): void {
    if (Number.isNaN(due)) throw new TurnRefused(`timer ${JSON.stringify(timer)} is due at NaN`);
    this.timers.push({ name: timer, due: Math.max(due, this.time) });
  }

  cancelTimer(timer: string): void {
    this.timers.push({ name: timer, due: undefined });
  }

  emit(start: number, end: number, values: readonly OutputValue[]): void {
    this.#rows.add(start, end, values);
  }

  offer(start: number, end: number, values: readonly OutputValue[]): void {
    try {
      this.#rows.add(start, end, values);
    } catch (error) {
      if (!(error instanceof TurnRefused)) throw error;
      this.refused.push({ start, end, error: error.message });
    }
  }

  /** Throws TurnRefused when the key would have too many timers. */
  checkTimers(set: ReadonlyMap<string, unknown> | undefined): void {
    if (this.timers.length === 0) return;
    if ((set?.size ?? 0) + this.timers.length <= TIMERS_OF_KEY_MAX) return;
    const names = new Set(set?.keys());
    for (const { name, due } of this.timers) {
      if (due === undefined) names.delete(name);
      else names.add(name);
    }
    if (names.size <= TIMERS_OF_KEY_MAX) return;
    throw new TurnRefused(
      `the key would have ${names.size} timers; ${TIMERS_OF_KEY_MAX} are the limit`,
    );
  }
}
