/**
 * Slots by time: those of one time in the order in which they came. Lists of slots, and a binary heap of
 * their times: events of a busy partition share their milliseconds, so that most of them only join
 * a list.
 *
 * L1. Slots leave by time, and those of one time in the order in which they were appended.
 *
 * A list is found by a table in which a later list takes the place of an earlier one with the same remainder.
 * So a time can have several lists; but an older one gets no more slots once a newer has been begun, and
 * the heap gives the older one first.
 */
const NONE = -1;

export class TimeLists {
  /** By slot: the next of its time. */
  #next: Int32Array;
  /** By list. */
  #times: Float64Array;
  #ranks: Float64Array;
  #heads: Int32Array;
  #tails: Int32Array;
  /** The first `#size` are the heap. */
  #heap: Int32Array;
  /** By the last bits of a time: its list. */
  #recent: Int32Array;
  #size = 0;
  readonly #free: number[] = [];
  #end = 0;
  #rank = 0;

  /** `capacity`: of slots, a power of two. */
  constructor(capacity: number) {
    this.#next = new Int32Array(capacity);
    this.#times = new Float64Array(capacity);
    this.#ranks = new Float64Array(capacity);
    this.#heads = new Int32Array(capacity).fill(NONE);
    this.#tails = new Int32Array(capacity);
    this.#heap = new Int32Array(capacity);
    this.#recent = new Int32Array(capacity);
  }

  /** The least time; +Infinity when there is none. */
  get least(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : this.#times[this.#heap[0]!]!;
  }

  /** The slot that leaves next; there must be one. */
  get first(): number {
    return this.#heads[this.#heap[0]!]!;
  }

  append(slot: number, time: number): void {
    this.#next[slot] = NONE;
    const place = time & (this.#recent.length - 1);
    const recent = this.#recent[place]!;
    if (this.#heads[recent] !== NONE && this.#times[recent] === time) {
      this.#next[this.#tails[recent]!] = slot;
      this.#tails[recent] = slot;
      return;
    }
    const list = this.#free.pop() ?? this.#end++;
    this.#recent[place] = list;
    this.#times[list] = time;
    this.#ranks[list] = this.#rank++;
    this.#heads[list] = slot;
    this.#tails[list] = slot;
    this.#up(this.#size++, list);
  }

  /** Removes and returns the first slot. */
  shift(): number {
    const list = this.#heap[0]!;
    const slot = this.#heads[list]!;
    const next = this.#next[slot]!;
    this.#heads[list] = next;
    if (next === NONE) {
      this.#free.push(list);
      const last = this.#heap[--this.#size]!;
      if (this.#size > 0) this.#down(last);
    }
    return slot;
  }

  /** In the order in which they would leave. */
  forEach(visit: (slot: number, time: number) => void): void {
    const lists = [...this.#heap.subarray(0, this.#size)].sort((a, b) =>
      this.#before(a, b) ? -1 : 1,
    );
    for (const list of lists) {
      for (let slot = this.#heads[list]!; slot !== NONE; slot = this.#next[slot]!) {
        visit(slot, this.#times[list]!);
      }
    }
  }

  /** Room for so many slots: a power of two. */
  grow(capacity: number): void {
    const integers = (column: Int32Array): Int32Array => {
      const grown = new Int32Array(capacity);
      grown.set(column);
      return grown;
    };
    const doubles = (column: Float64Array): Float64Array => {
      const grown = new Float64Array(capacity);
      grown.set(column);
      return grown;
    };
    const { length } = this.#heads;
    this.#next = integers(this.#next);
    this.#times = doubles(this.#times);
    this.#ranks = doubles(this.#ranks);
    this.#heads = integers(this.#heads).fill(NONE, length);
    this.#tails = integers(this.#tails);
    this.#heap = integers(this.#heap);
    this.#findAgain(capacity);
  }

  /** The newest list of each place, in a larger table. */
  #findAgain(capacity: number): void {
    const recent = new Int32Array(capacity);
    const ranks = new Float64Array(capacity).fill(NONE);
    for (let i = 0; i < this.#size; i++) {
      const list = this.#heap[i]!;
      const place = this.#times[list]! & (capacity - 1);
      if (this.#ranks[list]! <= ranks[place]!) continue;
      ranks[place] = this.#ranks[list]!;
      recent[place] = list;
    }
    this.#recent = recent;
  }

  #before(a: number, b: number): boolean {
    const difference = this.#times[a]! - this.#times[b]!;
    return difference !== 0 ? difference < 0 : this.#ranks[a]! < this.#ranks[b]!;
  }

  #up(from: number, list: number): void {
    const heap = this.#heap;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const other = heap[parent]!;
      if (!this.#before(list, other)) break;
      heap[at] = other;
      at = parent;
    }
    heap[at] = list;
  }

  #down(list: number): void {
    const heap = this.#heap;
    const size = this.#size;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#before(heap[child + 1]!, heap[child]!)) child++;
      if (!this.#before(heap[child]!, list)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = list;
  }
}
