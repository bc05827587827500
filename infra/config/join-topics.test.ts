/** A projection that reads two topics brings both along, and says which of them is not there. */
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, it } from "vitest";
import { ConfigError } from "./errors.ts";
import { loadConfig } from "./load.ts";
import { planConfig } from "./plan.ts";

const PROTO =
  'syntax = "proto3"; package ads; message Shown { string by = 1; } message Clicked { string on = 1; }';
const PROJECTION = `
  import { field, join, left, topic } from "tidemark";
  const schemas = ["./ads.proto"];
  const shown = topic("shown", { schemas, types: ["ads.Shown"], partitions: 3 });
  const clicked = topic("clicked", { schemas, types: ["ads.Clicked"], partitions: 2 });
  export default join("clicks", {
    left: { source: shown },
    right: { source: clicked, key: field("on") },
    within: { after: "1 minute" },
    values: { by: left.field("by") },
  });`;

const folders: string[] = [];
let cwd = "";

beforeEach(async () => {
  cwd = await realpath(await mkdtemp(join(tmpdir(), "tidemark-topics-")));
  folders.push(cwd);
  await writeFile(join(cwd, "ads.proto"), PROTO);
});

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true });
});

const load = () => loadConfig({ cwd, environment: {} });

const mistakes = async (): Promise<readonly string[]> => {
  try {
    planConfig(await load());
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.mistakes.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
};

/** As it comes back from JSON, with its topics beside it. */
const asData = async (names: readonly string[]): Promise<void> => {
  await writeFile(join(cwd, "clicks.projection.ts"), PROJECTION);
  const { topics, projections } = await load();
  await rm(join(cwd, "clicks.projection.ts"));
  const kept = topics.filter(({ name }) => names.includes(name));
  const data = JSON.stringify({ topics: kept, projections });
  await writeFile(join(cwd, "tidemark.config.ts"), `export default ${data};`);
};

it("finds both topics, and plans the projection with the first", async () => {
  await writeFile(join(cwd, "clicks.projection.ts"), PROJECTION);
  const planned = planConfig(await load());
  expect(planned.map(({ plan }) => plan.definition.name)).toEqual(["shown", "clicked"]);
  const [shown, clicked] = planned;
  expect([shown!.projections.length, clicked!.projections.length]).toEqual([1, 0]);
  const [plan] = shown!.projections;
  expect(plan!.sources!.map(({ topic }) => topic)).toEqual([shown!.plan, clicked!.plan]);
});

it("is the same as data", async () => {
  await asData(["shown", "clicked"]);
  expect(await mistakes()).toEqual([]);
});

it("says which topic is missing", async () => {
  await asData(["shown"]);
  const [missing] = await mistakes();
  expect(missing).toMatch(
    /projections\[0\]\.topic: there is no topic "clicked"; the topics are "shown"$/,
  );
});
