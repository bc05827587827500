/**
 * Takes the items of one kind out of an encoded Commit without decoding the others: the relay of dead
 * letters steps over all updates, and hands letters on byte by byte.
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

export const COLUMNS_FIELD = 20;
export const UPDATES_FIELD = 21;
export const DEAD_LETTERS_FIELD = 23;

/** Every occurrence of a repeated string or message field, as views into `commit`. */
export const itemsOf = (commit: Uint8Array, field: number): readonly Uint8Array[] => {
  const items: Uint8Array[] = [];
  const reader = new BinaryReader(commit);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    const wireType = tag & 7;
    if (wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, tag >>> 3);
      continue;
    }
    const length = reader.uint32();
    if (tag >>> 3 === field) items.push(commit.subarray(reader.pos, reader.pos + length));
    reader.pos += length;
  }
  return items;
};
