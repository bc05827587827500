/** What every RekeyLog must do: W1 and W2 of the port. */
import { Effect } from "effect";
import type { Layer } from "effect";
import { describe, expect } from "vitest";
import { EventLog } from "../event-log.ts";
import { RekeyLog } from "../rekey-log.ts";
import { Fenced } from "../result-log.ts";
import { text, upTo, utf8 } from "./bytes.ts";
import { suiteRuntime } from "./suite-runtime.ts";

const topic = { name: "via_contract_1", partitions: 2, retentionMs: 3_600_000 };

export const rekeyLogSuite = <E>(
  name: string,
  layer: Layer.Layer<RekeyLog | EventLog, E>,
): void => {
  describe(`RekeyLog: ${name}`, () => {
    const test = suiteRuntime(layer);

    test(
      "a topic is made once, however often it is asked for, and is empty",
      Effect.gen(function* () {
        const log = yield* RekeyLog;
        yield* Effect.all([log.ensure(topic), log.ensure(topic)], { concurrency: "unbounded" });
        yield* log.ensure(topic);
        for (const partition of [0, 1]) {
          expect(yield* log.last(topic.name, partition)).toBeUndefined();
        }
      }),
    );

    test(
      "W1: what is appended is what readers of events see, partition by partition",
      Effect.gen(function* () {
        const log = yield* RekeyLog;
        const events = yield* EventLog;
        let last = 0;
        for (const index of upTo(3)) {
          last = yield* log.append(topic.name, 0, utf8(`record ${index}`), last);
          expect(last).toBe(index + 1);
        }
        expect(yield* log.append(topic.name, 1, utf8("other"), 0)).toBe(1);
        const reader = yield* events.open(topic.name, 0, 2);
        const [first] = yield* reader.next;
        expect([first?.sequence, text(first!.data)]).toEqual([2, "record 1"]);
        const newest = yield* log.last(topic.name, 0);
        expect([newest?.sequence, text(newest!.data)]).toEqual([3, "record 2"]);
      }).pipe(Effect.scoped),
    );

    test(
      "W1: of two that expect the same only one writes",
      Effect.gen(function* () {
        const log = yield* RekeyLog;
        for (const round of upTo(20)) {
          const expected = (yield* log.last(topic.name, 0))!.sequence;
          const outcomes = yield* Effect.all(
            upTo(2).map(() =>
              Effect.result(log.append(topic.name, 0, utf8(`round ${round}`), expected)),
            ),
            { concurrency: "unbounded" },
          );
          expect(outcomes.filter(({ _tag }) => _tag === "Success")).toHaveLength(1);
          expect((yield* log.last(topic.name, 0))!.sequence).toBe(expected + 1);
        }
        const stale = yield* Effect.flip(log.append(topic.name, 0, utf8("stale"), 1));
        expect(stale).toBeInstanceOf(Fenced);
      }),
    );

    test(
      "W1: one append, run again, is one record",
      Effect.gen(function* () {
        const log = yield* RekeyLog;
        const expected = (yield* log.last(topic.name, 1))!.sequence;
        const append = log.append(topic.name, 1, utf8("once"), expected);
        expect(yield* append).toBe(yield* append);
        expect((yield* log.last(topic.name, 1))!.sequence).toBe(expected + 1);
      }),
    );

    test(
      "a topic that was removed can be made anew, and is empty then",
      Effect.gen(function* () {
        const log = yield* RekeyLog;
        yield* log.remove(topic.name, topic.partitions);
        yield* log.remove(topic.name, topic.partitions);
        yield* log.ensure(topic);
        expect(yield* log.last(topic.name, 0)).toBeUndefined();
        expect(yield* log.append(topic.name, 0, utf8("first"), 0)).toBe(1);
      }),
    );
  });
};
