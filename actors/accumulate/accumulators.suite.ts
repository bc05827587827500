/** Drives one accumulator by hand: vectors of plain values in, bytes and decoded Values out. */
import { Value } from "../../proto/gen/tidemark/v1/result.ts";
import type { AggregateDefinition } from "../../projections/definition/definition.ts";
import type { ExpressionType } from "../../projections/definition/expression.ts";
import { emptyVector } from "../expression/vector.ts";
import type { Vector } from "../expression/vector.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import type { Accumulator } from "./accumulator.ts";
import { makeAccumulator } from "./aggregates.ts";

export type Input = bigint | number | string | undefined;

/** Rows as the engine gives them: integers as nearest double and residual, strings as UTF-8 ranges. */
export const vectorOf = (type: ExpressionType, inputs: readonly Input[]): Vector => {
  const vector = emptyVector(type);
  vector.valid = Uint8Array.from(inputs, (input) => (input === undefined ? 0 : 1));
  if (type === "string") {
    const texts = inputs.map((input) => Buffer.from(String(input ?? "")));
    vector.bytes = Buffer.concat(texts);
    vector.ends = Int32Array.from(
      texts,
      (
        (end) => (text) =>
          (end += text.length)
      )(0),
    );
    vector.starts = vector.ends.map((end, i) => end - texts[i]!.length);
    return vector;
  }
  vector.values = Float64Array.from(inputs, (input) => Number(input ?? 0));
  if (type === "integer") {
    const exact = (input: Input) => BigInt(input ?? 0);
    vector.residuals = Float64Array.from(inputs, (input) =>
      Number(exact(input) - BigInt(Number(exact(input)))),
    );
  }
  return vector;
};

/** An accumulator with one function a step; slots are made on first use. */
export class Bench {
  readonly accumulator: Accumulator;
  readonly #type: ExpressionType;
  readonly #used = new Set<number>();

  constructor(definition: AggregateDefinition, type: ExpressionType, capacity = 16) {
    this.#type = type;
    this.accumulator = makeAccumulator({ name: "x", definition, inputType: type });
    this.accumulator.grow(capacity);
  }

  #use(slot: number): void {
    if (this.#used.has(slot)) return;
    this.#used.add(slot);
    this.accumulator.clear(slot);
  }

  add(inputs: readonly Input[], slot = 0, times?: readonly number[]): this {
    this.#use(slot);
    const vector = vectorOf(this.#type, inputs);
    if (times !== undefined) vector.times = Float64Array.from(times);
    const rows = Int32Array.from(inputs, (_, row) => row);
    const slots = new Int32Array(inputs.length).fill(slot);
    this.accumulator.accumulate(slots, rows, inputs.length, vector);
    return this;
  }

  state(slot = 0): Uint8Array {
    this.#use(slot);
    const out = new ByteWriter();
    this.accumulator.write(slot, out);
    return out.finish();
  }

  /** Reads all of a state, or throws. */
  merge(state: Uint8Array, slot = 0): this {
    this.#use(slot);
    const reader = new ByteReader(state);
    this.accumulator.merge(slot, reader);
    if (reader.at !== state.length) throw new Error(`read ${reader.at} of ${state.length} bytes`);
    return this;
  }

  value(slot = 0): unknown {
    this.#use(slot);
    const out = new ByteWriter();
    this.accumulator.writeValue(slot, out);
    return plain(Value.decode(out.finish()));
  }
}

/** A Value as plain data: integers as bigints, bytes as buffers, records as objects. */
export const plain = (value: Value | undefined): unknown => {
  const kind = value?.kind;
  switch (kind?.$case) {
    case undefined:
      return null;
    case "intValue":
      return BigInt(kind.value);
    case "listValue":
      return kind.value.values.map(plain);
    case "recordValue":
      return Object.fromEntries(kind.value.fields.map(({ name, value: of }) => [name, plain(of)]));
    default:
      return kind!.value;
  }
};

/** A small seeded generator, so that data sets of error bounds are the same in every run. */
export const seeded = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};
