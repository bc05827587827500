/** `npm start` in a clone ends as it should, whoever is told to end. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const TEST_MS = 180_000;

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidemark-npm-start-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

it.each([
  ["SIGTERM to npm alone", "SIGTERM", 1],
  ["Ctrl-C, which npm and all others in the terminal get", "SIGINT", -1],
] as const)(
  "drains and leaves nothing after %s",
  async (_, signal, direction) => {
    const args = ["start", "--", "projections/orders/orders.ts", "--data-dir", dir, "--port", "0"];
    const npm = spawn("npm", args, {
      cwd: ROOT,
      env: { ...process.env, TIDEMARK_METRICS_PORT: "0" },
      detached: true,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let printed = "";
    npm.stdout.on("data", (text) => (printed += String(text)));
    // Closed when the last process that writes there has ended, not only npm.
    const ended = new Promise<void>((end) => npm.once("close", () => end()));
    await expect.poll(() => printed, { timeout: 60_000 }).toContain("Ctrl-C");
    expect(existsSync(join(dir, "run.json"))).toBe(true);

    process.kill(direction * npm.pid!, signal);
    await ended;
    expect(existsSync(join(dir, "run.json"))).toBe(false);
    const processes = execFileSync("ps", ["-eo", "args="], { encoding: "utf8" });
    expect(processes.split("\n").filter((line) => line.includes(dir))).toEqual([]);
  },
  TEST_MS,
);
