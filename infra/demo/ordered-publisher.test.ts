import { Server, ServerCredentials, status, type ServerDuplexStream } from "@grpc/grpc-js";
import { afterEach, expect, it } from "vitest";
import {
  IngestServiceService,
  PublishStreamRequest,
  Verdict,
  type PublishStreamResponse,
} from "../../proto/gen/tidemark/v1/ingest.ts";
import { OrderedPublisher, type EncodedRequest } from "./ordered-publisher.ts";

type Call = ServerDuplexStream<PublishStreamRequest, PublishStreamResponse>;

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** A gateway whose answer to each request the test decides. */
const gateway = async (answer: (call: Call, topic: string) => void): Promise<string> => {
  const server = new Server();
  const unused = () => undefined;
  server.addService(IngestServiceService, {
    publish: unused,
    publishBatch: unused,
    publishStream: (call: Call) => {
      call.on("data", (request: PublishStreamRequest) => answer(call, request.topic));
      call.on("error", unused);
    },
  });
  cleanups.push(() => server.forceShutdown());
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return `127.0.0.1:${port}`;
};

const publisher = (address: string, onRetry?: (reason: string) => void): OrderedPublisher => {
  const made = new OrderedPublisher({ address, inFlightMax: 4, ...(onRetry && { onRetry }) });
  cleanups.push(() => made.close());
  return made;
};

/** The topic stands for the request's number. */
const request = (number: number): EncodedRequest => ({
  bytes: Buffer.from(PublishStreamRequest.encode({ topic: String(number), events: [] }).finish()),
  events: 1,
});

const response = (verdict: Verdict): PublishStreamResponse => ({
  verdicts: [verdict],
  partitions: [0],
  sequences: [1],
  rejections:
    verdict === Verdict.VERDICT_STORED
      ? []
      : [{ index: 0, verdict, field: "data.delay", reason: "is no number" }],
});

it("keeps the order of requests and bounds those in flight", async () => {
  const seen: string[] = [];
  const held: (() => void)[] = [];
  const address = await gateway((call, topic) => {
    seen.push(topic);
    held.push(() => call.write(response(Verdict.VERDICT_STORED)));
    // Nothing is answered before the window is full.
    if (seen.length >= 4) for (const release of held.splice(0)) release();
  });
  const sender = publisher(address);
  for (let number = 0; number < 12; number++) await sender.publish(request(number));
  await sender.flush();
  expect(seen).toEqual(Array.from({ length: 12 }, (_, number) => String(number)));
  expect(sender.stored).toBe(12);
  expect(sender.retries).toBe(0);
});

it("sends everything unacknowledged again, in order, when the stream breaks", async () => {
  const seen: string[] = [];
  let broken = false;
  const address = await gateway((call, topic) => {
    if (topic === "3" && !broken) {
      broken = true;
      call.emit("error", { code: status.UNAVAILABLE, details: "going down" });
      return;
    }
    if (broken && seen.at(-1) === "2" && topic !== "3") return;
    seen.push(topic);
    call.write(response(Verdict.VERDICT_STORED));
  });
  const reasons: string[] = [];
  const sender = publisher(address, (reason) => reasons.push(reason));
  for (let number = 0; number < 8; number++) await sender.publish(request(number));
  await sender.flush();
  // Acknowledgements that were on their way when the stream broke are sent again: duplicates.
  const first = [...new Set(seen)];
  expect(first).toEqual(["0", "1", "2", "3", "4", "5", "6", "7"]);
  expect(sender.stored).toBe(8);
  expect(reasons).toEqual(["going down"]);
});

it("goes back to an event that may not be in the log before anything after it", async () => {
  const seen: string[] = [];
  let refused = false;
  const address = await gateway((call, topic) => {
    seen.push(topic);
    if (topic === "1" && !refused) {
      refused = true;
      call.write(response(Verdict.VERDICT_UNAVAILABLE));
    } else {
      call.write(response(Verdict.VERDICT_STORED));
    }
  });
  const sender = publisher(address);
  for (let number = 0; number < 3; number++) await sender.publish(request(number));
  await sender.flush();
  expect(seen.slice(seen.lastIndexOf("1"))).toEqual(["1", "2"]);
  expect(sender.stored).toBe(3);
  expect(sender.retries).toBe(1);
});

it("fails with the field and the reason when an event is invalid", async () => {
  const address = await gateway((call) => call.write(response(Verdict.VERDICT_INVALID)));
  const sender = publisher(address);
  await sender.publish(request(0));
  await expect(sender.flush()).rejects.toThrow(
    "the gateway refused event 0 of a request: data.delay: is no number",
  );
});
