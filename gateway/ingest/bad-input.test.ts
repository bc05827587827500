/** Every kind of bad input: a clear error, and nothing else is lost. */
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Event } from "../../proto/gen/tidemark/v1/event.ts";
import {
  PublishBatchRequest,
  PublishRequest,
  Verdict,
} from "../../proto/gen/tidemark/v1/ingest.ts";
import { partitionOf } from "../../proto/partitioner.ts";
import { QuickLog } from "./held-log.suite.ts";
import { detailOf, fieldOf, LabGateway } from "./lab-gateway.suite.ts";
import { eventBytes, labEvent, NOTE, NOW, readingBytes } from "./lab-topic.suite.ts";

const { VERDICT_STORED, VERDICT_QUARANTINED, VERDICT_INVALID, VERDICT_UNAVAILABLE } = Verdict;

let log: QuickLog;
let lab: LabGateway;

beforeEach(async () => {
  log = new QuickLog();
  lab = await LabGateway.start({ log: log.service });
});
afterEach(() => lab.close());

const json = (value: string): Event["data"] => ({ $case: "json", value });
const protobuf = (...bytes: number[]): Event["data"] => ({
  $case: "protobuf",
  value: Buffer.from(bytes),
});

const LAB_TYPES = "topic lab has lab.Reading, lab.Note";

/** What is wrong with one event, and the words for it. */
const BAD_EVENTS: readonly (readonly [string, Event, string, string])[] = [
  [
    "an unknown type",
    labEvent({ type: "lab.Smell" }),
    "type",
    `unknown type "lab.Smell"; ${LAB_TYPES}`,
  ],
  ["no type", labEvent({ type: "" }), "type", `is missing; ${LAB_TYPES}`],
  [
    "no key",
    labEvent({ key: "" }),
    "key",
    "is missing or empty: it decides the partition and the order",
  ],
  [
    "a long key",
    labEvent({ key: "k".repeat(1025) }),
    "key",
    "is 1025 bytes long; the limit is 1024",
  ],
  ["a long id", labEvent({ id: "i".repeat(129) }), "id", "is 129 bytes long; the limit is 128"],
  [
    "no time",
    labEvent({ eventTime: undefined }),
    "event_time",
    "is missing: milliseconds since the Unix epoch, UTC",
  ],
  [
    "a time that is no time",
    labEvent({ eventTime: 8.64e15 + 1 }),
    "event_time",
    "8640000000000001 is outside +-8640000000000000: milliseconds since the Unix epoch, UTC",
  ],
  [
    "no data",
    labEvent({ data: undefined }),
    "data",
    "is missing: set protobuf (which may be empty) or json",
  ],
  [
    "malformed Protobuf",
    labEvent({ data: protobuf(0x08, 0x80) }),
    "data.delay",
    "malformed varint",
  ],
  [
    "Protobuf of another type",
    labEvent({ data: protobuf(0x0a, 0x01, 0x41) }),
    "data.delay",
    "expected a varint, found length-delimited",
  ],
  [
    "NaN",
    labEvent({ data: protobuf(0x21, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f) }),
    "data.ratio",
    "is NaN or infinite; only finite numbers are taken",
  ],
  [
    "NaN in JSON",
    labEvent({ data: json('{"ratio": "NaN"}') }),
    "data.ratio",
    "is NaN or infinite; only finite numbers are taken",
  ],
  [
    "an event over the limit",
    labEvent({ data: { $case: "protobuf", value: readingBytes({ place: "x".repeat(5000) }) } }),
    "",
    "the event is 5039 bytes; the limit is 4096 (gateway.maxEventBytes)",
  ],
];

describe("one bad event", () => {
  it.each(BAD_EVENTS)(
    "%s: its field and reason in a batch, whose other events are stored",
    async (_name, bad, field, reason) => {
      const first = labEvent({ id: "first" });
      const last = labEvent({ id: "last", key: "key-2" });
      const { response } = await lab.publishBatch({ topic: "lab", events: [first, bad, last] });

      expect(response!.verdicts).toEqual([VERDICT_STORED, VERDICT_INVALID, VERDICT_STORED]);
      expect(response!.rejections).toEqual([{ index: 1, verdict: VERDICT_INVALID, field, reason }]);
      expect(response!.partitions[1]).toBe(0);
      expect(response!.sequences[1]).toBe(0);
      expect(log.events().map(({ event }) => event.id)).toEqual(["first", "last"]);
    },
  );

  it.each(BAD_EVENTS)(
    "%s: INVALID_ARGUMENT when it comes alone",
    async (_name, bad, field, reason) => {
      const { error } = await lab.publish({ topic: "lab", event: bad });

      expect(error!.code).toBe(status.INVALID_ARGUMENT);
      expect(error!.details).toBe(field === "" ? reason : `${field}: ${reason}`);
      const { type, detail } = detailOf(error!.metadata);
      expect(type).toBe("type.googleapis.com/google.rpc.BadRequest");
      const violation = fieldOf(detail, 1);
      expect(Buffer.from(fieldOf(violation, 1)).toString()).toBe(field);
      expect(Buffer.from(fieldOf(violation, 2)).toString()).toBe(reason);
      expect(log.events()).toEqual([]);
    },
  );

  it.each([
    ["malformed JSON", "{", "data", "JSON"],
    ["an unknown field", '{"dealy": 1}', "data.dealy", "delay"],
    ["a number out of range", '{"delay": 3000000000}', "data.delay", "3000000000"],
    ["half a surrogate pair", '{"\\ud800": 1}', 'data["', "no such field"],
  ])(
    "JSON with %s: field and reason, and the others are stored",
    async (_name, text, field, word) => {
      const bad = labEvent({ data: json(text) });
      const { response } = await lab.publishBatch({ topic: "lab", events: [bad, labEvent()] });
      expect(response!.verdicts).toEqual([VERDICT_INVALID, VERDICT_STORED]);
      expect(response!.rejections[0].field).toContain(field);
      expect(response!.rejections[0].reason).toContain(word);

      const { error } = await lab.publish({ topic: "lab", event: bad });
      expect(error!.code).toBe(status.INVALID_ARGUMENT);
      expect(error!.details).toContain(word);
      expect(log.events()).toHaveLength(1);
    },
  );

  it("ten years ahead: stored, and said to be quarantined", async () => {
    const eventTime = NOW + 10 * 365 * 86_400_000;
    const future = labEvent({ id: "future", eventTime });
    const edge = labEvent({ id: "edge", eventTime: NOW + 300_000 });
    const { response } = await lab.publishBatch({ topic: "lab", events: [future, edge] });
    expect(response!.verdicts).toEqual([VERDICT_QUARANTINED, VERDICT_STORED]);
    expect(response!.sequences).toEqual([1, 1]);
    expect(response!.rejections).toEqual([]);

    const single = await lab.publish({ topic: "lab", event: future });
    expect(single.response!.verdict).toBe(VERDICT_QUARANTINED);
    expect(log.events()).toHaveLength(3);
  });

  it("a broken Event message inside a sound request costs only itself", async () => {
    const good = eventBytes(labEvent({ id: "good" }));
    const request = new BinaryWriter().uint32(10).string("lab");
    request.uint32(18).bytes(good);
    request.uint32(18).bytes(Uint8Array.of(0x0a, 0x7f, 0x41));
    request.uint32(18).bytes(good);
    const { response } = await lab.publishBatch(Buffer.from(request.finish()));
    expect(response!.verdicts).toEqual([VERDICT_STORED, VERDICT_INVALID, VERDICT_STORED]);
    expect(response!.rejections[0].field).toBe("id");
    expect(response!.rejections[0].reason).toBe("malformed: longer than the event");
  });
});

describe("a bad request", () => {
  it("unknown topic: NOT_FOUND, naming the known ones", async () => {
    for (const { error } of [
      await lab.publish({ topic: "labb", event: labEvent() }),
      await lab.publishBatch({ topic: "labb", events: [labEvent()] }),
    ]) {
      expect(error!.code).toBe(status.NOT_FOUND);
      expect(error!.details).toBe('unknown topic "labb"; the known topics are lab, other');
    }
    expect(lab.refused).toEqual(["Publish unknown-topic", "PublishBatch unknown-topic"]);
  });

  it("no topic: INVALID_ARGUMENT", async () => {
    const { error } = await lab.publishBatch({ topic: "", events: [labEvent()] });
    expect(error!.code).toBe(status.INVALID_ARGUMENT);
    expect(error!.details).toBe("topic: is missing; the known topics are lab, other");
  });

  it("no events: INVALID_ARGUMENT", async () => {
    const batch = await lab.publishBatch({ topic: "lab", events: [] });
    expect(batch.error!.code).toBe(status.INVALID_ARGUMENT);
    expect(batch.error!.details).toBe("events: the batch is empty");
    const single = await lab.publish({ topic: "lab", event: undefined });
    expect(single.error!.code).toBe(status.INVALID_ARGUMENT);
    expect(single.error!.details).toBe("event: is missing");
  });

  it("too many events: INVALID_ARGUMENT, naming the limit", async () => {
    const events = Array.from({ length: 101 }, (_, i) => labEvent({ id: `${i}` }));
    const { error } = await lab.publishBatch({ topic: "lab", events });
    expect(error!.code).toBe(status.INVALID_ARGUMENT);
    expect(error!.details).toBe(
      "events: the batch has 101 events; the limit is 100 (gateway.maxBatchEvents)",
    );
    const atLimit = await lab.publishBatch({ topic: "lab", events: events.slice(1) });
    expect(atLimit.response!.verdicts).toHaveLength(100);
  });

  it("malformed bytes: INVALID_ARGUMENT, naming the place", async () => {
    for (const publish of [lab.publish.bind(lab), lab.publishBatch.bind(lab)]) {
      const { error } = await publish(Buffer.from([0x0a, 0x03, 0x6c, 0x61, 0x62, 0x12, 0x7f]));
      expect(error!.code).toBe(status.INVALID_ARGUMENT);
      expect(error!.details).toBe(
        "malformed Protobuf at byte 5: field 2 is longer than the request",
      );
    }
  });

  it("too large: RESOURCE_EXHAUSTED, naming the limit", async () => {
    const note = (length: number): Event =>
      labEvent({
        type: NOTE,
        data: {
          $case: "protobuf",
          value: Buffer.from(new BinaryWriter().uint32(10).string("x".repeat(length)).finish()),
        },
      });
    const large = { topic: "lab", events: Array.from({ length: 20 }, () => note(4000)) };
    const { error } = await lab.publishBatch(large);
    expect(error!.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(error!.details).toMatch(
      /^the request is \d+ bytes; the limit is 65536 \(gateway.maxRequestBytes\)/,
    );
    const huge = { topic: "lab", events: Array.from({ length: 40 }, () => note(4000)) };
    const transport = await lab.publishBatch(huge);
    expect(transport.error!.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(transport.error!.details).toContain("131072");
  });
});

describe("a log that fails", () => {
  const twoPartitions = () => {
    const keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    const at = (partition: number) => keys.find((key) => partitionOf(key, 4) === partition)!;
    const [broken, sound] = [partitionOf("a", 4), (partitionOf("a", 4) + 1) % 4];
    return { broken, brokenKey: "a", soundKey: at(sound) };
  };

  it("unavailable for all: UNAVAILABLE with retry information, never a false acknowledgement", async () => {
    log.fault = () => "unavailable";
    for (const { error } of [
      await lab.publish({ topic: "lab", event: labEvent() }),
      await lab.publishBatch({ topic: "lab", events: [labEvent(), labEvent({ key: "" })] }),
    ]) {
      expect(error!.code).toBe(status.UNAVAILABLE);
      expect(error!.details).toBe(
        "the log did not acknowledge; the events may or may not be in it, so send them again " +
          "under the same ids: injected: unavailable",
      );
      expect(error!.metadata.get("grpc-retry-pushback-ms")).toEqual(["250"]);
      const { type, detail } = detailOf(error!.metadata);
      expect(type).toBe("type.googleapis.com/google.rpc.RetryInfo");
      // Duration { nanos: 250_000_000 }
      expect([...fieldOf(detail, 1)]).toEqual([0x08, 0x00, 0x10, 0x80, 0xe5, 0x9a, 0x77]);
    }
  });

  it("full: RESOURCE_EXHAUSTED with an explanation and a longer delay", async () => {
    log.fault = () => "full";
    const { error } = await lab.publish({ topic: "lab", event: labEvent() });
    expect(error!.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(error!.details).toBe(
      "the log is full and takes nothing until retention frees space: injected: full",
    );
    expect(error!.metadata.get("grpc-retry-pushback-ms")).toEqual(["10000"]);
  });

  it("unavailable for one partition: a verdict for each event", async () => {
    const { broken, brokenKey, soundKey } = twoPartitions();
    log.fault = (partition) => (partition === broken ? "unavailable" : undefined);
    const { response } = await lab.publishBatch({
      topic: "lab",
      events: [
        labEvent({ id: "1", key: brokenKey }),
        labEvent({ id: "2", key: soundKey }),
        labEvent({ id: "3", key: "" }),
        labEvent({ id: "4", key: brokenKey, eventTime: NOW + 1e9 }),
        labEvent({ id: "5", key: soundKey, eventTime: NOW + 1e9 }),
      ],
    });
    expect(response!.verdicts).toEqual([
      VERDICT_UNAVAILABLE,
      VERDICT_STORED,
      VERDICT_INVALID,
      VERDICT_UNAVAILABLE,
      VERDICT_QUARANTINED,
    ]);
    expect(response!.rejections.map(({ index, verdict }) => [index, verdict])).toEqual([
      [0, VERDICT_UNAVAILABLE],
      [2, VERDICT_INVALID],
      [3, VERDICT_UNAVAILABLE],
    ]);
    expect(response!.rejections[0].reason).toBe(`partition ${broken}: injected: unavailable`);
    expect(response!.sequences).toEqual([0, 1, 0, 0, 1]);
    expect(lab.answered[0]).toMatchObject({
      stored: 1,
      quarantined: 1,
      invalid: 1,
      unavailable: 2,
    });
  });
});

it("encodes requests as the tests believe", () => {
  const event = labEvent();
  const single = PublishRequest.encode({ topic: "lab", event }).finish();
  expect(single).toEqual(PublishBatchRequest.encode({ topic: "lab", events: [event] }).finish());
});
