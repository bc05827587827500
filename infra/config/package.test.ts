/** The package as its users have it: built, installed beside their files, run by plain Node. */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, realpath, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";

const repository = resolve(import.meta.dirname, "..", "..");
const compiler = join(repository, "node_modules", "typescript", "bin", "tsc");
const run = promisify(execFile);

let project = "";
let installed = "";

const write = (name: string, text: string): Promise<void> => writeFile(join(project, name), text);

/** Loads and plans the project's configuration in a process of its own, with the built package. */
const load = async (): Promise<unknown> => {
  const { stdout } = await run(process.execPath, ["load.mjs"], { cwd: project, env: {} });
  return JSON.parse(stdout);
};

beforeAll(async () => {
  project = await realpath(await mkdtemp(join(tmpdir(), "tidemark-package-")));
  installed = join(project, "node_modules", "tidemark");
  await mkdir(installed, { recursive: true });
  await symlink(join(repository, "node_modules"), join(installed, "node_modules"));
  await cp(join(repository, "package.json"), join(installed, "package.json"));
  // What the loader needs, so that this says nothing about the rest of the system.
  await write(
    "tsconfig.build.json",
    JSON.stringify({
      extends: join(repository, "tsconfig.build.json"),
      compilerOptions: {
        rootDir: repository,
        outDir: join(installed, "dist"),
        typeRoots: [join(repository, "node_modules", "@types")],
      },
      include: [],
      files: ["projections/index.ts", "infra/config/load.ts", "infra/config/plan.ts"].map((file) =>
        join(repository, file),
      ),
    }),
  );
  await run(process.execPath, [compiler, "-p", "tsconfig.build.json"], { cwd: project });
  await cp(join(repository, "projections"), join(installed, "dist", "projections"), {
    recursive: true,
    filter: async (path) => path.endsWith(".proto") || (await stat(path)).isDirectory(),
  });
  await write(
    "load.mjs",
    `import { loadConfig } from "./node_modules/tidemark/dist/infra/config/load.js";
     import { planConfig } from "./node_modules/tidemark/dist/infra/config/plan.js";
     const planned = planConfig(await loadConfig());
     console.log(JSON.stringify(planned.map(({ plan, projections }) => [
       plan.definition.name,
       ...projections.map((each) => Buffer.from(each.digest).toString("hex")),
     ])));`,
  );
});

afterAll(() => rm(project, { recursive: true }));

it("runs the shipped projections, with their schemas", async () => {
  const digest = expect.stringMatching(/^[0-9a-f]{16}$/);
  expect(await load()).toEqual([
    ["flights", digest, digest],
    ["orders", digest],
    ["shopping", digest],
    ["logins", digest],
  ]);
});

it("runs one projection file, and TypeScript knows its types", async () => {
  await write("shop.proto", 'syntax = "proto3"; message Sale { int64 cents = 1; }');
  await write(
    "sales.projection.ts",
    `import { count, field, projection, sum, topic, tumbling } from "tidemark";
     const sales = topic("sales", { schemas: ["./shop.proto"], types: ["Sale"] });
     const totals = projection("totals", {
       source: sales,
       window: tumbling("1 hour"),
       where: field("cents").gt(0),
       aggregates: { sales: count(), revenue: sum(field("cents")) },
     });
     // @ts-expect-error a name that is not there
     console.error(totals.aggregates.revenu);
     export default totals;`,
  );
  const digest = expect.stringMatching(/^[0-9a-f]{16}$/);
  for (const type of [undefined, "commonjs", "module"]) {
    await write("package.json", JSON.stringify({ name: "my-project", type }));
    expect(await load(), type).toEqual([["sales", digest]]);
  }
  // Strict, and without allowing .ts in imports: the settings that most projects have.
  const strict = "--strict --noEmit --module nodenext --target es2022 --types".split(" ");
  await run(process.execPath, [compiler, ...strict, "", "sales.projection.ts"], { cwd: project });
});

it("is the same `tidemark` wherever it was installed", async () => {
  // As `npx` has it: nothing is installed in the folder in which it runs.
  const elsewhere = await realpath(await mkdtemp(join(tmpdir(), "tidemark-elsewhere-")));
  await writeFile(
    join(elsewhere, "projection.mts"),
    `import { count, projection, topic, tumbling } from "tidemark";
     export default projection("p", {
       source: topic("sales", { schemas: [${JSON.stringify(join(project, "shop.proto"))}], types: ["Sale"] }),
       window: tumbling("1 hour"),
       aggregates: { n: count() },
     });`,
  );
  const { stdout } = await run(process.execPath, [join(project, "load.mjs")], {
    cwd: elsewhere,
    env: {},
  });
  expect(JSON.parse(stdout)).toEqual([["sales", expect.any(String)]]);
  await rm(elsewhere, { recursive: true });
});
