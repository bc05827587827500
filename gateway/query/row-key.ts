/**
 * Keys of the store's rows: bytes whose order is (projection, version, key, window start, window end,
 * ordinal), so that every read of the query side is one range.
 *
 *   0x01 | projection | 0x00 | version, 4 bytes | key, each byte + 1 | 0x00 | start, 8 | end, 8 |
 *   ordinal, 4
 *
 * K1. UTF-8 never uses the bytes 0xF5 to 0xFF, so adding one to each byte of the key cannot overflow,
 *     keeps UTF-8's order, and frees 0x00 to end it: no key, whatever it holds, is taken for the
 *     beginning of another. A key costs no more bytes than it has.
 * K2. Times are big-endian with the sign bit flipped: negative ones come first.
 * K3. 0xFF is greater than any byte that can follow a key or a prefix of one: it ends ranges.
 */

export const ROW_TAG = 0x01;

const UTF8_BYTE_MAX = 0xf4;
const TWO_32 = 4_294_967_296;
/** Of the window and the ordinal. */
const TAIL_BYTES = 20;

/** What the keys of all rows of one version begin with. */
export const versionPrefix = (projection: string, version: number): Buffer => {
  const prefix = Buffer.allocUnsafe(projection.length + 6);
  prefix[0] = ROW_TAG;
  prefix.write(projection, 1, "latin1");
  prefix[projection.length + 1] = 0;
  prefix.writeUInt32BE(version, projection.length + 2);
  return prefix;
};

/** UTF-8 bytes of a key as they came, made valid if they are not. */
export const validKeyBytes = (bytes: Uint8Array, start: number, end: number): Uint8Array => {
  for (let i = start; i < end; i++) {
    if (bytes[i]! > UTF8_BYTE_MAX) {
      return Buffer.from(Buffer.from(bytes.subarray(start, end)).toString("utf8"), "utf8");
    }
  }
  return bytes.subarray(start, end);
};

/** The row of a window whose times are given as the halves of 64-bit integers. */
export const rowKey = (
  prefix: Uint8Array,
  key: Uint8Array,
  startHigh: number,
  startLow: number,
  endHigh: number,
  endLow: number,
  ordinal: number,
): Buffer => {
  const row = Buffer.allocUnsafe(prefix.length + key.length + 1 + TAIL_BYTES);
  const at = writeKey(row, prefix, key);
  row.writeUInt32BE((startHigh ^ 0x80000000) >>> 0, at);
  row.writeUInt32BE(startLow, at + 4);
  row.writeUInt32BE((endHigh ^ 0x80000000) >>> 0, at + 8);
  row.writeUInt32BE(endLow, at + 12);
  row.writeUInt32BE(ordinal, at + 16);
  return row;
};

export interface KeyRange {
  readonly start: Buffer;
  /** Exclusive. */
  readonly end: Buffer;
}

/** All rows of the keys that begin with a prefix; of a whole version for the empty one. */
export const prefixRange = (prefix: Uint8Array, keyPrefix: string): KeyRange => {
  const bytes = Buffer.from(keyPrefix, "utf8");
  const start = Buffer.allocUnsafe(prefix.length + bytes.length);
  start.set(prefix);
  for (let i = 0; i < bytes.length; i++) start[prefix.length + i] = bytes[i]! + 1;
  return { start, end: after(start) };
};

/** All windows of one key. */
export const keyRange = (prefix: Uint8Array, key: string): KeyRange => {
  const bytes = Buffer.from(key, "utf8");
  const start = Buffer.allocUnsafe(prefix.length + bytes.length + 1);
  writeKey(start, prefix, bytes);
  return { start, end: after(start) };
};

/** The windows of one key that start at a time. */
export const startRange = (prefix: Uint8Array, key: string, windowStart: number): KeyRange => {
  const start = withStart(keyRange(prefix, key).start, windowStart);
  return { start, end: after(start) };
};

/** Where the windows of a row's key that start at a time or later begin. */
export const seekStart = (row: Uint8Array, windowStart: number): Buffer =>
  withStart(row.subarray(0, row.length - TAIL_BYTES), windowStart);

/** Past all windows of a row's key. */
export const seekNextKey = (row: Uint8Array): Buffer =>
  after(row.subarray(0, row.length - TAIL_BYTES));

export const rowWindowStart = (row: Buffer): number => {
  const at = row.length - TAIL_BYTES;
  return (row.readUInt32BE(at) - 0x80000000) * TWO_32 + row.readUInt32BE(at + 4);
};

const writeKey = (target: Buffer, prefix: Uint8Array, key: Uint8Array): number => {
  target.set(prefix);
  let at = prefix.length;
  for (let i = 0; i < key.length; i++) target[at++] = key[i]! + 1;
  target[at++] = 0;
  return at;
};

const withStart = (head: Uint8Array, windowStart: number): Buffer => {
  const row = Buffer.allocUnsafe(head.length + 8);
  row.set(head);
  const high = Math.floor(windowStart / TWO_32);
  row.writeUInt32BE(((high | 0) ^ 0x80000000) >>> 0, head.length);
  row.writeUInt32BE(windowStart - high * TWO_32, head.length + 4);
  return row;
};

const after = (head: Uint8Array): Buffer => {
  const end = Buffer.allocUnsafe(head.length + 9);
  end.set(head);
  end.fill(0xff, head.length);
  return end;
};
