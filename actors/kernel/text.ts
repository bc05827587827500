/** UTF-8 to strings. Short ASCII, which most names and ids are, takes the short way. */

const SHORT_MAX = 40;
/** A decoder leaves out a byte order mark unless it is told that it is a character like others. */
export const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const { fromCharCode } = String;

export const textOf = (bytes: Uint8Array, start: number, end: number): string => {
  if (end - start > SHORT_MAX) return utf8.decode(bytes.subarray(start, end));
  let text = "";
  let at = start;
  // Four at a time: each addition makes a string.
  for (; at + 4 <= end; at += 4) {
    const a = bytes[at]!;
    const b = bytes[at + 1]!;
    const c = bytes[at + 2]!;
    const d = bytes[at + 3]!;
    if ((a | b | c | d) > 127) return utf8.decode(bytes.subarray(start, end));
    text += fromCharCode(a, b, c, d);
  }
  for (; at < end; at++) {
    const byte = bytes[at]!;
    if (byte > 127) return utf8.decode(bytes.subarray(start, end));
    text += fromCharCode(byte);
  }
  return text;
};
