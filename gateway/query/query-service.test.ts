import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import type { Result, Value } from "../../proto/gen/tidemark/v1/result.ts";
import type {
  GetResultRequest,
  ListResultsRequest,
  ListResultsResponse,
} from "../../proto/gen/tidemark/v1/query.ts";
import { commitOf, HOUR, updateOf } from "./commits.suite.ts";
import { ask, QuerySystem } from "./query-system.suite.ts";
import type { Gateway } from "./query-system.suite.ts";

let system: QuerySystem;
let gateway: Gateway;

beforeEach(async () => {
  system = await QuerySystem.start();
});
afterEach(async () => {
  await gateway?.stop();
  await system.stop();
});

const start = async (): Promise<void> => {
  gateway = await system.gateway({ projections: [{ name: "departures", version: 1 }] });
};

const get = (over: Partial<GetResultRequest>) =>
  ask(gateway.client.getResult.bind(gateway.client), {
    projection: "departures",
    key: "ORD",
    windowStart: undefined,
    version: 0,
    ...over,
  });

const list = (over: Partial<ListResultsRequest>) =>
  ask(gateway.client.listResults.bind(gateway.client), {
    projection: "departures",
    keyPrefix: "",
    from: undefined,
    to: undefined,
    pageSize: 0,
    pageToken: "",
    version: 0,
    ...over,
  });

const rows = (response: unknown): string[] =>
  (response as ListResultsResponse).results.map(
    ({ key, window }) => `${key}@${window!.start / HOUR}`,
  );

describe("GetResult", () => {
  beforeEach(async () => {
    await system.commit(
      commitOf(1, [updateOf("ORD", 0, 7), updateOf("ORD", 2 * HOUR, 9), updateOf("", HOUR, 1)]),
    );
    await start();
  });

  it("gives the latest window of a key, or the one that starts at a time", async () => {
    const result: Result = {
      projection: "departures",
      version: 1,
      key: "ORD",
      window: { start: 2 * HOUR, end: 3 * HOUR },
      kind: Kind.KIND_FINAL,
      revision: 1,
      ordinal: 0,
      watermark: 3 * HOUR,
      position: { partition: 0, sequence: 1, index: 0 },
      values: [{ name: "flights", value: { kind: { $case: "intValue", value: "9" } } }],
    };
    expect(await get({})).toEqual({ result });
    expect(await get({ windowStart: 2 * HOUR, version: 1 })).toEqual({ result });
    expect(await get({ windowStart: 0 })).toMatchObject({ result: { window: { start: 0 } } });
    expect(await get({ key: "" })).toMatchObject({ result: { window: { start: HOUR } } });
  });

  it.each([
    [{ projection: "nope" }, 'unknown projection "nope"; the projections are "departures"'],
    [{ projection: "departure" }, 'unknown projection "departure"; did you mean "departures"?'],
    [{ projection: "" }, 'unknown projection ""; the projections are "departures"'],
    [{ version: 7 }, "projection departures has no version 7; it has 1"],
    [{ key: "SFO" }, 'projection departures, version 1, has no result for key "SFO"'],
    [
      { windowStart: HOUR },
      'projection departures, version 1, has no window of key "ORD" that starts at 3600000; ' +
        "its latest starts at 7200000",
    ],
  ])("NOT_FOUND says what is missing: %j", async (request, details) => {
    expect(await get(request)).toEqual({ code: "NOT_FOUND", details });
  });

  it("names the limit of keys", async () => {
    expect(await get({ key: "é".repeat(600) })).toEqual({
      code: "INVALID_ARGUMENT",
      details: "key: is 1200 bytes; the limit is 1024",
    });
  });
});

describe("values", () => {
  it("arrive as they were committed, to the last bit", async () => {
    const values: Value[] = [
      { kind: { $case: "intValue", value: "9223372036854775807" } },
      { kind: { $case: "intValue", value: "-9223372036854775808" } },
      { kind: { $case: "intValue", value: "9007199254740993" } },
      { kind: { $case: "doubleValue", value: 0.1 + 0.2 } },
      { kind: { $case: "doubleValue", value: -0 } },
      { kind: { $case: "doubleValue", value: 5e-324 } },
      { kind: { $case: "doubleValue", value: NaN } },
      { kind: { $case: "stringValue", value: "\u{1f6eb}\0" } },
      { kind: { $case: "bytesValue", value: Buffer.from([0, 255, 128]) } },
      { kind: undefined },
    ];
    const columns = values.map((_value, i) => `v${i}`);
    await system.commit(commitOf(1, [updateOf("ORD", 0, 0, { values })], { columns }));
    await start();
    const { result } = (await get({})) as { result: Result };
    expect(result.values).toEqual(values.map((value, i) => ({ name: `v${i}`, value })));
  });
});

describe("ListResults", () => {
  beforeEach(async () => {
    const updates = ["b", "a", "ab", "a\0"].flatMap((key) =>
      [2, -1, 0].map((hour) => updateOf(key, hour * HOUR, hour)),
    );
    await system.commit(commitOf(1, updates));
    await start();
  });

  it("lists by key, then by window start, a page at a time", async () => {
    const pages: string[][] = [];
    let pageToken = "";
    do {
      const page = (await list({ pageSize: 5, pageToken })) as ListResultsResponse;
      pages.push(rows(page));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(pages).toEqual([
      ["a@-1", "a@0", "a@2", "a\0@-1", "a\0@0"],
      ["a\0@2", "ab@-1", "ab@0", "ab@2", "b@-1"],
      ["b@0", "b@2"],
    ]);
  });

  it("has no token on the last page, even when that is full", async () => {
    expect(await list({ pageSize: 12 })).toMatchObject({ nextPageToken: "" });
    expect(await list({})).toMatchObject({ nextPageToken: "" });
  });

  it("selects by key prefix and by time", async () => {
    expect(rows(await list({ keyPrefix: "a\0" }))).toEqual(["a\0@-1", "a\0@0", "a\0@2"]);
    expect(rows(await list({ keyPrefix: "ab", from: 0 }))).toEqual(["ab@0", "ab@2"]);
    expect(rows(await list({ from: -HOUR, to: 0 }))).toEqual(["a@-1", "a\0@-1", "ab@-1", "b@-1"]);
    expect(rows(await list({ from: 1, to: 2 * HOUR }))).toEqual([]);
    expect(rows(await list({ keyPrefix: "c" }))).toEqual([]);
  });

  it("lets the page size change from page to page", async () => {
    const { nextPageToken } = (await list({ pageSize: 10 })) as ListResultsResponse;
    expect(rows(await list({ pageSize: 1, pageToken: nextPageToken }))).toEqual(["b@0"]);
  });

  it("stays with the version of the first page when another one is promoted", async () => {
    await system.commit(commitOf(1, [updateOf("z", 0, 1)], { version: 2 }));
    const { nextPageToken } = (await list({ pageSize: 11 })) as ListResultsResponse;
    await gateway.followed.reached(await system.promote("departures", 2));
    expect(rows(await list({ pageToken: nextPageToken }))).toEqual(["b@2"]);
    expect(rows(await list({}))).toEqual(["z@0"]);
  });

  it("refuses a token with other fields than those it was given for", async () => {
    const { nextPageToken: pageToken } = (await list({ pageSize: 1 })) as ListResultsResponse;
    const details =
      "page_token: was not given for this query; repeat the other fields as they were, or start " +
      "without it";
    for (const other of [{ keyPrefix: "a" }, { from: 0 }, { to: 9 }, { version: 1 }]) {
      expect(await list({ pageToken, ...other })).toEqual({ code: "INVALID_ARGUMENT", details });
    }
    for (const wrong of ["x", "AAAA", `${pageToken}A`]) {
      expect(await list({ pageToken: wrong })).toEqual({ code: "INVALID_ARGUMENT", details });
    }
  });

  it("names the limit of a page, and the mistake in a range", async () => {
    expect(await list({ pageSize: 10_001 })).toEqual({
      code: "INVALID_ARGUMENT",
      details: "page_size: is 10001; the limit is 10000",
    });
    expect(await list({ from: 5, to: 4 })).toEqual({
      code: "INVALID_ARGUMENT",
      details: "to: is 4, before from, which is 5",
    });
    expect(await list({ projection: "nope" })).toMatchObject({ code: "NOT_FOUND" });
    expect(await list({ keyPrefix: "x".repeat(1_025) })).toEqual({
      code: "INVALID_ARGUMENT",
      details: "key_prefix: is 1025 bytes; the limit is 1024",
    });
  });
});

describe("ListResults of much", () => {
  it("gives every row once, a default page of 1,000 at a time", async () => {
    const keys = Array.from({ length: 2_500 }, (_, i) => `k${String(i).padStart(5, "0")}`);
    await system.commit(
      commitOf(
        1,
        keys.map((key) => updateOf(key, 0, 1)),
      ),
    );
    await start();
    const sizes: number[] = [];
    const listed: string[] = [];
    let pageToken = "";
    do {
      const page = (await list({ pageToken })) as ListResultsResponse;
      sizes.push(page.results.length);
      listed.push(...page.results.map(({ key }) => key));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(sizes).toEqual([1_000, 1_000, 500]);
    expect(listed).toEqual(keys);
  });

  it("ends a page before it is too large for a client, and goes on after it", async () => {
    const text = "x".repeat(100_000);
    const values: Value[] = [{ kind: { $case: "stringValue", value: text } }];
    const updates = Array.from({ length: 60 }, (_, i) => updateOf(`k${i + 10}`, 0, 0, { values }));
    for (let i = 0; i < 6; i++) {
      await system.commit(commitOf(i + 1, updates.slice(i * 10, i * 10 + 10)));
    }
    await start();
    let listed = 0;
    let pages = 0;
    let pageToken = "";
    do {
      const page = (await list({ pageToken })) as ListResultsResponse;
      listed += page.results.length;
      pages++;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(listed).toBe(60);
    expect(pages).toBeGreaterThan(1);
  });
});

describe("ListProjections", () => {
  const projections = () =>
    ask(gateway.client.listProjections.bind(gateway.client), {}).then(
      (response) => (response as { projections: unknown[] }).projections,
    );

  it("lists every version with its results, least watermark and whether it is active", async () => {
    const busy = { partition: 1, watermark: 500 };
    const idle = { partition: 2, watermark: 3, idle: true };
    await system.commit(commitOf(1, [updateOf("a", 0, 1), updateOf("b", 0, 1)]));
    await system.commit(commitOf(1, [], busy));
    await system.commit(commitOf(1, [], idle));
    await system.commit(commitOf(1, [updateOf("a", 0, 1)], { version: 2, watermark: undefined }));
    await system.promote("departures", 2);
    gateway = await system.gateway({
      projections: [
        { name: "departures", version: 1 },
        { name: "arrivals", version: 1 },
      ],
    });
    const common = { projection: "departures", incomplete: false };
    expect(await projections()).toEqual([
      {
        ...common,
        projection: "arrivals",
        version: 1,
        active: true,
        results: 0,
        watermark: undefined,
      },
      { ...common, version: 1, active: false, results: 2, watermark: 500 },
      { ...common, version: 2, active: true, results: 1, watermark: undefined },
    ]);
  });

  it("says when commits were missed", async () => {
    await system.commit(commitOf(3, [updateOf("a", 0, 1)]));
    await start();
    expect(await projections()).toMatchObject([{ incomplete: true }]);
  });
});

describe("before the view has caught up", () => {
  it("answers UNAVAILABLE with its progress, not NOT_FOUND", async () => {
    await system.commit(commitOf(1, [updateOf("ORD", 0, 1)]));
    system.faults.add([{ at: "results.next", kind: "fail", times: 1_000_000 }]);
    gateway = await system.serve(await system.view());
    const answer = await get({});
    expect(answer).toMatchObject({ code: "UNAVAILABLE" });
    expect(answer).toMatchObject({ details: expect.stringContaining("still reading") });
    system.faults.clear();
  });
});
