/**
 * An aggregate of the user's: a state for each slot, and functions that add to it, merge two, and make a
 * result of one.
 *
 * W1. An event is tried before it is added: `stage` computes its next states and their results, and only
 *     if everything went well `accumulate` takes them. So an event for which a function throws, or
 *     returns what is no state, changes nothing, in this aggregate or another.
 * W2. States and results are canonical: see S5 of PlainState.
 * W3. Where states are merged that no event brought together (partitions, slices of a sliding window) and
 *     the merge or its result fails, the slot has failed: its value is null, and `failure` says why.
 */
import type { AggregateDefinition } from "../../projections/definition/definition.ts";
import {
  canonicalState,
  NotPlain,
  readPlain,
  writePlain,
  type PlainState,
} from "../../projections/definition/plain-state.ts";
import { describeThrown } from "../../projections/definition/user-code.ts";
import type { Vector } from "../expression/vector.ts";
import type { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { utf8 } from "../kernel/text.ts";
import { writeOutputValue, type OutputValue } from "../ordered/output-value.ts";
import type { Accumulator } from "./accumulator.ts";

type Definition = Extract<AggregateDefinition, { readonly fn: "custom" }>;

const EMPTY = 0;
const STATE = 1;
const FAILED = 2;

/** A function of the user's did not do its part. The message says which, and what it did. */
class Failed extends Error {}

export class Custom implements Accumulator {
  readonly #name: string;
  readonly #definition: Definition;
  readonly #inputs: readonly string[];
  readonly #initial: PlainState;
  readonly #states: (PlainState | undefined)[] = [];
  readonly #failures: (string | undefined)[] = [];
  #staged: PlainState[] = [];

  constructor(name: string, definition: Definition) {
    this.#name = name;
    this.#definition = definition;
    this.#inputs = Object.keys(definition.inputs);
    this.#initial = this.#hold("init", definition.init, []);
  }

  grow(): void {}

  clear(slot: number): void {
    this.#states[slot] = undefined;
    this.#failures[slot] = undefined;
  }

  release(slot: number): void {
    this.clear(slot);
  }

  stage(from: readonly number[], row: number, input: Vector | undefined): string {
    try {
      let state: PlainState | undefined;
      for (const slot of from) {
        const other = this.#states[slot];
        if (other !== undefined) state = state === undefined ? other : this.#merged(state, other);
      }
      state ??= this.#initial;
      const args = [state, this.#inputOf(row, input!)];
      const next = this.#hold("add", this.#definition.add, args, state);
      this.#result(next);
      this.#staged.push(next);
      return "";
    } catch (error) {
      if (error instanceof Failed) return error.message;
      throw error;
    }
  }

  unstage(): void {
    this.#staged.length = 0;
  }

  accumulate(slots: Int32Array, _rows: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) {
      this.#states[slots[i]!] = this.#staged[i]!;
      this.#failures[slots[i]!] = undefined;
    }
    this.#staged.splice(0, count);
  }

  write(slot: number, out: ByteWriter): void {
    const failure = this.#failures[slot];
    const state = this.#states[slot];
    out.byte(failure !== undefined ? FAILED : state === undefined ? EMPTY : STATE);
    if (failure !== undefined) out.text(failure);
    else if (state !== undefined) writePlain(state, out);
  }

  merge(slot: number, from: ByteReader): void {
    const kind = from.byte();
    if (kind === EMPTY) return;
    if (kind === FAILED) {
      const why = from.text();
      if (this.#failures[slot] === undefined) this.#fail(slot, why);
      return;
    }
    const other = readPlain(from);
    if (this.#failures[slot] !== undefined) return;
    const mine = this.#states[slot];
    try {
      this.#states[slot] = mine === undefined ? other : this.#merged(mine, other);
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      this.#fail(slot, error.message);
    }
  }

  #fail(slot: number, why: string): void {
    this.#states[slot] = undefined;
    this.#failures[slot] = why;
  }

  writeValue(slot: number, out: ByteWriter): void {
    if (this.#failures[slot] !== undefined) return;
    try {
      const result = this.#result(this.#states[slot] ?? this.#initial);
      writeOutputValue(result, { name: this.#name, type: "any" }, out);
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      this.#fail(slot, error.message);
    }
  }

  failure(slot: number): string | undefined {
    return this.#failures[slot];
  }

  #merged(earlier: PlainState, later: PlainState): PlainState {
    return this.#hold("merge", this.#definition.merge, [earlier, later], earlier);
  }

  /** What a function makes of its arguments, as a state; `before` when it is that state itself. */
  #hold(
    called: "init" | "add" | "merge",
    code: (...args: never[]) => unknown,
    args: readonly unknown[],
    before?: PlainState,
  ): PlainState {
    const returned = this.#call(called, code, args);
    // What was one before is one.
    if (before !== undefined && Object.is(returned, before)) return before;
    return this.#plain(called, returned);
  }

  #result(state: PlainState): OutputValue {
    return this.#plain("result", this.#call("result", this.#definition.result, [state]));
  }

  #call(called: string, code: (...args: never[]) => unknown, args: readonly unknown[]): unknown {
    try {
      return code(...(args as never[]));
    } catch (error) {
      throw new Failed(`aggregates.${this.#name}.${called} ${describeThrown(error)}`);
    }
  }

  #plain(called: string, value: unknown): PlainState {
    const name = `aggregates.${this.#name}.${called}`;
    try {
      return canonicalState(value, `what ${name} returned`);
    } catch (error) {
      throw new Failed(
        error instanceof NotPlain ? error.message : `${name} ${describeThrown(error)}`,
      );
    }
  }

  #inputOf(row: number, { parts }: Vector): Readonly<Record<string, unknown>> {
    const input: Record<string, unknown> = {};
    for (let i = 0; i < this.#inputs.length; i++)
      input[this.#inputs[i]!] = valueOf(parts![i]!, row);
    return Object.freeze(input);
  }
}

/** An integer beyond 2^53 is its nearest double. */
const valueOf = (vector: Vector, row: number): number | string | boolean | null => {
  if (vector.valid[row] === 0) return null;
  if (vector.type === "string") {
    return utf8.decode(vector.bytes.subarray(vector.starts[row]!, vector.ends[row]!));
  }
  const value = vector.values[row]!;
  return vector.type === "boolean" ? value !== 0 : value;
};
