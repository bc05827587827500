/** Ingest on a real nats-server: what is acknowledged is in the log, and an outage is said to be one. */
import { status } from "@grpc/grpc-js";
import { Effect } from "effect";
import { describe, expect } from "vitest";
import { take } from "../../actors/ports/contract/event-log.suite.ts";
import { suiteRuntime } from "../../actors/ports/contract/suite-runtime.ts";
import { EventLog } from "../../actors/ports/event-log.ts";
import { Connection } from "../../infra/nats/connection.ts";
import { makeAppender } from "../../infra/nats/ingest-log.ts";
import { natsTestLayer, Servers } from "../../infra/nats/testing.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { Verdict } from "../../proto/gen/tidemark/v1/ingest.ts";
import { LabGateway } from "./lab-gateway.suite.ts";
import { labDefinition, labEvent, readingBytes } from "./lab-topic.suite.ts";

const { VERDICT_STORED, VERDICT_UNAVAILABLE } = Verdict;

const lab = { ...labDefinition, maxBytes: 64 * 1024 * 1024 };
const other = { ...labDefinition, name: "other", partitions: 1, maxBytes: 64 * 1024 };

/** A gateway on the test's nats-server that gives up on an append after `timeoutMs`. */
const gateway = (timeoutMs: number) =>
  Effect.gen(function* () {
    const log = yield* makeAppender(yield* Connection, { timeoutMs });
    return yield* Effect.acquireRelease(
      Effect.promise(() => LabGateway.start({ log })),
      (started) => Effect.promise(() => started.close()),
    );
  });

const events = (...ids: string[]) => ids.map((id) => labEvent({ id, key: `key of ${id}` }));

describe("ingest on NATS", () => {
  const test = suiteRuntime(natsTestLayer(lab, other));

  test(
    "what is acknowledged is in the log, where the response says",
    Effect.scoped(
      Effect.gen(function* () {
        const { publishBatch } = bound(yield* gateway(10_000));
        const sent = events(...Array.from({ length: 80 }, (_, i) => `batch-${i}`));
        const { response } = yield* Effect.promise(() =>
          publishBatch({ topic: "lab", events: sent }),
        );
        const log = yield* EventLog;
        for (const [i, event] of sent.entries()) {
          expect(response!.verdicts[i]).toBe(VERDICT_STORED);
          const reader = yield* log.open("lab", response!.partitions[i], response!.sequences[i]);
          const [record] = yield* take(reader, 1);
          expect(RecordBatch.decode(record.data).events).toContainEqual(event);
        }
      }),
    ),
  );

  test(
    "while NATS is down: UNAVAILABLE with retry information; afterwards the same ids are stored",
    Effect.scoped(
      Effect.gen(function* () {
        const running = yield* gateway(1000);
        const { publish, publishBatch } = bound(running);
        const { nats } = yield* Servers;
        const stream = running.publishStream();
        yield* Effect.promise(() => nats.kill9());

        const request = { topic: "lab", events: events("down-1", "down-2") };
        stream.send(request);
        const refused = yield* Effect.promise(() =>
          Promise.all([
            publish({ topic: "lab", event: events("down-3")[0] }),
            publishBatch(request),
          ]),
        );
        for (const { error } of refused) {
          expect(error!.code).toBe(status.UNAVAILABLE);
          expect(error!.details).toContain("may or may not be");
          expect(error!.metadata.get("grpc-retry-pushback-ms")).toEqual(["250"]);
        }
        const [streamed] = yield* Effect.promise(() => stream.received(1));
        expect(streamed.verdicts).toEqual([VERDICT_UNAVAILABLE, VERDICT_UNAVAILABLE]);

        yield* Effect.promise(() => nats.start());
        const stored = yield* Effect.promise(async () => {
          for (;;) {
            const { response, error } = await publishBatch(request);
            if (response !== undefined) return response.verdicts;
            expect(error!.code).toBe(status.UNAVAILABLE);
          }
        });
        expect(stored).toEqual([VERDICT_STORED, VERDICT_STORED]);
        stream.send(request);
        const responses = yield* Effect.promise(() => stream.received(2));
        expect(responses[1].verdicts).toEqual([VERDICT_STORED, VERDICT_STORED]);
      }),
    ),
  );

  test(
    "a full log: RESOURCE_EXHAUSTED, and nothing is dropped to make room",
    Effect.scoped(
      Effect.gen(function* () {
        const { publish } = bound(yield* gateway(10_000));
        const value = readingBytes({ place: "x".repeat(3000) });
        const event = labEvent({ data: { $case: "protobuf", value } });
        let stored = 0;
        const refused = yield* Effect.promise(async () => {
          for (;;) {
            const { error } = await publish({ topic: "other", event });
            if (error !== undefined) return error;
            stored++;
          }
        });
        expect(refused.code).toBe(status.RESOURCE_EXHAUSTED);
        expect(refused.details).toContain("the log is full");
        expect(refused.details).toContain("EVENTS_other_0");
        expect(refused.metadata.get("grpc-retry-pushback-ms")).toEqual(["10000"]);
        expect(stored).toBeGreaterThan(10);
        const { first, last } = yield* (yield* EventLog).bounds("other", 0);
        expect([first, last]).toEqual([1, stored]);
      }),
    ),
  );
});

const bound = (running: LabGateway) => ({
  publish: running.publish.bind(running),
  publishBatch: running.publishBatch.bind(running),
});
