/**
 * Which partition a key belongs to: part of the contract, since events of one key are totally
 * ordered only for as long as every writer answers this alike.
 *
 * H1. The hash is 32-bit MurmurHash2 over the key's UTF-8 bytes with seed 0x9747b28c, and the
 *     partition is its low 31 bits modulo the number of partitions: the default partitioner of
 *     Kafka's clients, so a topic here and one there with as many partitions split alike.
 * H2. It never changes. A topic's log would no longer agree with itself.
 */

const SEED = 0x9747b28c;
const MULTIPLIER = 0x5bd1e995;

/** MurmurHash2 of bytes[start, end) as a signed 32-bit integer. */
export const murmur2 = (bytes: Uint8Array, start: number, end: number): number => {
  const length = end - start;
  const tail = end - (length & 3);
  let hash = SEED ^ length;
  let at = start;
  while (at < tail) {
    let word = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    word = Math.imul(word, MULTIPLIER);
    word = Math.imul(word ^ (word >>> 24), MULTIPLIER);
    hash = Math.imul(hash, MULTIPLIER) ^ word;
    at += 4;
  }
  if (at < end) {
    if (at + 2 < end) hash ^= bytes[at + 2] << 16;
    if (at + 1 < end) hash ^= bytes[at + 1] << 8;
    hash = Math.imul(hash ^ bytes[at], MULTIPLIER);
  }
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER);
  return hash ^ (hash >>> 15);
};

/** Partition of the key whose UTF-8 bytes are bytes[start, end). */
export const partitionOfBytes = (
  bytes: Uint8Array,
  start: number,
  end: number,
  partitions: number,
): number => (murmur2(bytes, start, end) & 0x7fffffff) % partitions;

const ENCODER = new TextEncoder();

/** Partition of a key given as a string. */
export const partitionOf = (key: string, partitions: number): number => {
  const bytes = ENCODER.encode(key);
  return partitionOfBytes(bytes, 0, bytes.length, partitions);
};
