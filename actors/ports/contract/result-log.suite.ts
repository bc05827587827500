/** What every ResultLog must do: R1 to R3 of the port. */
import { Clock, Effect, Fiber } from "effect";
import type { Layer } from "effect";
import { describe, expect } from "vitest";
import { Fenced, ResultLog } from "../result-log.ts";
import type { ResultReader, ResultRecord } from "../result-log.ts";
import { text, upTo, utf8 } from "./bytes.ts";
import { suiteRuntime } from "./suite-runtime.ts";

/** Reads until it has `count` records. */
export const takeResults = Effect.fnUntraced(function* (reader: ResultReader, count: number) {
  const records: ResultRecord[] = [];
  while (records.length < count) records.push(...(yield* reader.next));
  return records;
});

const contents = (records: readonly ResultRecord[]): readonly string[] =>
  records.map((record) => text(record.data));

const writers = 8;
const rounds = 200;

export const resultLogSuite = <E>(name: string, layer: Layer.Layer<ResultLog, E>): void => {
  describe(`ResultLog: ${name}`, () => {
    const test = suiteRuntime(layer);

    test(
      "R1: an append succeeds at the expected sequence only",
      Effect.gen(function* () {
        const log = yield* ResultLog;
        const subject = "results.simple.1.0";
        expect(yield* log.last(subject)).toBeUndefined();
        const first = yield* log.append(subject, [utf8("one")], 0);
        const second = yield* log.append(subject, [utf8("two")], first);
        expect(second).toBeGreaterThan(first);
        for (const stale of [0, first, second + 1]) {
          const error = yield* Effect.flip(log.append(subject, [utf8("zombie")], stale));
          expect(error).toEqual(new Fenced({ subject, expected: stale }));
        }
        const last = yield* log.last(subject);
        expect(last).toMatchObject({ sequence: second, subject, pending: 0 });
        expect(contents(last === undefined ? [] : [last])).toEqual(["two"]);
        expect(yield* log.lastSequence).toBe(second);
      }),
    );

    test(
      `R1: of ${writers} concurrent writers exactly one wins, in ${rounds} rounds`,
      Effect.gen(function* () {
        const log = yield* ResultLog;
        const subject = "results.race.1.0";
        let expected = 0;
        for (const round of upTo(rounds)) {
          const outcomes = yield* Effect.all(
            upTo(writers).map((writer) =>
              Effect.result(log.append(subject, [utf8(`${round} by ${writer}`)], expected)),
            ),
            { concurrency: "unbounded" },
          );
          const won = outcomes.flatMap((outcome, writer) =>
            outcome._tag === "Success" ? [{ writer, sequence: outcome.success }] : [],
          );
          expect(won).toHaveLength(1);
          expected = won[0]?.sequence ?? 0;
          const last = yield* log.last(subject);
          expect(text(last?.data ?? new Uint8Array())).toBe(`${round} by ${won[0]?.writer}`);
        }
      }),
    );

    test(
      "R1: of two owners that append the same bytes exactly one wins",
      Effect.gen(function* () {
        const log = yield* ResultLog;
        const subject = "results.twins.1.0";
        let expected = 0;
        for (const round of upTo(rounds)) {
          const marker = utf8(`takeover ${round}`);
          const outcomes = yield* Effect.all(
            upTo(2).map(() => Effect.result(log.append(subject, [marker], expected))),
            { concurrency: "unbounded" },
          );
          const won = outcomes.flatMap((one) => (one._tag === "Success" ? [one.success] : []));
          expect(won).toHaveLength(1);
          expected = won[0] ?? 0;
        }
      }),
    );

    test(
      "R2: the effect of one append, run again, is the same append",
      Effect.gen(function* () {
        const log = yield* ResultLog;
        const subject = "results.again.1.0";
        const append = log.append(subject, [utf8("once")], 0);
        const sequence = yield* append;
        expect(yield* append).toBe(sequence);
        expect(yield* log.lastSequence).toBe(sequence);
        yield* log.append(subject, [utf8("next")], sequence);
        expect(yield* Effect.flip(append)).toBeInstanceOf(Fenced);
      }),
    );

    test(
      "R1: a commit of several parts is appended whole, or leaves nothing",
      Effect.gen(function* () {
        const log = yield* ResultLog;
        const subject = "results.parts.1.0";
        const parts = (commit: number) => upTo(5).map((part) => utf8(`${commit}/${part}`));
        const before = yield* log.lastSequence;
        const first = yield* log.append(subject, parts(1), 0);
        expect(first).toBe(before + 5);
        const error = yield* Effect.flip(log.append(subject, parts(2), 0));
        expect(error).toBeInstanceOf(Fenced);
        expect(yield* log.lastSequence).toBe(first);
        const second = yield* log.append(subject, parts(3), first);
        expect(second).toBe(first + 5);
        const reader = yield* log.open([subject], 1);
        expect(contents(yield* takeResults(reader, 10))).toEqual(
          [1, 3].flatMap((commit) => parts(commit).map(text)),
        );
      }).pipe(Effect.scoped),
    );

    test(
      "R3: a reader delivers what matches, in stream order, and what comes later",
      Effect.gen(function* () {
        const log = yield* ResultLog;
        const from = (yield* log.lastSequence) + 1;
        const last = new Map<string, number>();
        const write = Effect.fnUntraced(function* (subject: string, content: string) {
          const expected = last.get(subject) ?? 0;
          last.set(subject, yield* log.append(subject, [utf8(content)], expected));
        });
        for (const step of upTo(10)) {
          yield* write("results.order.1.0", `a${step}`);
          yield* write("results.order.1.1", `b${step}`);
          yield* write("partials.order.1.0", `p${step}`);
          yield* write("results.other.1.0", `o${step}`);
        }
        yield* write("control.order", "promote");
        const filters = ["results.order.1.*", "control.order"];
        const reader = yield* log.open(filters, from);
        const wanted = [...upTo(10).flatMap((step) => [`a${step}`, `b${step}`]), "promote"];
        const records = yield* takeResults(reader, 21);
        expect(contents(records)).toEqual(wanted);
        expect(records.map(({ pending }) => pending)).toEqual(upTo(21).map((i) => 20 - i));
        expect(records[0]?.subject).toBe("results.order.1.0");
        const ordered = records.map(({ sequence }) => sequence);
        expect(ordered).toEqual([...ordered].sort((a, b) => a - b));

        const waiting = yield* Effect.forkChild(reader.next, { startImmediately: true });
        yield* write("results.other.1.0", "unseen");
        yield* write("results.order.1.1", "later");
        expect(contents(yield* Fiber.join(waiting))).toEqual(["later"]);
        const middle = yield* log.open(filters, ordered[19] ?? 0);
        expect(contents(yield* takeResults(middle, 3))).toEqual(["b9", "promote", "later"]);
      }).pipe(Effect.scoped),
    );

    test(
      "the last message of a subject below a sequence, however far back it lies",
      Effect.gen(function* () {
        const log = yield* ResultLog;
        const subject = "results.before.1.0";
        const given: number[] = [];
        let neighbour = 0;
        for (const step of upTo(4)) {
          given.push(yield* log.append(subject, [utf8(`${step}`)], given.at(-1) ?? 0));
          for (const other of upTo(step * 7)) {
            neighbour = yield* log.append("results.before.1.1", [utf8(`${other}`)], neighbour);
          }
        }
        for (const [step, sequence] of given.entries()) {
          const before = yield* log.lastBefore(subject, sequence);
          expect(before?.sequence).toBe(given[step - 1]);
          const after = yield* log.lastBefore(subject, sequence + 1);
          expect(after).toMatchObject({ sequence, subject });
          expect(contents(after === undefined ? [] : [after])).toEqual([`${step}`]);
        }
        expect(yield* log.lastBefore("results.before.none.0", neighbour)).toBeUndefined();
        expect(yield* log.lastBefore(subject, 1)).toBeUndefined();
      }),
    );

    test(
      "trim deletes what lies below, and never a subject's last message",
      Effect.gen(function* () {
        const log = yield* ResultLog;
        const subject = "results.trim.1.0";
        const neighbour = "results.trim.1.1";
        const kept = yield* log.append(neighbour, [utf8("kept")], 0);
        const given: number[] = [];
        for (const step of upTo(6)) {
          given.push(yield* log.append(subject, [utf8(`${step}`)], given.at(-1) ?? 0));
        }
        yield* log.trim(subject, given[2] ?? 0);
        const reader = yield* log.open([subject], 1);
        expect(contents(yield* takeResults(reader, 4))).toEqual(["2", "3", "4", "5"]);
        yield* log.trim(subject, (given[5] ?? 0) + 1_000);
        expect(yield* log.last(subject)).toMatchObject({ sequence: given[5] });
        expect(yield* log.last(neighbour)).toMatchObject({ sequence: kept });
        yield* log.trim("results.trim.none.0", 10);
        yield* log.append(subject, [utf8("6")], given[5] ?? 0);
        const both = yield* log.open(["results.trim.>"], 1);
        expect(contents(yield* takeResults(both, 3))).toEqual(["kept", "5", "6"]);
      }).pipe(Effect.scoped),
    );

    test(
      "trim by age deletes what the stream took in before, and tells whether more is left",
      Effect.gen(function* () {
        const log = yield* ResultLog;
        const subject = "results.aged.1.0";
        const given: number[] = [];
        const write = Effect.fnUntraced(function* (content: string) {
          given.push(yield* log.append(subject, [utf8(content)], given.at(-1) ?? 0));
        });
        for (const step of upTo(4)) yield* write(`${step}`);
        // The stream's clock and ours may differ by what lies between two processes, not by an hour.
        const now = yield* Clock.currentTimeMillis;
        expect(yield* log.trim(subject, given[3] ?? 0, now - 3_600_000)).toBe(true);
        expect(yield* log.trim(subject, given[2] ?? 0, now + 3_600_000)).toBe(true);
        const reader = yield* log.open([subject], 1);
        expect(contents(yield* takeResults(reader, 2))).toEqual(["2", "3"]);
        expect(yield* log.trim(subject, Infinity, now + 3_600_000)).toBe(false);
        expect(yield* log.last(subject)).toMatchObject({ sequence: given[3] });
        expect(yield* log.trim("results.aged.none.0", 10, now)).toBe(false);
      }).pipe(Effect.scoped),
    );
  });
};
