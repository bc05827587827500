/** What every IngestLog must do: an acknowledgement is true, and a refusal says why. */
import { Context, Effect } from "effect";
import type { Layer } from "effect";
import { describe, expect } from "vitest";
import { EventLog } from "../event-log.ts";
import { AppendError, IngestLog } from "../ingest-log.ts";
import { bytesOf, sameBytes, upTo } from "./bytes.ts";
import { contractTopic, take } from "./event-log.suite.ts";
import { suiteRuntime } from "./suite-runtime.ts";

export class IngestLogRig extends Context.Service<
  IngestLogRig,
  {
    /** Makes the partition refuse what exceeds this many bytes; undefined lifts the limit. */
    readonly limit: (partition: number, bytes: number | undefined) => Effect.Effect<void>;
  }
>()("actors/ports/contract/IngestLogRig") {}

/** An append as data: its sequence, or why it was refused. */
export const attempt = (log: IngestLog["Service"], partition: number, data: Uint8Array) =>
  Effect.promise(() =>
    log.append(contractTopic, partition, data).then(
      (sequence) => ({ sequence, failure: undefined }),
      (error: unknown) => {
        if (!(error instanceof AppendError)) throw error;
        return { sequence: 0, failure: error.failure.kind };
      },
    ),
  );

export const ingestLogSuite = <E>(
  name: string,
  layer: Layer.Layer<IngestLog | EventLog | IngestLogRig, E>,
): void => {
  describe(`IngestLog: ${name}`, () => {
    const test = suiteRuntime(layer);

    test(
      "concurrent appends each get the sequence under which the log holds them",
      Effect.gen(function* () {
        const ingest = yield* IngestLog;
        const log = yield* EventLog;
        const given = yield* Effect.promise(() =>
          Promise.all(upTo(300).map((seed) => ingest.append(contractTopic, 0, bytesOf(seed, 999)))),
        );
        expect([...given].sort((a, b) => a - b)).toEqual(upTo(300).map((index) => index + 1));
        const records = yield* take(yield* log.open(contractTopic, 0, 1), 300);
        for (const [seed, sequence] of given.entries()) {
          const data = records[sequence - 1]?.data ?? new Uint8Array();
          expect(sameBytes(data, bytesOf(seed, 999))).toBe(true);
        }
      }).pipe(Effect.scoped),
    );

    test(
      "a record batch of maxBytes fits",
      Effect.gen(function* () {
        const ingest = yield* IngestLog;
        const data = bytesOf(1, ingest.maxBytes);
        expect(yield* attempt(ingest, 1, data)).toMatchObject({ sequence: 1 });
        const [record] = yield* take(yield* (yield* EventLog).open(contractTopic, 1, 1), 1);
        expect(sameBytes(record?.data ?? new Uint8Array(), data)).toBe(true);
      }).pipe(Effect.scoped),
    );

    test(
      "a full stream refuses as `full`, keeps what it holds, and takes more when there is room",
      Effect.gen(function* () {
        const ingest = yield* IngestLog;
        const log = yield* EventLog;
        const rig = yield* IngestLogRig;
        yield* rig.limit(2, 100_000);
        const outcomes = [];
        for (const seed of upTo(8)) outcomes.push(yield* attempt(ingest, 2, bytesOf(seed, 30_000)));
        expect(outcomes.slice(0, 3)).toMatchObject(upTo(3).map((i) => ({ sequence: i + 1 })));
        expect(new Set(outcomes.slice(3).map(({ failure }) => failure))).toEqual(new Set(["full"]));
        expect(yield* log.bounds(contractTopic, 2)).toEqual({ first: 1, last: 3 });
        yield* rig.limit(2, undefined);
        expect(yield* attempt(ingest, 2, bytesOf(9))).toMatchObject({ sequence: 4 });
      }),
    );
  });
};
