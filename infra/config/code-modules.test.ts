import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, it } from "vitest";
import type { CustomWindow, WindowProjection } from "../../projections/definition/definition.ts";
import {
  loadRunningConfig,
  readRunningConfig,
  writeRunningConfig,
} from "../processes/running-config.ts";
import { ConfigError } from "./errors.ts";
import { loadConfig } from "./load.ts";
import { planConfig } from "./plan.ts";

const PROTO = 'syntax = "proto3"; message Sale { int64 cents = 1; }';

const source = (assign: string) => `
  import { count, custom, projection, topic, tumbling } from "tidemark";
  export const sales = topic("sales", { schemas: ["./shop.proto"], types: ["Sale"] });
  const windowed = (name: string, size: number) =>
    projection(name, {
      source: sales,
      window: custom({ assign: ${assign}, version: String(size) }),
      aggregates: { n: count() },
    });
  export const several = [10, 20].map((size) => windowed(\`by-\${size}\`, size));
  export default projection("plain", {
    source: sales,
    window: tumbling("1 hour"),
    aggregates: { n: count() },
  });`;

const ASSIGN = "(time: number) => [[Math.floor(time / size) * size, time + 1]]";

const folders: string[] = [];
let cwd = "";

beforeEach(async () => {
  cwd = await realpath(await mkdtemp(join(tmpdir(), "tidemark-code-")));
  folders.push(cwd);
  await writeFile(join(cwd, "shop.proto"), PROTO);
});

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});

/** Starts as `tidemark start` does, up to the file that its processes read. */
const started = async (): Promise<string> => {
  const config = await loadConfig({ cwd, environment: {} });
  const nats = { ...config.nats, url: "nats://none" };
  const redis = { ...config.redis, url: "redis://none" };
  return writeRunningConfig({ ...config, nats, redis });
};

const mistakesOf = async (file: string): Promise<readonly string[]> => {
  try {
    await loadRunningConfig(file);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.mistakes.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
};

const digestsOf = (config: Parameters<typeof planConfig>[0]) =>
  planConfig(config).flatMap(({ projections }) =>
    projections.map(({ digest }) => Buffer.from(digest).toString("hex")),
  );

it("projections that hold functions are found again by the processes of a system", async () => {
  await writeFile(join(cwd, "sales.projection.ts"), source(ASSIGN));
  const config = await loadConfig({ cwd, environment: {} });
  expect(Object.keys(config.code)).toEqual(["by-10", "by-20"]);
  expect(config.code["by-20"]).toMatchObject({
    module: join(cwd, "sales.projection.ts"),
    place: ["several", 1],
  });

  const running = await loadRunningConfig(await started());
  const names = running.projections.map(({ name }) => name);
  expect(names).toEqual(config.projections.map(({ name }) => name));
  const { window } = running.projections[names.indexOf("by-20")] as WindowProjection & {
    readonly window: CustomWindow;
  };
  expect(window.assign(45)).toEqual([[40, 46]]);
  // The same digest in every process: otherwise none could go on from the other's state.
  expect(digestsOf(running)).toEqual(digestsOf(config));
  expect(new Set(digestsOf(running)).size).toBe(3);
});

it("projections in a configuration file, too", async () => {
  await writeFile(join(cwd, "mine.ts"), source(ASSIGN));
  await writeFile(
    join(cwd, "tidemark.config.ts"),
    `import { defineConfig } from "tidemark";
     import { several, sales } from "./mine.ts";
     export default defineConfig({ topics: [sales], projections: several });`,
  );
  const running = await loadRunningConfig(await started());
  expect(running.code["by-20"]?.place).toEqual(["default", "projections", 1]);
  expect(digestsOf(running)).toHaveLength(2);
});

it("who only looks at the configuration needs no code", async () => {
  await writeFile(join(cwd, "sales.projection.ts"), source(ASSIGN));
  const file = await started();
  await rm(join(cwd, "sales.projection.ts"));
  const { projections } = await readRunningConfig(file);
  expect(projections.map(({ name }) => name).sort()).toEqual(["by-10", "by-20", "plain"]);
  expect(await mistakesOf(file)).toEqual([expect.stringContaining("sales.projection.ts")]);
});

it("C1: a function that reads otherwise by now is an error", async () => {
  await writeFile(join(cwd, "sales.projection.ts"), source(ASSIGN));
  const file = await started();
  expect(await mistakesOf(file)).toEqual([]);
  await writeFile(join(cwd, "sales.projection.ts"), source(ASSIGN.replace("+ 1", "+ 2")));
  const path = join(cwd, "sales.projection.ts");
  expect(await mistakesOf(file)).toEqual(
    ["by-10", "by-20"].map(
      (name) =>
        `${path}: projection "${name}" is not what it was when the system was started; start it again`,
    ),
  );
  await writeFile(path, source(ASSIGN).replace("export const several", "const several"));
  expect((await mistakesOf(file))[0]).toContain("is no longer where it was");
});
