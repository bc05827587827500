/** Folders of a test file. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

/** An empty folder; all of a file's folders go when its tests have run. */
export const temporaryFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-query-"));
  folders.push(folder);
  return folder;
};

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
