/** How a process of ours ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { nodeEntry } from "./node-entry.ts";

let dir: string;
let journal: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tidemark-main-test-"));
  journal = join(dir, "journal");
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const entry = nodeEntry(import.meta.url, "./child.fixture.ts");
const command = (behaviour: string) => [...entry.execArgv, entry.path, journal, "child", behaviour];
/** As if npm had launched it, or as if not, whoever runs this test. */
const launchedBy = (npm: string): NodeJS.ProcessEnv => ({
  ...process.env,
  npm_lifecycle_event: npm,
});

const start = (behaviour: string, stderr: "inherit" | "pipe" = "inherit", npm = ""): ChildProcess =>
  spawn(process.execPath, command(behaviour), {
    stdio: ["ignore", "inherit", stderr, "ipc"],
    env: launchedBy(npm),
  });

/** Behind shells, as npx runs a command; `script` runs it as "$@". */
const startBehind = async (script: string): Promise<ChildProcess> => {
  const shell = spawn("sh", ["-c", script, "sh", process.execPath, ...command("normal")], {
    stdio: ["ignore", "inherit", "inherit"],
    env: launchedBy("npx"),
  });
  await expect.poll(() => existsSync(journal), { timeout: 20_000 }).toBe(true);
  return shell;
};
const journalOf = () => readFileSync(journal, "utf8");

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

test("M1: npm and the terminal both send the Ctrl-C, and it is one", async () => {
  const child = start("normal", "inherit", "start");
  await once(child, "message");
  child.kill("SIGINT");
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([0, null]);
  expect(journalOf()).toBe("child up\nchild drained\n");
});

test("M4: what npx launched drains when the shell between them dies of SIGTERM", async () => {
  const shell = await startBehind('"$@"; exit $?');
  shell.kill("SIGTERM");
  await expect.poll(journalOf, { timeout: 20_000 }).toBe("child up\nchild drained\n");
});

test("M4: and when npx itself is killed, and the shell goes on waiting", async () => {
  const npx = await startBehind('sh -c \'"$@"; exit $?\' sh "$@"; exit $?');
  npx.kill("SIGKILL");
  await expect.poll(journalOf, { timeout: 20_000 }).toBe("child up\nchild drained\n");
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

/** Has written more than a pipe holds, and nobody has read of it. */
const startTalkative = async () => {
  const child = spawn(process.execPath, command("talkative"), {
    stdio: ["ignore", "pipe", "inherit", "ipc"],
    env: launchedBy(""),
  });
  expect((await once(child, "message"))[0]).toBe("written");
  return child as ChildProcess & { readonly stdout: Readable };
};

test("M6: a pipe that is read late and slowly gets every line", async () => {
  const child = await startTalkative();
  let text = "";
  for await (const chunk of child.stdout) {
    text += String(chunk);
    // Others have their turn between any two reads, the end of the child among them.
    await setImmediate();
  }
  expect(text.split("\n")).toHaveLength(100_001);
  expect(text.endsWith("line 99999\n")).toBe(true);
});

test("M6: a process that is asked to end does not wait for a reader for ever", async () => {
  const child = await startTalkative();
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  expect(await exit).toEqual([0, null]);
  child.stdout.destroy();
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
