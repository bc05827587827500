import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { status } from "@grpc/grpc-js";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { Event } from "../../proto/gen/tidemark/v1/event.ts";
import { PublishBatchRequest, Verdict } from "../../proto/gen/tidemark/v1/ingest.ts";
import { partitionOf } from "../../proto/partitioner.ts";
import { HeldLog, QuickLog } from "./held-log.suite.ts";
import { type IngestOptions, IngestService } from "./ingest-service.ts";
import { LabGateway } from "./lab-gateway.suite.ts";
import { HeldClock, labEvent, labSchemas, labTopic, NOW, READING } from "./lab-topic.suite.ts";
import { noMetrics } from "./metrics.ts";

const { VERDICT_STORED, VERDICT_INVALID } = Verdict;

let lab: LabGateway | undefined;

const start = async (
  options: Partial<IngestOptions> & Pick<IngestOptions, "log">,
): Promise<LabGateway> => {
  lab = await LabGateway.start(options);
  return lab;
};
afterEach(() => lab?.close());

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe("Publish", () => {
  it("answers with the id and the position", async () => {
    const log = new QuickLog();
    const { publish } = bound(await start({ log: log.service }));
    await publish({ topic: "lab", event: labEvent({ id: "first" }) });
    const { response } = await publish({ topic: "lab", event: labEvent({ id: "second" }) });
    expect(response).toEqual({
      id: "second",
      verdict: VERDICT_STORED,
      position: { partition: partitionOf("key-1", 4), sequence: 2, index: 0 },
    });
    expect(log.events()[1]).toMatchObject({ event: labEvent({ id: "second" }), ingestTime: NOW });
  });

  it("makes a UUIDv7 of the ingest time for an event without id", async () => {
    const log = new QuickLog();
    const { publish } = bound(await start({ log: log.service }));
    const { response } = await publish({ topic: "lab", event: labEvent({ id: "" }) });
    expect(response!.id).toMatch(UUID_V7);
    expect(Number.parseInt(response!.id.replaceAll("-", "").slice(0, 12), 16)).toBe(NOW);
    expect(log.events()[0].event).toEqual(labEvent({ id: response!.id }));
  });

  it("tells the index within a shared record batch", async () => {
    const log = new HeldLog();
    const { publish } = bound(
      await start({ log: log.service, batching: { appendsInFlightMax: 1 } }),
    );
    const first = publish({ topic: "other", event: labEvent({ id: "1" }) });
    await log.arrived();
    const later = ["2", "3", "4"].map((id) => publish({ topic: "other", event: labEvent({ id }) }));
    await until(() => lab!.service.open === 4);
    await log.waiting[0].acknowledge();
    await first;
    await log.arrived();
    await log.waiting[0].acknowledge();
    const answers = await Promise.all(later);
    const told = answers.map(({ response }) => [response!.id, response!.position!.index]);
    expect(told).toEqual([
      ["2", 0],
      ["3", 1],
      ["4", 2],
    ]);
  });

  it("merges several occurrences of the event, as Protobuf says", async () => {
    const log = new QuickLog();
    const { publish } = bound(await start({ log: log.service }));
    const { key, ...rest } = labEvent();
    const request = new BinaryWriter()
      .uint32(18)
      .bytes(Event.encode({ ...rest, key: "" }).finish())
      .uint32(10)
      .string("lab")
      .uint32(18)
      .bytes(new BinaryWriter().uint32(26).string(key).finish());
    const { response } = await publish(Buffer.from(request.finish()));
    expect(response!.verdict).toBe(VERDICT_STORED);
    expect(log.events()[0].event).toEqual(labEvent());
  });
});

describe("PublishBatch", () => {
  it("stores the bytes unchanged, each in the partition of its key, and says where", async () => {
    const log = new QuickLog();
    const { publishBatch } = bound(await start({ log: log.service }));
    let published = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            key: fc.string({ unit: "binary", minLength: 1, maxLength: 20 }),
            eventTime: fc.integer({ min: -8.64e15, max: NOW }),
            delay: fc.integer(),
            place: fc.string({ unit: "binary", maxLength: 30 }),
            json: fc.boolean(),
          }),
          { minLength: 1, maxLength: 60 },
        ),
        async (rows) => {
          const events = rows.map(({ key, eventTime, delay, place, json }): Event => {
            const text = JSON.stringify({ delay, place });
            const value = Buffer.from(labSchemas.toBinary(READING, text));
            return {
              id: `event-${published++}`,
              type: READING,
              key,
              eventTime,
              data: json ? { $case: "json", value: text } : { $case: "protobuf", value },
            };
          });
          const { response } = await publishBatch({ topic: "lab", events });

          expect(response!.rejections).toEqual([]);
          const stored = new Map(log.events().map((each) => [each.event.id, each]));
          events.forEach((event, i) => {
            const found = stored.get(event.id)!;
            expect(response!.verdicts[i]).toBe(VERDICT_STORED);
            expect(response!.partitions[i]).toBe(partitionOf(event.key, 4));
            expect(found.partition).toBe(response!.partitions[i]);
            expect(found.sequence).toBe(response!.sequences[i]);
            const value =
              event.data?.$case === "json"
                ? Buffer.from(labSchemas.toBinary(READING, event.data.value))
                : event.data!.value;
            expect(found.event).toEqual({ ...event, data: { $case: "protobuf", value } });
          });
          expect(stored.size).toBe(published);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("keeps events of one partition in the order of the request", async () => {
    const log = new QuickLog();
    const { publishBatch } = bound(await start({ log: log.service }));
    const events = Array.from({ length: 90 }, (_, i) => labEvent({ id: `${i}`, key: `k${i % 7}` }));
    await publishBatch({ topic: "lab", events });
    const seen = new Map<number, number>();
    for (const { event, partition } of log.events()) {
      expect(Number(event.id)).toBeGreaterThan(seen.get(partition) ?? -1);
      seen.set(partition, Number(event.id));
    }
  });

  it("takes the topic wherever it stands, the last one, and skips unknown fields", async () => {
    const log = new QuickLog();
    const { publishBatch } = bound(await start({ log: log.service }));
    const event = Event.encode(labEvent()).finish();
    const request = new BinaryWriter()
      .uint32(10)
      .string("nowhere")
      .uint32(18)
      .bytes(event)
      .uint32(72)
      .uint64(2 ** 40)
      .uint32(10)
      .string("lab")
      .uint32(82)
      .string("later version");
    const { response } = await publishBatch(Buffer.from(request.finish()));
    expect(response!.verdicts).toEqual([VERDICT_STORED]);
  });

  it("writes large partitions and sequences as the generated decoder reads them", async () => {
    const log = new HeldLog();
    const topic = labTopic(4096);
    const { publishBatch } = bound(await start({ log: log.service, topics: [topic] }));
    const events = Array.from({ length: 50 }, (_, i) => labEvent({ id: `${i}`, key: `key ${i}` }));
    events.push(labEvent({ key: "" }));
    const answer = publishBatch({ topic: "lab", events });
    await log.arrived(new Set(events.slice(0, 50).map(({ key }) => partitionOf(key, 4096))).size);
    const sequences = [1, 127, 128, 2 ** 28 - 1, 2 ** 28, 2 ** 32 + 5, 2 ** 35, 2 ** 53 - 1];
    const told = new Map<number, number>();
    for (const append of log.waiting.slice()) {
      told.set(append.partition, sequences[told.size % sequences.length]);
      await append.acknowledge(told.get(append.partition));
    }
    const { response } = await answer;
    events.slice(0, 50).forEach(({ key }, i) => {
      expect(response!.partitions[i]).toBe(partitionOf(key, 4096));
      expect(response!.sequences[i]).toBe(told.get(partitionOf(key, 4096)));
    });
    expect(response!.verdicts[50]).toBe(VERDICT_INVALID);
    expect(response!.sequences[50]).toBe(0);
  });

  it("splits a request over several record batches when one is full", async () => {
    const log = new QuickLog();
    const { publishBatch } = bound(
      await start({ log: log.service, batching: { batchEventsMax: 7 } }),
    );
    const events = Array.from({ length: 30 }, (_, i) => labEvent({ id: `${i}` }));
    const { response } = await publishBatch({ topic: "other", events });
    expect(response!.sequences).toEqual(events.map((_, i) => Math.floor(i / 7) + 1));
  });
});

describe("back-pressure and shutdown", () => {
  it("refuses unary calls with a retry hint while too much waits for the log (I3)", async () => {
    const log = new HeldLog();
    const { publish } = bound(
      await start({ log: log.service, batching: { bufferedBytesMax: 20 } }),
    );
    const first = publish({ topic: "lab", event: labEvent() });
    await log.arrived();
    const { error } = await publish({ topic: "lab", event: labEvent() });
    expect(error!.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(error!.details).toMatch(
      /^\d+ bytes wait for the log; the limit is 20. Try again in 250 ms$/,
    );
    expect(error!.metadata.get("grpc-retry-pushback-ms")).toEqual(["250"]);
    await log.waiting[0].acknowledge();
    expect((await first).response!.verdict).toBe(VERDICT_STORED);
    expect(lab!.service.batcher.bufferedBytes).toBe(0);
  });

  it("drains: answers what it took, refuses what comes later (I5)", async () => {
    const log = new HeldLog();
    const { publish } = bound(await start({ log: log.service }));
    const first = publish({ topic: "lab", event: labEvent() });
    await log.arrived();
    let drained = false;
    const draining = lab!.service.drain().then(() => (drained = true));
    const { error } = await publish({ topic: "lab", event: labEvent() });
    expect(error!.code).toBe(status.UNAVAILABLE);
    expect(error!.details).toBe("this gateway is shutting down; connect again for another");
    expect(drained).toBe(false);
    await log.waiting[0].acknowledge();
    await draining;
    expect((await first).response!.verdict).toBe(VERDICT_STORED);
  });

  it("refuses to start with events larger than the log takes", () => {
    const options: IngestOptions = {
      topics: [labTopic()],
      log: { append: () => Promise.resolve(1), maxBytes: 1024 * 1024 },
      limits: { maxEventBytes: 1024 * 1024, maxBatchEvents: 1, maxRequestBytes: 1 },
      clock: new HeldClock(),
      metrics: noMetrics,
    };
    expect(() => new IngestService(options)).toThrow(
      "gateway.maxEventBytes is 1048576, but the log takes messages of at most 1048576 bytes, " +
        "so at most 1048523",
    );
    const limits = { ...options.limits, maxEventBytes: 1_048_523 };
    expect(() => new IngestService({ ...options, limits })).not.toThrow();
  });
});

it("tells its metrics once a request and once an append", async () => {
  const log = new QuickLog();
  const { publishBatch } = bound(await start({ log: log.service }));
  const request = { topic: "other", events: [labEvent(), labEvent({ key: "" })] };
  await publishBatch(request);
  const bytes = PublishBatchRequest.encode(request).finish().length;
  expect(lab!.answered).toEqual([
    {
      topic: "other",
      method: "PublishBatch",
      stored: 1,
      quarantined: 0,
      invalid: 1,
      unavailable: 0,
      bytes,
      latencyMs: 0,
    },
  ]);
  expect(lab!.appended).toMatchObject([{ topic: "other", partition: 0, events: 1 }]);
});

const bound = (gateway: LabGateway) => ({
  publish: gateway.publish.bind(gateway),
  publishBatch: gateway.publishBatch.bind(gateway),
});

/** Yields to the event loop until the condition holds. */
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
};
