/** docs/DEFINITIONS.md and docs/CONFIGURATION.md say what is so, and their examples run. */
import { mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PROJECTION_SCHEMA } from "../../projections/json-schema/definition-schemas.ts";
import * as language from "../../projections/index.ts";
import {
  BYTES_PER_KEY_MAX,
  BYTES_PER_MATCH_MAX,
  EVENTS_PER_MATCH_MAX,
  PARTIAL_MATCHES_MAX,
} from "../../actors/pattern/matcher.ts";
import {
  CONDITIONS_MAX,
  GROUPS_DEEP_MAX,
  POSITIONS_MAX,
} from "../../projections/definition/check-pattern.ts";
import {
  PATTERN_LISTS_MAX,
  PATTERN_VALUES_MAX,
} from "../../projections/definition/check-pattern-projection.ts";
import { loadConfig } from "./load.ts";
import { planConfig } from "./plan.ts";
import { OTHER_VARIABLES, printDefault, SETTINGS, type SettingKey } from "./settings.ts";
import { importUserModule } from "./user-module.ts";

const read = (name: string): Promise<string> =>
  readFile(new URL(`../../docs/${name}`, import.meta.url), "utf8");

const blocks = (text: string, kind: string): readonly string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${kind}\\n(.*?)^\`\`\``, "gms"))].map((match) => match[1]!);

/** Rows of the tables, as their cells without marks. */
const rowsOf = (text: string): readonly (readonly string[])[] =>
  text
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").slice(1, -1))
    .map((cells) => cells.map((cell) => cell.replaceAll("`", "").trim()));

let folder = "";
const write = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text);

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "tidemark-docs-")));
  const definitions = await read("DEFINITIONS.md");
  await write("shop.proto", blocks(definitions, "proto")[0]!);
  await write("sales.projection.ts", blocks(definitions, "ts")[0]!);
});
afterAll(() => rm(folder, { recursive: true }));

describe("DEFINITIONS.md", () => {
  it("begins with a project that runs", async () => {
    const [written] = (await loadConfig({ cwd: folder, environment: {} })).projections;
    const valid = new Ajv2020().compile(PROJECTION_SCHEMA as object);
    expect(valid(JSON.parse(JSON.stringify(written)))).toBe(true);
    const [planned] = planConfig(await loadConfig({ cwd: folder, environment: {} }));
    expect(planned?.projections[0]?.definition.name).toBe("revenue-by-store");
    expect(planned?.projections[0]?.merged).toBe(true);
  });

  it("shows a mistake as it is told", async () => {
    const text = await read("DEFINITIONS.md");
    const wrong = blocks(text, "ts")[0]!
      .replace('field("test").not()', 'field("store")')
      .replace('field("cents")', 'field("cent")');
    await write("wrong.ts", wrong);
    const config = await loadConfig({ cwd: folder, environment: {}, files: ["wrong.ts"] });
    const told = blocks(text, "text")[0]!.trim().split("\n");
    expect(() => planConfig(config)).toThrow(told[1]!.trim());
    expect(() => planConfig(config)).toThrow(told[2]!.trim());
  });

  it("has fragments that compute", async () => {
    const [, ...fragments] = blocks(await read("DEFINITIONS.md"), "ts");
    const names = Object.keys(language).filter((name) => /^[a-z]/.test(name));
    // What the first example declares is there for all that follow.
    const preamble =
      `import { ${names.join(", ")} } from "tidemark";\n` +
      'import { sales } from "./sales.projection.ts";\n';
    for (const [index, fragment] of fragments.entries()) {
      await write(`fragment-${index}.ts`, preamble + fragment);
      await expect(importUserModule(join(folder, `fragment-${index}.ts`))).resolves.toBeDefined();
    }
    expect(fragments.length).toBeGreaterThan(2);
  });

  it("has JSON that plans", async () => {
    const text = (await read("DEFINITIONS.md")).split("\n## As JSON\n")[1]!;
    const written = blocks(text, "json").map((json) => JSON.parse(json));
    const topics = [{ name: "sales", schemas: ["shop.proto"], types: ["shop.Sale"] }];
    const valid = new Ajv2020().compile(PROJECTION_SCHEMA as object);
    for (const definition of written) expect(valid(definition), definition.name).toBe(true);
    // Within a configuration there is nothing for editors.
    const projections = written.map((definition) => ({ ...definition, $schema: undefined }));
    const config = { topics, projections };
    await write("data.json", JSON.stringify(config));
    const loaded = await loadConfig({ cwd: folder, environment: {}, config: "data.json" });
    expect(planConfig(loaded)[0]?.projections[0]?.definition).toMatchObject({
      window: { sizeMs: 3_600_000 },
    });
  });
});

it("DEFINITIONS.md has an example of a table of results that plans, and brings the projection along", async () => {
  const text = (await read("DEFINITIONS.md")).split("\n### Results as a table\n")[1]!;
  const names = Object.keys(language).filter((name) => /^[a-z]/.test(name));
  const preamble = `import { ${names.join(", ")} } from "tidemark";\nimport { sales } from "./sales.projection.ts";\n`;
  await write("table.ts", preamble + blocks(text, "ts")[0]!);
  const config = await loadConfig({ cwd: folder, environment: {}, files: ["table.ts"] });
  const [planned] = planConfig(config);
  const [table, join] = ["daily-spending", "sales-and-days"].map((name) =>
    planned?.projections.find(({ definition }) => definition.name === name),
  );
  expect(table?.rekeyed).toBe(false);
  expect(join?.sources?.[1]?.table).toBe(table);
});

describe("DEFINITIONS.md, of patterns", () => {
  const loginsFolder = async (): Promise<string> => {
    const text = (await read("DEFINITIONS.md")).split("\n## Patterns\n")[1]!;
    await write("logins.proto", blocks(text, "proto")[0]!);
    return text;
  };

  it("has an example that plans", async () => {
    const [example] = blocks(await loginsFolder(), "ts");
    const names = Object.keys(language).filter((name) => /^[a-z]/.test(name));
    await write("logins.ts", `import { ${names.join(", ")} } from "tidemark";\n${example}`);
    const config = await loadConfig({ cwd: folder, environment: {}, files: ["logins.ts"] });
    expect(planConfig(config)[0]?.projections[0]?.outputs).toEqual([
      { name: "attempts", type: "integer" },
      { name: "lastAddress", type: "string" },
      { name: "ids", type: "any" },
    ]);
  });

  it("has JSON that plans", async () => {
    const [json] = blocks(await loginsFolder(), "json");
    const topics = [{ name: "logins", schemas: ["logins.proto"], types: ["Login"] }];
    const projections = [JSON.parse(json!)];
    await write("patterns.json", JSON.stringify({ topics, projections }));
    const loaded = await loadConfig({ cwd: folder, environment: {}, config: "patterns.json" });
    expect(planConfig(loaded)[0]?.projections[0]?.definition).toMatchObject({
      kind: "pattern",
      withinMs: 300_000,
    });
  });

  it("says its limits", async () => {
    const rows = rowsOf((await loginsFolder()).split("### Limits of patterns")[1]!);
    const said = rows.slice(2, 10).map((row) => row[1]);
    const kibibytes = (bytes: number) => `${bytes / 1_024} KiB`;
    expect(said).toEqual([
      String(CONDITIONS_MAX),
      String(POSITIONS_MAX),
      String(GROUPS_DEEP_MAX),
      `${PATTERN_VALUES_MAX}, and ${PATTERN_LISTS_MAX}`,
      PARTIAL_MATCHES_MAX.toLocaleString("en"),
      EVENTS_PER_MATCH_MAX.toLocaleString("en"),
      kibibytes(BYTES_PER_MATCH_MAX),
      `${BYTES_PER_KEY_MAX / 1_024 ** 2} MiB`,
    ]);
  });
});

describe("CONFIGURATION.md", () => {
  it("lists every setting and variable", async () => {
    const rows = rowsOf(await read("CONFIGURATION.md"));
    const settings = (Object.keys(SETTINGS) as readonly SettingKey[]).map((key) => [
      key,
      SETTINGS[key].variable,
      printDefault(key),
      SETTINGS[key].help,
    ]);
    expect(rows.filter((row) => row.length === 4 && Object.hasOwn(SETTINGS, row[0]!))).toEqual(
      settings,
    );
    const others = rows.filter((row) => row.length === 2 && row[0]?.startsWith("TIDEMARK_"));
    expect(Object.fromEntries(others)).toEqual(OTHER_VARIABLES);
  });

  it("has an example that loads", async () => {
    const [example] = blocks(await read("CONFIGURATION.md"), "ts");
    await write("tidemark.config.ts", example!);
    const config = await loadConfig({ cwd: folder, environment: {}, config: "tidemark.config.ts" });
    expect(config).toMatchObject({ workers: 4, gateway: { maxEventBytes: 65_536 } });
    await rm(join(folder, "tidemark.config.ts"));
  });
});
