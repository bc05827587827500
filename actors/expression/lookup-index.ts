/**
 * The rows of a lookup table, found by the bytes or the number of their key, and its columns as vectors hold
 * them. Made once for a table, however many expressions and partitions look into it.
 */
import type { LookupColumn, LookupTable } from "../../projections/definition/lookup-table.ts";
import { murmur32 } from "../kernel/hash.ts";
import type { Vector } from "./vector.ts";

/** By row; `bytes`, `starts` and `ends` for strings, `values` for the rest. */
export interface IndexedColumn {
  readonly valid: Uint8Array;
  readonly values: Float64Array;
  readonly bytes: Uint8Array;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

const INDEXES = new WeakMap<LookupTable, LookupIndex>();

export const indexOf = (table: LookupTable): LookupIndex => {
  let index = INDEXES.get(table);
  if (index === undefined) INDEXES.set(table, (index = new LookupIndex(table)));
  return index;
};

export class LookupIndex {
  readonly #table: LookupTable;
  /** Open addressing at most half full: row + 1, or 0. */
  readonly #slots: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #ends: Int32Array;
  #numbers: ReadonlyMap<number, number> | undefined;
  readonly #columns = new Map<string, IndexedColumn>();

  constructor(table: LookupTable) {
    this.#table = table;
    const keys = textColumn(table.keys);
    this.#bytes = keys.bytes;
    this.#ends = keys.ends;
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(table.keys.length * 2 + 1)));
    const mask = this.#slots.length - 1;
    for (let row = 0; row < table.keys.length; row++) {
      let slot = murmur32(keys.bytes, keys.starts[row]!, keys.ends[row]!, 0) & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = row + 1;
    }
  }

  /** The row whose key a vector has at `at`; -1 if there is none or the key is null. */
  find(key: Vector, at: number): number {
    if (key.valid[at] === 0) return -1;
    if (key.type === "string") return this.#findBytes(key.bytes, key.starts[at]!, key.ends[at]!);
    // Keys are within 2^53: what has a residual is beyond.
    if ((key.residuals?.[at] ?? 0) !== 0) return -1;
    return this.#byNumber().get(key.values[at]!) ?? -1;
  }

  #findBytes(bytes: Uint8Array, start: number, end: number): number {
    const mask = this.#slots.length - 1;
    const length = end - start;
    let slot = murmur32(bytes, start, end, 0) & mask;
    for (; ; slot = (slot + 1) & mask) {
      const row = this.#slots[slot]! - 1;
      if (row < 0) return -1;
      const from = row === 0 ? 0 : this.#ends[row - 1]!;
      if (this.#ends[row]! - from !== length) continue;
      let i = 0;
      while (i < length && this.#bytes[from + i] === bytes[start + i]) i++;
      if (i === length) return row;
    }
  }

  /** Booleans are 0 and 1 in vectors. */
  #byNumber(): ReadonlyMap<number, number> {
    this.#numbers ??= new Map(
      this.#table.keys.map((key, row) => [
        key === "true" ? 1 : key === "false" ? 0 : Number(key),
        row,
      ]),
    );
    return this.#numbers;
  }

  column(name: string): IndexedColumn {
    let column = this.#columns.get(name);
    if (column === undefined) {
      const source = this.#table.columns.get(name);
      if (source === undefined) throw new Error(`invariant X: the table has no column ${name}`);
      this.#columns.set(name, (column = indexedColumn(source)));
    }
    return column;
  }
}

const indexedColumn = ({ type, cells }: LookupColumn): IndexedColumn => {
  const valid = Uint8Array.from(cells, (cell) => (cell === null ? 0 : 1));
  if (type === "string") {
    return { ...textColumn(cells.map((cell) => (cell ?? "") as string)), valid };
  }
  const none = { bytes: new Uint8Array(0), starts: new Int32Array(0), ends: new Int32Array(0) };
  return { ...none, valid, values: Float64Array.from(cells, Number) };
};

const textColumn = (texts: readonly string[]): IndexedColumn => {
  const encoder = new TextEncoder();
  const encoded = texts.map((text) => encoder.encode(text));
  const starts = new Int32Array(texts.length);
  const ends = new Int32Array(texts.length);
  let end = 0;
  encoded.forEach((text, row) => {
    starts[row] = end;
    ends[row] = end += text.length;
  });
  const bytes = new Uint8Array(end);
  encoded.forEach((text, row) => bytes.set(text, starts[row]));
  return { valid: new Uint8Array(0), values: new Float64Array(0), bytes, starts, ends };
};
