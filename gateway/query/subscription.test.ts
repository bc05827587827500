import { status } from "@grpc/grpc-js";
import { Effect, Fiber, Semaphore } from "effect";
import { TestClock } from "effect/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SubscribeRequest, SubscribeResponse } from "../../proto/gen/tidemark/v1/query.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { commitMessage, commitOf, entriesOf, HOUR, recordOf, updateOf } from "./commits.suite.ts";
import { QuerySystem, Reading } from "./query-system.suite.ts";
import type { Gateway, ViewOptions } from "./query-system.suite.ts";
import { SNAPSHOT_MS_MAX } from "./limits.ts";
import { runSubscription } from "./subscription.ts";
import { ResultStore } from "./result-store.ts";
import { positionOf } from "./result-view.ts";

let system: QuerySystem;
let gateway: Gateway;

beforeEach(async () => {
  system = await QuerySystem.start();
});
afterEach(async () => {
  await gateway?.stop();
  await system.stop();
});

const start = async (options: ViewOptions = {}): Promise<void> => {
  gateway = await system.gateway({ projections: [{ name: "departures", version: 1 }], ...options });
};

const restart = async (options: ViewOptions = {}): Promise<void> => {
  await gateway.stop();
  await start(options);
};

const subscribe = (over: Partial<SubscribeRequest> = {}): Reading =>
  new Reading(
    gateway.client.subscribe({
      projection: "departures",
      keyPrefix: "",
      resumeToken: "",
      version: 0,
      updatesOnly: false,
      ...over,
    }),
  );

/** "=" a snapshot's result, "+" an update, "." the end of a snapshot, "!" where a token stands. */
const shown = (responses: readonly SubscribeResponse[]): string =>
  responses
    .map(({ event, resumeToken }) => {
      const mark = resumeToken === "" ? "" : "!";
      if (event?.$case === "snapshotEnd") return `.${event.value.results}${mark}`;
      const { key, revision } = event!.value as { key: string; revision: number };
      return `${event!.$case === "snapshot" ? "=" : "+"}${key}${revision}${mark}`;
    })
    .join(" ");

const revision = (key: string, number: number) => updateOf(key, 0, number, { revision: number });

const lastToken = (responses: readonly SubscribeResponse[]): string =>
  responses.findLast(({ resumeToken }) => resumeToken !== "")!.resumeToken;

describe("a subscription", () => {
  it("sends the results there are, then every update, with tokens between commits", async () => {
    await system.commit(commitOf(1, [revision("b", 1), revision("a", 1)]));
    await start();
    const reading = subscribe();
    expect(shown(await reading.snapshot())).toBe("=a1 =b1 .2!");
    await system.commit(commitOf(2, [revision("a", 2), revision("c", 1)]));
    await system.commit(commitOf(3, []));
    await system.commit(commitOf(4, [revision("c", 2)]));
    expect(shown(await reading.take(3))).toBe("+a2 +c1! +c2!");
  });

  it("sends retractions, and leaves retracted windows out of snapshots", async () => {
    const retraction = updateOf("a", 0, 0, { kind: Kind.KIND_RETRACTION, revision: 2, values: [] });
    await system.commit(commitOf(1, [revision("a", 1), revision("b", 1)]));
    await start();
    const reading = subscribe();
    expect(shown(await reading.snapshot())).toBe("=a1 =b1 .2!");
    await system.commit(commitOf(2, [retraction]));
    const [update] = await reading.take(1);
    expect(update!.event).toMatchObject({
      $case: "update",
      value: { key: "a", kind: Kind.KIND_RETRACTION, revision: 2, values: [] },
    });
    expect(shown(await subscribe().snapshot())).toBe("=b1 .1!");
  });

  it("sees keys of its prefix only, other projections and versions never", async () => {
    await system.commit(commitOf(1, [revision("ab", 1), revision("b", 1)]));
    await start();
    const reading = subscribe({ keyPrefix: "a" });
    expect(shown(await reading.snapshot())).toBe("=ab1 .1!");
    await system.commit(commitOf(1, [revision("aX", 1)], { projection: "arrivals" }));
    await system.commit(commitOf(1, [revision("aX", 1)], { version: 2 }));
    await system.commit(commitOf(2, [revision("a", 1), revision("b", 2), revision("ac", 1)]));
    expect(shown(await reading.take(2))).toBe("+a1 +ac1!");
  });

  it("sends a commit of several parts as one", async () => {
    await start();
    const reading = subscribe();
    await reading.snapshot();
    const part = (partIndex: number, key: string, columns: string[]) =>
      commitOf(1, [revision(key, 1)], { partIndex, partCount: 3, columns });
    await system.commit(part(0, "a", ["flights"]), part(1, "b", []), part(2, "c", []));
    const responses = await reading.take(3);
    expect(shown(responses)).toBe("+a1 +b1 +c1!");
    for (const { event } of responses) {
      expect(event!.value).toMatchObject({ values: [{ name: "flights" }] });
    }
  });

  it("with updates_only begins with the first update after it stands", async () => {
    await system.commit(commitOf(1, [revision("a", 1)]));
    await start();
    const reading = subscribe({ updatesOnly: true });
    await reading.started;
    await system.commit(commitOf(2, [revision("a", 2)]));
    expect(shown(await reading.take(1))).toBe("+a2!");
  });

  it("starts after the snapshot that it sent, though the view has not told of it yet", async () => {
    await system.commit(commitOf(1, [revision("a", 1)]));
    await start();
    const second = commitOf(2, [revision("a", 2)]);
    const { store } = ResultStore.open(system.folder);
    const transaction = store.begin();
    const record = recordOf(2, commitMessage(second));
    for (const entry of entriesOf([record])) transaction.add(entry);
    await store.commit(transaction, positionOf(record));
    await store.close();
    const reading = subscribe();
    expect(gateway.view.position).toBe(1);
    expect(shown(await reading.snapshot())).toBe("=a2 .1!");
    await system.commit(second);
    await system.commit(commitOf(3, [revision("a", 3)]));
    expect(shown(await reading.take(1))).toBe("+a3!");
  });

  it("reads what it is told of: an update that was sent is in the store", async () => {
    await start();
    const reading = subscribe({ updatesOnly: true });
    await reading.started;
    for (let number = 1; number <= 20; number++) {
      await system.commit(commitOf(number, [revision("a", number)]));
      await reading.next();
      const found = gateway.view.store.get("departures", 1, "a", undefined);
      expect(found?.revision).toBeGreaterThanOrEqual(number);
    }
  });
});

describe("resuming", () => {
  const history = async (reading: Reading) => {
    await reading.snapshot();
    await system.commit(commitOf(1, [revision("a", 1), revision("b", 1)]));
    await system.commit(commitOf(1, [revision("x", 1)], { partition: 1 }));
    await system.commit(commitOf(2, [revision("a", 2), revision("b", 2)]));
    return reading.take(5);
  };

  it.each([
    ["from memory", {}],
    ["from RESULTS, when memory does not reach back", { recentBytesMax: 1 }],
  ])("sends what came after the token, once: %s", async (_name, options) => {
    await start(options);
    const before = await history(subscribe());
    expect(shown(before)).toBe("+a1 +b1! +x1! +a2 +b2!");
    const resumed = subscribe({ resumeToken: before[2]!.resumeToken });
    expect(shown(await resumed.take(2))).toBe("+a2 +b2!");
    await system.commit(commitOf(3, [revision("a", 3)]));
    expect(shown(await resumed.take(1))).toBe("+a3!");
  });

  it.each([["the same store"], ["a rebuilt store"]])(
    "goes on after the gateway restarted with %s",
    async (kind) => {
      await start();
      const before = await history(subscribe());
      const options = kind === "the same store" ? {} : { directory: `${system.folder}/other` };
      await restart(options);
      const resumed = subscribe({ resumeToken: before[1]!.resumeToken });
      expect(shown(await resumed.take(3))).toBe("+x1! +a2 +b2!");
      await system.commit(commitOf(2, [revision("x", 2)], { partition: 1 }));
      expect(shown(await resumed.take(1))).toBe("+x2!");
    },
  );

  it("goes on from the end of a snapshot", async () => {
    await system.commit(commitOf(1, [revision("a", 1)]));
    await start();
    const snapshot = await subscribe().snapshot();
    await system.commit(commitOf(2, [revision("a", 2)]));
    await restart();
    const resumed = subscribe({ resumeToken: lastToken(snapshot) });
    expect(shown(await resumed.take(1))).toBe("+a2!");
  });

  it("is OUT_OF_RANGE when updates after the token were trimmed, on any gateway", async () => {
    await start();
    const before = await history(subscribe());
    const third = await system.commit(commitOf(3, [revision("a", 3)]));
    await system.run(system.log.trim("results.departures.1.0", third));
    const expected = {
      code: "OUT_OF_RANGE",
      details:
        "updates after this place are no longer retained (commit 2 of partition 0 was to come " +
        "and 3 came): subscribe afresh, without a token",
    };
    await restart();
    const resumed = subscribe({ resumeToken: before[1]!.resumeToken });
    // Of the other task nothing is missing.
    expect(shown(await resumed.take(1))).toBe("+x1!");
    await expect(resumed.next()).rejects.toThrow("OUT_OF_RANGE");
    expect(await resumed.ended).toEqual(expected);
    await restart({ directory: `${system.folder}/other` });
    const elsewhere = subscribe({ resumeToken: before[1]!.resumeToken });
    expect(await elsewhere.ended).toEqual(expected);
    const kept = subscribe({ resumeToken: before[4]!.resumeToken });
    expect(shown(await kept.take(1))).toBe("+a3!");
  });

  it("refuses tokens of other subscriptions, and what is no token", async () => {
    await system.commit(commitOf(1, [revision("a", 1)], { version: 2 }));
    await start();
    const token = lastToken(await history(subscribe()));
    const details = (fields: string) =>
      `resume_token: was not given for this subscription; repeat its ${fields} as they were, or ` +
      "start without it";
    const other = "projection and key_prefix";
    expect(await subscribe({ resumeToken: "nonsense" }).ended).toEqual({
      code: "INVALID_ARGUMENT",
      details: details(other),
    });
    expect(await subscribe({ resumeToken: token, keyPrefix: "a" }).ended).toEqual({
      code: "INVALID_ARGUMENT",
      details: details(other),
    });
    expect(await subscribe({ resumeToken: token, version: 2 }).ended).toEqual({
      code: "INVALID_ARGUMENT",
      details: details("version"),
    });
  });

  it("is OUT_OF_RANGE with a token of another log", async () => {
    await start();
    const token = lastToken(await history(subscribe()));
    await gateway.stop();
    await system.stop();
    system = await QuerySystem.start();
    await start();
    expect(await subscribe({ resumeToken: token }).ended).toMatchObject({
      code: "OUT_OF_RANGE",
      details: expect.stringContaining("belongs to another log"),
    });
  });
});

describe("a promotion", () => {
  const twoVersions = async () => {
    await system.commit(commitOf(1, [revision("a", 1)]));
    await system.commit(commitOf(1, [revision("z", 1)], { version: 2 }));
    await start();
  };
  const ended = {
    code: "ABORTED",
    details:
      "version 2 of departures was promoted, and these were updates of version 1: subscribe afresh " +
      "for the results of the active version, or name a version to stay with it",
  };

  it("ends subscriptions that follow the active version, after its last update", async () => {
    await twoVersions();
    const following = subscribe();
    const staying = subscribe({ version: 1 });
    expect(shown(await following.snapshot())).toBe("=a1 .1!");
    await staying.snapshot();
    await system.commit(commitOf(2, [revision("a", 2)]));
    await system.promote("departures", 2);
    await system.commit(commitOf(3, [revision("a", 3)]));
    expect(shown(await following.take(1))).toBe("+a2!");
    await expect(following.next()).rejects.toThrow("ABORTED");
    expect(await following.ended).toEqual(ended);
    expect(shown(await staying.take(2))).toBe("+a2! +a3!");
    expect(shown(await subscribe().snapshot())).toBe("=z1 .1!");
  });

  it("ends a resumed one too, wherever it stood", async () => {
    await twoVersions();
    const resumeToken = lastToken(await subscribe().snapshot());
    await gateway.followed.reached(await system.promote("departures", 2));
    expect(await subscribe({ resumeToken }).ended).toEqual(ended);
    const staying = subscribe({ resumeToken, version: 1 });
    await staying.started;
    await system.commit(commitOf(2, [revision("a", 2)]));
    expect(shown(await staying.take(1))).toBe("+a2!");
  });
});

describe("what cannot be subscribed to", () => {
  it("is named", async () => {
    await start();
    expect(await subscribe({ projection: "nope" }).ended).toEqual({
      code: "NOT_FOUND",
      details: 'unknown projection "nope"; the projections are "departures"',
    });
    expect(await subscribe({ version: 9 }).ended).toEqual({
      code: "NOT_FOUND",
      details: "projection departures has no version 9; it has 1",
    });
    expect(await subscribe({ keyPrefix: "x".repeat(2_000) }).ended).toEqual({
      code: "INVALID_ARGUMENT",
      details: "key_prefix: is 2000 bytes; the limit is 1024",
    });
  });
});

describe("the end", () => {
  it("is UNAVAILABLE when the gateway drains, and the token stays good", async () => {
    await system.commit(commitOf(1, [revision("a", 1)]));
    await start();
    const reading = subscribe();
    const resumeToken = lastToken(await reading.snapshot());
    await gateway.service.drain();
    await expect(reading.next()).rejects.toThrow("UNAVAILABLE");
    expect(await reading.ended).toEqual({
      code: "UNAVAILABLE",
      details: "this gateway is shutting down; connect again and resume with the last token",
    });
    expect(await subscribe().ended).toMatchObject({ code: "UNAVAILABLE" });
    await system.commit(commitOf(2, [revision("a", 2)]));
    await restart();
    expect(shown(await subscribe({ resumeToken }).take(1))).toBe("+a2!");
  });

  it("frees the subscription when the client cancels", async () => {
    await start();
    const reading = subscribe();
    await reading.snapshot();
    expect(gateway.service.subscriptions).toBe(1);
    reading.stream.cancel();
    expect(await reading.ended).toMatchObject({ code: status[status.CANCELLED] });
    // One more round trip: by then the server has heard of it.
    const next = subscribe();
    await next.snapshot();
    expect(gateway.service.subscriptions).toBe(1);
  });
});

describe("a consumer that does not read", () => {
  it("is ended within its snapshot after a while, so that the store can reuse pages", async () => {
    await system.commit(commitOf(1, [revision("a", 1), revision("b", 1)]));
    await start();
    const written: SubscribeResponse[] = [];
    const sink = {
      write: (response: SubscribeResponse) => written.push(response) < 0,
      drained: Effect.never,
      started: () => {},
    };
    const { view } = gateway;
    const request = { projection: "departures", version: 1, keyPrefix: "" };
    const subscription = { ...request, start: "snapshot" as const };
    const permits = Semaphore.makeUnsafe(1);
    const refusal = await system.run(
      Effect.gen(function* () {
        const ending = yield* Effect.forkChild(
          Effect.flip(runSubscription(view, subscription, permits, sink)),
          { startImmediately: true },
        );
        yield* TestClock.adjust(SNAPSHOT_MS_MAX);
        return yield* Fiber.join(ending);
      }).pipe(Effect.provide(TestClock.layer())),
    );
    expect(refusal.status.code).toBe(status.ABORTED);
    expect(refusal.message).toMatch(/^the snapshot was not read within 10 minutes/);
    expect(shown(written)).toBe("=a1");
    const others = Semaphore.takeIfAvailable(permits, 1);
    expect(await Effect.runPromise(others)).toBe(true);
  });

  it("gets everything later, once and in order, though memory holds little of it", async () => {
    await start({ recentBytesMax: 10_000 });
    const reading = subscribe();
    await reading.snapshot();
    reading.stream.pause();
    const commits = 300;
    const long = "x".repeat(2_000);
    let last = 0;
    for (let number = 1; number <= commits; number++) {
      const values = [{ kind: { $case: "stringValue" as const, value: long } }];
      const updates = ["a", "b"].map((key) =>
        updateOf(key, number * HOUR, 0, { values, revision: number }),
      );
      last = await system.commit(commitOf(number, updates));
    }
    await gateway.followed.reached(last);
    expect(gateway.view.recent.since).toBeGreaterThan(last - 10);
    const responses = await reading.take(2 * commits);
    const expected = Array.from({ length: commits }, (_, i) => `+a${i + 1} +b${i + 1}!`);
    expect(shown(responses)).toBe(expected.join(" "));
  });
});
