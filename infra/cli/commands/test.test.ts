/** `tidemark test` on the cases of docs/TESTKIT.md and on some that must fail. */
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { importUserModule } from "../../config/user-module.ts";
import { plain } from "../terminal/colour.ts";
import { testCases } from "./test.ts";

const DOCS = new URL("../../../docs/", import.meta.url);

const blocks = (text: string, kind: string): readonly string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${kind}\\n(.*?)^\`\`\``, "gms"))].map((match) => match[1]!);

let folder = "";
let guide = "";
const write = async (name: string, text: string): Promise<void> => {
  await mkdir(dirname(join(folder, name)), { recursive: true });
  await writeFile(join(folder, name), text);
};

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "tidemark-cases-")));
  guide = await readFile(new URL("TESTKIT.md", DOCS), "utf8");
});
afterAll(() => rm(folder, { recursive: true }));

const run = async (names: readonly string[], json = false) => {
  let out = "";
  const output = {
    isTerminal: false,
    columns: 100,
    paint: plain,
    write: (text: string) => void (out += text),
  };
  const options = { cwd: folder, config: undefined, once: false, json };
  const code = await testCases(names, options, { out: output, err: output });
  return { code, out };
};

it("runs the cases of the guide", async () => {
  const [first, named, ...others] = blocks(guide, "yaml");
  expect(first!.trim().split("\n")).toHaveLength(12);
  await write("sales.yaml", first!);
  await write("named.yaml", named!);
  const { code, out } = await run(["sales.yaml", "named.yaml"]);
  expect(out).toContain("passed  sales.yaml     3 events      1 update\n");
  expect(out).toContain("2 cases, all passed");
  expect(code).toBe(0);
  expect(others).toHaveLength(3);
  for (const [index, text] of others.entries()) {
    await write(`other-${index}.yaml`, text);
    expect((await run([`other-${index}.yaml`])).out).toMatch(/^passed/);
  }
});

it("takes paths of schemas from the case's folder, of every topic", async () => {
  const join = blocks(guide, "yaml").find((text) => text.includes("topics:"))!;
  const paid = "{ order: string, cents: int64 } }";
  await write(
    "paid.proto",
    'syntax = "proto3"; message Paid { string order = 1; int64 cents = 2; }',
  );
  await write(
    "deep/er/join.yaml",
    join.replace(`types: { Paid: ${paid}`, "types: [Paid], schemas: [../../paid.proto]"),
  );
  expect((await run(["deep/er/join.yaml"])).out).toMatch(/^passed/);
});

it("runs the chain of calls of the guide", async () => {
  const definitions = await readFile(new URL("DEFINITIONS.md", DOCS), "utf8");
  await write("shop.proto", blocks(definitions, "proto")[0]!);
  const testkit = new URL("../../../actors/testkit/index.ts", import.meta.url).href;
  const chain = blocks(guide, "ts")[0]!.replace('"tidemark/testkit"', JSON.stringify(testkit));
  await write("chain.ts", chain);
  await expect(importUserModule(join(folder, "chain.ts"))).resolves.toBeDefined();
  await write("wrong.ts", chain.replace("cents: 750", "cents: 751"));
  await expect(importUserModule(join(folder, "wrong.ts"))).rejects.toThrow("≠ ann");
});

it("shows what differs, and ends with 1", async () => {
  const [first] = blocks(guide, "yaml");
  await write("wrong.yaml", first!.replace("750", "850"));
  const { code, out } = await run(["wrong.yaml"]);
  expect(code).toBe(1);
  expect(out).toContain(
    "failed  wrong.yaml\n  line 11, expect.updates: other updates than expected\n",
  );
  expect(out).toMatch(/11 ≠ shop-1 .*revenue=850 .*revenue=750 .* {2}revenue\n/);
});

it("cuts nothing in JSON", async () => {
  const key = "long ".repeat(100);
  const aggregates = "{ n: { fn: count } }";
  await write(
    "long.yaml",
    `projection: { window: { kind: tumbling, sizeMs: 10 }, aggregates: ${aggregates} }\n` +
      `steps:\n  - { key: "${key}", time: 1 }\n  - watermark: 9\nexpect: nothing\n`,
  );
  expect((await run(["long.yaml"])).out).toMatch(/... \(\d+ characters more\)/);
  const { failures } = JSON.parse((await run(["long.yaml"], true)).out);
  expect(failures[0].rows[0]).toEqual({
    mark: "unexpected",
    got: `"${key}" [0, 10) final revision=1 n=1 watermark=9`,
    fields: [],
  });
});

it("says what is wrong with a case, and runs the others", async () => {
  await write("broken.yaml", "projection: revenue-by-stor\nsteps: []\n");
  const { code, out } = await run(["broken.yaml", "sales.yaml"]);
  expect(code).toBe(1);
  expect(out).toContain(
    '  line 1: projection: there is no projection "revenue-by-stor" here; did you mean "revenue-by-store"?',
  );
  expect(out).toContain("2 cases, 1 failed");
});

it("finds cases in folders and by patterns", async () => {
  const [first] = blocks(guide, "yaml");
  await write("cases/a.yaml", first!);
  await write("cases/deep/b.yml", first!);
  await write("cases/deep/c.case.json", JSON.stringify({ projection: "p", steps: [] }));
  await write("cases/deep/package.json", "{}");
  await write("cases/.hidden/d.yaml", "");
  const found = async (...names: string[]) =>
    (await run(names, true)).out
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { readonly case: string }).case);
  expect(await found("cases")).toEqual([
    "cases/a.yaml",
    "cases/deep/b.yml",
    "cases/deep/c.case.json",
  ]);
  expect(await found("cases/*.yaml")).toEqual(["cases/a.yaml"]);
  expect(await found("cases/**/[a-b].y*", "cases/**/{a,b}.y*ml").catch(() => [])).toEqual([]);
  expect(await found("cases/**/{a,b}.y*ml")).toEqual(["cases/a.yaml", "cases/deep/b.yml"]);
  await expect(run(["nowhere"])).rejects.toThrow("nowhere does not exist");
  await expect(run(["cases/.hidden/*.json"])).rejects.toThrow("matches no file");
});

it("prints one object a case", async () => {
  const { code, out } = await run(["wrong.yaml"], true);
  expect(code).toBe(1);
  expect(JSON.parse(out)).toMatchObject({
    case: "wrong.yaml",
    passed: false,
    failures: [{ line: 11, rows: [{ mark: "different", fields: ["revenue"] }] }],
    mistakes: [],
  });
});
