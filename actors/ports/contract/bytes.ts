/** Records for contract suites: bytes that show which one they are. */

/** `size` bytes that differ for each seed, also in their middle and at their end. */
export const bytesOf = (seed: number, size = 32): Uint8Array => {
  const bytes = new Uint8Array(size);
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let index = 0; index < size; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
};

export const sameBytes = (left: Uint8Array, right: Uint8Array): boolean =>
  Buffer.compare(left, right) === 0;

export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
export const utf8 = (value: string): Uint8Array => new TextEncoder().encode(value);

/** 0, 1, 2 ... count - 1. */
export const upTo = (count: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => i);
