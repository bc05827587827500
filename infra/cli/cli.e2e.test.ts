import { Effect } from "effect";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { freePort } from "../servers/ports.ts";
import { command, startSystemProcess, type SystemProcess } from "./system-process.suite.ts";

const SETUP_MS = 180_000;
const STEP_MS = 120_000;

let system: SystemProcess;
let natsPort = 0;
beforeAll(async () => {
  natsPort = await Effect.runPromise(freePort);
  vi.stubEnv("TIDEMARK_NATS_PORT", String(natsPort));
  system = await startSystemProcess("projections/flights/flights.ts", "--workers", "2");
  vi.unstubAllEnvs();
}, SETUP_MS);
afterAll(async () => {
  expect(await system?.stop()).toBe(0);
}, SETUP_MS);

const departure = (id: string | undefined, time: string, delay: number) =>
  JSON.stringify({
    id,
    type: "flights.Departure",
    key: "ORD",
    time,
    data: { delay, distance: 1745, origin: "ORD", destination: "LAX" },
  });
const heartbeat = (id: string, time: string) =>
  JSON.stringify({ id, type: "flights.Heartbeat", key: "ORD", time, data: {} });

const publish = (...lines: string[]) =>
  command(system, ["publish", "flights", "--json"], lines.join("\n"));

/** Of the event that comes without an id. */
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const json = (text: string): unknown => JSON.parse(text);

it(
  "publishes from stdin, and the late event is a dead letter of both projections",
  async () => {
    const published = await publish(
      departure("1", "2001-03-01T08:05:00Z", 10),
      departure("2", "2001-03-01T08:35:00Z", 20),
      heartbeat("beat-1", "2001-03-04T00:00:00Z"),
      departure(undefined, "2001-03-01T08:40:00Z", 30),
    );
    expect(json(published.stdout)).toMatchObject({ stored: 4, quarantined: 0, rejected: 0 });

    const letters = await command(system, [
      "tail",
      "dlq",
      "--from-start",
      "--limit",
      "2",
      "--json",
    ]);
    const seen = letters.stdout.trim().split("\n").map(json);
    expect(seen).toMatchObject([
      {
        reason: "late",
        eventId: expect.stringMatching(UUID_V7),
        eventKey: "ORD",
        data: { delay: 30, distance: 1745, origin: "ORD", destination: "LAX" },
      },
      { reason: "late", eventId: expect.stringMatching(UUID_V7), eventKey: "ORD" },
    ]);
    expect(new Set(seen.map((letter) => (letter as { projection: string }).projection)).size).toBe(
      2,
    );
  },
  STEP_MS,
);

it(
  "replays to the same results, and leaves the live version alone",
  async () => {
    // The result is there when the replay begins.
    await command(system, ["tail", "departures-by-origin", "--from-start", "--limit", "1"]);
    const replayed = await command(system, ["replay", "departures-by-origin", "--json"]);
    expect(json(replayed.stdout)).toMatchObject({
      projection: "departures-by-origin",
      live: 1,
      version: 2,
      events: 4,
      promoted: false,
      equal: 1,
      differences: 0,
    });
    expect(replayed.exitCode).toBe(0);
  },
  STEP_MS,
);

it(
  "promotes the rebuilt version, which goes on from there",
  async () => {
    const promoted = await command(system, [
      "replay",
      "departures-by-origin",
      "--promote",
      "--json",
    ]);
    const { version } = json(promoted.stdout) as { version: number };
    expect(json(promoted.stdout)).toMatchObject({
      live: 1,
      promoted: true,
      differences: 0,
      changed: 0,
      retracted: 0,
    });

    await publish(
      departure("3", "2001-03-06T09:00:00Z", -5),
      heartbeat("beat-2", "2001-03-08T00:00:00Z"),
    );
    const followed = await command(
      system,
      "tail departures-by-origin --from-start --limit 2 --json".split(" "),
    );
    const results = followed.stdout.trim().split("\n").map(json);
    expect(results).toMatchObject([
      { version, window: { startTime: "2001-03-01T08:00:00.000Z" }, values: { departures: 2 } },
      { version, window: { startTime: "2001-03-06T09:00:00.000Z" }, values: { minDelay: -5 } },
    ]);
  },
  STEP_MS,
);

it(
  "shows the state of everything, for people and for programs",
  async () => {
    const status = json((await command(system, ["status", "--json"])).stdout);
    expect(status).toMatchObject({
      system: { gateway: system.run.gateway, natsUrl: `nats://127.0.0.1:${natsPort}` },
      deadLetters: [
        { projection: "departures-by-destination", reason: "late", count: 1 },
        { projection: "departures-by-origin", reason: "late", count: 1 },
      ],
    });
    const shown = await command(system, ["status"]);
    expect(shown.stdout).toMatch(/^departures-by-origin +\d+ +yes +2 /m);
    const doctor = await command(system, ["doctor"]);
    expect(doctor.stdout).toMatch(/^✓ durability +it syncs to disk before it acknowledges/m);
    expect(doctor.exitCode, doctor.stdout).toBe(0);
  },
  STEP_MS,
);

it(
  "audits the books of the running system, and a metric watches them",
  async () => {
    const audited = await command(system, ["audit", "--json"]);
    const { balanced, partitions } = json(audited.stdout) as {
      readonly balanced: boolean;
      readonly partitions: readonly Record<string, number>[];
    };
    expect(audited.exitCode, audited.stdout).toBe(0);
    expect(balanced).toBe(true);
    // Both projections read all partitions; everything was sent with one key.
    expect(partitions).toHaveLength(16);
    expect(partitions.map(({ logEvents }) => logEvents!).toSorted((a, b) => b - a)).toEqual([
      6,
      6,
      ...Array.from({ length: 14 }, () => 0),
    ]);
    const metrics = await Promise.all(
      system.run.processes.map(async ({ metrics: url }) => (await fetch(url)).text()),
    );
    const watched = [...metrics.join("").matchAll(/^tidemark_books_imbalance\{.*\} (\S+)$/gm)];
    expect(new Set(watched.map(([, value]) => value))).toEqual(new Set(["0"]));
  },
  STEP_MS,
);

it(
  "says what is wrong in a sentence, without a stack",
  async () => {
    const unknown = await command(system, ["list", "departures-by-moon"]);
    expect(unknown.exitCode).toBe(1);
    expect(unknown.stderr).toMatch(/^error: .*departures-by-moon/);
    expect(unknown.stderr).not.toMatch(/^ {4}at /m);
    const nowhere = await command(system, ["list", "x", "--gateway", "127.0.0.1:1"]);
    expect(nowhere.stderr).toBe(
      "error: no gateway answers at 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1\n" +
        "Start the system with `tidemark start`, or name another gateway with --gateway.\n",
    );
  },
  STEP_MS,
);
