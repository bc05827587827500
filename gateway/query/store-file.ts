/**
 * Looks at a database file before LMDB does: LMDB maps the file and trusts it, so one that is
 * something else, or cut short, would end the process instead of being reported.
 *
 * The two first pages are meta pages, written in turn: a page header of 24 bytes, then magic,
 * version, address, map size, and two tree descriptions of 48 bytes whose last 8 are the root page.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const META = 24;
const MAGIC = 0xbeefc0de;
const FORMAT = 2;
const PAGE_SIZE = META + 24;
const ROOT = META + 112;
const TRANSACTION = META + 128;
const META_BYTES = META + 136;
const NO_PAGE = 0xffff_ffff_ffff_ffffn;

/** Undefined when LMDB can open the file; an empty file is a new database. */
export const whyUnreadable = (path: string): string | undefined => {
  const file = openSync(path, "r");
  try {
    const size = fstatSync(file).size;
    if (size === 0) return undefined;
    const meta = Buffer.alloc(META_BYTES);
    if (readSync(file, meta, 0, META_BYTES, 0) < META_BYTES) return "it is cut short";
    if (!isMeta(meta)) return "it is no LMDB database of this format";
    const pageSize = meta.readUInt32LE(PAGE_SIZE);
    const other = Buffer.alloc(META_BYTES);
    if (readSync(file, other, 0, META_BYTES, pageSize) < META_BYTES) return "it is cut short";
    if (!isMeta(other)) return "its second meta page is damaged";
    const newer = other.readBigUInt64LE(TRANSACTION) > meta.readBigUInt64LE(TRANSACTION);
    const root = (newer ? other : meta).readBigUInt64LE(ROOT);
    if (root !== NO_PAGE && root * BigInt(pageSize) >= BigInt(size)) return "it is cut short";
    return undefined;
  } finally {
    closeSync(file);
  }
};

const isMeta = (meta: Buffer): boolean =>
  meta.readUInt32LE(META) === MAGIC && meta.readUInt32LE(META + 4) === FORMAT;
