/**
 * HyperLogLog (Flajolet et al. 2007) with the estimator of Ertl (2017): how many different values there
 * are, from their hashes alone.
 *
 * Up to EXPLICIT_MAX hashes are kept as they are, and the count is exact. Then 2^precision registers
 * keep the longest run of trailing zeros that each has seen: a standard error of 1.04 / sqrt(2^precision).
 *
 * D1. A sketch is a function of the set of hashes: any order, any parts and any merging of the same
 *     values give the same bytes.
 * D2. The bytes follow the HyperLogLog storage specification 1.0.0 of Aggregate Knowledge, schema version
 *     1, five bits a register, without sparse form: what postgresql-hll, java-hll and others read.
 * D3. A hash is 53 bits of the value's, so that a double holds it; the format's 64 have zeros above.
 */
import type { ByteWriter } from "../kernel/byte-writer.ts";

export const EXPLICIT_MAX = 256;

const REGISTER_BITS = 5;
const RANK_MAX = 2 ** REGISTER_BITS - 1;
const EMPTY = 0x11;
const EXPLICIT = 0x12;
const FULL = 0x14;
const HEADER_BYTES = 3;
const TWO_32 = 4_294_967_296;
const TWO_21_MASK = 2 ** 21 - 1;
/** 1 / (2 ln 2). */
const ALPHA = 0.721_347_520_444_481_7;

/** How many hashes a sketch keeps before it turns to registers, which are then not much larger. */
const explicitMaxOf = (precision: number): number => Math.min(EXPLICIT_MAX, 2 ** (precision - 4));

export class HyperLogLog {
  readonly #precision: number;
  /** Ascending; undefined once there are registers. */
  #hashes: Float64Array | undefined = new Float64Array(8);
  #count = 0;
  #registers: Uint8Array | undefined;

  constructor(precision: number) {
    this.#precision = precision;
  }

  /** Adds a value by the low 53 bits of its hash. */
  add(low: number, high: number): void {
    if (this.#registers === undefined) this.#insert((high & TWO_21_MASK) * TWO_32 + (low >>> 0));
    else this.#rank(low, high & TWO_21_MASK);
  }

  #insert(hash: number): void {
    let hashes = this.#hashes!;
    let from = 0;
    let to = this.#count;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (hashes[middle]! < hash) from = middle + 1;
      else to = middle;
    }
    if (from < this.#count && hashes[from] === hash) return;
    if (this.#count === explicitMaxOf(this.#precision)) {
      this.#promote();
      return this.#rank(hash | 0, Math.floor(hash / TWO_32));
    }
    if (this.#count === hashes.length) {
      const grown = new Float64Array(this.#count * 2);
      grown.set(hashes);
      this.#hashes = hashes = grown;
    }
    hashes.copyWithin(from + 1, from, this.#count);
    hashes[from] = hash;
    this.#count++;
  }

  #promote(): void {
    const hashes = this.#hashes!;
    this.#registers = new Uint8Array(2 ** this.#precision);
    for (let i = 0; i < this.#count; i++) {
      this.#rank(hashes[i]! | 0, Math.floor(hashes[i]! / TWO_32));
    }
    this.#hashes = undefined;
    this.#count = 0;
  }

  #rank(low: number, high: number): void {
    const precision = this.#precision;
    const rest = (low >>> precision) | (high << (32 - precision));
    const zeros = rest === 0 ? 32 : 31 - Math.clz32(rest & -rest);
    // All zeros say nothing: so the format has it.
    const rank = rest === 0 && high >>> precision === 0 ? 0 : Math.min(RANK_MAX, zeros + 1);
    const index = low & (2 ** precision - 1);
    if (rank > this.#registers![index]!) this.#registers![index] = rank;
  }

  /** Exact while there are no more than EXPLICIT_MAX values. */
  estimate(): number {
    const registers = this.#registers;
    if (registers === undefined) return this.#count;
    const ranks = new Float64Array(RANK_MAX + 1);
    for (const rank of registers) ranks[rank]! += 1;
    const size = registers.length;
    let sum = size * tau(1 - ranks[RANK_MAX]! / size);
    for (let rank = RANK_MAX - 1; rank >= 1; rank--) sum = 0.5 * (sum + ranks[rank]!);
    sum += size * sigma(ranks[0]! / size);
    return Math.round((ALPHA * size * size) / sum);
  }

  write(out: ByteWriter): void {
    const explicitMax = explicitMaxOf(this.#precision);
    const registers = this.#registers;
    out.byte(registers !== undefined ? FULL : this.#count === 0 ? EMPTY : EXPLICIT);
    out.byte(((REGISTER_BITS - 1) << 5) | this.#precision);
    out.byte(Math.log2(explicitMax) + 1);
    if (registers !== undefined) return writeRegisters(registers, out);
    for (let i = 0; i < this.#count; i++) writeHash(this.#hashes![i]!, out);
  }

  /** Adds all that `write` wrote for a sketch of the same precision. */
  merge(bytes: Uint8Array): void {
    if (bytes[0] !== FULL) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let at = HEADER_BYTES; at < bytes.length; at += 8) {
        this.add(view.getUint32(at + 4), view.getUint32(at));
      }
      return;
    }
    if (this.#registers === undefined) this.#promote();
    const registers = this.#registers!;
    let bits = 0;
    let held = 0;
    let at = HEADER_BYTES;
    for (let i = 0; i < registers.length; i++) {
      if (held < REGISTER_BITS) {
        bits = ((bits << 8) | bytes[at++]!) & 0xffff;
        held += 8;
      }
      held -= REGISTER_BITS;
      const rank = (bits >>> held) & RANK_MAX;
      if (rank > registers[i]!) registers[i] = rank;
    }
  }
}

const writeHash = (hash: number, out: ByteWriter): void => {
  const high = Math.floor(hash / TWO_32);
  for (let shift = 24; shift >= 0; shift -= 8) out.byte((high >>> shift) & 0xff);
  for (let shift = 24; shift >= 0; shift -= 8) out.byte((hash >>> shift) & 0xff);
};

/** The number of registers is a multiple of eight, so no bit is left over. */
const writeRegisters = (registers: Uint8Array, out: ByteWriter): void => {
  let bits = 0;
  let held = 0;
  for (const rank of registers) {
    bits = ((bits << REGISTER_BITS) | rank) & 0xffff;
    held += REGISTER_BITS;
    if (held < 8) continue;
    held -= 8;
    out.byte((bits >>> held) & 0xff);
  }
};

// Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", algorithm 6. Sums, products and
// square roots alone: the same bits on every machine. sigma(1) is infinite, and tau(0) and tau(1) are 0.
const sigma = (share: number): number => {
  let x = share;
  let y = 1;
  let sum = share;
  for (let before = Number.NaN; sum !== before;) {
    x *= x;
    before = sum;
    sum += x * y;
    y += y;
  }
  return sum;
};

const tau = (share: number): number => {
  let x = share;
  let y = 1;
  let sum = 1 - share;
  for (let before = Number.NaN; sum !== before;) {
    x = Math.sqrt(x);
    before = sum;
    y *= 0.5;
    sum -= (1 - x) * (1 - x) * y;
  }
  return sum / 3;
};
