/**
 * Slots by when they are due: a binary heap whose outdated entries are dropped when they surface.
 *
 * H1. Slots due at the same time come in the order in which they were first set: a function of the log.
 * H2. Once a slot has been set, outdated entries are at most three a live slot, and OUTDATED_MIN.
 */
/** So few are never worth a rebuild. */
export const OUTDATED_MIN = 64;

export class DueHeap {
  /** Of each live slot: when it is due, and its rank among equals. */
  readonly #dues = new Map<number, { readonly due: number; readonly rank: number }>();
  #heap: { readonly due: number; readonly rank: number; readonly slot: number }[] = [];
  #nextRank = 0;

  /** When the first slot is due; +Infinity when there is none. */
  get least(): number {
    this.#dropOutdated();
    return this.#heap[0]?.due ?? Number.POSITIVE_INFINITY;
  }

  get size(): number {
    return this.#dues.size;
  }

  /** Entries that mean nothing any more. */
  get outdated(): number {
    return this.#heap.length - this.#dues.size;
  }

  dueOf(slot: number): number {
    return this.#dues.get(slot)!.due;
  }

  /** Live slots in order of rank. */
  slots(): number[] {
    // A rank is as old as its place in the map.
    return [...this.#dues.keys()];
  }

  set(slot: number, due: number): void {
    const rank = this.#dues.get(slot)?.rank ?? this.#nextRank++;
    this.#dues.set(slot, { due, rank });
    if (this.outdated < this.#dues.size * 3 + OUTDATED_MIN) this.#push({ due, rank, slot });
    else this.#rebuild();
  }

  remove(slot: number): void {
    this.#dues.delete(slot);
  }

  /** The first slot that is due at or before `time`, or -1. It stays set. */
  first(time: number): number {
    this.#dropOutdated();
    const top = this.#heap[0];
    return top !== undefined && top.due <= time ? top.slot : -1;
  }

  #dropOutdated(): void {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      const current = this.#dues.get(top.slot);
      if (current !== undefined && current.due === top.due && current.rank === top.rank) return;
      this.#pop();
    }
  }

  #rebuild(): void {
    this.#heap = [];
    for (const [slot, { due, rank }] of this.#dues) this.#push({ due, rank, slot });
  }

  #before(a: number, b: number): boolean {
    const left = this.#heap[a]!;
    const right = this.#heap[b]!;
    return left.due !== right.due ? left.due < right.due : left.rank < right.rank;
  }

  #swap(a: number, b: number): void {
    const left = this.#heap[a]!;
    this.#heap[a] = this.#heap[b]!;
    this.#heap[b] = left;
  }

  #push(entry: { readonly due: number; readonly rank: number; readonly slot: number }): void {
    let at = this.#heap.push(entry) - 1;
    while (at > 0 && this.#before(at, (at - 1) >> 1)) {
      this.#swap(at, (at - 1) >> 1);
      at = (at - 1) >> 1;
    }
  }

  #pop(): void {
    const last = this.#heap.pop()!;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    let at = 0;
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#heap.length && this.#before(child, least)) least = child;
      }
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }
}
