/**
 * Sessions (SEMANTICS section 4): an event opens [t, t + gap); sessions of a key that overlap or touch
 * merge into their union.
 *
 * S1. Live sessions of a key neither overlap nor touch.
 * S2. Merging does not depend on the order of arrival within allowed lateness: integer aggregates to
 *     the bit, floating-point ones up to the order of addition.
 * S3. When an event changes sessions that were published, those whose bounds no longer exist are
 *     retracted. The merged session is published at once as a correction if it is closed, and when it
 *     closes otherwise; its revision follows the greatest that it absorbed.
 */
import type { Vector } from "../expression/vector.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { closesAt, expiresAt } from "./assigner.ts";
import { DueHeap } from "./due-heap.ts";
import { FINALIZED } from "./slot-store.ts";
import type { SlotStore } from "./slot-store.ts";
import { COUNTED, LATE, POISON, Run, UnpublishedSlots } from "./window-operator.ts";
import type { Outcome, Publisher, WindowOperator } from "./window-operator.ts";

export interface SessionOptions {
  readonly store: SlotStore;
  readonly publisher: Publisher;
  readonly gapMs: number;
  readonly allowedLatenessMs: number;
  readonly publishesEarly: boolean;
}

export class SessionWindows implements WindowOperator {
  readonly lateWindow = { start: 0, end: 0 };
  poison = "";
  readonly #store: SlotStore;
  readonly #publisher: Publisher;
  readonly #gapMs: number;
  readonly #allowedLatenessMs: number;
  readonly #run: Run;
  readonly #unpublished: UnpublishedSlots;
  /** Live sessions by key id, as slots in the order of their starts. */
  readonly #sessions = new Map<number, number[]>();
  /** When each session closes, and once it is closed, when it expires. */
  readonly #due = new DueHeap();

  constructor(options: SessionOptions) {
    this.#store = options.store;
    this.#publisher = options.publisher;
    this.#gapMs = options.gapMs;
    this.#allowedLatenessMs = options.allowedLatenessMs;
    this.#run = new Run(options.store);
    this.#unpublished = new UnpublishedSlots(options.store, options.publishesEarly);
  }

  get nextDue(): number {
    return this.#due.least;
  }

  get windows(): number {
    return this.#store.size;
  }

  begin(inputs: readonly (Vector | undefined)[], rows: number): void {
    this.#run.begin(inputs, rows);
  }

  settle(): void {
    this.#run.settle();
  }

  add(row: number, time: number, keyId: number, watermark: number): Outcome {
    const store = this.#store;
    const sessions = this.#sessions.get(keyId) ?? [];
    let start = time;
    let end = time + this.#gapMs;
    // Live sessions do not touch each other, so those that merge are neighbours.
    const first = this.#firstThatEnds(sessions, time);
    let after = first;
    while (after < sessions.length && store.starts[sessions[after]!]! <= end) {
      start = Math.min(start, store.starts[sessions[after]!]!);
      end = Math.max(end, store.ends[sessions[after]!]!);
      after++;
    }
    if (watermark >= expiresAt(end, this.#allowedLatenessMs)) {
      this.lateWindow.start = start;
      this.lateWindow.end = end;
      return LATE;
    }
    const absorbed = sessions.slice(first, after);
    if (this.#run.tries) {
      this.poison = this.#run.attempt(row, absorbed);
      if (this.poison !== "") return POISON;
    }
    const slot = this.#merge(keyId, start, end, absorbed, watermark, row);
    if (absorbed[0] !== slot) {
      sessions.splice(first, after - first, slot);
      this.#sessions.set(keyId, sessions);
    }
    this.#run.push(row, slot);
    if (this.#run.tries) this.#run.settle();
    store.digest.mark(slot);
    if (watermark >= closesAt(end)) {
      this.#run.settle();
      this.#publisher.change(slot, watermark, row);
    } else {
      this.#unpublished.touch(slot);
    }
    return COUNTED;
  }

  /** The first index at which sessions end at or after `time`. */
  #firstThatEnds(sessions: readonly number[], time: number): number {
    const { ends } = this.#store;
    let low = 0;
    let high = sessions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ends[sessions[middle]!]! < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The slot of [start, end), holding what the absorbed sessions held. */
  #merge(
    keyId: number,
    start: number,
    end: number,
    absorbed: readonly number[],
    watermark: number,
    row: number,
  ): number {
    const store = this.#store;
    const { starts, ends } = store;
    if (absorbed.length === 1) {
      const only = absorbed[0]!;
      if (starts[only] === start && ends[only] === end) return only;
      // What was never published just grows: the common case.
      if (store.revisions[only] === 0) {
        starts[only] = start;
        ends[only] = end;
        this.#setDue(only, watermark);
        return only;
      }
    }
    this.#run.settle();
    const slot = store.allocate(keyId, start, end);
    for (const from of absorbed) {
      store.mergeInto(slot, from);
      const { revisions, flags } = store;
      revisions[slot] = Math.max(revisions[slot]!, revisions[from]!);
      flags[slot]! |= flags[from]! & FINALIZED;
      if (store.everyEvents > 0) store.since[slot]! += store.since[from]!;
      if (revisions[from]! > 0) this.#publisher.retraction(from, watermark, row);
      this.#due.remove(from);
      this.#unpublished.forget(from);
      store.free(from);
    }
    this.#setDue(slot, watermark);
    return slot;
  }

  #setDue(slot: number, watermark: number): void {
    const end = this.#store.ends[slot]!;
    const closed = watermark >= closesAt(end);
    this.#due.set(slot, closed ? expiresAt(end, this.#allowedLatenessMs) : closesAt(end));
  }

  passTime(watermark: number): void {
    const store = this.#store;
    for (let slot = this.#due.first(watermark); slot >= 0; slot = this.#due.first(watermark)) {
      const end = store.ends[slot]!;
      const expiry = expiresAt(end, this.#allowedLatenessMs);
      if (this.#due.dueOf(slot) === closesAt(end)) {
        this.#publisher.final(slot, watermark);
        this.#unpublished.forget(slot);
        store.digest.mark(slot);
        this.#due.set(slot, expiry);
        if (expiry > closesAt(end)) continue;
      }
      this.#forget(slot);
    }
  }

  #forget(slot: number): void {
    const keyId = this.#store.keyIds[slot]!;
    const sessions = this.#sessions.get(keyId)!;
    if (sessions.length === 1) this.#sessions.delete(keyId);
    else sessions.splice(sessions.indexOf(slot), 1);
    this.#due.remove(slot);
    this.#store.free(slot);
  }

  publishEarly(watermark: number, onlyRipe = false): void {
    this.#unpublished.drain(onlyRipe, (slot) => {
      this.#publisher.early(slot, watermark);
      this.#store.digest.mark(slot);
    });
  }

  write(out: ByteWriter): void {
    const slots = this.#due.slots();
    out.uint32(slots.length);
    for (const slot of slots) {
      out.double(this.#store.starts[slot]!);
      out.double(this.#store.ends[slot]!);
      out.double(this.#due.dueOf(slot));
      this.#store.write(slot, out);
    }
    this.#unpublished.write(out, () => slots);
  }

  read(from: ByteReader): void {
    const count = from.uint32();
    for (let i = 0; i < count; i++) {
      const start = from.double();
      const end = from.double();
      const due = from.double();
      const slot = this.#store.read(from, start, end);
      this.#due.set(slot, due);
      const keyId = this.#store.keyIds[slot]!;
      const ofKey = this.#sessions.get(keyId);
      if (ofKey === undefined) this.#sessions.set(keyId, [slot]);
      else ofKey.push(slot);
    }
    const { starts } = this.#store;
    for (const slots of this.#sessions.values()) slots.sort((a, b) => starts[a]! - starts[b]!);
    this.#unpublished.read(from, () => this.#due.slots());
  }
}
