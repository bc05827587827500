/**
 * Joins as an operator over the events of a key, which come in the order of event time.
 *
 * O1. One timer a key, at the next moment at which something is to be done: so timers are bounded, and
 *     what nobody needs any more is gone when the watermark has passed.
 * O2. Values are evaluated for all results of a turn together, before the first is emitted.
 * O3. A row of a table is never late: where its time is over it is there from the first moment that is not,
 *     if no newer one is. An event that is on the left side too is judged as such.
 */
import type { JoinPlan } from "../../projections/definition/plan.ts";
import { compileExpression, type Evaluator } from "../expression/evaluator.ts";
import type { Vector } from "../expression/vector.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import type { KeyedOperator, Turn } from "../ordered/keyed-operator.ts";
import { AsOfJoin, type AsOfState, type RightEvent, type RowChange } from "./as-of-join.ts";
import {
  IntervalJoin,
  type Accepts,
  type EmitJoined,
  type IntervalState,
} from "./interval-join.ts";
import { JoinedValues } from "./joined-values.ts";
import { readWindow } from "./side-reader.ts";

/** An event on one side of the join, or on both. */
export interface JoinEvent {
  readonly left: Uint8Array | undefined;
  readonly right: RightEvent | undefined;
}

const TIMER = "due";

const NONE = 0;
const CELLS = 1;
const DELETED = 2;
const RETRACTED = 3;
const TAGS = { row: CELLS, deleted: DELETED, retracted: RETRACTED } as const;

/** One of the two ways to join. */
interface Matching<State> {
  open(): State;
  event(state: State, time: number, event: JoinEvent, emit: EmitJoined): State | undefined;
  timer(state: State, time: number, emit: EmitJoined): State | undefined;
  due(state: State): number;
  write(state: State, out: ByteWriter): void;
  read(from: ByteReader): State;
}

export const makeJoinOperator = (plan: JoinPlan): KeyedOperator<JoinEvent, unknown> =>
  plan.asOf === undefined
    ? (new JoinOperator(plan, intervalMatching) as KeyedOperator<JoinEvent, unknown>)
    : (new JoinOperator(plan, asOfMatching) as KeyedOperator<JoinEvent, unknown>);

type MakeMatching<State> = (plan: JoinPlan, accepts: Accepts | undefined) => Matching<State>;

const intervalMatching: MakeMatching<IntervalState> = ({ within, mode }, accepts) => {
  const join = new IntervalJoin({ ...within!, mode, accepts });
  return {
    open: () => join.open(),
    event: (state, time, { left, right }, emit) =>
      join.event(state, time, left, right?.cells, emit),
    timer: (state, time, emit) => join.timer(state, time, emit),
    due: (state) => join.due(state),
    write: (state, out) => join.write(state, out),
    read: (from) => join.read(from),
  };
};

const asOfMatching: MakeMatching<AsOfState> = ({ asOf, mode, right: side }, accepts) => {
  const join = new AsOfJoin({
    ttlMs: asOf!.ttlMs ?? Number.POSITIVE_INFINITY,
    mode: mode === "left" ? "left" : "inner",
    accepts,
    windowOf: side.table && readWindow,
    inOrder: side.table?.inOrder === true,
  });
  return {
    open: () => join.open(),
    event: (state, time, { left, right }) => join.event(state, time, left, right),
    timer: (state, time, emit) => join.timer(state, time, emit),
    due: (state) => join.due(state),
    write: (state, out) => join.write(state, out),
    read: (from) => join.read(from),
  };
};

class JoinOperator<State> implements KeyedOperator<JoinEvent, State> {
  readonly #matching: Matching<State>;
  readonly #values: JoinedValues;
  readonly #deleted: Evaluator | undefined;
  readonly #emit: EmitJoined;
  /** Type of events that retract a result; undefined where the right side is no table of results. */
  readonly #retraction: number | undefined;
  readonly #isTable: boolean;
  #deletes: Vector | undefined;
  #typeIndexes = new Int32Array(0);
  #eventTimes = new Float64Array(0);

  constructor(plan: JoinPlan, makeMatching: MakeMatching<State>) {
    this.#values = new JoinedValues(plan);
    this.#matching = makeMatching(plan, this.#values.accepts);
    const { topic, right, asOf } = plan;
    this.#deleted =
      asOf?.deleted && compileExpression(asOf.deleted, { topic, columns: right.columns });
    this.#retraction = right.table?.retraction;
    this.#isTable = asOf !== undefined;
    this.#emit = (start, end, left, right) => this.#values.add(start, end, left, right);
  }

  begin(batch: EventBatch): void {
    this.#values.left.begin(batch);
    this.#values.right.begin(batch);
    this.#deletes = this.#deleted?.evaluate(batch);
    this.#typeIndexes = batch.typeIndexes as Int32Array<ArrayBuffer>;
    this.#eventTimes = batch.eventTimes as Float64Array<ArrayBuffer>;
  }

  take(row: number): JoinEvent | undefined {
    const left = this.#values.left.take(row);
    const cells = this.#values.right.take(row);
    if (cells !== undefined) {
      const time = this.#eventTimes[row]!;
      return { left, right: { change: this.#changeOf(row), time, cells } };
    }
    return left === undefined ? undefined : { left, right: undefined };
  }

  #changeOf(row: number): RowChange {
    if (this.#retraction === this.#typeIndexes[row]) return "retracted";
    const deletes = this.#deletes;
    return deletes?.valid[row] === 1 && deletes.values[row] === 1 ? "deleted" : "row";
  }

  /** O3. */
  isStanding({ left, right }: JoinEvent): boolean {
    return this.#isTable && right !== undefined && left === undefined;
  }

  open(): State {
    return this.#matching.open();
  }

  event(state: State, event: JoinEvent, turn: Turn): State | undefined {
    return this.#turn(
      state,
      turn,
      (emit) => this.#matching.event(state, turn.time, event, emit),
      (start, end, values) => turn.emit(start, end, values),
    );
  }

  timer(state: State, _timer: string, turn: Turn): State | undefined {
    // Has fired: whatever is due next is set anew. Time goes on even where a result is refused.
    return this.#turn(
      undefined,
      turn,
      (emit) => this.#matching.timer(state, turn.time, emit),
      (start, end, values) => turn.offer(start, end, values),
    );
  }

  /** `before`: the state whose timer is set. */
  #turn(
    before: State | undefined,
    turn: Turn,
    run: (emit: EmitJoined) => State | undefined,
    publish: Turn["emit"],
  ): State | undefined {
    const dueBefore = before === undefined ? Infinity : this.#matching.due(before);
    this.#values.clear();
    const after = run(this.#emit);
    this.#values.each(publish);
    const due = after === undefined ? Infinity : this.#matching.due(after);
    if (due === dueBefore) return after;
    if (due === Infinity) turn.cancelTimer(TIMER);
    else turn.setTimer(TIMER, due);
    return after;
  }

  writeEvent({ left, right }: JoinEvent, out: ByteWriter): void {
    out.byte(left === undefined ? NONE : CELLS);
    if (left !== undefined) out.block(left);
    out.byte(right === undefined ? NONE : TAGS[right.change]);
    if (right === undefined) return;
    out.double(right.time);
    out.block(right.cells);
  }

  readEvent(from: ByteReader): JoinEvent {
    const left = from.byte() === NONE ? undefined : from.block().slice();
    const tag = from.byte();
    if (tag === NONE) return { left, right: undefined };
    const change = tag === DELETED ? "deleted" : tag === RETRACTED ? "retracted" : "row";
    return { left, right: { change, time: from.double(), cells: from.block().slice() } };
  }

  writeState(state: State, out: ByteWriter): void {
    this.#matching.write(state, out);
  }

  readState(from: ByteReader): State {
    return this.#matching.read(from);
  }
}
