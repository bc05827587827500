/**
 * Windows whose bounds do not depend on the key: tumbling, hopping, calendar, custom.
 *
 * E1. Windows close and expire in the order of their starts; within one, keys are published in the
 *     order in which they first came.
 */
import type { Vector } from "../expression/vector.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { closesAt, expiresAt } from "./assigner.ts";
import type { WindowAssigner } from "./assigner.ts";
import { Pane } from "./pane.ts";
import type { SlotStore } from "./slot-store.ts";
import { COUNTED, LATE, NO_WINDOW, POISON, Run, UnpublishedSlots } from "./window-operator.ts";
import type { Outcome, Publisher, WindowOperator } from "./window-operator.ts";

export interface AlignedOptions {
  readonly store: SlotStore;
  readonly publisher: Publisher;
  readonly assigner: WindowAssigner;
  readonly allowedLatenessMs: number;
  readonly publishesEarly: boolean;
}

export class AlignedWindows implements WindowOperator {
  nextDue = Number.POSITIVE_INFINITY;
  readonly lateWindow = { start: 0, end: 0 };
  poison = "";
  readonly #store: SlotStore;
  readonly #publisher: Publisher;
  readonly #assigner: WindowAssigner;
  readonly #allowedLatenessMs: number;
  readonly #run: Run;
  readonly #unpublished: UnpublishedSlots;
  /** By window start. */
  readonly #panes = new Map<number, Pane>();

  /** The windows of the event at hand. */
  readonly #starts: Float64Array;
  readonly #ends: Float64Array;
  /** Those of them that have not expired; kept for the next event with the same windows. */
  readonly #live: Pane[] = [];
  #liveStart = Number.NaN;
  #liveWindows = 0;

  constructor(options: AlignedOptions) {
    this.#store = options.store;
    this.#publisher = options.publisher;
    this.#assigner = options.assigner;
    this.#allowedLatenessMs = options.allowedLatenessMs;
    this.#run = new Run(options.store);
    this.#unpublished = new UnpublishedSlots(options.store, options.publishesEarly);
    this.#starts = new Float64Array(options.assigner.windowsMax);
    this.#ends = new Float64Array(options.assigner.windowsMax);
  }

  get windows(): number {
    return this.#panes.size;
  }

  begin(inputs: readonly (Vector | undefined)[], rows: number): void {
    this.#run.begin(inputs, rows);
  }

  settle(): void {
    this.#run.settle();
  }

  add(row: number, time: number, keyId: number, watermark: number): Outcome {
    const windows = this.#assigner.assign(time, this.#starts, this.#ends);
    if (windows === 0) return NO_WINDOW;
    if (this.#assigner.irregular === true) {
      this.poison = windows < 0 ? this.#assigner.error! : this.#conflict(windows);
      if (this.poison !== "") return POISON;
      this.#findLive(windows, watermark);
    } else if (this.#starts[0] !== this.#liveStart || windows !== this.#liveWindows) {
      this.#findLive(windows, watermark);
    }
    const live = this.#live;
    if (live.length === 0) {
      this.#findLate(windows);
      return LATE;
    }
    const store = this.#store;
    const { tries } = this.#run;
    if (tries && this.#isPoison(row, keyId)) return POISON;
    for (let w = 0; w < live.length; w++) {
      const pane = live[w]!;
      const slot = pane.slotOf(keyId, store);
      this.#run.push(row, slot);
      store.digest.mark(slot);
      if (pane.closed) {
        this.#run.settle();
        this.#publisher.change(slot, watermark, row);
      } else {
        this.#unpublished.touch(slot);
      }
    }
    if (tries) this.#run.settle();
    return COUNTED;
  }

  /** Of the windows at hand the one that expired last: those of a user's function end in any order. */
  #findLate(windows: number): void {
    let last = windows - 1;
    for (let w = last - 1; w >= 0; w--) if (this.#ends[w]! > this.#ends[last]!) last = w;
    this.lateWindow.start = this.#starts[last]!;
    this.lateWindow.end = this.#ends[last]!;
  }

  /** Tries the event in each of its windows. */
  #isPoison(row: number, keyId: number): boolean {
    for (const pane of this.#live) {
      const slot = pane.find(keyId, this.#store);
      this.poison = this.#run.attempt(row, slot < 0 ? [] : [slot]);
      if (this.poison !== "") return true;
    }
    return false;
  }

  /** Whether a window at hand has another end than the live one of the same start (Z2). */
  #conflict(windows: number): string {
    for (let w = 0; w < windows; w++) {
      const start = this.#starts[w]!;
      const end = this.#ends[w]!;
      const pane = this.#panes.get(start);
      if (pane === undefined || pane.end === end) continue;
      return (
        `window.assign returned [${start}, ${end}), but of an earlier event ` +
        `[${start}, ${pane.end}): a start has one end`
      );
    }
    return "";
  }

  /** The panes of the windows at hand that have not expired, made if need be. */
  #findLive(windows: number, watermark: number): void {
    const live = this.#live;
    live.length = 0;
    for (let w = 0; w < windows; w++) {
      if (watermark >= expiresAt(this.#ends[w]!, this.#allowedLatenessMs)) continue;
      live.push(this.#paneOf(this.#starts[w]!, this.#ends[w]!, watermark));
    }
    this.#liveStart = this.#starts[0]!;
    this.#liveWindows = windows;
  }

  #paneOf(start: number, end: number, watermark: number): Pane {
    const existing = this.#panes.get(start);
    if (existing !== undefined) return existing;
    const pane = new Pane(start, end);
    pane.closed = watermark >= closesAt(end);
    this.#panes.set(start, pane);
    this.nextDue = Math.min(this.nextDue, this.#dueOf(pane));
    return pane;
  }

  #dueOf(pane: Pane): number {
    return pane.closed ? expiresAt(pane.end, this.#allowedLatenessMs) : closesAt(pane.end);
  }

  passTime(watermark: number): void {
    const store = this.#store;
    const due = [...this.#panes.values()]
      .filter((pane) => this.#dueOf(pane) <= watermark)
      .sort((a, b) => a.start - b.start);
    for (const pane of due) {
      if (!pane.closed) {
        pane.closed = true;
        for (let i = 0; i < pane.count; i++) {
          const slot = pane.slots[i]!;
          this.#publisher.final(slot, watermark);
          this.#unpublished.forget(slot);
          store.digest.mark(slot);
        }
      }
      if (expiresAt(pane.end, this.#allowedLatenessMs) > watermark) continue;
      for (let i = 0; i < pane.count; i++) store.free(pane.slots[i]!);
      this.#panes.delete(pane.start);
    }
    this.#liveStart = Number.NaN;
    this.#findDue();
  }

  #findDue(): void {
    let next = Number.POSITIVE_INFINITY;
    for (const pane of this.#panes.values()) next = Math.min(next, this.#dueOf(pane));
    this.nextDue = next;
  }

  publishEarly(watermark: number, onlyRipe = false): void {
    this.#unpublished.drain(onlyRipe, (slot) => {
      this.#publisher.early(slot, watermark);
      this.#store.digest.mark(slot);
    });
  }

  *#slots(): Iterable<number> {
    for (const pane of this.#panes.values()) yield* pane.slots.subarray(0, pane.count);
  }

  write(out: ByteWriter): void {
    out.uint32(this.#panes.size);
    for (const pane of this.#panes.values()) {
      out.double(pane.start);
      out.double(pane.end);
      out.byte(pane.closed ? 1 : 0);
      out.uint32(pane.count);
      for (let i = 0; i < pane.count; i++) this.#store.write(pane.slots[i]!, out);
    }
    this.#unpublished.write(out, () => this.#slots());
  }

  read(from: ByteReader): void {
    const panes = from.uint32();
    for (let p = 0; p < panes; p++) {
      const start = from.double();
      const pane = new Pane(start, from.double());
      pane.closed = from.byte() === 1;
      this.#panes.set(start, pane);
      const count = from.uint32();
      for (let i = 0; i < count; i++) {
        pane.add(this.#store.read(from, pane.start, pane.end), this.#store);
      }
    }
    this.#findDue();
    this.#unpublished.read(from, () => this.#slots());
  }
}
