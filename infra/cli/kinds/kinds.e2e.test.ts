/**
 * Every kind of projection in worker processes on real servers: functions reach them, results are those of
 * a calculation by hand, also after kill -9 of the workers in the middle.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { childOf } from "../../demo/demo-process.suite.ts";
import { command, startSystemProcess, type SystemProcess } from "../system-process.suite.ts";

const SETUP_MS = 180_000;
const STEP_MS = 180_000;

let system: SystemProcess;
beforeAll(async () => {
  system = await startSystemProcess("infra/cli/kinds/acts.projection.ts", "--workers", "2");
}, SETUP_MS);
afterAll(async () => {
  expect(await system?.stop()).toBe(0);
}, SETUP_MS);

let ids = 0;
const act = (type: string, key: string, time: string, page = "", cents = 0) =>
  JSON.stringify({
    id: String(ids++),
    type: `acts.${type}`,
    key,
    time: `2024-03-31T${time}Z`,
    data: type === "Heartbeat" ? {} : { page, cents },
  });

/** Event time goes on in both partitions. */
const beats = (time: string) => ["a", "b", "c", "d"].map((key) => act("Heartbeat", key, time));

const publish = async (lines: readonly string[]) => {
  const { stdout, stderr } = await command(system, ["publish", "acts", "--json"], lines.join("\n"));
  expect(JSON.parse(stdout), stderr).toMatchObject({ stored: lines.length, rejected: 0 });
};

interface Row {
  readonly key: string;
  readonly window: { readonly startTime: string; readonly endTime: string | null };
  readonly kind: string;
  readonly values: Readonly<Record<string, unknown>>;
}

const clock = (time: string | null): string => time?.slice(8, 19) ?? "open";

const jsonLines = <T>(text: string): readonly T[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as T);

/** As `key [start, end) kind values`, in the order of keys and windows. */
const results = async (projection: string): Promise<readonly string[]> => {
  const { stdout } = await command(system, ["list", projection, "--json"]);
  return jsonLines<Row>(stdout).map(
    ({ key, window, kind, values }) =>
      `${key} [${clock(window.startTime)}, ${clock(window.endTime)}) ${kind} ` +
      JSON.stringify(values),
  );
};

const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  visits: [
    '/hats [31T00:30:35, 31T00:32:10) final {"acts":2}',
    '/poison [31T00:30:41, 31T00:31:41) final {"acts":1}',
    '/shoes [31T00:30:00, 31T00:31:40) final {"acts":3}',
  ],
  // Clocks go forward in Berlin: a day of 23 hours.
  days: [
    'ann [30T23:00:00, 31T22:00:00) final {"acts":5,"longest":7}',
    'bob [30T23:00:00, 31T22:00:00) final {"acts":1,"longest":6}',
  ],
  minutes: [
    'ann [31T00:30:00, 31T00:31:00) final {"acts":4}',
    'ann [31T00:31:00, 31T00:32:00) final {"acts":1}',
    'bob [31T00:30:00, 31T00:31:00) final {"acts":1}',
  ],
  spent: ['ann [31T00:30:40, open) early {"cents":750,"pages":"/shoes/hats"}'],
  // Two minutes after bob saw shoes; ann bought in time.
  undecided: ['bob [31T00:32:30, 31T00:32:30) final {"type":"undecided","data":{"seen":1}}'],
  twice: [
    'ann [31T00:30:00, 31T00:30:40) final {"first":"/shoes","second":"/shoes"}',
    'ann [31T00:30:35, 31T00:30:40) final {"first":"/hats","second":"/shoes"}',
  ],
  conversions: [
    'ann [31T00:30:00, 31T00:30:40) final {"page":"/shoes","cents":500}',
    'ann [31T00:30:35, 31T00:31:10) final {"page":"/hats","cents":250}',
    'bob [31T00:30:30, 31T00:31:30) final {"page":"/shoes","cents":null}',
  ],
  purchases: [
    'ann [31T00:30:40, 31T00:30:40) final {"page":"/shoes","acts":null}',
    'ann [31T00:30:41, 31T00:30:41) final {"page":"/poison","acts":null}',
    'ann [31T00:31:10, 31T00:31:10) final {"page":"/hats","acts":4}',
  ],
  customers: [
    'ann [31T00:30:40, 31T00:30:40) final {"page":"/shoes","before":null}',
    'ann [31T00:30:41, 31T00:30:41) final {"page":"/poison","before":500}',
    'ann [31T00:31:10, 31T00:31:10) final {"page":"/hats","before":500}',
  ],
  popular: [
    '/hats [31T00:31:10, 31T00:31:10) final {"acts":1}',
    '/poison [31T00:30:41, 31T00:30:41) final {"acts":null}',
    '/shoes [31T00:30:40, 31T00:30:40) final {"acts":null}',
  ],
};

it(
  "computes what a person would, with workers killed in the middle",
  async () => {
    await publish([
      act("Seen", "ann", "00:30:00", "/shoes"),
      act("Seen", "bob", "00:30:30", "/shoes"),
      act("Bought", "ann", "00:30:40", "/shoes", 500),
      act("Bought", "ann", "00:30:41", "/poison", 1),
      // Older than the one before it: put in its place by its time.
      act("Seen", "ann", "00:30:35", "/hats"),
    ]);
    for (const worker of [0, 1]) {
      process.kill(
        childOf(system.pid, new RegExp(`processes/worker\\.ts .* ${worker}$`)),
        "SIGKILL",
      );
    }
    await publish([
      act("Bought", "ann", "00:31:10", "/hats", 250),
      ...beats("00:40:00"),
      ...beats("23:59:00"),
    ]);

    for (const [projection, expected] of Object.entries(EXPECTED)) {
      await expect
        .poll(() => results(projection), { timeout: 60_000, interval: 500, message: projection })
        .toEqual(expected);
    }
  },
  STEP_MS,
);

it(
  "makes a dead letter of what a function threw, and the books balance",
  async () => {
    const letters = await command(system, "tail dlq --from-start --limit 1 --json".split(" "));
    expect(jsonLines(letters.stdout)).toMatchObject([
      { reason: "poison", projection: "spent", eventKey: "ann", data: { page: "/poison" } },
    ]);
    expect((letters.stdout.match(/no such page/g) ?? []).length).toBe(1);
    const audited = await command(system, ["audit"]);
    expect(audited.exitCode, audited.stdout).toBe(0);
  },
  STEP_MS,
);

it(
  "is in order, as the doctor finds, functions and all",
  async () => {
    const { exitCode, stdout } = await command(system, ["doctor"]);
    expect(exitCode, stdout).toBe(0);
    expect(stdout).not.toContain("✗");
    expect(stdout).toContain("a fold without ttl");
  },
  STEP_MS,
);

it(
  "replays every kind to the same results",
  async () => {
    for (const [projection, expected] of Object.entries(EXPECTED)) {
      const { stdout, stderr } = await command(system, ["replay", projection, "--json"]);
      expect(JSON.parse(stdout), stderr).toMatchObject({
        projection,
        equal: expected.filter((row) => !row.includes(" early ")).length,
        differences: 0,
      });
    }
  },
  STEP_MS,
);
