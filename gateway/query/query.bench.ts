/**
 * What the query side costs: taking commits in, reading rows, sending updates to a subscriber.
 *
 *     node --import tsx gateway/query/query.bench.ts [commits] [updates a commit] [keys]
 *
 * Time is CPU time of this process, its writer thread included, so other load matters little; the
 * subscriber's client runs in the process too. Reports; asserts nothing about time. What is read is
 * counted and must be all that was written.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { Effect } from "effect";
import { ResultLog } from "../../actors/ports/result-log.ts";
import type { ResultRecord } from "../../actors/ports/result-log.ts";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { QueryServiceClient } from "../../proto/gen/tidemark/v1/query.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { GatewayServer } from "../server.ts";
import { noQueryMetrics } from "./query-metrics.ts";
import { makeQueryService } from "./query-service.ts";
import { makeResultView } from "./result-view.ts";
import type { ResultView } from "./result-view.ts";

const [commits = 100, updatesPerCommit = 5_000, keys = 300] = process.argv.slice(2).map(Number);
const HOUR = 3_600_000;
const PROJECTION = "departures-by-origin";
const total = commits * updatesPerCommit;

const record = (number: number): ResultRecord => {
  const first = (number - 1) * updatesPerCommit;
  const updates = Array.from({ length: updatesPerCommit }, (_, i) => {
    const start = 978_307_200_000 + HOUR * Math.floor((first + i) / keys);
    return {
      key: `K${(first + i) % keys}`,
      windowStart: start,
      windowEnd: start + HOUR,
      kind: Kind.KIND_FINAL,
      revision: 1,
      ordinal: 0,
      watermark: start + HOUR,
      partition: 0,
      sequence: number,
      index: i,
      values: [
        { kind: { $case: "intValue" as const, value: String(i) } },
        { kind: { $case: "doubleValue" as const, value: i / 7 } },
        { kind: { $case: "doubleValue" as const, value: i } },
      ],
    };
  });
  const data = Commit.encode({
    projection: PROJECTION,
    version: 1,
    partition: 0,
    epoch: 1,
    number,
    partIndex: 0,
    partCount: 1,
    inputSequence: number,
    watermark: number,
    idle: false,
    digest: Buffer.alloc(8),
    books: undefined,
    ingestTime: 0,
    definitionDigest: Buffer.alloc(8),
    retainFrom: 0,
    columns: ["departures", "meanDelay", "maxDelay"],
    updates,
    partials: [],
    deadLetters: [],
    routed: [],
  }).finish();
  const subject = `results.${PROJECTION}.1.0`;
  return { sequence: number, subject, data, pending: commits - number };
};

const records = Array.from({ length: commits }, (_, i) => record(i + 1));

/** RESULTS as it stands: every reader gets four records at a time. */
const log = ResultLog.of({
  last: () => Effect.undefined,
  lastBefore: () => Effect.undefined,
  append: () => Effect.never,
  lastSequence: Effect.succeed(commits),
  trim: () => Effect.succeed(false),
  open: (_filters, fromSequence) =>
    Effect.sync(() => {
      let at = fromSequence - 1;
      const next = Effect.suspend(() => {
        if (at >= commits) return Effect.never;
        return Effect.succeed(records.slice(at, (at += 4)));
      });
      return { next };
    }),
});

const measure = async (name: string, unit: string, run: () => Promise<number>): Promise<void> => {
  const cpu = process.cpuUsage();
  const started = performance.now();
  const count = await run();
  const { user, system } = process.cpuUsage(cpu);
  const perSecond = Math.round((count / (performance.now() - started)) * 1_000);
  process.stdout.write(
    `${name}: ${((user + system) / count).toFixed(2)} us of CPU a ${unit}, ` +
      `${perSecond.toLocaleString("en")} a second (${count.toLocaleString("en")})\n`,
  );
};

const reads = (view: ResultView, windowStart: number | undefined) => async () => {
  const count = 100_000;
  for (let i = 0; i < count; i++) {
    const result = view.store.get(PROJECTION, 1, `K${i % keys}`, windowStart);
    if (result === undefined) throw new Error("a result is missing");
  }
  return count;
};

const scan = (view: ResultView) => async () => {
  const query = { projection: PROJECTION, version: 1, keyPrefix: "", from: undefined };
  const rows = view.store.scan({ ...query, to: undefined });
  let count = 0;
  while (!rows.done) count += rows.step(250, 250).length;
  return count;
};

const subscribe = (client: QueryServiceClient, resumeToken: string) => async () => {
  const stream = client.subscribe({
    projection: PROJECTION,
    keyPrefix: "",
    resumeToken,
    version: 0,
    updatesOnly: false,
  });
  let count = 0;
  for await (const { event } of stream as AsyncIterable<{ event?: { $case: string } }>) {
    if (event?.$case !== "snapshotEnd") count++;
    if (count === total) break;
  }
  return count;
};

const directory = mkdtempSync(join(tmpdir(), "tidemark-query-bench-"));
const bench = Effect.gen(function* () {
  const options = { directory, projections: [], metrics: noQueryMetrics };
  let view!: ResultView;
  const opening = makeResultView(options).pipe(
    Effect.tap((opened) => opened.caughtUp),
    Effect.map((opened) => void (view = opened)),
  );
  const context = yield* Effect.context<Effect.Services<typeof opening>>();
  const open = () => Effect.runPromise(Effect.provideContext(opening, context));
  yield* Effect.promise(() => measure("take commits in", "row", () => open().then(() => total)));
  const bytes = statSync(join(directory, "data.mdb")).size;
  process.stdout.write(`${(bytes / total).toFixed(0)} bytes of store a row\n`);
  yield* Effect.promise(() => measure("latest window of a key", "read", reads(view, undefined)));
  yield* Effect.promise(() => measure("one window", "read", reads(view, 978_307_200_000)));
  yield* Effect.promise(() => measure("list all", "row", scan(view)));
  const service = yield* makeQueryService(view, noQueryMetrics);
  const server = yield* Effect.promise(() =>
    GatewayServer.listen({
      host: "127.0.0.1",
      port: 0,
      services: [service],
      maxRequestBytes: 1024 * 1024,
      reflection: undefined,
      clock: { wallMs: () => 0, monotonicMs: () => 0, after: () => () => {} },
    }),
  );
  const client = new QueryServiceClient(server.address, credentials.createInsecure());
  yield* Effect.promise(() => measure("snapshot over gRPC", "row", subscribe(client, "")));
  const token = Buffer.from(JSON.stringify(["s1", PROJECTION, 1, 0, 0, []])).toString("base64url");
  yield* Effect.promise(() => measure("updates over gRPC", "update", subscribe(client, token)));
  client.close();
  yield* Effect.promise(() => server.shutdown(0));
});

process.stdout.write(
  `${commits} commits of ${updatesPerCommit} updates, ${keys} keys, ` +
    `${Math.round(records[0]!.data.length / updatesPerCommit)} bytes an update\n`,
);
await Effect.runPromise(Effect.scoped(Effect.provideService(bench, ResultLog, log)));
rmSync(directory, { recursive: true, force: true });
