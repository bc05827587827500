/**
 * What many subjects cost a nats-server: the same updates published once on a subject for each key and
 * once on 1,024 bucket subjects, as the relay publishes them, with fsync before each acknowledgement.
 *
 *     node --import tsx infra/bench/subjects.ts [updates, by default 1,000,000]
 *
 * Figures depend on the machine; what matters is the ratio of the two rows. Needs Linux for the
 * server's memory. A run that takes longer than RUN_MS_MAX is cut off.
 */
import { readFileSync } from "node:fs";
import { arch, availableParallelism, cpus, platform, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { Effect, Layer } from "effect";
import { connect, DeliverPolicy, type OrderedConsumerOptions } from "nats";
import { partitionOf } from "../../proto/partitioner.ts";
import { updateToJson } from "../../proto/result-json.ts";
import { escapeKey, PROJECTIONS_STREAM, UPDATE_HEADERS } from "../../proto/subjects.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { RelayTarget, type OutgoingMessage } from "../../actors/ports/relay-target.ts";
import { subjectToken } from "../../actors/relay/messages.ts";
import type { SubjectsDefinition } from "../../projections/definition/definition.ts";
import { bytes, count, duration } from "../cli/terminal/format.ts";
import { renderTable } from "../cli/terminal/table.ts";
import { connectionLayer, natsRelayTarget, provision } from "../nats/index.ts";
import { startTestServers, type TestServer } from "../servers/testing.ts";

const UPDATES_MAX = 10_000_000;
const RUN_MS_MAX = 15 * 60_000;
const PROJECTION = "bench";
const HOUR = 3_600_000;
const START = 978_307_200_000;

interface Figures {
  readonly subjects: number;
  readonly publishMs: number;
  readonly emptyRss: number;
  readonly rss: number;
  readonly storedBytes: number;
  /** From asking for every message to the last of them. */
  readonly everythingMs: number;
  /** From asking for the last message of each subject to the first and to all of them. */
  readonly firstMs: number;
  readonly allMs: number;
  readonly delivered: number;
  readonly consumerRss: number;
  readonly lookupMs: number;
  readonly restartMs: number;
  readonly restartRss: number;
  readonly killedRestartMs: number;
}

const now = (): number => performance.now();

const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;

const keyOf = (index: number): string => `user-${String(index).padStart(8, "0")}`;

const messageOf = (by: SubjectsDefinition, index: number): OutgoingMessage => {
  const key = keyOf(index);
  const update = {
    key,
    windowStart: START,
    windowEnd: START + HOUR,
    kind: Kind.KIND_FINAL,
    revision: 1,
    ordinal: 0,
    watermark: START + HOUR,
    partition: 0,
    sequence: index,
    index: 0,
    values: [
      { kind: { $case: "intValue" as const, value: String(index) } },
      { kind: { $case: "doubleValue" as const, value: index / 7 } },
    ],
  };
  const source = { projection: PROJECTION, version: 1, columns: ["events", "meanAmount"] };
  return {
    subject: `projections.${PROJECTION}.${subjectToken(by, key)}`,
    headers: [
      [UPDATE_HEADERS.kind, "final"],
      [UPDATE_HEADERS.revision, "1"],
      [UPDATE_HEADERS.version, "1"],
      [UPDATE_HEADERS.windowStart, String(START)],
      [UPDATE_HEADERS.windowEnd, String(START + HOUR)],
      [UPDATE_HEADERS.watermark, String(START + HOUR)],
      [UPDATE_HEADERS.key, escapeKey(key)],
    ],
    data: new TextEncoder().encode(updateToJson(source, update)),
  };
};

const fill = (url: string, by: SubjectsDefinition, updates: number) => {
  const adapters = natsRelayTarget.pipe(
    Layer.provideMerge(Layer.effectDiscard(provision({ topics: [] }))),
    Layer.provideMerge(connectionLayer({ url, name: "bench" })),
  );
  return Effect.gen(function* () {
    const { publish, batchSizeMax } = yield* RelayTarget;
    let cursor = { position: 0, offset: 0, epoch: 1, revision: 0 };
    const startedAt = now();
    for (let from = 0; from < updates; from += batchSizeMax) {
      const size = Math.min(batchSizeMax, updates - from);
      const messages = Array.from({ length: size }, (_, i) => messageOf(by, from + i));
      const revision = yield* publish("projections", messages, cursor);
      cursor = { ...cursor, position: cursor.position + 1, revision };
    }
    return now() - startedAt;
  }).pipe(Effect.provide(adapters), Effect.runPromise);
};

/** A late subscriber of everything or of the last of each subject, until nothing is pending. */
const subscribe = async (url: string, policy: Partial<OrderedConsumerOptions>) => {
  const connection = await connect({ servers: url });
  const jetstream = connection.jetstream({ timeout: 60_000 });
  const askedAt = now();
  const consumer = await jetstream.consumers.get(PROJECTIONS_STREAM, {
    filterSubjects: `projections.${PROJECTION}.*`,
    ...policy,
  });
  let delivered = 0;
  let firstMs = 0;
  const messages = await consumer.consume({ max_messages: 10_000 });
  for await (const message of messages) {
    if (++delivered === 1) firstMs = now() - askedAt;
    if (message.info.pending === 0) break;
  }
  const allMs = now() - askedAt;
  await connection.close();
  return { firstMs, allMs, delivered };
};

/** The median time to read the last message of one subject. */
const lookup = async (url: string, by: SubjectsDefinition, updates: number) => {
  const connection = await connect({ servers: url });
  const manager = await connection.jetstreamManager();
  const times: number[] = [];
  for (let i = 0; i < 101; i++) {
    const token = subjectToken(by, keyOf(partitionOf(String(i), updates)));
    const askedAt = now();
    await manager.streams.getMessage(PROJECTIONS_STREAM, {
      last_by_subj: `projections.${PROJECTION}.${token}`,
    });
    times.push(now() - askedAt);
  }
  const { state } = await manager.streams.info(PROJECTIONS_STREAM);
  await connection.close();
  return { lookupMs: times.toSorted((a, b) => a - b)[50]!, state };
};

/** Until the stream answers again. */
const restart = async (server: TestServer, end: () => Promise<void>): Promise<number> => {
  await end();
  const startedAt = now();
  await server.start();
  const connection = await connect({ servers: server.url });
  const manager = await connection.jetstreamManager({ timeout: 60_000 });
  await manager.streams.info(PROJECTIONS_STREAM);
  const ms = now() - startedAt;
  await connection.close();
  return ms;
};

const measure = async (by: SubjectsDefinition, updates: number): Promise<Figures> => {
  const servers = await startTestServers();
  const { nats } = servers;
  try {
    const emptyRss = residentBytes(nats.pid());
    const publishMs = await fill(nats.url, by, updates);
    const rss = residentBytes(nats.pid());
    const { lookupMs, state } = await lookup(nats.url, by, updates);
    const everything = await subscribe(nats.url, {});
    const consumer = await subscribe(nats.url, {
      deliver_policy: DeliverPolicy.LastPerSubject,
    });
    const consumerRss = residentBytes(nats.pid());
    const restartMs = await restart(nats, nats.stop);
    const restartRss = residentBytes(nats.pid());
    const killedRestartMs = await restart(nats, nats.kill9);
    return {
      subjects: (state.num_subjects ?? 0) - 1,
      publishMs,
      emptyRss,
      rss,
      storedBytes: state.bytes,
      everythingMs: everything.allMs,
      ...consumer,
      consumerRss,
      lookupMs,
      restartMs,
      restartRss,
      killedRestartMs,
    };
  } finally {
    await servers.dispose();
  }
};

const report = (rows: readonly Figures[], updates: number): string => {
  const figures: readonly (readonly [string, (row: Figures) => string])[] = [
    ["subjects", (row) => count(row.subjects)],
    ["published", (row) => `${count(Math.round((updates / row.publishMs) * 1_000))}/s`],
    ["stored", (row) => bytes(row.storedBytes)],
    ["server memory, empty", (row) => bytes(row.emptyRss)],
    ["server memory, filled", (row) => bytes(row.rss)],
    ["server memory, after the consumer", (row) => bytes(row.consumerRss)],
    ["server memory, after a restart", (row) => bytes(row.restartRss)],
    ["last message of one subject", (row) => `${row.lookupMs.toFixed(1)} ms`],
    ["every message of the stream", (row) => duration(row.everythingMs)],
    ["last per subject: messages", (row) => count(row.delivered)],
    ["last per subject: first message", (row) => duration(row.firstMs)],
    ["last per subject: all messages", (row) => duration(row.allMs)],
    ["restart after SIGTERM", (row) => duration(row.restartMs)],
    ["restart after SIGKILL", (row) => duration(row.killedRestartMs)],
  ];
  const right = (header: string) => ({ header, align: "right" as const });
  return renderTable(
    [{ header: "" }, right("by key"), right("1,024 buckets")],
    figures.map(([name, show]) => [name, ...rows.map(show)]),
    (_, text) => text,
  );
};

const main = async (): Promise<void> => {
  const { positionals } = parseArgs({ allowPositionals: true });
  const updates = Number((positionals[0] ?? "1000000").replaceAll(/[,_]/g, ""));
  if (!Number.isSafeInteger(updates) || updates < 1 || updates > UPDATES_MAX) {
    throw new Error(`the number of updates must be from 1 to ${count(UPDATES_MAX)}`);
  }
  const deadline = setTimeout(() => {
    process.stderr.write(`not done within ${duration(RUN_MS_MAX)}\n`);
    process.exit(1);
  }, RUN_MS_MAX);
  const byBucket = await measure({ by: "bucket", buckets: 1_024 }, updates);
  const byKey = await measure({ by: "key" }, updates);
  clearTimeout(deadline);
  process.stdout.write(
    `${count(updates)} updates; ${availableParallelism()} cores (${cpus()[0]?.model ?? "unknown"}), ` +
      `${bytes(totalmem())} memory, ${platform()} ${arch()}, Node ${process.version}\n\n` +
      report([byKey, byBucket], updates),
  );
};

await main();
