/**
 * A fold: a reducer of the user's, from the state of a key and its next event to its next state.
 *
 * F1. A state is frozen and plain: see PlainState. The reducer either returns the next one or throws, and
 *     then nothing has happened.
 * F2. A state whose key has had no event for the time to live is forgotten. One timer a key stands for
 *     that; it is not moved with every event, but looks again when it fires too early.
 */
import type { FoldEvent } from "../../projections/definition/definition.ts";
import type { FoldPlan } from "../../projections/definition/plan.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { EventView } from "./event-view.ts";
import type { KeyedOperator, StatePublication, Turn } from "./keyed-operator.ts";
import { TurnRefused, threw } from "./limits.ts";
import { checkPlain, readPlain, sealState, writePlain } from "./plain-state.ts";
import type { PlainState } from "./plain-state.ts";

interface FoldState {
  readonly value: PlainState;
  /** Event time of the key's last event. */
  readonly last: number;
}

const NEVER = Number.NEGATIVE_INFINITY;
const TTL = "ttl";
const WHAT = "the state";

/** What V8 says when something frozen is changed. */
const CHANGED = /read only property|not extensible|Cannot delete property/;

export class FoldOperator implements KeyedOperator<number, FoldState> {
  readonly publication: StatePublication<FoldState>;
  readonly #plan: FoldPlan;
  readonly #view: EventView;
  readonly #reduce: (state: unknown, event: FoldEvent) => unknown;
  readonly #values: readonly ((state: unknown) => unknown)[];
  readonly #names: readonly string[];
  #typeIndexes: Int32Array = new Int32Array(0);

  constructor(plan: FoldPlan) {
    this.#plan = plan;
    this.#view = new EventView(plan.topic);
    const { values, emit } = plan.definition;
    this.#names = values === undefined ? [] : Object.keys(values);
    // The definition's types are those of its author's state.
    this.#values = Object.values(values ?? {}) as ((state: unknown) => unknown)[];
    this.#reduce = plan.definition.reduce as (state: unknown, event: FoldEvent) => unknown;
    this.publication = {
      emit,
      row: ({ value }) =>
        values === undefined ? [value] : this.#values.map((of) => of(value) as PlainState),
    };
  }

  begin(batch: EventBatch): void {
    this.#typeIndexes = batch.typeIndexes;
  }

  /** All else is decoded when its time has come. */
  take(row: number): number {
    return this.#typeIndexes[row]!;
  }

  open(): FoldState {
    const value = called("state", () => this.#plan.definition.state());
    return { value: sealState(value, "the first state"), last: NEVER };
  }

  event(state: FoldState, typeIndex: number, turn: Turn): FoldState | undefined {
    const { ttlMs } = this.#plan.definition;
    const event = this.#view.read(typeIndex, turn);
    let next: unknown;
    try {
      next = this.#reduce(state.value, event);
    } catch (error) {
      throw explained(error);
    }
    if (next === undefined) return undefined;
    const value = sealState(next, WHAT);
    this.#checkValues(value);
    if (ttlMs !== undefined && state.last === NEVER) turn.setTimer(TTL, turn.time + ttlMs);
    return { value, last: turn.time };
  }

  timer(state: FoldState, timer: string, turn: Turn): FoldState | undefined {
    const due = state.last + this.#plan.definition.ttlMs!;
    if (due <= turn.time) return undefined;
    turn.setTimer(timer, due);
    return state;
  }

  /** Values are computed when they are published; by then it is too late to refuse them. */
  #checkValues(value: PlainState): void {
    if (this.#values.length === 0) return;
    const values = this.#values.map((of, i) => {
      const name = this.#names[i]!;
      return [name, called(`values.${name}`, () => of(value))] as const;
    });
    checkPlain(Object.fromEntries(values), "what the values give");
  }

  writeEvent(typeIndex: number, out: ByteWriter): void {
    out.varint(typeIndex);
  }

  readEvent(from: ByteReader): number {
    return from.varint();
  }

  writeState({ value, last }: FoldState, out: ByteWriter): void {
    out.double(last);
    writePlain(value, out);
  }

  readState(from: ByteReader): FoldState {
    const last = from.double();
    return { last, value: readPlain(from) };
  }
}

const called = <T>(what: string, give: () => T): T => {
  try {
    return give();
  } catch (error) {
    throw threw(what, error);
  }
};

const explained = (error: unknown): TurnRefused => {
  const { message } = threw("reduce", error);
  if (!(error instanceof TypeError) || !CHANGED.test(message)) return new TurnRefused(message);
  return new TurnRefused(
    `${message}. A state is frozen: return a new one, such as { ...state, n: state.n + 1 }`,
  );
};
