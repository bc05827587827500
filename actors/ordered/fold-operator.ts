/**
 * A fold: a reducer of the user's, from the state of a key and its next event to its next state.
 *
 * F1. A state is frozen and plain: see PlainState. The reducer either returns the next one or throws, and
 *     then nothing has happened.
 * F2. A state whose key has had no event for the time to live is forgotten. One timer a key stands for
 *     that; it is not moved with every event, but looks again when it fires too early.
 */
import type { FoldEvent } from "../../projections/definition/definition.ts";
import type { FoldPlan, OutputColumn } from "../../projections/definition/plan.ts";
import {
  checkPlain,
  readPlain,
  sealState,
  writePlain,
} from "../../projections/definition/plain-state.ts";
import type { PlainState } from "../../projections/definition/plain-state.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { EventView } from "./event-view.ts";
import type { KeyedOperator, StatePublication, Turn } from "./keyed-operator.ts";
import { threw } from "./limits.ts";
import { checkType } from "./output-value.ts";

interface FoldState {
  readonly value: PlainState;
  /** Event time of the key's last event. */
  readonly last: number;
}

const NEVER = Number.NEGATIVE_INFINITY;
const TTL = "ttl";
const WHAT = "the state";

export class FoldOperator implements KeyedOperator<number, FoldState> {
  readonly publication: StatePublication<FoldState>;
  readonly #plan: FoldPlan;
  readonly #view: EventView;
  readonly #reduce: (state: unknown, event: FoldEvent) => unknown;
  readonly #values: readonly ((state: unknown) => unknown)[];
  /** Of the values. */
  readonly #columns: readonly OutputColumn[];
  #typeIndexes: Int32Array = new Int32Array(0);

  constructor(plan: FoldPlan, emit: StatePublication<FoldState>["emit"] = plan.definition.emit) {
    this.#plan = plan;
    this.#view = new EventView(plan.topic);
    const { values } = plan.definition;
    this.#columns = values === undefined ? [] : plan.outputs;
    // The definition's types are those of its author's state.
    this.#values = Object.values(values ?? {}).map((value) =>
      typeof value === "function" ? value : value.of,
    ) as ((state: unknown) => unknown)[];
    this.#reduce = plan.definition.reduce as (state: unknown, event: FoldEvent) => unknown;
    this.publication = {
      emit,
      row: ({ value }) => (values === undefined ? [value] : this.#valuesOf(value)),
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
    const next = called("reduce", () => this.#reduce(state.value, event));
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
    const given = this.#valuesOf(value);
    const named = given.map((of, i) => [this.#columns[i]!.name, of] as const);
    checkPlain(Object.fromEntries(named), "what the values give");
    given.forEach((of, i) => checkType(of, this.#columns[i]!));
  }

  #valuesOf(value: PlainState): readonly PlainState[] {
    return this.#values.map((of, i) =>
      called(`values.${this.#columns[i]!.name}`, () => of(value) as PlainState),
    );
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
