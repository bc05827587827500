/**
 * The answer to an append is lost on the way, or the append itself: what the log holds is what the
 * caller was told, each once (R2, T1, G1).
 */
import { Context, Effect, Layer } from "effect";
import { describe, expect } from "vitest";
import { text, upTo, utf8 } from "../../actors/ports/contract/bytes.ts";
import { take } from "../../actors/ports/contract/event-log.suite.ts";
import { takeResults } from "../../actors/ports/contract/result-log.suite.ts";
import { suiteRuntime } from "../../actors/ports/contract/suite-runtime.ts";
import { EventLog } from "../../actors/ports/event-log.ts";
import { IngestLog } from "../../actors/ports/ingest-log.ts";
import { RelayTarget } from "../../actors/ports/relay-target.ts";
import { Fenced, ResultLog } from "../../actors/ports/result-log.ts";
import { Connection } from "./connection.ts";
import { streamInfo } from "./jetstream-api.ts";
import { natsLayer } from "./layer.ts";
import { Proxy, Servers, proxiedNatsTestLayer } from "./testing.ts";

const topic = { name: "t", partitions: 2, retentionMs: 3_600_000, maxBytes: 64 * 1024 * 1024 };
const layer = proxiedNatsTestLayer(topic);

/** Text that only an acknowledgement of a publish has in it, and only an append. */
const acknowledgement = '"seq":';
const append = "Tidemark-Append";

describe("lost answers", () => {
  const test = suiteRuntime(layer);

  for (const [what, direction, containing] of [
    ["the acknowledgement", "to client", acknowledgement],
    ["the append", "to server", append],
  ] as const) {
    test(
      `R2: a commit goes on when ${what} is lost, and is stored once`,
      Effect.gen(function* () {
        const log = yield* ResultLog;
        const lossy = yield* Proxy;
        const subject = `results.lost-${direction === "to client" ? "ack" : "append"}.1.0`;
        const wanted: string[] = [];
        let expected = 0;
        for (const parts of [1, 3, 1, 2]) {
          const lost = lossy.loseNext(direction, containing);
          const contents = upTo(parts).map((part) => `${wanted.length}/${part}`);
          expected = yield* log.append(subject, contents.map(utf8), expected);
          wanted.push(...contents);
          yield* Effect.promise(() => lost);
          expect((yield* log.last(subject))?.sequence).toBe(expected);
        }
        const reader = yield* log.open([subject], 1);
        const records = yield* takeResults(reader, wanted.length);
        expect(records.map(({ data }) => text(data))).toEqual(wanted);
        expect(records.at(-1)).toMatchObject({ sequence: expected, pending: 0 });
      }).pipe(Effect.scoped),
    );
  }

  test(
    "R2: of an owner whose append is lost and one that appends the same bytes exactly one wins",
    Effect.gen(function* () {
      const log = yield* ResultLog;
      const lossy = yield* Proxy;
      const { natsUrl } = yield* Servers;
      const direct = yield* Layer.build(natsLayer({ url: natsUrl }));
      const other = Context.get(direct, ResultLog);
      const subject = "results.overtaken.1.0";
      let expected = 0;
      for (const round of upTo(10)) {
        const marker = [utf8(`epoch ${round}`)];
        const lost = lossy.loseNext("to server", append);
        const outcomes = yield* Effect.all(
          [
            Effect.result(log.append(subject, marker, expected)),
            Effect.promise(() => lost).pipe(
              Effect.andThen(Effect.result(other.append(subject, marker, expected))),
            ),
          ],
          { concurrency: "unbounded" },
        );
        const won = outcomes.flatMap((one) => (one._tag === "Success" ? [one.success] : []));
        const fenced = outcomes.filter(
          (one) => one._tag === "Failure" && one.failure instanceof Fenced,
        );
        expect([won.length, fenced.length]).toEqual([1, 1]);
        expected = won[0] ?? 0;
        expect((yield* log.last(subject))?.sequence).toBe(expected);
      }
    }).pipe(Effect.scoped),
  );

  test(
    "T1: a relay goes on when its acknowledgement is lost, and publishes once",
    Effect.gen(function* () {
      const target = yield* RelayTarget;
      const lossy = yield* Proxy;
      let cursor = yield* target.cursor("projections");
      for (const position of [1, 2, 3]) {
        const lost = lossy.loseNext("to client", acknowledgement);
        const messages = upTo(50).map((key) => ({
          subject: `projections.p.${key}`,
          headers: [["Tidemark-Kind", "final"]] as const,
          data: utf8(`${position}`),
        }));
        const step = { ...cursor, position };
        cursor = { ...step, revision: yield* target.publish("projections", messages, step) };
        yield* Effect.promise(() => lost);
      }
      const { state } = yield* streamInfo(yield* Connection, "PROJECTIONS");
      expect(state.messages).toBe(3 * 51);
    }),
  );

  test(
    "G1: a record batch whose acknowledgement is lost is acknowledged after all, and stored once",
    Effect.gen(function* () {
      const ingest = yield* IngestLog;
      const lossy = yield* Proxy;
      for (const [partition, direction, containing] of [
        [0, "to client", acknowledgement],
        [1, "to server", "Nats-Msg-Id"],
      ] as const) {
        const lost = lossy.loseNext(direction, containing);
        const given = yield* Effect.promise(() =>
          Promise.all(upTo(40).map((i) => ingest.append("t", partition, utf8(`${i}`)))),
        );
        yield* Effect.promise(() => lost);
        const reader = yield* (yield* EventLog).open("t", partition, 1);
        const records = yield* take(reader, 40);
        expect(new Set(given).size).toBe(40);
        for (const [index, sequence] of given.entries()) {
          expect(text(records[sequence - 1]?.data ?? utf8("none"))).toBe(`${index}`);
        }
        const bounds = yield* (yield* EventLog).bounds("t", partition);
        expect(bounds).toEqual({ first: 1, last: 40 });
      }
    }).pipe(Effect.scoped),
  );
});
