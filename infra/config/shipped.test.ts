/** The cases that stand beside the shipped projections pass, as `tidemark test` would run them. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseCase } from "../../actors/testkit/case-file.ts";
import { renderFailures, runContent } from "../../actors/testkit/run-case.ts";
import { tablesOf, topicsOf } from "../../projections/definition/make-definition.ts";
import { exampleProjections } from "./shipped.ts";

const folder = new URL("../../projections/", import.meta.url);
const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
  name.endsWith(".case.yaml"),
);

const find = (name: string) => {
  const definition = exampleProjections.find((each) => each.name === name);
  return definition && { definition, topics: topicsOf(definition), tables: tablesOf(definition) };
};

test.for(files)("%s", (file) => {
  const { content, lineOf } = parseCase(readFileSync(new URL(file, folder), "utf8"));
  const result = runContent(content, { lineOf, find });
  expect(renderFailures(result, { lineOf })).toBe("");
  expect(result).toMatchObject({ passed: true, runs: 4 });
});

test("there are cases", () => expect(files.length).toBeGreaterThan(0));
