/**
 * A set of ids that may claim an id which is not in it, never the reverse: a Bloom filter of 1 MiB. With 100,000
 * ids in it, it is wrong about less than one other in 100,000; what it is wrong about is kept a little longer.
 */
const BITS = 2 ** 23;

export class IdFilter {
  /** Undefined while it is empty, which it mostly stays. */
  #bits: Int32Array | undefined;

  get isEmpty(): boolean {
    return this.#bits === undefined;
  }

  /** `hash`: four lanes of 32 bits. */
  add(hash: Int32Array): void {
    const bits = (this.#bits ??= new Int32Array(BITS / 32));
    for (let lane = 0; lane < 4; lane++) {
      const bit = hash[lane]! & (BITS - 1);
      bits[bit >>> 5] = bits[bit >>> 5]! | (1 << (bit & 31));
    }
  }

  mayHave(hash: Int32Array): boolean {
    const bits = this.#bits;
    if (bits === undefined) return false;
    for (let lane = 0; lane < 4; lane++) {
      const bit = hash[lane]! & (BITS - 1);
      if ((bits[bit >>> 5]! & (1 << (bit & 31))) === 0) return false;
    }
    return true;
  }
}
