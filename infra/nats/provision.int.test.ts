/** Streams become what the design says, and what cannot be is said. */
import { Effect } from "effect";
import { describe, expect } from "vitest";
import { suiteRuntime } from "../../actors/ports/contract/suite-runtime.ts";
import { utf8 } from "../../actors/ports/contract/bytes.ts";
import { EventLog } from "../../actors/ports/event-log.ts";
import { RekeyLog } from "../../actors/ports/rekey-log.ts";
import { RelayTarget } from "../../actors/ports/relay-target.ts";
import { Connection } from "./connection.ts";
import { request, streamInfo } from "./jetstream-api.ts";
import { provision, retentionKey } from "./provision.ts";
import type { TopicStreams } from "./provision.ts";
import { trimTarget } from "./retention.ts";
import { Servers, natsTestLayer } from "./testing.ts";

const layer = natsTestLayer();

const topic = (name: string, changes: Partial<TopicStreams> = {}): TopicStreams => ({
  name,
  partitions: 3,
  retentionMs: 7 * 86_400_000,
  maxBytes: 64 * 1024 * 1024,
  ...changes,
});

const configOf = Effect.fnUntraced(function* (stream: string) {
  return (yield* streamInfo(yield* Connection, stream)).config;
});

describe("provision", () => {
  const test = suiteRuntime(layer);

  test(
    "makes the streams, again and again, also at once from several processes",
    Effect.gen(function* () {
      const run = provision({ topics: [topic("flights")] });
      yield* Effect.all([run, run, run], { concurrency: "unbounded" });
      yield* run;
      expect(yield* configOf("EVENTS_flights_2")).toMatchObject({
        subjects: ["events.flights.2"],
        storage: "file",
        retention: "limits",
        discard: "new",
        max_age: 7 * 86_400_000_000_000,
        max_bytes: 64 * 1024 * 1024,
        duplicate_window: 120_000_000_000,
        deny_delete: true,
        allow_direct: true,
      });
      for (const stream of ["RESULTS", "PROJECTIONS", "DLQ"]) {
        const wanted = { storage: "file", max_age: 0, max_bytes: -1, allow_atomic: true };
        expect(yield* configOf(stream)).toMatchObject(wanted);
      }
    }),
  );

  test(
    "changes retention and size of a topic that exists, and keeps its events",
    Effect.gen(function* () {
      yield* provision({ topics: [topic("changing")] });
      const log = yield* EventLog;
      yield* log.append("changing", 1, utf8("kept"));
      yield* provision({ topics: [topic("changing", { retentionMs: 60_000, maxBytes: 999_999 })] });
      expect(yield* configOf("EVENTS_changing_1")).toMatchObject({
        max_age: 60_000_000_000,
        max_bytes: 999_999,
        duplicate_window: 60_000_000_000,
      });
      expect(yield* log.bounds("changing", 1)).toEqual({ first: 1, last: 1 });
    }),
  );

  test(
    "lets record batches of a compacted topic be deleted, and nothing go by age",
    Effect.gen(function* () {
      yield* provision({ topics: [topic("rows", { compacted: true })] });
      yield* provision({ topics: [topic("rows", { compacted: true, retentionMs: 60_000 })] });
      expect(yield* configOf("EVENTS_rows_1")).toMatchObject({ max_age: 0, deny_delete: false });
    }),
  );

  test(
    "refuses to make a topic compacted that is not, or the other way round, and says what to do",
    Effect.gen(function* () {
      yield* provision({ topics: [topic("whole"), topic("compact", { compacted: true })] });
      const compacted = topic("whole", { compacted: true });
      const error = yield* Effect.flip(provision({ topics: [topic("unmade-2"), compacted] }));
      expect(error).toMatchObject({ _tag: "CompactionChanged", compacted: false });
      expect(error.message).toBe(
        'topic whole is not compacted, but it is configured with "compacted"; this is fixed when a topic is ' +
          "made: leave it out, or configure a topic of another name and publish the rows to it",
      );
      expect(yield* Effect.flip(configOf("EVENTS_unmade-2_0"))).toMatchObject({ code: 10059 });
      const whole = yield* Effect.flip(provision({ topics: [topic("compact")] }));
      expect(whole).toMatchObject({ _tag: "CompactionChanged", compacted: true });
      expect(whole.message).toContain('set "compacted" to true');
      expect(yield* configOf("EVENTS_compact_0")).toMatchObject({ max_age: 0 });
    }),
  );

  test(
    "leaves the log of a re-keyed version as it was made, whichever definition is configured now",
    Effect.gen(function* () {
      yield* provision({ topics: [] });
      const log = yield* RekeyLog;
      const logOf = (name: string, retentionMs: number) => ({ name, partitions: 1, retentionMs });
      const aged = logOf("via_aged_1", 3_600_000);
      const rows = { ...logOf("via_rows_1", 3_600_000), compacted: true };
      yield* log.ensure(aged);
      yield* log.ensure(rows);
      yield* log.ensure({ ...aged, compacted: true });
      yield* log.ensure(logOf(rows.name, 60_000));
      expect(yield* configOf("EVENTS_via_aged_1_0")).toMatchObject({
        deny_delete: true,
        metadata: { [retentionKey]: "3600000" },
      });
      expect(yield* configOf("EVENTS_via_rows_1_0")).toMatchObject({
        deny_delete: false,
        metadata: { [retentionKey]: "compacted" },
      });
      // Its own definition may keep events for as long as it likes.
      yield* log.ensure(logOf(aged.name, 60_000));
      expect(yield* configOf("EVENTS_via_aged_1_0")).toMatchObject({
        metadata: { [retentionKey]: "60000" },
      });
    }),
  );

  test(
    "refuses another number of partitions, and makes nothing",
    Effect.gen(function* () {
      yield* provision({ topics: [topic("fixed")] });
      for (const partitions of [2, 4]) {
        const changed = topic("fixed", { partitions });
        const error = yield* Effect.flip(provision({ topics: [topic("unmade"), changed] }));
        expect(error).toMatchObject({
          _tag: "PartitionsChanged",
          topic: "fixed",
          configured: partitions,
          existing: 3,
        });
        expect(error.message).toContain(`has 3 partitions, but ${partitions} are configured`);
      }
      expect(yield* Effect.flip(configOf("EVENTS_unmade_0"))).toMatchObject({ code: 10059 });
      expect(yield* Effect.flip(configOf("EVENTS_fixed_3"))).toMatchObject({ code: 10059 });
    }),
  );

  test(
    "goes on where a run was cut off, but does not replace a stream that held events",
    Effect.gen(function* () {
      const link = yield* Connection;
      const remove = (stream: string) =>
        request(link, `$JS.API.STREAM.DELETE.${stream}`, undefined);
      yield* provision({ topics: [topic("cut")] });
      yield* remove("EVENTS_cut_1");
      yield* provision({ topics: [topic("cut")] });
      expect(yield* configOf("EVENTS_cut_1")).toMatchObject({ name: "EVENTS_cut_1" });
      yield* (yield* EventLog).append("cut", 0, utf8("an event"));
      yield* remove("EVENTS_cut_2");
      const error = yield* Effect.flip(provision({ topics: [topic("cut")] }));
      expect(error).toMatchObject({ _tag: "StreamMissing", stream: "EVENTS_cut_2" });
    }),
  );

  test(
    "says what the server refuses",
    Effect.gen(function* () {
      const greedy = topic("greedy", { maxBytes: 2 ** 50 });
      const error = yield* Effect.flip(provision({ topics: [greedy] }));
      expect(error).toMatchObject({ _tag: "StreamRefused", stream: "EVENTS_greedy_0" });
      expect(error.message).toContain("max_file_store");
    }),
  );

  test(
    "W1: trimming by age takes everything but the cursor, also over a restart",
    Effect.gen(function* () {
      yield* provision({ topics: [] });
      const link = yield* Connection;
      const target = yield* RelayTarget;
      const { nats } = yield* Servers;
      const publish = (position: number, revision: number) =>
        target.publish(
          "projections",
          ["a", "b", "c"].map((key) => ({
            subject: `projections.p.${key}`,
            headers: [],
            data: utf8(`${position}`),
          })),
          { position, offset: 0, epoch: 1, revision },
        );
      const messages = Effect.map(streamInfo(link, "PROJECTIONS"), ({ state }) => state.messages);
      const first = yield* publish(1, 0);
      const second = yield* publish(2, first);
      expect(yield* trimTarget(link, "projections", 3_600_000)).toBe(0);
      expect(yield* messages).toBe(8);
      expect(yield* trimTarget(link, "projections", 0)).toBe(7);
      expect(yield* messages).toBe(1);
      yield* Effect.promise(() => nats.kill9());
      yield* Effect.promise(() => nats.start());
      expect(yield* target.cursor("projections")).toMatchObject({ position: 2, revision: second });
      const third = yield* publish(3, second);
      expect(yield* trimTarget(link, "dlq", 0)).toBe(0);
      expect(yield* target.cursor("projections")).toMatchObject({ position: 3, revision: third });
    }),
  );
});
