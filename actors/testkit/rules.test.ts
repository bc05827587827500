/** docs/RULES.md names cases and tests that there are, and every case of the rules. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const ROOT = new URL("../../", import.meta.url);
const rules = readFileSync(new URL("docs/RULES.md", ROOT), "utf8");
const rows = rules.split("\n").filter((line) => /^\| .*`/.test(line));
/** "`path`" or "`path` "title"", in the last cell of each rule. */
const proofs = rows.flatMap((row) => [
  ...row
    .split("|")
    .at(-2)!
    .matchAll(/`([^`]+)`(?: "([^"]+)")?/g),
]);
const cases = readdirSync(new URL("cases/", import.meta.url)).map((name) =>
  name.replace(/\.yaml$/, ""),
);

test("every rule has a proof that there is", () => {
  expect(rows.length).toBeGreaterThan(50);
  const missing = proofs.flatMap(([, name, title]) => {
    if (!name!.includes("/")) return cases.includes(name!) ? [] : name;
    const file = new URL(name!, ROOT);
    if (!existsSync(file)) return name;
    const found = title === undefined || readFileSync(file, "utf8").includes(title);
    return found ? [] : `${name} "${title}"`;
  });
  expect(missing).toEqual([]);
});

test("every case of the rules is the proof of one", () => {
  const named = new Set(proofs.map(([, name]) => name));
  const own = cases.filter((name) => name.startsWith("semantics-"));
  expect(own.filter((name) => !named.has(name))).toEqual([]);
});
