/**
 * Events per CPU-second through scan, validation, partitioning and copy, without gRPC and log, and
 * the same for a version that decodes each request and encodes each record batch.
 *
 *     node --import tsx gateway/ingest/ingest.bench.ts [events a request] [seconds]
 *
 * Reports; asserts nothing about time. The books are checked: events counted = events sent.
 */
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { Event, RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { PublishBatchRequest } from "../../proto/gen/tidemark/v1/ingest.ts";
import { IngestService } from "./ingest-service.ts";
import { HeldClock, labTopic, NOW, READING, readingBytes } from "./lab-topic.suite.ts";

const REQUESTS = 200;
const KEYS = 1000;
const ROUND_MS = 100;

const [eventsPerRequest = 500, seconds = 5] = process.argv.slice(2).map(Number);

const request = (first: number): Buffer => {
  const writer = new BinaryWriter().uint32(10).string("lab");
  for (let i = first; i < first + eventsPerRequest; i++) {
    const id = `01980000-0000-7000-8000-${String(i).padStart(12, "0")}`;
    const value = readingBytes({ delay: (i % 100) - 10, count: i % 3000, place: "SFO", ok: true });
    const key = `K${(i * 7919) % KEYS}`;
    const data = { $case: "protobuf", value } as const;
    writer.uint32(18).fork();
    Event.encode({ id, type: READING, key, eventTime: NOW - i, data }, writer).join();
  }
  return Buffer.from(writer.finish());
};

/** Best and median events per CPU-second of many short rounds; other load only slows them. */
const measure = async (name: string, run: (request: Buffer) => void): Promise<void> => {
  const rates: number[] = [];
  let next = 0;
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const cpu = process.cpuUsage();
    const roundEnd = performance.now() + ROUND_MS;
    let done = 0;
    while (performance.now() < roundEnd) {
      for (let i = 0; i < 10; i++) run(requests[next++ % REQUESTS]);
      done += 10 * eventsPerRequest;
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { user, system } = process.cpuUsage(cpu);
    rates.push(done / (user + system));
  }
  rates.sort((a, b) => b - a);
  const [best, median] = [rates[0], rates[rates.length >> 1]].map((rate) => rate.toFixed(2));
  process.stdout.write(`${name}: best ${best}, median ${median} M events per CPU-second\n`);
};

const requests = Array.from({ length: REQUESTS }, (_, i) => request(i * eventsPerRequest));
const eventBytes = Math.round(requests[0].length / eventsPerRequest);
process.stdout.write(`${eventsPerRequest} events of ${eventBytes} bytes a request, 8 partitions\n`);

let sent = 0;
let stored = 0;
let sequence = 0;
const service = new IngestService({
  topics: [labTopic(8)],
  log: { append: () => Promise.resolve(++sequence), maxBytes: 1024 * 1024 },
  limits: { maxEventBytes: 65_536, maxBatchEvents: 100_000, maxRequestBytes: 64 * 1024 * 1024 },
  clock: new HeldClock(),
  metrics: {
    answered: (outcome) => (stored += outcome.stored),
    refused: (_method, reason) => {
      throw new Error(reason);
    },
    appended: () => {},
  },
});
await measure("scan, check, partition, copy", (bytes) => {
  sent += eventsPerRequest;
  service.submit("PublishBatch", bytes, () => {});
});
await measure("decode requests, encode batches", (bytes) => {
  const { events } = PublishBatchRequest.decode(bytes);
  RecordBatch.encode({ ingestTime: NOW, events, tick: undefined, rekeyed: undefined }).finish();
});
process.stdout.write(`${stored} of ${sent} events stored\n`);
if (stored !== sent) process.exitCode = 1;
