/**
 * Protobuf wire format, read in place. The readers return the position after what they read, or -1
 * when the bytes are malformed; values come back in module variables, so that a loop over millions
 * of fields allocates nothing.
 */

export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_BYTES = 2;
export const WIRE_FIXED32 = 5;

const TWO_32 = 4_294_967_296;

/** Low and high 32 bits (unsigned) of the last varint. */
export let varintLow = 0;
export let varintHigh = 0;

/** Any varint of up to ten bytes. */
export const readVarint = (bytes: Uint8Array, start: number, end: number): number => {
  let at = start;
  let low = 0;
  let high = 0;
  for (let shift = 0; shift < 28; shift += 7) {
    if (at >= end) return -1;
    const byte = bytes[at++]!;
    low |= (byte & 127) << shift;
    if (byte < 128) {
      varintLow = low >>> 0;
      varintHigh = 0;
      return at;
    }
  }
  if (at >= end) return -1;
  let byte = bytes[at++]!;
  low |= (byte & 127) << 28;
  high = (byte & 127) >>> 4;
  for (let shift = 3; byte >= 128; shift += 7) {
    if (at >= end || shift > 31) return -1;
    byte = bytes[at++]!;
    high |= (byte & 127) << shift;
  }
  varintLow = low >>> 0;
  varintHigh = high >>> 0;
  return at;
};

/** The last varint as an unsigned number; beyond 2^53 the nearest double. */
export const varintUnsigned = (): number => varintHigh * TWO_32 + varintLow;

/** The last varint as a signed 64-bit number; beyond 2^53 the nearest double. */
export const varintSigned = (): number => (varintHigh | 0) * TWO_32 + varintLow;

/** Position after a field's value of the given wire type, or -1. */
export const skipField = (bytes: Uint8Array, at: number, end: number, wireType: number): number => {
  switch (wireType) {
    case WIRE_VARINT:
      return readVarint(bytes, at, end);
    case WIRE_FIXED64:
      return at + 8 <= end ? at + 8 : -1;
    case WIRE_FIXED32:
      return at + 4 <= end ? at + 4 : -1;
    case WIRE_BYTES: {
      const start = readVarint(bytes, at, end);
      if (start < 0 || varintHigh !== 0 || start + varintLow > end) return -1;
      return start + varintLow;
    }
    default:
      return -1;
  }
};
