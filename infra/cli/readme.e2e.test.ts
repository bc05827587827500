/** README.md says what is so: its project is installed and run, command by command. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readRunFile } from "../processes/run-file.ts";
import {
  installPackage,
  type InstalledPackage,
  type RunningStart,
} from "./installed-package.suite.ts";

const INSTALL_MS = 300_000;
const root = resolve(import.meta.dirname, "../..");

let readme = "";
let installed: InstalledPackage;
let system: RunningStart;

const blocks = (kind: string): readonly string[] =>
  [...readme.matchAll(new RegExp(`^\`\`\`${kind}\\n(.*?)^\`\`\``, "gms"))].map(
    (match) => match[1]!,
  );

/** A console block as commands with what they print. */
const sessions = (): readonly { readonly command: string; readonly prints: string }[] =>
  blocks("console")
    .flatMap((block) => block.split(/^\$ /m).slice(1))
    .map((text) => {
      const end = text.indexOf("\n");
      return { command: text.slice(0, end), prints: text.slice(end + 1).trimEnd() };
    });

/** `npx tidemark ...` without the first two words. */
const tidemark = async (command: string): Promise<string> => {
  const { stdout, stderr } = await installed.tidemark(...command.split(" ").slice(2));
  return (stderr + stdout).trimEnd();
};

beforeAll(async () => {
  readme = await readFile(join(root, "README.md"), "utf8");
  installed = await installPackage();
  await installed.write("views.proto", blocks("proto")[0]!);
  await installed.write("views.projection.ts", blocks("ts")[0]!);
  await installed.write("views.jsonl", blocks("json")[0]!);
  await installed.write("client.mjs", blocks("js")[0]!);
  system = await installed.start();
}, INSTALL_MS);

afterAll(async () => {
  await system?.interrupt();
  await installed?.remove();
}, INSTALL_MS);

it("publishes, and lists what came of it", async () => {
  const [publish, list] = sessions();
  expect(await tidemark(publish!.command)).toBe(publish!.prints);
  await expect
    .poll(() => tidemark(list!.command), { timeout: 30_000, interval: 500 })
    .toBe(list!.prints);
});

it("reads with each command that it names", async () => {
  const one = await tidemark("npx tidemark get load-times /home");
  expect(one).toMatch(/^2025-01-01 12:01:00 {2}2025-01-01 12:02:00 {2}\/home .* early/m);
  const tail = await tidemark("npx tidemark tail load-times --from-start --limit 2");
  expect(tail.split("\n")).toHaveLength(2);
  expect(await tidemark("npx tidemark doctor")).not.toContain("✗");
  expect(await tidemark("npx tidemark status")).toContain("load-times");
});

it("publishes and subscribes over gRPC with nothing but the package's proto files", async () => {
  const { gateway } = (await readRunFile(join(installed.dir, ".tidemark")))!;
  const client = spawn(process.execPath, ["client.mjs"], {
    cwd: installed.dir,
    env: { ...process.env, TIDEMARK_GATEWAY: gateway },
  });
  let printed = "";
  client.stdout.on("data", (text) => (printed += String(text)));
  client.stderr.on("data", (text) => (printed += String(text)));
  await expect.poll(() => printed, { timeout: 30_000 }).toContain("VERDICT_STORED");
  await expect
    .poll(() => printed, { timeout: 30_000 })
    .toMatch(/^(update|snapshot) \/cart KIND_EARLY 1 views=1 meanMs=240 slowestMs=240$/m);
  expect(printed).toMatch(/^snapshot \/home KIND_CORRECTION 2 views=3 meanMs=300 slowestMs=700$/m);
  client.kill();
});

it("replays", async () => {
  const replay = sessions()[2]!;
  // There, the Python client had published too; and another machine takes another time.
  const told = (text: string) => text.replace(/\d+ events in .*?\)/, "events");
  expect(told(await tidemark(replay.command))).toContain(told(replay.prints));
});

it("links to files that exist", () => {
  const links = [...readme.matchAll(/\]\(([^)#]+?)(?:#[^)]*)?\)/g)].map(([, target]) => target!);
  expect(links.length).toBeGreaterThan(10);
  expect(links.filter((target) => !existsSync(join(root, target)))).toEqual([]);
});
