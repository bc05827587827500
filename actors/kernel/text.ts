/** UTF-8 to strings. Short ASCII, which most names and ids are, takes the short way. */

const SHORT_MAX = 40;
const decoder = new TextDecoder();

export const textOf = (bytes: Uint8Array, start: number, end: number): string => {
  if (end - start > SHORT_MAX) return decoder.decode(bytes.subarray(start, end));
  let text = "";
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (byte > 127) return decoder.decode(bytes.subarray(start, end));
    text += String.fromCharCode(byte);
  }
  return text;
};
