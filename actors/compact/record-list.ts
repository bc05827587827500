/** The record batches that a pass of compaction looks at, in log order, with what is known of each. */

const CAPACITY_MIN = 1024;
const KEPT = 1;
const HOLDS_ROWS = 2;

export class RecordList {
  readonly #max: number;
  #sequences = new Float64Array(CAPACITY_MIN);
  #flags = new Uint8Array(CAPACITY_MIN);
  #count = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get count(): number {
    return this.#count;
  }

  get last(): number {
    return this.#count === 0 ? 0 : this.#sequences[this.#count - 1]!;
  }

  /** False when the list is full. Sequences rise. */
  add(sequence: number): boolean {
    if (this.#count === this.#max) return false;
    if (this.#count === this.#sequences.length) {
      const sequences = new Float64Array(this.#count * 2);
      const flags = new Uint8Array(this.#count * 2);
      sequences.set(this.#sequences);
      flags.set(this.#flags);
      this.#sequences = sequences;
      this.#flags = flags;
    }
    this.#sequences[this.#count++] = sequence;
    return true;
  }

  /** Something in it is needed. */
  keep(sequence: number): void {
    this.#mark(sequence, KEPT);
  }

  holdsRows(sequence: number): void {
    this.#mark(sequence, HOLDS_ROWS);
  }

  #mark(sequence: number, flag: number): void {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#sequences[middle]! < sequence) low = middle + 1;
      else high = middle;
    }
    if (this.#sequences[low] === sequence && low < this.#count) {
      this.#flags[low] = this.#flags[low]! | flag;
    }
  }

  /** What need not be kept: first what holds no rows. */
  removable(): readonly number[] {
    const without: number[] = [];
    const withRows: number[] = [];
    for (let at = 0; at < this.#count; at++) {
      if ((this.#flags[at]! & KEPT) !== 0) continue;
      const list = (this.#flags[at]! & HOLDS_ROWS) === 0 ? without : withRows;
      list.push(this.#sequences[at]!);
    }
    return [...without, ...withRows];
  }
}
