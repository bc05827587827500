/** The server's whole store is full: back-pressure, and nothing that was acknowledged is lost. */
import { Context, Effect, Layer } from "effect";
import { expect, it } from "vitest";
import { bytesOf, sameBytes, upTo } from "../../actors/ports/contract/bytes.ts";
import { take } from "../../actors/ports/contract/event-log.suite.ts";
import { EventLog } from "../../actors/ports/event-log.ts";
import { AppendError, IngestLog } from "../../actors/ports/ingest-log.ts";
import { startTestServers } from "../servers/testing.ts";
import { natsLayer } from "./layer.ts";
import { provision } from "./provision.ts";

const mebibyte = 1024 * 1024;
/** As large as the stream of the one partition may become by its own limit: none. */
const topic = { name: "t", partitions: 1, retentionMs: 3_600_000, maxBytes: -1 };

it("a full store refuses record batches as `full`, and keeps what it holds", () =>
  Effect.gen(function* () {
    const { natsUrl } = yield* Effect.acquireRelease(
      Effect.promise(() => startTestServers({ nats: { maxStoreBytes: 8 * mebibyte } })),
      (running) => Effect.promise(() => running.dispose()),
    );
    const adapters = Layer.effectDiscard(provision({ topics: [topic] })).pipe(
      Layer.provideMerge(natsLayer({ url: natsUrl })),
    );
    const context = yield* Layer.build(adapters);
    const ingest = Context.get(context, IngestLog);
    const log = Context.get(context, EventLog);
    const outcomes = yield* Effect.promise(async () => {
      const settled: (number | string)[] = [];
      for (const seed of upTo(14)) {
        const outcome = await ingest.append("t", 0, bytesOf(seed, mebibyte)).catch((error) => {
          if (!(error instanceof AppendError)) throw error;
          return error.failure.kind;
        });
        settled.push(outcome);
      }
      return settled;
    });
    const stored = outcomes.filter((one) => typeof one === "number");
    expect(stored).toEqual(upTo(stored.length).map((index) => index + 1));
    expect(stored.length).toBeGreaterThan(5);
    expect(new Set(outcomes.slice(stored.length))).toEqual(new Set(["full"]));
    const records = yield* take(yield* log.open("t", 0, 1), stored.length);
    for (const [seed, { data }] of records.entries()) {
      expect(sameBytes(data, bytesOf(seed, mebibyte))).toBe(true);
    }
  }).pipe(Effect.scoped, Effect.runPromise));
