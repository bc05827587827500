/**
 * Checks that a range of bytes is UTF-8, in place: what a Protobuf string must be, and what every
 * reader of a key or an id may then rely on.
 */
import { isUtf8 } from "node:buffer";

/** From this length on, one native call beats a loop. */
const NATIVE_FROM = 48;

export const validUtf8 = (bytes: Uint8Array, start: number, end: number): boolean => {
  if (end - start >= NATIVE_FROM) return isUtf8(bytes.subarray(start, end));
  let at = start;
  while (at < end) {
    // Most of them are ASCII: four at a time.
    while (at + 4 <= end && (bytes[at] | bytes[at + 1] | bytes[at + 2] | bytes[at + 3]) < 0x80) {
      at += 4;
    }
    if (at === end) break;
    const lead = bytes[at++];
    if (lead < 0x80) continue;
    // Well-formed sequences as in table 3-7 of the Unicode standard: the second byte's range rules
    // out overlong forms, surrogates and what lies beyond U+10FFFF.
    let low = 0x80;
    let high = 0xbf;
    let more: number;
    if (lead >= 0xc2 && lead <= 0xdf) more = 1;
    else if (lead >= 0xe0 && lead <= 0xef) {
      more = 2;
      if (lead === 0xe0) low = 0xa0;
      else if (lead === 0xed) high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      more = 3;
      if (lead === 0xf0) low = 0x90;
      else if (lead === 0xf4) high = 0x8f;
    } else return false;
    if (at + more > end || bytes[at] < low || bytes[at] > high) return false;
    for (at++; more > 1; more--, at++) if ((bytes[at] & 0xc0) !== 0x80) return false;
  }
  return true;
};
