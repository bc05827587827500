import { Effect } from "effect";
import { expect, test } from "vitest";
import { ResultLog } from "../ports/result-log.ts";
import { broker, virtually } from "../testkit/virtual-engine.ts";
import { Trimmer } from "./trimmer.ts";

const SUBJECT = "results.p.1.0";
const MINUTE = 60_000;

/** A commit a minute, and a round of trimming after each; what is left after `minutes`. */
const leftAfter = (minutes: number, neededFrom: number): Promise<readonly number[]> =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const trimmer = new Trimmer(yield* ResultLog, SUBJECT, 5 * MINUTE);
      for (let minute = 1; minute <= minutes; minute++) {
        log.results.append([{ subject: SUBJECT, data: new Uint8Array(1) }], -1);
        yield* trimmer.round(minute * MINUTE, log.results.lastSequence, neededFrom);
      }
      return log.results.messages.map(({ sequence }) => sequence);
    }),
  );

test("what is younger than the retention stays, what is older goes (X1)", async () => {
  expect(await leftAfter(5, Infinity)).toEqual([1, 2, 3, 4, 5]);
  expect(await leftAfter(8, Infinity)).toEqual([3, 4, 5, 6, 7, 8]);
});

test("what somebody still needs stays, however old (X2)", async () => {
  expect(await leftAfter(20, 4)).toEqual(Array.from({ length: 17 }, (_, i) => i + 4));
  expect(await leftAfter(20, 0)).toHaveLength(20);
});

test("an idle task keeps its marker", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const trimmer = new Trimmer(yield* ResultLog, SUBJECT, MINUTE);
      log.results.append([{ subject: SUBJECT, data: new Uint8Array(1) }], -1);
      for (let minute = 1; minute < 100; minute++)
        yield* trimmer.round(minute * MINUTE, 1, Infinity);
      expect(log.results.messages).toHaveLength(1);
    }),
  ));
