/**
 * `npm run build`: dist/ is what the package runs, and nothing else.
 *
 * B1. It is made anew: what was removed from the source is not in it.
 * B2. Compiled is what the entries of tsconfig.build.json reach: no tests, demo or benchmarks.
 * B3. A .proto file that compiled code reads lies where it lies in the source: the schemas of shipped
 *     projections beside them, the contract (for reflection) in proto/tidemark/.
 * B4. dist/schema/ holds the JSON Schemas of definitions, as `tidemark schema` prints them.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

import {
  DEFINITION_SCHEMAS,
  schemaText,
} from "../../projections/json-schema/definition-schemas.ts";
import type { SchemaName } from "../../projections/json-schema/definition-schemas.ts";

const root = resolve(import.meta.dirname, "../..");
const dist = join(root, "dist");

rmSync(dist, { recursive: true, force: true });
const compiler = join(root, "node_modules/typescript/bin/tsc");
execFileSync(process.execPath, [compiler, "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});

const protoFiles = (folder: string): readonly string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".proto"))
    .map((name) => join(folder, name));

/** Only beside what was compiled: a folder of tests may have schemas of its own. */
const shipped = protoFiles("projections").filter((file) => existsSync(join(dist, dirname(file))));
for (const file of [...protoFiles("proto/tidemark"), ...shipped]) {
  mkdirSync(dirname(join(dist, file)), { recursive: true });
  copyFileSync(join(root, file), join(dist, file));
}

mkdirSync(join(dist, "schema"));
for (const name of Object.keys(DEFINITION_SCHEMAS) as SchemaName[]) {
  writeFileSync(join(dist, "schema", `${name}.schema.json`), schemaText(name));
}
