/**
 * MurmurHash3 (Appleby, public domain) over byte ranges, without slices or objects.
 *
 * H1. Results depend on the bytes alone: they are stored in digests and snapshots, so the
 *     algorithm must never change.
 */

/**
 * Views of the bytes that were hashed last. Loading a word through one is one instruction, where four
 * bytes are four with their bounds checks. Two, since ranges of a record batch are often hashed in turn
 * with what is known besides, and making a view costs more than hashing an event.
 */
let viewed: Uint8Array = new Uint8Array(0);
let view: DataView = new DataView(new ArrayBuffer(0));
let viewedBefore = viewed;
let viewBefore = view;

const viewOf = (bytes: Uint8Array): DataView => {
  if (bytes === viewed) return view;
  const other = viewed;
  const otherView = view;
  view =
    bytes === viewedBefore
      ? viewBefore
      : new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  viewed = bytes;
  viewedBefore = other;
  viewBefore = otherView;
  return view;
};

const mix32 = (hash: number): number => {
  let h = hash;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
};

/** MurmurHash3_x86_32 of bytes[start, end), as a signed 32-bit integer. */
export const murmur32 = (bytes: Uint8Array, start: number, end: number, seed: number): number => {
  const words = viewOf(bytes);
  const blocksEnd = start + ((end - start) & ~3);
  let h = seed;
  let at = start;
  for (; at < blocksEnd; at += 4) {
    let k = words.getInt32(at, true);
    k = Math.imul(k, 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    h ^= Math.imul(k, 0x1b873593);
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + 0xe6546b64) | 0;
  }
  if (at < end) {
    let k = bytes[at]!;
    if (at + 1 < end) k |= bytes[at + 1]! << 8;
    if (at + 2 < end) k |= bytes[at + 2]! << 16;
    k = Math.imul(k, 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    h ^= Math.imul(k, 0x1b873593);
  }
  return mix32(h ^ (end - start));
};

const C1 = 0x239b961b;
const C2 = 0xab0e9789 | 0;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93 | 0;

const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));

/** MurmurHash3_x86_128 of bytes[start, end) into out[0..3]. */
export const murmur128 = (
  bytes: Uint8Array,
  start: number,
  end: number,
  seed: number,
  out: Int32Array,
): void => {
  const words = viewOf(bytes);
  const length = end - start;
  const blocksEnd = start + (length & ~15);
  let h1 = seed;
  let h2 = seed;
  let h3 = seed;
  let h4 = seed;
  let at = start;
  for (; at < blocksEnd; at += 16) {
    h1 ^= Math.imul(rotate(Math.imul(words.getInt32(at, true), C1), 15), C2);
    h1 = (Math.imul((rotate(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
    h2 ^= Math.imul(rotate(Math.imul(words.getInt32(at + 4, true), C2), 16), C3);
    h2 = (Math.imul((rotate(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
    h3 ^= Math.imul(rotate(Math.imul(words.getInt32(at + 8, true), C3), 17), C4);
    h3 = (Math.imul((rotate(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
    h4 ^= Math.imul(rotate(Math.imul(words.getInt32(at + 12, true), C4), 18), C1);
    h4 = (Math.imul((rotate(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  }
  let k1 = 0;
  let k2 = 0;
  let k3 = 0;
  let k4 = 0;
  for (let i = end - at - 1; i >= 0; i--) {
    const shifted = bytes[at + i]! << ((i & 3) << 3);
    if (i < 4) k1 |= shifted;
    else if (i < 8) k2 |= shifted;
    else if (i < 12) k3 |= shifted;
    else k4 |= shifted;
  }
  h4 ^= Math.imul(rotate(Math.imul(k4, C4), 18), C1);
  h3 ^= Math.imul(rotate(Math.imul(k3, C3), 17), C4);
  h2 ^= Math.imul(rotate(Math.imul(k2, C2), 16), C3);
  h1 ^= Math.imul(rotate(Math.imul(k1, C1), 15), C2);
  h1 ^= length;
  h2 ^= length;
  h3 ^= length;
  h4 ^= length;
  h1 = (h1 + h2 + h3 + h4) | 0;
  h2 = (h2 + h1) | 0;
  h3 = (h3 + h1) | 0;
  h4 = (h4 + h1) | 0;
  h1 = mix32(h1);
  h2 = mix32(h2);
  h3 = mix32(h3);
  h4 = mix32(h4);
  h1 = (h1 + h2 + h3 + h4) | 0;
  out[0] = h1;
  out[1] = (h2 + h1) | 0;
  out[2] = (h3 + h1) | 0;
  out[3] = (h4 + h1) | 0;
};
