/** docs/SUBJECTS.md says what is so: its samples run against what the relay publishes. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Effect, Layer } from "effect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RelayTarget, type OutgoingMessage } from "../../actors/ports/relay-target.ts";
import { DEAD_LETTER_HEADERS, subjectToken, updateMessages } from "../../actors/relay/messages.ts";
import { Commit, type Update } from "../../proto/gen/tidemark/v1/commit.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { ESCAPED_KEY_MAX, escapeKey, unescapeKey, UPDATE_HEADERS } from "../../proto/subjects.ts";
import { startTestServers, type TestServers } from "../servers/testing.ts";
import { connectionLayer, natsRelayTarget, provision } from "./index.ts";

const root = resolve(import.meta.dirname, "../..");
const loader = import.meta.resolve("tsx");
const START = Date.UTC(2025, 0, 1, 12);
const MINUTE = 60_000;

let text = "";
let servers: TestServers;
let folder = "";

const blocks = (kind: string): readonly string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${kind}\\n(.*?)^\`\`\``, "gms"))].map((match) => match[1]!);

const update = (key: string, minute: number, kind: Kind, revision: number): Update => ({
  key,
  windowStart: START + minute * MINUTE,
  windowEnd: START + (minute + 1) * MINUTE,
  kind,
  revision,
  ordinal: 0,
  watermark: START + 64_999,
  partition: 0,
  sequence: 1,
  index: 0,
  values: [
    { kind: { $case: "intValue", value: "3" } },
    { kind: { $case: "doubleValue", value: 300 } },
    { kind: { $case: "intValue", value: "700" } },
  ],
});

const commit = (updates: readonly Update[]): Uint8Array =>
  Commit.encode({
    ...Commit.decode(new Uint8Array()),
    columns: ["views", "meanMs", "slowestMs"],
    updates: [...updates],
  }).finish();

const source = { projection: "load-times", version: 1, subjects: { by: "key" } } as const;

const UPDATES = [
  update("/home", 0, Kind.KIND_FINAL, 1),
  update("/home", 0, Kind.KIND_CORRECTION, 2),
  update("SFO", 0, Kind.KIND_FINAL, 1),
  update("/home", 1, Kind.KIND_EARLY, 1),
  update("SFO", 0, Kind.KIND_RETRACTION, 2),
];

/** Runs a sample until it has printed so many lines; returns them. */
const runSample = async (index: number, lines: number): Promise<readonly string[]> => {
  await writeFile(join(folder, "sample.ts"), blocks("ts")[index]!);
  const child = spawn(process.execPath, ["--import", loader, "sample.ts"], {
    cwd: folder,
    env: { ...process.env, NATS_URL: servers.natsUrl },
  });
  let printed = "";
  let errors = "";
  child.stdout.on("data", (data) => (printed += String(data)));
  child.stderr.on("data", (data) => (errors += String(data)));
  const ended = new Promise((end) => child.once("close", end));
  await expect
    .poll(() => errors + printed, { timeout: 30_000 })
    .toMatch(new RegExp(`^(.*\\n){${lines}}`));
  child.kill();
  await ended;
  return printed.trimEnd().split("\n");
};

/** Behind what is there already, as the relay does it. */
const publish = (messages: readonly OutgoingMessage[]): Promise<number> => {
  const adapters = natsRelayTarget.pipe(
    Layer.provideMerge(Layer.effectDiscard(provision({ topics: [] }))),
    Layer.provideMerge(connectionLayer({ url: servers.natsUrl, name: "subjects" })),
  );
  return Effect.gen(function* () {
    const target = yield* RelayTarget;
    const { revision } = yield* target.cursor("projections");
    const cursor = { position: 1, offset: 0, epoch: 1, revision };
    return yield* target.publish("projections", messages, cursor);
  }).pipe(Effect.timeout("10 seconds"), Effect.provide(adapters), Effect.runPromise);
};

beforeAll(async () => {
  text = await readFile(join(root, "docs/SUBJECTS.md"), "utf8");
  servers = await startTestServers();
  folder = await mkdtemp(join(tmpdir(), "tidemark-subjects-"));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  await publish(updateMessages(source, commit(UPDATES)));
});

afterAll(async () => {
  await servers.dispose();
  await rm(folder, { recursive: true });
});

describe("samples", () => {
  it("gives the latest update of each key", async () => {
    const lines = await runSample(0, 2);
    expect(lines).toEqual([
      expect.stringMatching(/^projections\.load-times\.%2Fhome early {.*"revision":1,/),
      expect.stringMatching(/^projections\.load-times\.SFO retraction {.*"revision":2,/),
    ]);
  });

  it("keeps the table of all windows, without those that were retracted", async () => {
    expect(await runSample(1, 1)).toEqual(["2 results are current"]);
  });
});

it("shows an update as it is published", () => {
  const [message] = updateMessages(source, commit([UPDATES[1]!]));
  const shown = [
    `Subject: ${message!.subject}`,
    "",
    ...message!.headers.map(([name, value]) => `${name}: ${value}`),
    "",
    new TextDecoder().decode(message!.data),
    "",
  ];
  expect(blocks("text")[0]).toBe(shown.join("\n"));
});

it("escapes keys as it says", () => {
  const section = text.slice(text.indexOf("| key"), text.indexOf("`decodeURIComponent`"));
  const rows = section.split("\n").filter((line) => line.startsWith("| `"));
  for (const row of rows) {
    const [key, token] = [...row.matchAll(/`([^`]*)`/g)].map((match) => match[1]!);
    expect(escapeKey(key!)).toBe(token);
    expect(unescapeKey(token!)).toBe(key);
  }
  expect(rows.length).toBeGreaterThan(4);
  expect(escapeKey("")).toBe("%");
});

it("publishes keys that are too long for a subject under their hash", async () => {
  const longest = "é".repeat(ESCAPED_KEY_MAX / 6);
  const tooLong = [`${longest}x`, "k".repeat(ESCAPED_KEY_MAX + 1), "€".repeat(100_000)];
  expect(escapeKey(longest)).toHaveLength(ESCAPED_KEY_MAX);
  for (const key of tooLong) {
    const hash = createHash("sha256").update(key, "utf8").digest("hex");
    expect(escapeKey(key)).toBe(`%~${hash}`);
  }
  const keys = [longest, ...tooLong];
  for (const subjects of [{ by: "key" }, { by: "bucket", buckets: 4 }] as const) {
    const long = { ...source, projection: "p".repeat(63), subjects };
    const updates = keys.map((key) => update(key, 0, Kind.KIND_FINAL, 1));
    await expect(publish(updateMessages(long, commit(updates)))).resolves.toBeGreaterThan(0);
  }
});

it("names the bucket of a key", () => {
  const [, key, token] = /key\s+`([^`]+)`\s+of 1,024 buckets is\s+`([^`]+)`/.exec(text)!;
  expect(subjectToken({ by: "bucket", buckets: 1_024 }, key!)).toBe(token);
});

it("lists every header", () => {
  for (const name of [...Object.values(UPDATE_HEADERS), ...Object.values(DEAD_LETTER_HEADERS)]) {
    expect(text).toContain(name);
  }
});
