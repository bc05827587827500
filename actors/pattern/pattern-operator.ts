/**
 * A pattern as an operator: what is asked of an event alone is evaluated when it arrives, over whole
 * batches; what depends on a partial match when its time has come.
 *
 * E1. An event that satisfies no condition, where neighbours do not matter, is filtered out: it could
 *     change nothing.
 * E2. One timer a key, set at the end of `within` of its earliest partial match. That one may be gone by
 *     then; the timer is then set anew, for the earliest that there is.
 * E3. A result's window is [time of the first event, time that decided + 1). See S3 of `skip.ts`.
 */
import type { PatternPlan } from "../../projections/definition/plan.ts";
import { compileExpression, type Evaluator } from "../expression/evaluator.ts";
import type { Vector } from "../expression/vector.ts";
import type { EventBatch } from "../intake/event-batch.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import type { KeyedOperator, Turn } from "../ordered/keyed-operator.ts";
import { needsNeighbours, type Automaton } from "./automaton.ts";
import { compilePattern } from "./compile-pattern.ts";
import { Conditions, type Capture } from "./conditions.ts";
import { KeyState, readKeyState, writeKeyState } from "./key-state.ts";
import { compileMatchValue, type MatchValueOf } from "./match-values.ts";
import { Matcher } from "./matcher.ts";
import { readScalar, scalarOf, writeScalar, type Scalar } from "./scalar.ts";
import { bytesOf, type PatternEvent, type Taken } from "./taken.ts";

const WITHIN = "within";
const NO_VALUES: readonly Scalar[] = [];

export class PatternOperator implements KeyedOperator<PatternEvent, KeyState> {
  readonly #automaton: Automaton;
  readonly #matcher: Matcher;
  readonly #neighbours: boolean;
  readonly #emitsTimedOut: boolean;
  readonly #values: readonly MatchValueOf[];
  /** By bit of the mask. */
  readonly #prefilters: readonly Evaluator[];
  readonly #captures: readonly Capture[];
  readonly #captured: readonly Evaluator[];
  #filterVectors: readonly Vector[] = [];
  #captureVectors: readonly Vector[] = [];
  #turn: Turn | undefined;

  constructor(plan: PatternPlan) {
    const { elements, steps, definition } = plan;
    const conditions = new Conditions(
      steps,
      (expression) => compileExpression(expression, plan).type === "integer",
    );
    this.#automaton = compilePattern(elements, steps, conditions);
    this.#values = plan.values.map((value) => compileMatchValue(value, steps, conditions));
    this.#neighbours = needsNeighbours(this.#automaton);
    this.#emitsTimedOut = definition.onTimeout === "emit";
    const { withinMs, skip } = definition;
    this.#matcher = new Matcher({ automaton: this.#automaton, steps, withinMs, skip });
    const compiled = (expression: Capture["expression"]) => compileExpression(expression, plan);
    this.#prefilters = conditions.prefilters.map(compiled);
    this.#captures = conditions.captures;
    this.#captured = this.#captures.map(({ expression }) => compiled(expression));
  }

  begin(batch: EventBatch): void {
    this.#filterVectors = this.#prefilters.map((evaluator) => evaluator.evaluate(batch));
    this.#captureVectors = this.#captured.map((evaluator) => evaluator.evaluate(batch));
  }

  take(row: number): PatternEvent | undefined {
    let mask = 0;
    const filters = this.#filterVectors;
    for (let bit = 0; bit < filters.length; bit++) {
      const { valid, values } = filters[bit]!;
      if (valid[row] === 1 && values[row] === 1) mask |= 1 << bit;
    }
    if (mask === 0 && !this.#neighbours) return undefined;
    return this.#eventOf(mask, row);
  }

  #eventOf(mask: number, row: number): PatternEvent {
    const captures = this.#captures;
    if (captures.length === 0) return { mask, values: NO_VALUES, bytes: 0 };
    const values = new Array<Scalar>(captures.length);
    for (let i = 0; i < captures.length; i++) {
      const wanted = captures[i]!.mask === 0 || (mask & captures[i]!.mask) !== 0;
      values[i] = wanted ? scalarOf(this.#captureVectors[i]!, row) : null;
    }
    return { mask, values, bytes: bytesOf(values) };
  }

  open(): KeyState {
    return new KeyState();
  }

  event(state: KeyState, event: PatternEvent, turn: Turn): KeyState | undefined {
    if (state.isEmpty && this.#matcher.startsNothing(event)) return undefined;
    this.#turn = turn;
    this.#matcher.advance(state, event, turn.time, this.#emit);
    return this.#settled(state, turn);
  }

  timer(state: KeyState, _timer: string, turn: Turn): KeyState | undefined {
    this.#turn = turn;
    this.#matcher.expire(state, turn.time, this.#emit);
    state.due = undefined;
    return this.#settled(state, turn);
  }

  #settled(state: KeyState, turn: Turn): KeyState | undefined {
    if (state.isEmpty) return undefined;
    if (state.due === undefined) {
      state.due = this.#matcher.nextExpiry(state);
      if (state.due !== undefined) turn.setTimer(WITHIN, state.due);
    }
    return state;
  }

  readonly #emit = (last: Taken, decided: number, timedOut: boolean): void => {
    if (timedOut && !this.#emitsTimedOut) return;
    const values = this.#values.map((valueOf) => valueOf(last, timedOut));
    this.#turn!.emit(last.startTime, decided + 1, values);
  };

  writeEvent(event: PatternEvent, out: ByteWriter): void {
    out.uint32(event.mask >>> 0);
    for (const value of event.values) writeScalar(value, out);
  }

  readEvent(from: ByteReader): PatternEvent {
    const mask = from.uint32() | 0;
    const values = Array.from({ length: this.#captures.length }, () => readScalar(from));
    return { mask, values, bytes: bytesOf(values) };
  }

  writeState(state: KeyState, out: ByteWriter): void {
    writeKeyState(state, this, out);
  }

  readState(from: ByteReader): KeyState {
    return readKeyState(from, this, this.#automaton.states);
  }
}
