/**
 * One stream in memory: what a JetStream stream is to its users, without a server. Sequences start
 * at 1, rise by 1 and are never given twice; deleting leaves holes.
 *
 * M1. `append` takes all of its messages or none, under the check of the subject's last sequence.
 * M2. Waiting readers are woken in the order in which they began to wait.
 */

export interface StoredMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly data: Uint8Array;
  /** When the stream took it in: milliseconds since the epoch. */
  readonly time: number;
  /** Which call appended it: how an append recognises its own message when it reads back. */
  readonly appendId: number;
}

export interface NewMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers?: StoredMessage["headers"];
}

export type AppendOutcome =
  | { readonly kind: "stored"; readonly last: number }
  | { readonly kind: "conflict" }
  | { readonly kind: "full" };

/** NATS wildcards: `*` is one token, `>` at the end is one or more. */
export const subjectMatches = (filter: string, subject: string): boolean => {
  const wanted = filter.split(".");
  const tokens = subject.split(".");
  for (const [index, token] of wanted.entries()) {
    if (token === ">") return tokens.length > index;
    if (tokens[index] === undefined || (token !== "*" && token !== tokens[index])) return false;
  }
  return tokens.length === wanted.length;
};

export class MemoryStream {
  readonly name: string;
  /** The clock of the stream. */
  now: () => number = () => 0;
  /** Refuses what would exceed it, as `discard: new` does. */
  maxBytes = Infinity;
  #messages: StoredMessage[] = [];
  #bytes = 0;
  #last = 0;
  #waiters: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  get lastSequence(): number {
    return this.#last;
  }

  get firstSequence(): number {
    return this.#messages[0]?.sequence ?? this.#last + 1;
  }

  get messages(): readonly StoredMessage[] {
    return this.#messages;
  }

  lastOf(subject: string): StoredMessage | undefined {
    return this.#messages.findLast((message) => message.subject === subject);
  }

  append(
    messages: readonly NewMessage[],
    appendId: number,
    check?: { readonly subject: string; readonly expected: number },
  ): AppendOutcome {
    if (check !== undefined && (this.lastOf(check.subject)?.sequence ?? 0) !== check.expected) {
      return { kind: "conflict" };
    }
    const size = messages.reduce((sum, message) => sum + message.data.length, 0);
    if (this.#bytes + size > this.maxBytes) return { kind: "full" };
    const time = this.now();
    for (const { subject, headers = [], data } of messages) {
      this.#last += 1;
      // Callers may reuse their buffers once an append has returned.
      const copy = Uint8Array.from(data);
      const sequence = this.#last;
      this.#messages.push({ sequence, subject, headers, data: copy, time, appendId });
    }
    this.#bytes += size;
    // Whoever is woken may append at once, and be the last then.
    const last = this.#last;
    this.#wake();
    return { kind: "stored", last };
  }

  /** From `fromSequence` on, what matches; all that is there. */
  from(fromSequence: number, matches: (subject: string) => boolean): readonly StoredMessage[] {
    return this.#messages
      .slice(this.#indexOf(fromSequence))
      .filter((message) => matches(message.subject));
  }

  /** Deletes what lies below `sequence` and matches. */
  deleteBelow(sequence: number, matches: (subject: string) => boolean): void {
    this.#messages = this.#messages.filter(
      (message) => message.sequence >= sequence || !matches(message.subject),
    );
    this.#bytes = this.#messages.reduce((sum, message) => sum + message.data.length, 0);
    // A reader that waits within what was deleted must find out.
    this.#wake();
  }

  /** Deletes one message, if it is there. */
  delete(sequence: number): void {
    this.#messages = this.#messages.filter((message) => message.sequence !== sequence);
    this.#bytes = this.#messages.reduce((sum, message) => sum + message.data.length, 0);
  }

  /** Calls back once, after the next change; the result takes the call back. */
  onChange(callback: () => void): () => void {
    this.#waiters.push(callback);
    return () => {
      this.#waiters = this.#waiters.filter((waiter) => waiter !== callback);
    };
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }

  /** Index of the first message at or after a sequence. */
  #indexOf(sequence: number): number {
    let low = 0;
    let high = this.#messages.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#messages[middle]?.sequence ?? Infinity) < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
