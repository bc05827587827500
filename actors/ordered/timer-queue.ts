/**
 * Timers of keys by when they are due: a binary heap whose cancelled entries are dropped when they
 * surface, and all at once when they outnumber the others.
 *
 * T1. Timers due at one time fire in the order in which they were set; moving one sets it anew.
 */
export interface Timer {
  readonly keyId: number;
  readonly name: string;
  readonly due: number;
  readonly rank: number;
  cancelled: boolean;
}

const REBUILT_FROM = 64;

export class TimerQueue {
  /** Of the next timer that is set. */
  nextRank = 0;
  #heap: Timer[] = [];
  #cancelled = 0;

  /** Timers that are set. */
  get size(): number {
    return this.#heap.length - this.#cancelled;
  }

  /** When the first timer is due; +Infinity when there is none. */
  get least(): number {
    this.#dropCancelled();
    return this.#heap[0]?.due ?? Number.POSITIVE_INFINITY;
  }

  set(keyId: number, name: string, due: number, rank = this.nextRank++): Timer {
    const timer: Timer = { keyId, name, due, rank, cancelled: false };
    this.#push(timer);
    return timer;
  }

  cancel(timer: Timer): void {
    timer.cancelled = true;
    this.#cancelled++;
    if (this.#cancelled > REBUILT_FROM && this.#cancelled * 2 > this.#heap.length) this.#rebuild();
  }

  /** Removes and returns the first timer; there must be one. */
  shift(): Timer {
    this.#dropCancelled();
    return this.#pop();
  }

  #dropCancelled(): void {
    while (this.#heap[0]?.cancelled === true) {
      this.#pop();
      this.#cancelled--;
    }
  }

  #rebuild(): void {
    const live = this.#heap.filter((timer) => !timer.cancelled);
    // A sorted list is a heap.
    this.#heap = live.sort((a, b) => (before(a, b) ? -1 : 1));
    this.#cancelled = 0;
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(timer, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): Timer {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

const before = (a: Timer, b: Timer): boolean => (a.due !== b.due ? a.due < b.due : a.rank < b.rank);
