/** How a process of ours ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { nodeEntry } from "./node-entry.ts";

let dir: string;
let journal: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidemark-main-test-"));
  journal = join(dir, "journal");
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const start = (behaviour: string, stderr: "inherit" | "pipe" = "inherit"): ChildProcess => {
  const entry = nodeEntry(import.meta.url, "./child.fixture.ts");
  return spawn(process.execPath, [...entry.execArgv, entry.path, journal, "child", behaviour], {
    stdio: ["ignore", "inherit", stderr, "ipc"],
  });
};

test("M1: the first SIGINT drains, and the process ends with code 0", async () => {
  const child = start("normal");
  expect(await once(child, "message")).toMatchObject([{ tidemark: "ready" }, undefined]);
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([0, null]);
  expect(readFileSync(journal, "utf8")).toBe("child up\nchild drained\n");
});

test("M1: a second SIGINT ends a process that does not drain", async () => {
  const child = start("stubborn");
  await once(child, "message");
  child.kill("SIGINT");
  expect(await once(child, "message")).toMatchObject(["draining", undefined]);
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([130, null]);
});

test("M2: a child whose supervisor is gone drains and ends", async () => {
  const child = start("normal");
  await once(child, "message");
  child.disconnect();
  expect(await once(child, "exit")).toEqual([0, null]);
  expect(readFileSync(journal, "utf8")).toBe("child up\nchild drained\n");
});

test("M2: even one that does not drain ends", async () => {
  const child = start("stubborn");
  await once(child, "message");
  child.disconnect();
  expect(await once(child, "exit")).toEqual([1, null]);
});

test("a failure is printed as its message, told to the supervisor, and is exit code 1", async () => {
  const child = start("refuses", "pipe");
  let printed = "";
  child.stderr!.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  const [message] = (await once(child, "message")) as unknown[];
  expect(message).toEqual({ tidemark: "failed", reason: "port 4000 is in use" });
  expect(await once(child, "close")).toEqual([1, null]);
  expect(printed).toBe("port 4000 is in use\n");
});
