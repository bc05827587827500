/**
 * DDSketch (Masson, Rim and Lee 2019): quantiles within a relative error, from counts of values in bins
 * that grow with them. Its mapping is the linearly interpolated one: each power of two is cut into
 * 2^bits equal bins, so that a bin is the top bits of the double. No logarithm, which engines may round
 * differently, decides where a value belongs.
 *
 * D1. A sketch is a function of the values: any order, any parts and any merging give the same bytes.
 * D2. A quantile is within 1 / (2^(bits + 1) + 1) of the value at its rank, as long as that is no more
 *     than 2^31 times smaller than the largest of its sign; smaller ones count as the smallest kept.
 * D3. Values nearer to zero than the least normal double count as zero.
 */
import type { ByteReader } from "../kernel/byte-writer.ts";
import { ByteWriter } from "../kernel/byte-writer.ts";
import { BinStore } from "./bin-store.ts";

const EXPONENT_BIAS = 1023;
const EXPONENT_SHIFT = 20;
const LEAST_NORMAL = 2 ** -1022;
/** Powers of two that a store spans. */
const OCTAVES = 32;
const LINEAR = 1;

/** How many bits keep to a relative error; 3 to 9 for 0.1 to 0.001. */
export const bitsFor = (relativeError: number): number => {
  let bits = 3;
  while (1 / (2 ** (bits + 1) + 1) > relativeError) bits++;
  return bits;
};

const word = new DataView(new ArrayBuffer(8));

export class DDSketch {
  readonly #bits: number;
  readonly #positive: BinStore;
  readonly #negative: BinStore;
  #zeros = 0;
  #least = Number.POSITIVE_INFINITY;
  #greatest = Number.NEGATIVE_INFINITY;

  constructor(bits: number) {
    this.#bits = bits;
    this.#positive = new BinStore(OCTAVES * 2 ** bits);
    this.#negative = new BinStore(OCTAVES * 2 ** bits);
  }

  get count(): number {
    return this.#negative.total + this.#zeros + this.#positive.total;
  }

  add(value: number): void {
    if (value < this.#least) this.#least = value + 0;
    if (value > this.#greatest) this.#greatest = value + 0;
    if (value >= LEAST_NORMAL) this.#positive.add(this.#binOf(value), 1);
    else if (value <= -LEAST_NORMAL) this.#negative.add(this.#binOf(-value), 1);
    else this.#zeros++;
  }

  #binOf(size: number): number {
    word.setFloat64(0, size);
    return (word.getInt32(0) >>> (EXPONENT_SHIFT - this.#bits)) - (EXPONENT_BIAS << this.#bits);
  }

  /** What is nearest, relatively, to both ends of a bin. */
  #sizeOf(bin: number): number {
    word.setInt32(0, (bin + (EXPONENT_BIAS << this.#bits)) << (EXPONENT_SHIFT - this.#bits));
    word.setInt32(4, 0);
    const low = word.getFloat64(0);
    const steps = 2 ** this.#bits + (bin & (2 ** this.#bits - 1));
    const ratio = (steps + 1) / steps;
    return low * ((2 * ratio) / (1 + ratio));
  }

  /** Of the value with floor(q * (count - 1)) values below it; NaN of none. */
  quantile(q: number): number {
    const { count } = this;
    if (count === 0) return Number.NaN;
    const rank = Math.floor(q * (count - 1));
    if (rank <= 0) return this.#least;
    if (rank >= count - 1) return this.#greatest;
    return Math.min(this.#greatest, Math.max(this.#least, this.#at(rank)));
  }

  #at(rank: number): number {
    const negatives = this.#negative.total;
    // The largest of the negative sizes come first.
    if (rank < negatives) return -this.#sizeOf(this.#negative.binAt(negatives - 1 - rank));
    if (rank < negatives + this.#zeros) return 0;
    return this.#sizeOf(this.#positive.binAt(rank - negatives - this.#zeros));
  }

  write(out: ByteWriter): void {
    out.varint(this.#zeros);
    this.#positive.write(out);
    this.#negative.write(out);
    if (this.count === 0) return;
    out.double(this.#least);
    out.double(this.#greatest);
  }

  merge(from: ByteReader): void {
    const zeros = from.varint();
    const before = this.#positive.total + this.#negative.total;
    this.#positive.merge(from);
    this.#negative.merge(from);
    this.#zeros += zeros;
    if (zeros + this.#positive.total + this.#negative.total === before) return;
    this.#least = Math.min(this.#least, from.double());
    this.#greatest = Math.max(this.#greatest, from.double());
  }

  /** As Datadog's DDSketch.proto has it, with the bins of its Go library's linear mapping. */
  toProto(): Uint8Array {
    const out = new ByteWriter(1024);
    const part = new ByteWriter(1024);
    part.varint(0x09);
    part.double(this.#gamma());
    part.varint(0x18);
    part.varint(LINEAR);
    out.bytesField(0x0a, part.bytes, 0, part.length);
    for (const [tag, store] of [
      [0x12, this.#positive],
      [0x1a, this.#negative],
    ] as const) {
      part.reset();
      writeStore(store, part);
      out.bytesField(tag, part.bytes, 0, part.length);
    }
    out.varint(0x21);
    out.double(this.#zeros);
    return out.finish();
  }

  /** 2^(2^-bits), by square roots: correctly rounded everywhere. */
  #gamma(): number {
    let gamma = 2;
    for (let bit = 0; bit < this.#bits; bit++) gamma = Math.sqrt(gamma);
    return gamma;
  }
}

/** Counts as packed doubles, and the zigzag of the bin of the first. */
const writeStore = (store: BinStore, out: ByteWriter): void => {
  if (store.total === 0) return;
  out.varint(0x12);
  out.varint((store.greatest - store.lowest + 1) * 8);
  for (let bin = store.lowest; bin <= store.greatest; bin++) out.double(store.countOf(bin));
  out.varint(0x18);
  out.varint(((store.lowest << 1) ^ (store.lowest >> 31)) >>> 0);
};
