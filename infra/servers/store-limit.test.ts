import { mkdtemp, rm, statfs, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { storeLimitBytes } from "./store-limit.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidemark-store-test-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test("what the store holds already counts as free", async () => {
  const { blocks, bsize } = await statfs(dir);
  const disk = blocks * bsize;
  // Sparse, so that it takes no space.
  const held = Math.min(disk, 2 ** 40);
  const file = join(dir, "1.blk");
  await writeFile(file, "");
  await truncate(file, held);
  const limit = await storeLimitBytes(dir);
  expect(limit).toBeGreaterThanOrEqual(0.75 * held);
  expect(limit).toBeLessThanOrEqual(0.75 * (held + disk));
});
