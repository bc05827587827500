/**
 * The newest event of each key, of the keys whose hashes lie in a range: an open-addressing table in typed
 * arrays, whose size is fixed. When more keys come than it holds, the range is halved and what falls out of it
 * is forgotten; whoever reads goes over the log once more for the rest.
 *
 * N1. Of a key the event with the greatest time, of one time the last that came: the row of a table.
 * N2. Two keys are held to be one when 128 bits of MurmurHash3 agree: for 1,000 million keys the odds that any
 *     two do are below one in 10^20.
 * N3. Memory: 32 bytes a cell, of which half are in use at the most.
 */
const LANES = 4;

export class NewestTable {
  /** Of the first lane, as an unsigned number: [from, to) are the keys that are looked at. */
  readonly from: number;
  readonly #keysMax: number;
  readonly #mask: number;
  readonly #hashes: Int32Array;
  readonly #times: Float64Array;
  /** Of the record batch; 0 where the cell is free. */
  readonly #sequences: Float64Array;
  #to = HASH_END;
  #size = 0;

  constructor(keysMax: number, from: number) {
    this.from = from;
    this.#keysMax = keysMax;
    const cells = 2 ** Math.ceil(Math.log2(keysMax * 2));
    this.#mask = cells - 1;
    this.#hashes = new Int32Array(cells * LANES);
    this.#times = new Float64Array(cells);
    this.#sequences = new Float64Array(cells);
  }

  get to(): number {
    return this.#to;
  }

  covers(hash: Int32Array): boolean {
    const first = hash[0]! >>> 0;
    return first >= this.from && first < this.#to;
  }

  /**
   * Notes an event of a key that is covered, in log order. False if there is no room for it although the
   * range is a single hash: then nothing is known of the key.
   */
  note(hash: Int32Array, time: number, sequence: number): boolean {
    let cell = this.#find(hash);
    if (this.#sequences[cell] === 0) {
      while (this.#size === this.#keysMax) {
        if (this.#to - this.from === 1) return false;
        this.#halve();
        if (!this.covers(hash)) return true;
        cell = this.#find(hash);
      }
      this.#size++;
      this.#hashes.set(hash, cell * LANES);
    } else if (time < this.#times[cell]!) {
      return true;
    }
    this.#times[cell] = time;
    this.#sequences[cell] = sequence;
    return true;
  }

  /** Of each key: the record batch of its newest event. */
  forEachSequence(take: (sequence: number) => void): void {
    for (const sequence of this.#sequences) if (sequence !== 0) take(sequence);
  }

  /** The cell of a key, or the free one where it would be. */
  #find(hash: Int32Array): number {
    const hashes = this.#hashes;
    let cell = hash[1]! & this.#mask;
    while (this.#sequences[cell] !== 0) {
      const at = cell * LANES;
      if (
        hashes[at] === hash[0] &&
        hashes[at + 1] === hash[1] &&
        hashes[at + 2] === hash[2] &&
        hashes[at + 3] === hash[3]
      ) {
        break;
      }
      cell = (cell + 1) & this.#mask;
    }
    return cell;
  }

  #halve(): void {
    this.#to = this.from + Math.ceil((this.#to - this.from) / 2);
    const hashes = this.#hashes.slice();
    const times = this.#times.slice();
    const sequences = this.#sequences.slice();
    this.#sequences.fill(0);
    this.#size = 0;
    for (let old = 0; old < sequences.length; old++) {
      const hash = hashes.subarray(old * LANES, (old + 1) * LANES);
      if (sequences[old] === 0 || !this.covers(hash)) continue;
      const cell = this.#find(hash);
      this.#hashes.set(hash, cell * LANES);
      this.#times[cell] = times[old]!;
      this.#sequences[cell] = sequences[old]!;
      this.#size++;
    }
  }
}

/** One more than the greatest first lane. */
export const HASH_END = 2 ** 32;
