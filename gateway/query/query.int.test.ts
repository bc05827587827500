/** The query side on a real RESULTS: server restarts, retention, commits of several parts. */
import { Layer } from "effect";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { natsLayer } from "../../infra/nats/layer.ts";
import { provision } from "../../infra/nats/provision.ts";
import { startTestServers, type TestServers } from "../../infra/servers/testing.ts";
import { commitSubject } from "../../proto/subjects.ts";
import { commitMessage, commitOf, updateOf } from "./commits.suite.ts";
import { temporaryFolder } from "./temporary-folder.suite.ts";
import { ask, QuerySystem, Reading } from "./query-system.suite.ts";
import type { Gateway } from "./query-system.suite.ts";

let servers: TestServers;
let system: QuerySystem;
let gateway: Gateway;
/** Each test has a projection of its own in the same RESULTS. */
let projection = "";
let tests = 0;

beforeAll(async () => {
  servers = await startTestServers();
  const url = servers.natsUrl;
  system = await QuerySystem.start(
    Layer.effectDiscard(provision({ topics: [] })).pipe(Layer.provideMerge(natsLayer({ url }))),
  );
  gateway = await system.gateway();
});
afterAll(async () => {
  await gateway.stop();
  await system.stop();
  await servers.dispose();
});
beforeEach(() => {
  projection = `departures-${++tests}`;
});

const restart = async (directory = system.folder): Promise<void> => {
  await gateway.stop();
  gateway = await system.gateway({ directory });
};

const revision = (key: string, number: number) => updateOf(key, 0, number, { revision: number });

const commit = (number: number, ...keys: string[]) =>
  system.commit(
    commitOf(
      number,
      keys.map((key) => revision(key, number)),
      { projection },
    ),
  );

const subscribe = (resumeToken = ""): Reading =>
  new Reading(
    gateway.client.subscribe({
      projection,
      keyPrefix: "",
      resumeToken,
      version: 0,
      updatesOnly: false,
    }),
  );

const updates = async (reading: Reading, count: number): Promise<string[]> =>
  (await reading.take(count)).map(({ event }) => {
    const { key, revision: number } = event!.value as { key: string; revision: number };
    return `${key}${number}`;
  });

describe("over JetStream", () => {
  it("answers, subscribes, and resumes after the gateway and its store are gone", async () => {
    await gateway.followed.reached(await commit(1, "a", "b"));
    const reading = subscribe();
    const snapshot = await reading.snapshot();
    expect(snapshot).toHaveLength(3);
    await commit(2, "a");
    expect(await updates(reading, 1)).toEqual(["a2"]);
    await restart(temporaryFolder());
    const resumed = subscribe(snapshot[2]!.resumeToken);
    expect(await updates(resumed, 1)).toEqual(["a2"]);
    await commit(3, "c");
    expect(await updates(resumed, 1)).toEqual(["c3"]);
    const got = await ask(gateway.client.getResult.bind(gateway.client), {
      projection,
      key: "a",
      windowStart: 0,
      version: 1,
    });
    expect(got).toMatchObject({ result: { key: "a", revision: 2 } });
    expect(system.logged.filter((line) => line.includes("missing"))).toEqual([]);
  });

  it("sees a commit of many parts whole", async () => {
    await gateway.followed.reached(await commit(1, "a"));
    const reading = subscribe();
    await reading.snapshot();
    const partCount = 40;
    const parts = Array.from({ length: partCount }, (_, partIndex) =>
      commitOf(2, [revision(`k${partIndex}`, 2)], { projection, partIndex, partCount }),
    );
    const [first, ...rest] = parts;
    await system.commit(first!, ...rest);
    const responses = await reading.take(partCount);
    const tokens = responses.map(({ resumeToken }) => resumeToken !== "");
    expect(tokens).toEqual([...Array.from({ length: partCount - 1 }, () => false), true]);
  });

  it("has caught up although RESULTS ends with what it does not read", async () => {
    await gateway.followed.reached(await commit(1, "a"));
    const partial = { kind: "partial" as const, projection, version: 1, partition: 0 };
    const { data } = commitMessage(commitOf(1, [], { projection }));
    await system.append({ subject: commitSubject(partial), data });
    await restart();
    expect(gateway.view.isCaughtUp).toBe(true);
    await restart(temporaryFolder());
    expect(gateway.view.isCaughtUp).toBe(true);
  });

  it("goes on after the server was killed", async () => {
    await gateway.followed.reached(await commit(1, "a"));
    const reading = subscribe();
    await reading.snapshot();
    await servers.nats.kill9();
    const got = await ask(gateway.client.listProjections.bind(gateway.client), {});
    expect(got).toHaveProperty("projections");
    await servers.nats.start();
    await gateway.followed.reached(await commit(2, "a", "b"));
    expect(await updates(reading, 2)).toEqual(["a2", "b2"]);
    expect(gateway.view.generation).toBe(0);
  });

  it("says OUT_OF_RANGE when what followed the token was trimmed", async () => {
    await gateway.followed.reached(await commit(1, "a"));
    const { resumeToken } = (await subscribe().snapshot()).at(-1)!;
    await commit(2, "a");
    const third = await commit(3, "a");
    await gateway.followed.reached(third);
    const subject = commitSubject({ kind: "window", projection, version: 1, partition: 0 });
    await system.run(system.log.trim(subject, third));
    await restart(temporaryFolder());
    expect(await subscribe(resumeToken).ended).toMatchObject({ code: "OUT_OF_RANGE" });
    const missing = system.logged.filter((line) =>
      line.includes(`results of ${projection} may be`),
    );
    expect(missing).toHaveLength(1);
    const listed = await ask(gateway.client.listProjections.bind(gateway.client), {});
    const { projections } = listed as {
      projections: { projection: string; incomplete: boolean }[];
    };
    expect(projections.find((status) => status.projection === projection)?.incomplete).toBe(true);
  });

  it("reads what is behind memory from the server, for a consumer that stands still", async () => {
    await gateway.stop();
    gateway = await system.gateway({ recentBytesMax: 1 });
    await gateway.followed.reached(await commit(1, "a"));
    const reading = subscribe();
    await reading.snapshot();
    reading.stream.pause();
    let last = 0;
    for (let number = 2; number <= 200; number++) last = await commit(number, "a", "b");
    await gateway.followed.reached(last);
    const expected = Array.from({ length: 199 }, (_, i) => [`a${i + 2}`, `b${i + 2}`]).flat();
    expect(await updates(reading, expected.length)).toEqual(expected);
  });
});
