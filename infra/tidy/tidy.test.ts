/**
 * The rules of the house are rules of the linter. Here it is shown that they bite: each line below
 * is planted where it is forbidden, and must be found.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");

interface Finding {
  readonly code: string;
  readonly filename: string;
}

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "tidemark-tidy-test-"));
  cpSync(join(root, ".oxlintrc.json"), join(dir, ".oxlintrc.json"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The rules that each planted file breaks. */
function lint(files: Readonly<Record<string, string>>): Record<string, string[]> {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  const oxlint = join(root, "node_modules", ".bin", "oxlint");
  const names = Object.keys(files);
  const { stdout } = spawnSync(oxlint, ["--format", "json", ...names], {
    cwd: dir,
    encoding: "utf8",
  });
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: Finding[] };
  return Object.fromEntries(
    names.map((name) => {
      const codes = diagnostics.filter((one) => one.filename === name).map((one) => one.code);
      return [name, [...new Set(codes)].sort()];
    }),
  );
}

const importing = (...modules: string[]): string =>
  modules.map((name, i) => `import { a as a${i} } from "${name}";\nexport { a${i} };\n`).join("");

describe("imports run one way: proto <- projections <- actors <- gateway, infra imports all", () => {
  const forbidden = ["eslint(no-restricted-imports)"];

  test.each([
    ["proto/x.ts", "../projections/y.ts"],
    ["proto/x.ts", "../infra/y.ts"],
    ["projections/flights/x.ts", "../../actors/y.ts"],
    ["actors/task/x.ts", "../../gateway/y.ts"],
    ["actors/task/x.ts", "../../infra/nats/y.ts"],
    ["actors/task/x.ts", "nats"],
    ["gateway/query/x.ts", "../../infra/config/y.ts"],
    ["gateway/query/x.ts", "ioredis"],
    ["gateway/query/x.ts", "@nats-io/jetstream"],
    ["actors/window/x.ts", "effect"],
    ["actors/window/x.ts", "effect/Stream"],
    ["actors/kernel/x.ts", "node:fs"],
    ["actors/kernel/x.ts", "../../infra/nats/y.ts"],
  ])("%s may not import %s", (file, module) => {
    expect(lint({ [file]: importing(module) })).toEqual({ [file]: forbidden });
  });

  test.each([
    ["projections/flights/x.ts", "../../proto/y.ts"],
    ["actors/task/x.ts", "../../projections/y.ts"],
    ["actors/task/x.ts", "effect"],
    ["gateway/query/x.ts", "../../actors/y.ts"],
    ["infra/nats/x.ts", "nats"],
    ["infra/nats/x.ts", "../../gateway/y.ts"],
    ["gateway/query/x.int.test.ts", "../../infra/servers/testing.ts"],
  ])("%s may import %s", (file, module) => {
    expect(lint({ [file]: importing(module) })).toEqual({ [file]: [] });
  });
});

test.each([
  "kernel",
  "intake",
  "watermark",
  "window",
  "accumulate",
  "expression",
  "ordered",
  "pattern",
])("actors/%s has no clock, no timer and no chance", (folder) => {
  const lines = {
    now: "Date.now()",
    date: "new Date()",
    random: "Math.random()",
    timer: "setTimeout(String, 1)",
    clock: "performance.now()",
  };
  const files = Object.entries(lines).map(([name, code]): [string, string] => [
    `actors/${folder}/${name}.ts`,
    `export const found = () => ${code};\n`,
  ]);
  const found = lint(Object.fromEntries(files));
  for (const [name] of files) {
    expect(found[name]).toEqual([
      name.includes("random")
        ? "eslint(no-restricted-properties)"
        : "eslint(no-restricted-globals)",
    ]);
  }
});

test("a file has at most 600 lines, generated code excepted", () => {
  const long = Array.from({ length: 601 }, (_, i) => `export const a${i} = ${i};\n`).join("");
  expect(lint({ "gateway/long.ts": long, "proto/gen/long.ts": long })).toEqual({
    "gateway/long.ts": ["eslint(max-lines)"],
    "proto/gen/long.ts": [],
  });
});

test("modules do not import each other in a circle", () => {
  const found = lint({
    "gateway/one.ts": 'import { two } from "./two.ts";\nexport const one = () => two;\n',
    "gateway/two.ts": 'import { one } from "./one.ts";\nexport const two = () => one;\n',
  });
  expect(found["gateway/one.ts"]).toEqual(["import(no-cycle)"]);
});
