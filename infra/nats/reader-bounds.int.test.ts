/** P3: what the server sends ahead is bounded, and records of any size still come through. */
import { Effect, Fiber } from "effect";
import { describe, expect } from "vitest";
import { bytesOf, sameBytes, upTo } from "../../actors/ports/contract/bytes.ts";
import { take } from "../../actors/ports/contract/event-log.suite.ts";
import { suiteRuntime } from "../../actors/ports/contract/suite-runtime.ts";
import { EventLog } from "../../actors/ports/event-log.ts";
import { Connection } from "./connection.ts";
import { request, streamInfo } from "./jetstream-api.ts";
import { natsTestLayer } from "./testing.ts";

const partitions = 12;
const topic = { name: "t", partitions, retentionMs: 3_600_000, maxBytes: 256 * 1024 * 1024 };

describe("bounds of readers", () => {
  const test = suiteRuntime(natsTestLayer(topic));

  test(
    "records larger than what one reader usually asks for come through, between small ones",
    Effect.gen(function* () {
      const log = yield* EventLog;
      const link = yield* Connection;
      // With twelve readers a request asks for one MiB.
      const sizes = [10, link.maxPayloadBytes - 2_000, 10, 3_000_000, 2_500_000, 900_000, 10, 10];
      for (const [index, size] of sizes.entries()) yield* log.append("t", 0, bytesOf(index, size));
      const readers = yield* Effect.all(upTo(partitions).map((p) => log.open("t", p, 1)));
      const [reader] = readers;
      const records = reader === undefined ? [] : yield* take(reader, sizes.length);
      for (const [index, size] of sizes.entries()) {
        expect(records[index]?.sequence).toBe(index + 1);
        const data = records[index]?.data ?? new Uint8Array();
        expect(sameBytes(data, bytesOf(index, size))).toBe(true);
      }
    }).pipe(Effect.scoped),
  );

  test(
    "twelve readers that do not read for a while keep their connection, and then read all",
    Effect.gen(function* () {
      const log = yield* EventLog;
      const link = yield* Connection;
      const count = 60;
      yield* Effect.forEach(
        upTo(partitions),
        (p) => Effect.forEach(upTo(count), (i) => log.append("t", p, bytesOf(i, 200_000))),
        { concurrency: "unbounded", discard: true },
      );
      const { last } = yield* log.bounds("t", 1);
      let disconnects = 0;
      const stopListening = link.onChange((connected) => (disconnects += connected ? 0 : 1));
      const readers = yield* Effect.all(
        upTo(partitions).map((p) => log.open("t", p, p === 0 ? 9 : 1)),
      );
      const reading = yield* Effect.forkChild(
        Effect.forEach(readers, (reader) => take(reader, count), { concurrency: "unbounded" }),
        { startImmediately: true },
      );
      const records = yield* Fiber.join(reading);
      expect(last).toBe(count);
      for (const [p, own] of records.entries()) {
        expect(own).toHaveLength(count);
        expect(own.every(({ data }, i) => sameBytes(data, bytesOf(i, 200_000)))).toBe(true);
        expect(own[0]?.sequence).toBe(p === 0 ? 9 : 1);
      }
      expect(disconnects).toBe(0);
      stopListening();
    }).pipe(Effect.scoped),
  );

  test(
    "readers that could not be opened take no share from those that could",
    Effect.gen(function* () {
      const log = yield* EventLog;
      const { budget } = yield* Connection;
      const alone = budget.windowBytes;
      for (const _ of upTo(20)) {
        const error = yield* Effect.flip(log.open("no-such-topic", 0, 1));
        expect(error._tag).toBe("LogUnavailable");
      }
      expect(budget.windowBytes).toBe(alone);
    }).pipe(Effect.scoped),
  );

  test(
    "a reader whose consumer the server has lost makes another one and goes on",
    Effect.gen(function* () {
      const log = yield* EventLog;
      const link = yield* Connection;
      const { last } = yield* log.bounds("t", 2);
      const reader = yield* log.open("t", 2, last + 1);
      for (const round of upTo(3)) {
        const names = yield* request<{ consumers: string[] }>(
          link,
          "$JS.API.CONSUMER.NAMES.EVENTS_t_2",
          {},
        );
        for (const name of names.consumers) {
          yield* request(link, `$JS.API.CONSUMER.DELETE.EVENTS_t_2.${name}`, undefined);
        }
        yield* log.append("t", 2, bytesOf(round));
        const records = yield* take(reader, 1);
        expect(records.map(({ sequence }) => sequence)).toEqual([last + 1 + round]);
      }
      const { state } = yield* streamInfo(link, "EVENTS_t_2");
      expect(state.consumer_count).toBe(1);
    }).pipe(Effect.scoped),
  );
});
