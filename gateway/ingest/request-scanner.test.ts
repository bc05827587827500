import { BinaryWriter } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { expect, it } from "vitest";
import { Event } from "../../proto/gen/tidemark/v1/event.ts";
import { PublishBatchRequest } from "../../proto/gen/tidemark/v1/ingest.ts";
import { RequestScanner } from "./request-scanner.ts";

const part = fc.oneof(
  fc.record({ topic: fc.string({ unit: "binary", maxLength: 10 }) }),
  fc.record({ id: fc.string({ unit: "binary", maxLength: 200 }) }),
  fc.record({ unknown: fc.integer({ min: 3, max: 536_870_911 }), value: fc.maxSafeNat() }),
);

it("finds what the generated decoder decodes, in any order and however many", () => {
  const scanner = new RequestScanner(5000);
  fc.assert(
    fc.property(fc.array(part, { maxLength: 40 }), fc.constantFrom(1, 100), (parts, times) => {
      const writer = new BinaryWriter();
      for (let i = 0; i < times; i++) {
        for (const each of parts) {
          if ("topic" in each) writer.uint32(10).string(each.topic);
          else if ("id" in each) writer.uint32(18).fork().uint32(10).string(each.id).join();
          else writer.tag(each.unknown, 0).uint64(each.value);
        }
      }
      const bytes = Buffer.from(writer.finish());
      const expected = PublishBatchRequest.decode(bytes);
      expect(scanner.scan(bytes)).toBe(true);
      expect(bytes.toString("utf8", scanner.topicStart, scanner.topicEnd)).toBe(expected.topic);
      expect(scanner.count).toBe(expected.events.length);
      const found = expected.events.map((_, i) =>
        Event.decode(bytes.subarray(scanner.starts[i], scanner.ends[i])),
      );
      expect(found).toEqual(expected.events);
    }),
    { numRuns: 200 },
  );
});

it("never throws, and takes no bytes that the generated decoder refuses (R1)", () => {
  const scanner = new RequestScanner(10);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (raw) => {
      const bytes = Buffer.from(raw);
      if (!scanner.scan(bytes))
        expect(scanner.problem).toMatch(/^malformed Protobuf at byte \d+: /);
      for (let i = 0; i < Math.min(scanner.count, 10); i++) {
        expect(scanner.starts[i]).toBeLessThanOrEqual(scanner.ends[i]);
        expect(scanner.ends[i]).toBeLessThanOrEqual(bytes.length);
      }
    }),
    { numRuns: 5000 },
  );
});

it("counts events beyond its limit (R3)", () => {
  const scanner = new RequestScanner(2);
  const writer = new BinaryWriter();
  for (let i = 0; i < 5; i++) writer.uint32(18).bytes(new Uint8Array());
  expect(scanner.scan(Buffer.from(writer.finish()))).toBe(true);
  expect(scanner.count).toBe(5);
  expect(scanner.starts).toHaveLength(2);
});
