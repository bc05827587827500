import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { binariesDir, cacheDir } from "./cache-dir.ts";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidemark-cache-"));
});
afterEach(() => rm(dir, { recursive: true }));

test("the cache is the user's, so that a second project downloads nothing", () => {
  expect(cacheDir({ HOME: dir })).toBe(join(dir, ".cache/tidemark"));
  expect(cacheDir({ HOME: "/nowhere", XDG_CACHE_HOME: dir })).toBe(join(dir, "tidemark"));
  expect(cacheDir({ HOME: dir, XDG_CACHE_HOME: "relative" })).toBe(join(dir, ".cache/tidemark"));
});

test("variables name another place", () => {
  expect(cacheDir({ HOME: dir, TIDEMARK_CACHE_DIR: "/srv/cache" })).toBe("/srv/cache");
  expect(binariesDir({ HOME: dir, TIDEMARK_CACHE_DIR: "/srv/cache" })).toBe("/srv/cache/bin");
  expect(binariesDir({ HOME: dir, TIDEMARK_BIN_DIR: "/srv/bin" })).toBe("/srv/bin");
});

test("a home that cannot hold it is no obstacle", async () => {
  const file = join(dir, "file");
  await writeFile(file, "");
  expect(cacheDir({ HOME: file })).toBe(resolve(".tidemark/cache"));
});
