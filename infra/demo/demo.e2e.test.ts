import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { childOf, demoFolder, startDemo, untilRunning, untilStored } from "./demo-process.suite.ts";

const E2E_MS = 240_000;

const folder = async (): Promise<string> => {
  const { dir, remove } = await demoFolder();
  onTestFinished(remove);
  return dir;
};

it(
  "gives right results, and the same ones when everything is sent again",
  async () => {
    const dir = await folder();
    const first = await startDemo(dir, 20_000).ended;
    expect(first.summary).toMatchObject({
      right: true,
      repeated: false,
      duplicates: 0,
      restarts: 0,
      late: { expected: 2_000, found: 2_000, missing: 0, unexpected: 0 },
      windows: {
        "departures-by-origin": { compared: 3_049, right: 3_049 },
        "departures-by-destination": { compared: 406, right: 406 },
      },
    });
    expect(first.exitCode).toBe(0);

    const second = await startDemo(dir, 20_000).ended;
    expect(second.summary).toMatchObject({
      right: true,
      repeated: true,
      duplicates: second.summary.events,
      late: first.summary.late,
      windows: first.summary.windows,
    });
    expect(second.exitCode).toBe(0);
    expect(existsSync(join(dir, "run.json"))).toBe(false);
  },
  E2E_MS,
);

it.each([
  ["the gateway", /processes\/gateway\.ts/],
  ["the first worker", /processes\/worker\.ts .* 0$/],
  ["the second worker", /processes\/worker\.ts .* 1$/],
  ["nats-server", /\/nats-server -c /],
  ["redis-server", /\/redis-server /],
])(
  "gives right results when %s is killed in the middle",
  async (_, pattern) => {
    const dir = await folder();
    const demo = startDemo(dir, 150_000);
    const run = await untilRunning(dir, demo);
    await untilStored(run, 30_000, demo);
    const killed = childOf(demo.pid, pattern);
    process.kill(killed, "SIGKILL");
    const { exitCode, summary, stderr } = await demo.ended;
    expect(summary, stderr).toMatchObject({ right: true, restarts: 1 });
    expect(exitCode).toBe(0);
  },
  E2E_MS,
);
