/**
 * Drives one operator by hand: events named by a letter in, lines of what it publishes out. Time is the
 * test's: `pass` moves the watermark, events do not.
 *
 *     run.add(["a", 3], ["b", 9]);
 *     run.pass(9);
 *     run.take();   // ["k [0, 10) final 1: ab"]
 *
 * A run that restarts goes on from a snapshot after each step, in a fresh operator; so every test of a
 * rule is one of snapshots, too (O2).
 */
import { expect } from "vitest";
import type { AggregateDefinition } from "../../projections/definition/definition.ts";
import type { AggregatePlan } from "../../projections/definition/plan.ts";
import { plain, vectorOf } from "../accumulate/accumulators.suite.ts";
import { Value } from "../../proto/gen/tidemark/v1/result.ts";
import { emptyVector } from "../expression/vector.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { FINALIZED, SlotStore, UNPUBLISHED } from "./slot-store.ts";
import { COUNTED, LATE, NO_WINDOW } from "./window-operator.ts";
import type { Publisher, WindowOperator } from "./window-operator.ts";

export type LetterEvent = readonly [letter: string, time: number, key?: string];

export interface RunSettings {
  readonly everyEvents?: number;
  /** Whether SHORT accumulates, too. */
  readonly tries?: boolean;
  readonly restarts?: boolean;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The letters of the events, in the order in which they were added. */
export const LETTERS: AggregatePlan = {
  name: "letters",
  definition: { fn: "collect", of: { event: "id" }, limit: 1_000 },
  inputType: "string",
};

/** Code of the user's, which refuses "!" and more than four letters. */
export const SHORT: AggregatePlan = {
  name: "short",
  inputType: undefined,
  definition: {
    fn: "custom",
    inputs: { letter: { event: "id" } },
    init: () => "",
    add: (state: string, { letter }: { letter: string }) => {
      if (letter === "!") throw new RangeError("not a letter");
      return state + letter;
    },
    merge: (earlier: string, later: string) => earlier + later,
    result: (state: string) => {
      if (state.length > 4) throw new RangeError(`${state} is too long`);
      return state;
    },
  } as unknown as AggregateDefinition,
};

/** What a slot holds, as text. */
export const lettersOf = (store: SlotStore, slot: number): string =>
  store.accumulators
    .map((accumulator) => {
      const out = new ByteWriter();
      accumulator.writeValue(slot, out);
      const value = plain(Value.decode(out.finish()));
      return typeof value === "string" ? value : (value as { values: string[] }).values.join("");
    })
    .join(" ");

export class OperatorRun {
  store: SlotStore;
  operator: WindowOperator;
  watermark = Number.NEGATIVE_INFINITY;
  readonly #make: (store: SlotStore, publisher: Publisher) => WindowOperator;
  readonly #settings: RunSettings;
  #lines: string[] = [];

  constructor(
    make: (store: SlotStore, publisher: Publisher) => WindowOperator,
    settings: RunSettings = {},
  ) {
    this.#make = make;
    this.#settings = settings;
    this.store = this.#freshStore();
    this.operator = make(this.store, this.#publisher());
  }

  #freshStore(): SlotStore {
    const { tries = false, everyEvents } = this.#settings;
    return new SlotStore(tries ? [LETTERS, SHORT] : [LETTERS], everyEvents);
  }

  #publisher(): Publisher {
    const finalized = (slot: number) => (this.store.flags[slot]! & FINALIZED) !== 0;
    return {
      early: (slot) => this.#publish("early", slot),
      final: (slot) => this.#publish("final", slot),
      change: (slot, _watermark, row) =>
        this.#publish(finalized(slot) ? "correction" : "final", slot, row),
      retraction: (slot, _watermark, row) => this.#publish("retraction", slot, row),
    };
  }

  #publish(kind: string, slot: number, row?: number): void {
    const { store } = this;
    const key = decoder.decode(store.keys.bytesOf(store.keyIds[slot]!));
    const revision = ++store.revisions[slot]!;
    store.flags[slot]! &= ~UNPUBLISHED;
    store.since[slot] = 0;
    if (kind !== "early") store.flags[slot]! |= FINALIZED;
    const cause = row === undefined ? "" : ` by row ${row}`;
    this.#lines.push(
      `${key} [${store.starts[slot]}, ${store.ends[slot]}) ${kind} ${revision}: ` +
        `${lettersOf(store, slot)}${cause}`,
    );
  }

  /** One batch; says of each event what became of it. */
  add(...events: readonly LetterEvent[]): string[] {
    const { operator, store } = this;
    const letters = vectorOf(
      "string",
      events.map(([letter]) => letter),
    );
    operator.begin([letters, { ...emptyVector("string"), parts: [letters] }], events.length);
    const outcomes = events.map(([, time, key = "k"], row) => {
      const bytes = encoder.encode(key);
      const keyId = store.keys.intern(bytes, 0, bytes.length);
      const outcome = operator.add(row, time, keyId, this.watermark);
      if (outcome === COUNTED) {
        if (store.ripe.length > 0) {
          operator.settle();
          operator.publishEarly(this.watermark, true);
        }
        return "counted";
      }
      store.keys.discard(keyId);
      const { start, end } = operator.lateWindow;
      if (outcome === LATE) return `late [${start}, ${end})`;
      return outcome === NO_WINDOW ? "no window" : operator.poison;
    });
    operator.settle();
    this.#step();
    return outcomes;
  }

  /** O1: the operator hears of it only when something is due. */
  pass(watermark: number): void {
    this.watermark = watermark;
    if (watermark >= this.operator.nextDue) this.operator.passTime(watermark);
    this.#step();
  }

  early(): void {
    this.operator.publishEarly(this.watermark);
    this.#step();
  }

  /** What was published since it was last asked. */
  take(): string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  get sizes(): { readonly keys: number; readonly windows: number; readonly slots: number } {
    const { keys, size } = this.store;
    return { keys: keys.size, windows: this.operator.windows, slots: size };
  }

  /** All that is held, and what an observer sees of it. */
  #state(): unknown {
    const { store, operator } = this;
    store.settleDigest();
    const out = new ByteWriter();
    operator.write(out);
    const { low, high } = store.digest;
    return { bytes: out.finish(), low, high, nextDue: operator.nextDue, sizes: this.sizes };
  }

  #step(): void {
    if (this.#settings.restarts !== true) return;
    const before = this.#state();
    const { bytes } = before as { readonly bytes: Uint8Array };
    this.store = this.#freshStore();
    this.operator = this.#make(this.store, this.#publisher());
    const reader = new ByteReader(bytes);
    this.operator.read(reader);
    expect(reader.at).toBe(bytes.length);
    expect(this.#state()).toEqual(before);
  }
}

/** The two ways in which every rule of an operator has to hold. */
export const LIVES = [
  { life: "in one life", restarts: false },
  { life: "with a restart after each step", restarts: true },
] as const;
