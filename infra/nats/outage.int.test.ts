/**
 * The server is killed, stopped or frozen while the adapters are at work: nothing is lost, repeated or
 * reordered, and nothing is acknowledged that is not stored.
 */
import { Effect, Fiber } from "effect";
import { describe, expect } from "vitest";
import { bytesOf, sameBytes, text, upTo, utf8 } from "../../actors/ports/contract/bytes.ts";
import { take } from "../../actors/ports/contract/event-log.suite.ts";
import { takeResults } from "../../actors/ports/contract/result-log.suite.ts";
import { suiteRuntime } from "../../actors/ports/contract/suite-runtime.ts";
import { EventLog } from "../../actors/ports/event-log.ts";
import type { LogRecord } from "../../actors/ports/event-log.ts";
import { AppendError, IngestLog } from "../../actors/ports/ingest-log.ts";
import { RelayTarget } from "../../actors/ports/relay-target.ts";
import { Fenced, ResultLog } from "../../actors/ports/result-log.ts";
import { Connection } from "./connection.ts";
import { Appender } from "./ingest-log.ts";
import { request, streamInfo } from "./jetstream-api.ts";
import { openReader } from "./pull-reader.ts";
import { Servers, natsTestLayer } from "./testing.ts";

const topic = { name: "t", partitions: 6, retentionMs: 3_600_000, maxBytes: 512 * 1024 * 1024 };

const killAndStart = Effect.gen(function* () {
  const { nats } = yield* Servers;
  yield* Effect.promise(() => nats.kill9());
  yield* Effect.promise(() => nats.start());
});

/** Appends until told to stop; gives what was acknowledged, by sequence. */
const publishUntil = (
  append: (data: Uint8Array) => Promise<number>,
  stopped: () => boolean,
  publishers: number,
) =>
  Effect.promise(async () => {
    const acknowledged = new Map<number, string>();
    let refused = 0;
    const publish = async (publisher: number): Promise<void> => {
      for (let step = 0; !stopped(); step++) {
        const content = `${publisher}/${step}`;
        try {
          acknowledged.set(await append(utf8(content)), content);
        } catch (error) {
          if (!(error instanceof AppendError)) throw error;
          refused += 1;
        }
      }
    };
    await Promise.all(upTo(publishers).map(publish));
    return { acknowledged, refused };
  });

describe("outages of NATS", () => {
  const test = suiteRuntime(natsTestLayer(topic));

  test(
    "L1: a reader goes on over kill -9 and restart, while others append",
    Effect.gen(function* () {
      const log = yield* EventLog;
      const count = 900;
      const reader = yield* log.open("t", 0, 1);
      const reading = yield* Effect.forkChild(take(reader, count), { startImmediately: true });
      const writing = yield* Effect.forkChild(
        Effect.gen(function* () {
          for (const index of upTo(count)) yield* log.append("t", 0, bytesOf(index + 1, 5_000));
        }),
        { startImmediately: true },
      );
      for (const share of [0.2, 0.5, 0.8]) {
        // The kills fall into the work, not before or after it.
        yield* Effect.suspend(() => log.bounds("t", 0)).pipe(
          Effect.repeat({ until: ({ last }) => last >= count * share }),
        );
        yield* killAndStart;
      }
      yield* Fiber.join(writing);
      const records = yield* Fiber.join(reading);
      const { last } = yield* log.bounds("t", 0);
      expect(records.map(({ sequence }) => sequence)).toEqual(upTo(last).map((i) => i + 1));
      expect(last).toBe(count);
      expect(records.every((one) => sameBytes(one.data, bytesOf(one.sequence, 5_000)))).toBe(true);
    }).pipe(Effect.scoped),
  );

  test(
    "R1, R3: commits and their reader go on over kill -9 and restart",
    Effect.gen(function* () {
      const log = yield* ResultLog;
      const subjects = upTo(4).map((task) => `results.outage.1.${task}`);
      // Every 20th commit has two parts: atomic batches cost the server many files.
      const commits = upTo(300).map((number) =>
        number % 20 === 0 ? [`${number}/0`, `${number}/1`] : [`${number}/0`],
      );
      const total = commits.flat().length * subjects.length;
      const reader = yield* log.open(["results.outage.>"], 1);
      const reading = yield* Effect.forkChild(takeResults(reader, total), {
        startImmediately: true,
      });
      const tasks = yield* Effect.forkChild(
        Effect.forEach(
          subjects,
          Effect.fnUntraced(function* (subject) {
            let expected = 0;
            for (const parts of commits) {
              expected = yield* log.append(subject, parts.map(utf8), expected);
            }
            return expected;
          }),
          { concurrency: "unbounded" },
        ),
        { startImmediately: true },
      );
      for (const share of [0.25, 0.75]) {
        yield* Effect.suspend(() => log.lastSequence).pipe(
          Effect.repeat({ until: (last) => last >= total * share }),
        );
        yield* killAndStart;
      }
      const markers = yield* Fiber.join(tasks);
      const records = yield* Fiber.join(reading);
      for (const [index, subject] of subjects.entries()) {
        const own = records.filter((record) => record.subject === subject);
        expect(own.map(({ data }) => text(data))).toEqual(commits.flat());
        expect(own.at(-1)?.sequence).toBe(markers[index]);
        const zombie = yield* Effect.flip(log.append(subject, [utf8("late")], 1));
        expect(zombie).toBeInstanceOf(Fenced);
      }
      const order = records.map(({ sequence }) => sequence);
      expect(order).toEqual([...order].sort((a, b) => a - b));
    }).pipe(Effect.scoped),
  );

  test(
    "T1: a relay goes on over kill -9: whole batches, each message once, in order",
    Effect.gen(function* () {
      const target = yield* RelayTarget;
      const link = yield* Connection;
      const batches = 40;
      const size = 250;
      const relaying = yield* Effect.forkChild(
        Effect.gen(function* () {
          let cursor = yield* target.cursor("projections");
          for (const batch of upTo(batches)) {
            const messages = upTo(size).map((index) => ({
              subject: `projections.p.${index}`,
              headers: [],
              data: utf8(`${batch}/${index}`),
            }));
            const step = { ...cursor, position: batch + 1 };
            cursor = { ...step, revision: yield* target.publish("projections", messages, step) };
          }
          return cursor;
        }),
        { startImmediately: true },
      );
      for (const share of [0.2, 0.5, 0.8]) {
        yield* Effect.suspend(() => target.cursor("projections")).pipe(
          Effect.repeat({ until: ({ position }) => position >= batches * share }),
        );
        yield* killAndStart;
      }
      const cursor = yield* Fiber.join(relaying);
      expect(cursor).toMatchObject({ position: batches, revision: batches * (size + 1) });
      const reader = yield* openReader(link, {
        stream: "PROJECTIONS",
        filters: ["projections.>"],
        fromSequence: 1,
        contiguous: false,
      });
      const published = yield* takeResults(
        { next: reader.next.pipe(Effect.catchTag("LogGap", Effect.die)) },
        batches * size,
      );
      expect(published.map(({ data }) => text(data))).toEqual(
        upTo(batches).flatMap((batch) => upTo(size).map((index) => `${batch}/${index}`)),
      );
    }).pipe(Effect.scoped),
  );

  test(
    "G1: what was acknowledged over kills is in the log, once",
    Effect.gen(function* () {
      const ingest = yield* IngestLog;
      const log = yield* EventLog;
      let stopped = false;
      const publishing = yield* Effect.forkChild(
        publishUntil(
          (data) => ingest.append("t", 1, data),
          () => stopped,
          32,
        ),
        { startImmediately: true },
      );
      for (const wanted of [500, 1_000, 1_500]) {
        yield* Effect.suspend(() => log.bounds("t", 1)).pipe(
          Effect.repeat({ until: ({ last }) => last >= wanted }),
        );
        yield* killAndStart;
      }
      stopped = true;
      const { acknowledged, refused } = yield* Fiber.join(publishing);
      const { last } = yield* log.bounds("t", 1);
      const records: readonly LogRecord[] = yield* take(yield* log.open("t", 1, 1), last);
      const stored = new Map(records.map(({ sequence, data }) => [sequence, text(data)]));
      expect(refused).toBe(0);
      expect(new Set(stored.values()).size).toBe(stored.size);
      expect(acknowledged).toEqual(stored);
    }).pipe(Effect.scoped),
  );

  test(
    "G2: without a server an append is refused as unavailable, and nothing is acknowledged",
    Effect.gen(function* () {
      const log = yield* EventLog;
      const { nats } = yield* Servers;
      const appender = new Appender(yield* Connection, { timeoutMs: 200 });
      yield* Effect.promise(() => appender.append("t", 2, utf8("before")));
      yield* Effect.promise(() => nats.kill9());
      const outcomes = yield* Effect.promise(() =>
        Promise.allSettled(upTo(20).map((i) => appender.append("t", 2, utf8(`down ${i}`)))),
      );
      for (const outcome of outcomes) {
        expect(outcome).toMatchObject({ reason: { failure: { kind: "unavailable" } } });
      }
      yield* Effect.promise(() => nats.start());
      const patient = yield* IngestLog;
      const sequence = yield* Effect.promise(() => patient.append("t", 2, utf8("after")));
      const records = yield* take(yield* log.open("t", 2, 1), sequence);
      expect(records.map(({ data }) => text(data))).toEqual(["before", "after"]);
      appender.close();
    }).pipe(Effect.scoped),
  );

  test(
    "G2: an append that began without a server succeeds when it comes back in time",
    Effect.gen(function* () {
      const ingest = yield* IngestLog;
      const { nats } = yield* Servers;
      yield* Effect.promise(() => nats.kill9());
      const appending = upTo(10).map((i) => ingest.append("t", 3, utf8(`${i}`)));
      yield* Effect.promise(() => nats.start());
      const given = yield* Effect.promise(() => Promise.all(appending));
      expect(given).toEqual(upTo(10).map((i) => i + 1));
    }),
  );

  test(
    "G2: a frozen server acknowledges nothing until it goes on, and then each once",
    Effect.gen(function* () {
      const log = yield* EventLog;
      const { nats } = yield* Servers;
      const appender = new Appender(yield* Connection, { timeoutMs: 200 });
      yield* Effect.promise(() => appender.append("t", 4, utf8("before")));
      yield* Effect.promise(() => nats.freeze());
      const frozen = yield* Effect.promise(() =>
        Promise.allSettled(upTo(5).map((i) => appender.append("t", 4, utf8(`frozen ${i}`)))),
      );
      for (const outcome of frozen) {
        expect(outcome).toMatchObject({ reason: { failure: { kind: "unavailable" } } });
      }
      yield* Effect.promise(() => nats.thaw());
      const patient = yield* IngestLog;
      const sequence = yield* Effect.promise(() => patient.append("t", 4, utf8("after")));
      const contents = (yield* take(yield* log.open("t", 4, 1), sequence)).map((one) =>
        text(one.data),
      );
      // Refused means unknown: the five were sent, and may have been stored, once each.
      expect(new Set(contents).size).toBe(contents.length);
      expect([contents[0], contents.at(-1)]).toEqual(["before", "after"]);
      appender.close();
    }).pipe(Effect.scoped),
  );

  test(
    "P2: a stream that lost its end over an outage is a LogGap to its reader",
    Effect.gen(function* () {
      const log = yield* EventLog;
      const link = yield* Connection;
      for (const index of upTo(5)) yield* log.append("t", 5, bytesOf(index));
      const reader = yield* log.open("t", 5, 1);
      yield* take(reader, 5);
      const failing = yield* Effect.forkChild(Effect.flip(reader.next), { startImmediately: true });
      const { config } = yield* streamInfo(link, "EVENTS_t_5");
      yield* request(link, "$JS.API.STREAM.DELETE.EVENTS_t_5", undefined);
      yield* request(link, "$JS.API.STREAM.CREATE.EVENTS_t_5", config);
      yield* log.append("t", 5, utf8("another log"));
      yield* killAndStart;
      expect(yield* Fiber.join(failing)).toMatchObject({ _tag: "LogGap", expected: 6, found: 1 });
    }).pipe(Effect.scoped),
  );
});
