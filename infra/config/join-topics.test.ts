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
    /projections\[0\]\.right\.topic: there is no topic "clicked"; the topics are "shown"$/,
  );
});

const TABLE = `
  import { count, join, left, projection, right, topic, tumbling } from "tidemark";
  const schemas = ["./ads.proto"];
  const shown = topic("shown", { schemas, types: ["ads.Shown"], partitions: 3 });
  const clicked = topic("clicked", { schemas, types: ["ads.Clicked"], partitions: 2 });
  const often = projection("often", {
    source: clicked, window: tumbling("1 hour"), aggregates: { clicks: count() },
  });
  export default join("shown-often", {
    left: { source: shown },
    right: { source: often },
    asOf: {},
    values: { by: left.field("by"), clicks: right.field("clicks") },
  });`;

it("brings a projection along that is its table, with its topic", async () => {
  await writeFile(join(cwd, "often.projection.ts"), TABLE);
  const config = await load();
  expect(config.projections.map(({ name }) => name).toSorted()).toEqual(["often", "shown-often"]);
  expect(planConfig(config).map(({ projections }) => projections.length)).toEqual([1, 1]);
});

it("says which projection is missing that data names as a table", async () => {
  await writeFile(join(cwd, "often.projection.ts"), TABLE);
  const { topics, projections } = await load();
  await rm(join(cwd, "often.projection.ts"));
  const renamed = projections.map((each) =>
    each.kind === "join" ? { ...each, right: { projection: "oftn" } } : each,
  );
  const data = JSON.stringify({ topics, projections: renamed });
  await writeFile(join(cwd, "tidemark.config.ts"), `export default ${data};`);
  const [missing] = await mistakes();
  expect(missing).toMatch(
    /projections\[\d\]\.right\.projection: there is no projection "oftn"; did you mean "often"\?$/,
  );
});

it("asks for an export of a table that holds functions", async () => {
  const withCode = TABLE.replace('tumbling("1 hour")', "custom((time) => [[time, time + 1]])")
    .replace("tumbling }", "custom }")
    .replace("custom((time)", "custom({ assign: (time)")
    .replace("time + 1]])", "time + 1]] })");
  await writeFile(join(cwd, "often.projection.ts"), withCode);
  const [missing] = await mistakes();
  expect(missing).toContain('projection "often" holds functions');
  await writeFile(
    join(cwd, "often.projection.ts"),
    withCode.replace("const often", "export const often"),
  );
  expect(await mistakes()).toEqual([]);
});
