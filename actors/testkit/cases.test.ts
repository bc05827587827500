/** Every case in `cases/` passes: those of other systems, and one or more for each rule of the semantics. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseCase } from "./case-file.ts";
import { renderFailures, runContent } from "./run-case.ts";

const folder = new URL("./cases/", import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith(".yaml"));

test.each(files)("%s", (file) => {
  const { content, lineOf } = parseCase(readFileSync(new URL(file, folder), "utf8"));
  const result = runContent(content, { lineOf });
  expect(renderFailures(result, { lineOf })).toBe("");
  expect(result).toMatchObject({ passed: true, runs: 4 });
});

test("every section of the rules has cases", () => {
  const sections = files.flatMap((file) => /^semantics-(\d)/.exec(file)?.[1] ?? []);
  expect([...new Set(sections)].sort()).toEqual(["1", "2", "3", "4", "5", "6", "7", "8"]);
});
