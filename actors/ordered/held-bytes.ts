/**
 * Bytes of events that wait: one copy for each record batch that they came in, not one for each event.
 *
 * H1. Memory follows the bytes that are held: at most twice as many, and SLACK_BYTES. Where more than that
 *     belongs to events that have left, `wasteful` says so, and whoever holds ranges moves them.
 */

const SLACK_BYTES = 1024 * 1024;

export interface Block {
  readonly bytes: Uint8Array;
  /** Of them, those that are held. */
  live: number;
}

export class HeldBytes {
  /** Of all ranges that are held. */
  live = 0;
  /** Of all blocks with any. */
  #size = 0;
  /** The last block that was opened, and what it is a copy of. */
  #open: Block | undefined;
  #source: Uint8Array | undefined;

  /** Whether it is time to move what is held together. */
  get wasteful(): boolean {
    return this.#size > this.live * 2 + SLACK_BYTES;
  }

  /** A new batch of events: the same bytes may be another's by now. */
  begin(): void {
    this.#source = undefined;
  }

  /** A block that holds `length` bytes of the source, which stand in it where they do in the source. */
  hold(source: Uint8Array, length: number): Block {
    let block = this.#open;
    if (block === undefined || source !== this.#source) {
      block = { bytes: source.slice(), live: 0 };
      this.#open = block;
      this.#source = source;
    }
    // A block from which all have left is not counted.
    if (block.live === 0) this.#size += block.bytes.length;
    block.live += length;
    this.live += length;
    return block;
  }

  release(block: Block, length: number): void {
    block.live -= length;
    this.live -= length;
    if (block.live === 0) this.#size -= block.bytes.length;
  }

  /** Forgets all blocks for one that is as long as what is held: to be filled by who holds ranges. */
  compact(): Block {
    const block = { bytes: new Uint8Array(this.live), live: this.live };
    this.#size = this.live;
    this.#open = undefined;
    this.#source = undefined;
    return block;
  }
}
