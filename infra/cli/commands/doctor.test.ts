import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Effect } from "effect";
import { afterEach, beforeEach, expect, it } from "vitest";
import { loadConfig } from "../../config/load.ts";
import { readRunningConfig, writeRunningConfig } from "../../processes/running-config.ts";
import { checkDefinitions } from "./doctor.ts";

const SOURCE = `
  import { fold, topic } from "tidemark";
  const sales = topic("sales", { schemas: ["./shop.proto"], types: ["Sale"] });
  export default fold("spent", {
    source: sales,
    state: () => ({ cents: 0n }),
    reduce: (state, { data }) => ({ cents: state.cents + data.cents }),
  });`;

let cwd = "";
beforeEach(async () => {
  cwd = await realpath(await mkdtemp(join(tmpdir(), "tidemark-doctor-")));
  await writeFile(join(cwd, "shop.proto"), 'syntax = "proto3"; message Sale { int64 cents = 1; }');
  await writeFile(join(cwd, "shop.projection.ts"), SOURCE);
});
afterEach(() => rm(cwd, { recursive: true }));

/** As it is read from the data folder of a running system: without functions. */
const running = async () => {
  const config = await loadConfig({ cwd, environment: {} });
  const nats = { ...config.nats, url: "nats://none" };
  const redis = { ...config.redis, url: "redis://none" };
  return readRunningConfig(await writeRunningConfig({ ...config, nats, redis }));
};

it("examines projections that hold functions as the workers run them", async () => {
  const findings = await Effect.runPromise(checkDefinitions(await running()));
  expect(findings).toEqual([
    {
      about: "projection spent",
      verdict: "note",
      text: expect.stringContaining("lives for ever (a fold without ttl)") as string,
    },
  ]);
});

it("finds that their file says something else by now", async () => {
  const plan = await running();
  await writeFile(join(cwd, "shop.projection.ts"), SOURCE.replace("data.cents", "1n"));
  const findings = await Effect.runPromise(checkDefinitions(plan));
  expect(findings).toEqual([
    {
      about: "projections",
      verdict: "bad",
      text: expect.stringContaining("is not what it was when the system was started") as string,
    },
  ]);
});
