import { status } from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { Verdict } from "../../proto/gen/tidemark/v1/ingest.ts";
import { HeldLog, QuickLog, settled } from "./held-log.suite.ts";
import type { IngestOptions } from "./ingest-service.ts";
import { LabGateway, type LabStream } from "./lab-gateway.suite.ts";
import { labEvent } from "./lab-topic.suite.ts";

const { VERDICT_STORED, VERDICT_INVALID, VERDICT_UNAVAILABLE } = Verdict;

let lab: LabGateway;

const start = async (
  options: Partial<IngestOptions> & Pick<IngestOptions, "log">,
): Promise<LabStream> => {
  // Two appends at once, so that a test can acknowledge the later one first.
  const batching = { appendsInFlightMax: 2, ...options.batching };
  lab = await LabGateway.start({ ...options, batching });
  return lab.publishStream();
};
afterEach(() => lab.close());

const request = (topic: string, ...ids: string[]) => ({
  topic,
  events: ids.map((id) => labEvent({ id })),
});

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await settled();
};

describe("PublishStream", () => {
  it("answers in the order of the requests, whatever the log acknowledges first (S1)", async () => {
    const log = new HeldLog();
    const stream = await start({ log: log.service });
    stream.send(request("lab", "a", "b"));
    stream.send(request("other", "c"));
    stream.send(request("lab", "d"));
    await log.arrived(3);
    const [first, second, third] = log.waiting.slice();
    await third.acknowledge(30);
    await second.acknowledge(20);
    expect(stream.responses).toHaveLength(0);
    await first.acknowledge(10);
    const responses = await stream.received(3);
    expect(responses.map(({ sequences }) => sequences)).toEqual([[10, 10], [20], [30]]);
    stream.call.end();
    expect((await stream.status).code).toBe(status.OK);
  });

  it("answers everything after half-close, then ends with OK (S5)", async () => {
    const log = new HeldLog();
    const stream = await start({ log: log.service });
    for (let i = 0; i < 20; i++) stream.send(request("lab", `${i}`));
    stream.call.end();
    await log.arrived(2);
    while (log.waiting.length > 0) await log.waiting[0].acknowledge();
    await until(() => log.waiting.length > 0 || stream.responses.length === 20);
    while (log.waiting.length > 0) await log.waiting[0].acknowledge();
    expect(await stream.received(20)).toHaveLength(20);
    expect((await stream.status).code).toBe(status.OK);
    expect(lab.service.open).toBe(0);
  });

  it("ends with OK when nothing was sent", async () => {
    const stream = await start({ log: new QuickLog().service });
    stream.call.end();
    expect((await stream.status).code).toBe(status.OK);
  });

  it("answers a bad request in its turn and goes on (S3)", async () => {
    const log = new QuickLog();
    const stream = await start({ log: log.service });
    stream.send(request("lab", "a"));
    stream.send(request("nowhere", "b", "c"));
    stream.send(request("lab"));
    stream.send(Buffer.from([0x12, 0x7f]));
    stream.send(request("lab", ...Array.from({ length: 101 }, (_, i) => `many-${i}`)));
    stream.send({ topic: "lab", events: [labEvent({ id: "d" }), labEvent({ key: "" })] });
    stream.call.end();
    const responses = await stream.received(6);
    expect((await stream.status).code).toBe(status.OK);

    expect(responses.map(({ verdicts }) => verdicts)).toEqual([
      [VERDICT_STORED],
      [VERDICT_INVALID, VERDICT_INVALID],
      [],
      [],
      [],
      [VERDICT_STORED, VERDICT_INVALID],
    ]);
    expect(responses[1].partitions).toEqual([0, 0]);
    expect(responses[1].sequences).toEqual([0, 0]);
    const refusals = responses.slice(1, 5).map(({ rejections }) => {
      expect(rejections).toHaveLength(1);
      expect(rejections[0]).toMatchObject({ index: 0, verdict: VERDICT_INVALID });
      return `${rejections[0].field}: ${rejections[0].reason}`;
    });
    expect(refusals).toEqual([
      'topic: unknown topic "nowhere"; the known topics are lab, other',
      "events: the batch is empty",
      ": malformed Protobuf at byte 0: field 2 is longer than the request",
      "events: the batch has 101 events; the limit is 100 (gateway.maxBatchEvents)",
    ]);
    expect(log.events().map(({ event }) => event.id)).toEqual(["a", "d"]);
  });

  it("answers a request over the size limit in its turn and goes on", async () => {
    const log = new QuickLog();
    const stream = await start({
      log: log.service,
      limits: { maxEventBytes: 4096, maxBatchEvents: 1000, maxRequestBytes: 10_000 },
    });
    stream.send(request("lab", ...Array.from({ length: 500 }, (_, i) => `${i}`)));
    stream.send(request("lab", "small"));
    const responses = await stream.received(2);
    expect(responses[0].rejections[0].reason).toContain("the limit is 10000");
    expect(responses[1].verdicts).toEqual([VERDICT_STORED]);
  });

  it("gives verdicts when the log fails, and goes on (S4)", async () => {
    const log = new HeldLog();
    const stream = await start({ log: log.service });
    stream.send(request("lab", "a", "b"));
    await log.arrived();
    await log.waiting[0].fail("unavailable", "no connection");
    const [failed] = await stream.received(1);
    expect(failed.verdicts).toEqual([VERDICT_UNAVAILABLE, VERDICT_UNAVAILABLE]);
    expect(failed.rejections.map(({ index }) => index)).toEqual([0, 1]);
    expect(failed.rejections[0].reason).toContain("no connection");

    stream.send(request("lab", "a", "b"));
    await log.arrived();
    await log.waiting[0].acknowledge();
    expect((await stream.received(2))[1].verdicts).toEqual([VERDICT_STORED, VERDICT_STORED]);
  });

  it("stores what was taken from a client that cancels, and forgets the rest (S5)", async () => {
    const log = new HeldLog();
    const stream = await start({ log: log.service });
    stream.send(request("lab", "a"));
    stream.send(request("lab", "b"));
    await log.arrived(2);
    stream.send(request("lab", "c"));
    await until(() => lab.service.open === 4);
    stream.call.cancel();
    expect((await stream.status).code).toBe(status.CANCELLED);
    await until(() => lab.service.open === 3);
    while (log.waiting.length > 0) await log.waiting[0].acknowledge();
    const [batches] = log.stored.values();
    expect(batches.flatMap(({ events }) => events.map(({ id }) => id))).toEqual(["a", "b", "c"]);
    expect(lab.service.open).toBe(0);
    expect(lab.service.batcher.bufferedBytes).toBe(0);
  });

  it("reads no further than the limit of unanswered requests (S2)", async () => {
    const log = new HeldLog();
    const limits = { maxEventBytes: 4096, maxBatchEvents: 100, maxRequestBytes: 65_536 };
    const stream = await start({ log: log.service, limits: { ...limits, streamRequestsMax: 3 } });
    const count = 40;
    for (let i = 0; i < count; i++) stream.send(request("other", `${i}`));
    stream.call.end();
    await log.arrived(2);
    let most = 0;
    while (stream.responses.length < count) {
      // One of `open` is the stream itself.
      most = Math.max(most, lab.service.open - 1);
      if (log.waiting.length > 0) await log.waiting[0].acknowledge();
      else await settled();
    }
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(3);
    expect((await stream.status).code).toBe(status.OK);
    const [batches] = log.stored.values();
    const ids = batches.flatMap(({ events }) => events.map(({ id }) => Number(id)));
    expect(ids).toEqual(Array.from({ length: count }, (_, i) => i));
  });

  it("reads no further while the gateway has no room, and loses nothing", async () => {
    const log = new HeldLog();
    const stream = await start({ log: log.service, batching: { bufferedBytesMax: 300 } });
    const other = lab.publishStream();
    const count = 30;
    for (let i = 0; i < count; i++) {
      stream.send(request("other", `a${i}`));
      other.send(request("other", `b${i}`));
    }
    stream.call.end();
    other.call.end();
    let most = 0;
    while (stream.responses.length + other.responses.length < 2 * count) {
      most = Math.max(most, lab.service.batcher.bufferedBytes);
      if (log.waiting.length > 0) await log.waiting[0].acknowledge();
      else await settled();
    }
    expect(most).toBeLessThan(300 + 100);
    expect((await stream.status).code).toBe(status.OK);
    expect((await other.status).code).toBe(status.OK);
    const [batches] = log.stored.values();
    const ids = batches.flatMap(({ events }) => events.map(({ id }) => id));
    const expected = Array.from({ length: count }, (_, i) => i);
    expect(ids.filter((id) => id.startsWith("a"))).toEqual(expected.map((i) => `a${i}`));
    expect(ids.filter((id) => id.startsWith("b"))).toEqual(expected.map((i) => `b${i}`));
  });

  it("answers what it took before a shutdown, then says why it ends", async () => {
    const log = new HeldLog();
    const stream = await start({ log: log.service });
    stream.send(request("lab", "a"));
    await log.arrived();
    const draining = lab.service.drain();
    stream.send(request("lab", "b"));
    await log.waiting[0].acknowledge();
    await draining;
    const ended = await stream.status;
    expect(ended.code).toBe(status.UNAVAILABLE);
    expect(ended.details).toBe("this gateway is shutting down; connect again for another");
    expect(stream.responses.map(({ verdicts }) => verdicts)).toEqual([[VERDICT_STORED]]);
    expect(log.waiting).toHaveLength(0);
  });
});
