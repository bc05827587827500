/** What a command prints reaches who reads it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { expect, it } from "vitest";
import { schemaText } from "../../projections/json-schema/definition-schemas.ts";
import { nodeEntry } from "../supervisor/node-entry.ts";

const PIPE_BYTES = 64 * 1024;
const TEST_MS = 60_000;

const entry = nodeEntry(import.meta.url, "./main.ts");

const printSchema = () => {
  const child = spawn(process.execPath, [...entry.execArgv, entry.path, "schema"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let complaints = "";
  child.stderr.on("data", (chunk) => (complaints += String(chunk)));
  return { child, ended: once(child, "close"), complaints: () => complaints };
};

it(
  "prints more than a pipe holds, to a reader that takes its time",
  async () => {
    const { child, ended } = printSchema();
    let printed = "";
    for await (const chunk of child.stdout) {
      printed += String(chunk);
      await setImmediate();
    }
    expect(await ended).toEqual([0, null]);
    expect(printed).toBe(schemaText("projection"));
    expect(Buffer.byteLength(printed)).toBeGreaterThan(PIPE_BYTES);
  },
  TEST_MS,
);

it(
  "ends quietly when its reader, such as `head`, has gone",
  async () => {
    const { child, ended, complaints } = printSchema();
    child.stdout.destroy();
    expect(await ended).toEqual([0, null]);
    expect(complaints()).toBe("");
  },
  TEST_MS,
);
