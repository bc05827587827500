import { expect, test } from "vitest";
import { murmur128, murmur32 } from "./hash.ts";

/**
 * SMHasher's verification: hash the keys {}, {0}, {0, 1} ... with seeds 256, 255 ..., then hash all
 * the hashes; the first four bytes are the published figure of the algorithm.
 */
const verification = (
  hashBytes: number,
  hash: (bytes: Uint8Array, length: number, seed: number) => Uint8Array,
): number => {
  const key = Uint8Array.from({ length: 256 }, (_, i) => i);
  const hashes = new Uint8Array(hashBytes * 256);
  for (let i = 0; i < 256; i++) hashes.set(hash(key, i, 256 - i), i * hashBytes);
  return new DataView(hash(hashes, hashes.length, 0).buffer).getUint32(0, true);
};

test("murmur32 is SMHasher's Murmur3A", () => {
  const hash = (bytes: Uint8Array, length: number, seed: number) =>
    new Uint8Array(Int32Array.of(murmur32(bytes, 0, length, seed)).buffer);
  expect(verification(4, hash)).toBe(0xb0f57ee3);
});

test("murmur128 is SMHasher's Murmur3C", () => {
  const hash = (bytes: Uint8Array, length: number, seed: number) => {
    const out = new Int32Array(4);
    murmur128(bytes, 0, length, seed, out);
    return new Uint8Array(out.buffer);
  };
  expect(verification(16, hash)).toBe(0xb3ece62a);
});

test("a range hashes like its own copy", () => {
  const bytes = new TextEncoder().encode("..The quick brown fox jumps over the lazy dog..");
  for (let length = 0; length < 40; length++) {
    const copy = bytes.slice(2, 2 + length);
    expect(murmur32(bytes, 2, 2 + length, 7)).toBe(murmur32(copy, 0, length, 7));
    const a = new Int32Array(4);
    const b = new Int32Array(4);
    murmur128(bytes, 2, 2 + length, 7, a);
    murmur128(copy, 0, length, 7, b);
    expect(a).toEqual(b);
  }
});
