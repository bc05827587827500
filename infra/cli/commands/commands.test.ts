import { status, type ServiceError } from "@grpc/grpc-js";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { expect, it, onTestFinished } from "vitest";
import { GLOBAL_END } from "../../../actors/window/global.ts";
import {
  Verdict,
  type PublishBatchRequest,
  type PublishBatchResponse,
} from "../../../proto/gen/tidemark/v1/ingest.ts";
import type { SubscribeRequest, SubscribeResponse } from "../../../proto/gen/tidemark/v1/query.ts";
import { Kind, type Result } from "../../../proto/gen/tidemark/v1/result.ts";
import { plain } from "../terminal/colour.ts";
import { get, list } from "./list.ts";
import { publish } from "./publish.ts";
import { resultLine } from "./result-line.ts";
import { tail } from "./tail.ts";

const HOUR_MS = 3_600_000;

const screen = () => {
  const written = { out: "", err: "" };
  const output = (stream: "out" | "err") => ({
    isTerminal: false,
    columns: 100,
    paint: plain,
    write: (text: string) => {
      written[stream] += text;
    },
  });
  return { written, terminal: { out: output("out"), err: output("err") } };
};

const noWait = () => Promise.resolve();

const result = (key: string, hour: number, departures: string): Result => ({
  projection: "departures-by-origin",
  version: 1,
  key,
  window: { start: hour * HOUR_MS, end: (hour + 1) * HOUR_MS },
  kind: Kind.KIND_FINAL,
  revision: 1,
  ordinal: 0,
  watermark: 0,
  position: undefined,
  values: [
    { name: "departures", value: { kind: { $case: "intValue", value: departures } } },
    { name: "meanDelay", value: { kind: { $case: "doubleValue", value: 1 / 3 } } },
    { name: "maxDelay", value: { kind: undefined } },
  ],
});

/** Answers each batch with what the test decides for an event. */
const ingest = (judge: (id: string, attempt: number) => Verdict) => {
  const batches: PublishBatchRequest[] = [];
  const publishBatch = (request: PublishBatchRequest): Promise<PublishBatchResponse> => {
    batches.push(request);
    const verdicts = request.events.map(({ id }) => judge(id, batches.length));
    return Promise.resolve({
      verdicts,
      partitions: verdicts.map(() => 0),
      sequences: verdicts.map(() => 1),
      rejections: verdicts.flatMap((verdict, index) =>
        verdict === Verdict.VERDICT_STORED
          ? []
          : [{ index, verdict, field: "data.amount", reason: "must be a number" }],
      ),
    });
  };
  return { batches, client: { publishBatch, address: "test:1" } };
};

const line = (id: string) => `{"id":"${id}","key":"k","time":0,"data":{}}`;
const publishing = { topic: "orders", type: "orders.Paid", file: "-", json: false };

it("publishes lines in batches and counts what was stored", async () => {
  const { written, terminal } = screen();
  const { batches, client } = ingest(() => Verdict.VERDICT_STORED);
  const lines = Array.from({ length: 1_200 }, (_, index) => line(String(index))).join("\n");
  const code = await publish(publishing, {
    client,
    terminal,
    makeId: () => "",
    sleep: noWait,
    stdin: Readable.from([lines]),
  });
  expect(code).toBe(0);
  expect(batches.map(({ events }) => events.length)).toEqual([500, 500, 200]);
  expect(batches.flatMap(({ events }) => events.map(({ id }) => id))).toEqual(
    Array.from({ length: 1_200 }, (_, index) => String(index)),
  );
  expect(written).toEqual({ out: "1,200 stored in orders\n", err: "" });
});

it("names rejected lines by their number, stores the others, and exits with 1", async () => {
  const dir = await mkdtemp(join(tmpdir(), "tidemark-publish-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const file = join(dir, "orders.jsonl");
  await writeFile(
    file,
    [line("good"), "", "nonsense", line("bad"), line("good2"), ""].join("\r\n"),
  );
  const { written, terminal } = screen();
  const { client } = ingest((id) =>
    id === "bad" ? Verdict.VERDICT_INVALID : Verdict.VERDICT_STORED,
  );
  const dependencies = { client, terminal, makeId: () => "", sleep: noWait, stdin: process.stdin };
  expect(await publish({ ...publishing, file, json: true }, dependencies)).toBe(1);
  expect(JSON.parse(written.out)).toEqual({
    stored: 2,
    quarantined: 0,
    rejected: 2,
    duplicate: 0,
    conflict: 0,
  });
  expect(written.err).toMatch(
    /^line 3: is not JSON: .*\nline 4: data\.amount: must be a number\n$/,
  );
});

it("tells which stored events will not count because they repeat an id of the input", async () => {
  const { written, terminal } = screen();
  const { client } = ingest(() => Verdict.VERDICT_STORED);
  const event = (id: string, key: string, data: string) =>
    `{"id":"${id}","key":"${key}","time":0,"data":${data}}`;
  const lines = [
    event("a", "k", '{"x":1,"y":2}'),
    event("a", "k", '{"y":2,"x":1}'),
    event("a", "k", '{"x":1}'),
    event("a", "other", '{"x":1}'),
  ];
  const stdin = Readable.from([lines.join("\n")]);
  await publish(publishing, { client, terminal, makeId: () => "", sleep: noWait, stdin });
  expect(written.out).toBe(
    "4 stored in orders (2 of them repeat an id within this input, 1 with other data: an id counts once)\n",
  );
});

it("sends events again, under the same ids, whose storage is not known", async () => {
  const { written, terminal } = screen();
  const { batches, client } = ingest((id, attempt) =>
    id === "b" && attempt < 3 ? Verdict.VERDICT_UNAVAILABLE : Verdict.VERDICT_STORED,
  );
  await publish(publishing, {
    client,
    terminal,
    makeId: () => "",
    sleep: noWait,
    stdin: Readable.from([[line("a"), line("b"), line("c")].join("\n")]),
  });
  expect(batches.map(({ events }) => events.map(({ id }) => id))).toEqual([
    ["a", "b", "c"],
    ["b"],
    ["b"],
  ]);
  expect(written.out).toBe("3 stored in orders\n");
});

it("makes an id once for an event without one: it is sent again under that", async () => {
  const { terminal } = screen();
  const { batches, client } = ingest((_id, attempt) =>
    attempt < 3 ? Verdict.VERDICT_UNAVAILABLE : Verdict.VERDICT_STORED,
  );
  let made = 0;
  const makeId = () => `made-${++made}`;
  const stdin = Readable.from(['{"key":"k","time":0,"data":{}}']);
  await publish(publishing, { client, terminal, makeId, sleep: noWait, stdin });
  expect(batches.map(({ events }) => events.map(({ id }) => id))).toEqual([
    ["made-1"],
    ["made-1"],
    ["made-1"],
  ]);
});

it.each(["dql", "dead-letters"])(
  "takes tail %s for the dead letters, and says so",
  async (name) => {
    const details = `there is no projection ${name}`;
    const error = Object.assign(new Error(details), { code: status.NOT_FOUND, details });
    // oxlint-disable-next-line require-yield
    const subscribe = async function* (): AsyncGenerator<SubscribeResponse> {
      throw error;
    };
    const { terminal } = screen();
    const options = { projection: name, keyPrefix: "", fromStart: false, json: false, limit: 1 };
    const client = { subscribe, address: "test:1" };
    const { signal } = new AbortController();
    await expect(tail(options, { client, terminal, sleep: noWait, signal })).rejects.toMatchObject({
      message: details,
      hint: "The dead letters are `tidemark tail dlq`.",
    });
  },
);

it("says which line the log did not take, and that sending again is safe", async () => {
  const { client } = ingest(() => Verdict.VERDICT_UNAVAILABLE);
  const { terminal } = screen();
  const stdin = Readable.from([`\n${line("a")}`]);
  await expect(
    publish(publishing, { client, terminal, makeId: () => "", sleep: noWait, stdin }),
  ).rejects.toThrow("the log has not taken 1 events, the first of them from line 2");
});

it("says what is wrong with a file that is not there", async () => {
  const { client } = ingest(() => Verdict.VERDICT_STORED);
  const { terminal } = screen();
  await expect(
    publish(
      { ...publishing, file: "/nowhere/orders.jsonl" },
      { client, terminal, makeId: () => "", sleep: noWait, stdin: process.stdin },
    ),
  ).rejects.toThrow("/nowhere/orders.jsonl cannot be read: ENOENT");
});

const update = (key: string, resumeToken: string): SubscribeResponse => ({
  event: { $case: "update", value: result(key, 8, "3") },
  resumeToken,
});

const serviceError = (code: status, details: string): ServiceError =>
  Object.assign(new Error(details), { code, details, metadata: undefined as never });

async function* refused(): AsyncGenerator<SubscribeResponse> {
  yield await Promise.reject(serviceError(status.UNAVAILABLE, "connection refused"));
}

/** Plays one script a subscription and notes what was asked for. */
const subscriptions = (...scripts: (() => AsyncGenerator<SubscribeResponse>)[]) => {
  const requests: SubscribeRequest[] = [];
  return {
    requests,
    client: {
      address: "test:1",
      subscribe: (request: SubscribeRequest) => {
        requests.push(request);
        return scripts[requests.length - 1]!();
      },
    },
  };
};

const tailing = {
  projection: "departures-by-origin",
  keyPrefix: "",
  fromStart: false,
  json: false,
  limit: 3,
};
const never = new AbortController().signal;

it("follows a projection and goes on where it was when the gateway was away", async () => {
  const { written, terminal } = screen();
  const { requests, client } = subscriptions(
    async function* () {
      yield update("ORD", "token-1");
      throw serviceError(status.UNAVAILABLE, "connection dropped");
    },
    refused,
    async function* () {
      yield update("ATL", "token-2");
      yield update("LAX", "token-3");
    },
  );
  expect(await tail(tailing, { client, terminal, sleep: noWait, signal: never })).toBe(0);
  expect(requests.map(({ resumeToken, updatesOnly }) => [resumeToken, updatesOnly])).toEqual([
    ["", true],
    ["token-1", false],
    ["token-1", false],
  ]);
  expect(written.out.split("\n")[0]).toBe(
    "1970-01-01 08:00:00  1970-01-01 09:00:00  ORD           final       r1    departures 3        meanDelay 0.333     maxDelay null",
  );
  expect(written.out.match(/ORD|ATL|LAX/g)).toEqual(["ORD", "ATL", "LAX"]);
  expect(written.err).toBe(
    "connection dropped; subscribing again\nconnection refused; subscribing again\n",
  );
});

it("begins with the current results when asked, and prints JSON", async () => {
  const { written, terminal } = screen();
  const { requests, client } = subscriptions(async function* () {
    yield { event: { $case: "snapshot", value: result("ORD", 8, "3") }, resumeToken: "" };
    yield { event: { $case: "snapshotEnd", value: { results: 1 } }, resumeToken: "token-1" };
    yield update("ATL", "token-2");
  });
  const options = { ...tailing, fromStart: true, json: true, limit: 2 };
  await tail(options, { client, terminal, sleep: noWait, signal: never });
  expect(requests[0]?.updatesOnly).toBe(false);
  const lines = written.out.trim().split("\n");
  expect(lines.map((text) => (JSON.parse(text) as { key: string }).key)).toEqual(["ORD", "ATL"]);
});

it("fails at once, with what to do, when there is no gateway", async () => {
  const { client } = subscriptions(refused);
  const { terminal } = screen();
  await expect(tail(tailing, { client, terminal, sleep: noWait, signal: never })).rejects.toThrow(
    "no gateway answers at test:1: connection refused",
  );
});

it("lists results as a table and says when there are more", async () => {
  const { written, terminal } = screen();
  const client = {
    listResults: async function* () {
      yield result("ATL", 8, "3");
      yield result("ORD", 8, "1234");
      yield result("ORD", 9, "7");
    },
  };
  const options = {
    projection: "departures-by-origin",
    keyPrefix: "",
    from: undefined,
    to: undefined,
    limit: 2,
    json: false,
  };
  expect(await list(options, client, terminal)).toBe(0);
  expect(written.out).toBe(
    [
      "window start (UTC)   window end (UTC)     key  departures  meanDelay  maxDelay  kind   rev",
      "1970-01-01 08:00:00  1970-01-01 09:00:00  ATL           3      0.333      null  final    1",
      "1970-01-01 08:00:00  1970-01-01 09:00:00  ORD        1234      0.333      null  final    1",
      "",
    ].join("\n"),
  );
  expect(written.err).toBe("only the first 2; more with --limit\n");
});

it("tells results of one key and window apart", async () => {
  const { written, terminal } = screen();
  const client = {
    async *listResults() {
      await Promise.resolve();
      yield result("ATL", 8, "3");
      yield { ...result("ATL", 8, "4"), ordinal: 1 };
    },
  };
  const options = { projection: "p", keyPrefix: "", from: undefined, to: undefined, limit: 9 };
  expect(await list({ ...options, json: false }, client, terminal)).toBe(0);
  expect(written.out).toBe(
    [
      "window start (UTC)   window end (UTC)     key  ordinal  departures  meanDelay  maxDelay  kind   rev",
      "1970-01-01 08:00:00  1970-01-01 09:00:00  ATL        0           3      0.333      null  final    1",
      "1970-01-01 08:00:00  1970-01-01 09:00:00  ATL        1           4      0.333      null  final    1",
      "",
    ].join("\n"),
  );
  const second = { ...result("ATL", 8, "4"), ordinal: 1 };
  expect(resultLine(second)).toContain("r1    ordinal 1  departures 4");
});

it("shows no end of the state of a fold, nor of a global window", async () => {
  const { written, terminal } = screen();
  const state = { ...result("ann", 8, "3"), window: { start: 0, end: GLOBAL_END } };
  const client = { getResult: () => Promise.resolve(state) };
  const options = { projection: "spent", key: "ann", windowStart: undefined, json: false };
  await get(options, client, terminal);
  expect(written.out).toContain("\n1970-01-01 00:00:00  -                 ann ");
});

it("prints one result as JSON without losing a digit", async () => {
  const { written, terminal } = screen();
  const client = { getResult: () => Promise.resolve(result("ORD", 8, "9007199254740993")) };
  await get(
    { projection: "departures-by-origin", key: "ORD", windowStart: undefined, json: true },
    client,
    terminal,
  );
  expect(written.out).toContain('"departures":9007199254740993,"meanDelay":0.3333333333333333');
});
