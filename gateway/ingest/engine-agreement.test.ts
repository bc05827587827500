/**
 * What the gateway lets in, the engine can read, and both read the same: they have scanners of
 * their own, and the log is for ever.
 */
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { expect, it } from "vitest";
import { PayloadScanner } from "../../actors/kernel/payload-scanner.ts";
import { RecordBatchScanner } from "../../actors/kernel/record-batch-scanner.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { Verdict } from "../../proto/gen/tidemark/v1/ingest.ts";
import { HeldLog } from "./held-log.suite.ts";
import { IngestService } from "./ingest-service.ts";
import type { IngestRequest } from "./ingest-request.ts";
import { eventBytes, HeldClock, labEvent, labTopic, NOW, readingBytes } from "./lab-topic.suite.ts";
import { noMetrics } from "./metrics.ts";

const topic = labTopic(1);

const event = fc
  .record({
    id: fc.string({ unit: "binary", maxLength: 20 }),
    key: fc.string({ unit: "binary", minLength: 1, maxLength: 20 }),
    eventTime: fc.integer({ min: -8.64e15, max: 8.64e15 }),
    delay: fc.integer(),
    place: fc.string({ unit: "binary", maxLength: 20 }),
    json: fc.boolean(),
  })
  .map(({ id, key, eventTime, delay, place, json }) =>
    eventBytes(
      labEvent({
        id,
        key,
        eventTime,
        data: json
          ? { $case: "json", value: JSON.stringify({ delay, place }) }
          : { $case: "protobuf", value: readingBytes({ delay, place }) },
      }),
    ),
  );

/** Fields that stand behind an event's own: repeated, unknown, or of the wrong kind. */
const suffix = fc.array(
  fc
    .tuple(
      fc.integer({ min: 1, max: 9 }),
      fc.constantFrom(0, 1, 2, 5),
      fc.uint8Array({ maxLength: 9 }),
    )
    .map(([number, wire, bytes]) => {
      const writer = new BinaryWriter().tag(number, wire);
      if (wire === 0) return writer.uint64(bytes.length).finish();
      if (wire === 1) return writer.fixed64(1).finish();
      if (wire === 5) return writer.fixed32(1).finish();
      return writer.bytes(bytes).finish();
    }),
  { maxLength: 2 },
);

const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 2 });

const mostlyNone = <Item>(some: fc.Arbitrary<Item[]>): fc.Arbitrary<Item[]> =>
  fc.oneof({ weight: 2, arbitrary: fc.constant<Item[]>([]) }, some);

const candidate = fc
  .tuple(event, mostlyNone(suffix), mostlyNone(changes))
  .map(([sound, fields, mutations]) => {
    const bytes = Buffer.concat([sound, ...fields]);
    for (const [at, byte] of mutations) bytes[at % bytes.length] = byte;
    return bytes;
  });

it("lets in only what the engine reads without error, and reads it alike", async () => {
  const engine = new RecordBatchScanner(topic.plan.types.map(({ name }) => name));
  const payloads = new PayloadScanner(topic.plan, []);
  let admitted = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(candidate, { minLength: 1, maxLength: 20 }), async (candidates) => {
      const log = new HeldLog();
      const service = new IngestService({
        topics: [topic],
        log: log.service,
        limits: { maxEventBytes: 4096, maxBatchEvents: 100, maxRequestBytes: 1e6 },
        clock: new HeldClock(),
        metrics: noMetrics,
      });
      const request = new BinaryWriter().uint32(10).string("lab");
      for (const bytes of candidates) request.uint32(18).bytes(bytes);
      let done: IngestRequest | undefined;
      const refusal = service.submit("PublishBatch", Buffer.from(request.finish()), (answer) => {
        done = answer;
      });
      expect(refusal).toBeUndefined();
      await log.waiting[0]?.acknowledge();
      const verdicts = [...done!.verdicts];
      const stored = verdicts.filter((verdict) => verdict !== Verdict.VERDICT_INVALID).length;
      expect(done!.rejections).toHaveLength(candidates.length - stored);
      expect(log.appends).toHaveLength(stored > 0 ? 1 : 0);
      if (stored === 0) return;
      admitted += stored;

      const { data } = log.appends[0];
      engine.scan(data);
      expect(engine.count).toBe(stored);
      expect(engine.ingestTime).toBe(NOW);
      expect([...engine.errors]).toEqual([]);
      // The generated decoder is the third opinion.
      RecordBatch.decode(data).events.forEach((decoded, row) => {
        const text = (starts: Int32Array, ends: Int32Array): string =>
          data.toString("utf8", starts[row], ends[row]);
        expect(text(engine.idStarts, engine.idEnds)).toBe(decoded.id);
        expect(decoded.id).not.toBe("");
        expect(text(engine.keyStarts, engine.keyEnds)).toBe(decoded.key);
        expect(engine.eventTimes[row]).toBe(decoded.eventTime);
        expect(decoded.data?.$case).toBe("protobuf");
        const [start, end] = [engine.dataStarts[row], engine.dataEnds[row]];
        const type = engine.typeIndexes[row];
        expect(topic.plan.types[type].name).toBe(decoded.type);
        expect(payloads.scan(data, start, end, type, row)).toBeUndefined();
      });
    }),
    { numRuns: 400 },
  );
  expect(admitted).toBeGreaterThan(200);
});
