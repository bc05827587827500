/**
 * A digest of a changing set of slots: the sum, lane by lane, of a 64-bit hash of each slot. Adding is
 * commutative, so the digest depends on what the set holds and not on the order of changes, and costs
 * only what changed.
 *
 * G1. Equal sets of (slot content) have equal digests, whatever their slots' numbers.
 * G2. Memory follows the slots, however many have come and gone since the last `settle`: a state that is
 *     rebuilt from its whole log is settled once, at the end.
 */

const KEPT = 2;

export class SlotDigest {
  low = 0;
  high = 0;
  #lows = new Int32Array(0);
  #highs = new Int32Array(0);
  #marked = new Uint8Array(0);
  #changed = new Int32Array(256);
  #changedCount = 0;

  grow(capacity: number): void {
    const lows = new Int32Array(capacity);
    lows.set(this.#lows);
    this.#lows = lows;
    const highs = new Int32Array(capacity);
    highs.set(this.#highs);
    this.#highs = highs;
    const marked = new Uint8Array(capacity);
    marked.set(this.#marked);
    this.#marked = marked;
  }

  /** The slot's content is about to be hashed again. */
  mark(slot: number): void {
    if (this.#marked[slot] === 1) return;
    this.#marked[slot] = 1;
    if (this.#changedCount === this.#changed.length) this.#compact();
    this.#changed[this.#changedCount++] = slot;
  }

  /** Slots that `settle` will look at. */
  get changed(): number {
    return this.#changedCount;
  }

  /** Leaves each marked slot once, and those that were removed not at all. */
  #compact(): void {
    const changed = this.#changed;
    const marked = this.#marked;
    let kept = 0;
    for (let i = 0; i < this.#changedCount; i++) {
      const slot = changed[i]!;
      if (marked[slot] !== 1) continue;
      marked[slot] = KEPT;
      changed[kept++] = slot;
    }
    for (let i = 0; i < kept; i++) marked[changed[i]!] = 1;
    this.#changedCount = kept;
    // At least half free, or it would be compacted for every few marks.
    if (kept * 2 <= changed.length) return;
    this.#changed = new Int32Array(changed.length * 2);
    this.#changed.set(changed);
  }

  /** The slot's content is gone. */
  remove(slot: number): void {
    this.low = (this.low - this.#lows[slot]!) | 0;
    this.high = (this.high - this.#highs[slot]!) | 0;
    this.#lows[slot] = 0;
    this.#highs[slot] = 0;
    this.#marked[slot] = 0;
  }

  /** Hashes what changed: `hash` writes the slot's 64 bits into lanes[0] and lanes[1]. */
  settle(hash: (slot: number, lanes: Int32Array) => void): void {
    const lanes = new Int32Array(4);
    for (let i = 0; i < this.#changedCount; i++) {
      const slot = this.#changed[i]!;
      if (this.#marked[slot] === 0) continue;
      this.remove(slot);
      hash(slot, lanes);
      this.#lows[slot] = lanes[0]!;
      this.#highs[slot] = lanes[1]!;
      this.low = (this.low + lanes[0]!) | 0;
      this.high = (this.high + lanes[1]!) | 0;
    }
    this.#changedCount = 0;
  }
}
