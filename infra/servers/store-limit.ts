/**
 * How large all streams of our nats-server together may grow.
 *
 * Its own default is three quarters of the disk space that is free when it starts, whatever its
 * store holds already: once the store has most of the disk, a restart would find its limit passed
 * and refuse every event. So what the store holds counts as free.
 */
import { readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";

const share = 0.75;

/** Bytes of all files below `dir`; files that vanish meanwhile do not count. */
async function sizeOf(dir: string): Promise<number> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const info = await stat(join(entry.parentPath, entry.name)).catch(() => undefined);
    bytes += info?.size ?? 0;
  }
  return bytes;
}

/** The limit in bytes for a store in `dir`, which exists. */
export async function storeLimitBytes(dir: string): Promise<number> {
  const disk = await statfs(dir);
  return Math.floor(share * (disk.bavail * disk.bsize + (await sizeOf(dir))));
}
