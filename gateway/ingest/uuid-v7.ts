/**
 * Ids for events that come without one: UUID version 7 (RFC 9562, 5.7), so that ids made later sort
 * later. Written straight into a batch as 36 ASCII characters.
 */
import { randomFillSync } from "node:crypto";

export const UUID_BYTES = 36;

/** Fills the bytes with random ones. */
export type FillRandom = (bytes: Uint8Array) => void;

const POOL_BYTES = 4096;
const RANDOM_BYTES = 10;
const HEX = Buffer.from("0123456789abcdef", "latin1");
const DASH = 0x2d;

export class UuidV7 {
  readonly #pool = new Uint8Array(POOL_BYTES);
  readonly #id = new Uint8Array(16);
  readonly #fill: FillRandom;
  #used = POOL_BYTES;

  constructor(fill: FillRandom = randomFillSync) {
    this.#fill = fill;
  }

  /** A new id as text, where one at a time is enough. */
  make(wallMs: number): string {
    const text = Buffer.allocUnsafe(UUID_BYTES);
    this.write(text, 0, wallMs);
    return text.toString("latin1");
  }

  /** Writes a new id into target[at, at + 36). */
  write(target: Uint8Array, at: number, wallMs: number): void {
    const id = this.#id;
    let rest = wallMs;
    for (let i = 5; i >= 0; i--) {
      id[i] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    if (this.#used + RANDOM_BYTES > POOL_BYTES) {
      this.#fill(this.#pool);
      this.#used = 0;
    }
    for (let i = 6; i < 16; i++) id[i] = this.#pool[this.#used++];
    id[6] = 0x70 | (id[6] & 0x0f);
    id[8] = 0x80 | (id[8] & 0x3f);
    let out = at;
    for (let i = 0; i < 16; i++) {
      if (i === 4 || i === 6 || i === 8 || i === 10) target[out++] = DASH;
      target[out++] = HEX[id[i] >> 4];
      target[out++] = HEX[id[i] & 15];
    }
  }
}
