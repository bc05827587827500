/**
 * The heaviest that a projection can publish goes through a server with the least max_payload that
 * Tidemark works with: its commit, its partial, its dead letter, and what the relay makes of them.
 */
import { Effect, Layer } from "effect";
import { expect, test } from "vitest";
import { encodeParts, NO_BOOKS } from "../../actors/commit/marker.ts";
import { RelayTarget } from "../../actors/ports/relay-target.ts";
import { ResultLog } from "../../actors/ports/result-log.ts";
import { deadLetterMessages, updateMessages } from "../../actors/relay/messages.ts";
import { encodeBatch, salesPlan } from "../../actors/testkit/plans.ts";
import type { Sale } from "../../actors/testkit/plans.ts";
import { PartitionRun } from "../../actors/testkit/run.ts";
import { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { commitSubject } from "../../proto/subjects.ts";
import type { TaskId } from "../../proto/subjects.ts";
import type { AggregateDefinition } from "../../projections/definition/definition.ts";
import {
  GROUP_KEY_BYTES_MAX,
  MESSAGE_BYTES_MIN,
  overweight,
  RESULT_BYTES_MAX,
  weightOf,
} from "../../projections/definition/weight.ts";
import { startTestServers } from "../servers/testing.ts";
import { natsLayer } from "./layer.ts";
import { provision } from "./provision.ts";

const collect: AggregateDefinition = { fn: "collect", of: { field: "store" }, limit: 1_000 };
const topK: AggregateDefinition = {
  fn: "topK",
  of: { field: "store" },
  k: 1,
  capacity: 220,
  sketch: true,
};
const HEAVIEST = { a: collect, b: collect, c: collect, d: topK };
const LONGEST_KEY = "\u0001".repeat(GROUP_KEY_BYTES_MAX);

/** An event that a gateway takes at the most: 768 KiB. */
const largest: Sale = { id: "large", key: "k", time: 1, store: "\u0001".repeat(767 * 1024) };

/** Encoded commits of the window's task, in its parts. */
const partsOf = (task: TaskId, run: PartitionRun): readonly Uint8Array[] => {
  const draft = run.core.take();
  const marker = {
    ...run.core.progress(),
    books: NO_BOOKS,
    epoch: 2 ** 40,
    number: 2 ** 40,
    digest: new Uint8Array(8),
    definitionDigest: new Uint8Array(8),
  };
  return encodeParts(task, marker, draft.fragments);
};

test("the heaviest result, partial and dead letter fit into messages of 1 MiB", () =>
  Effect.gen(function* () {
    const servers = yield* Effect.acquireRelease(
      Effect.promise(() => startTestServers({ nats: { maxPayloadBytes: MESSAGE_BYTES_MIN } })),
      (running) => Effect.promise(() => running.dispose()),
    );
    const layer = Layer.effectDiscard(provision({ topics: [] })).pipe(
      Layer.provideMerge(natsLayer({ url: servers.natsUrl })),
    );
    yield* Effect.gen(function* () {
      const log = yield* ResultLog;
      const outlet = yield* RelayTarget;
      const aggregates = salesPlan({ aggregates: HEAVIEST }).aggregates;
      expect(overweight(aggregates)).toBeUndefined();
      const weight = Object.values(HEAVIEST).reduce((sum, one) => sum + weightOf(one, "string"), 0);
      expect(weight).toBeGreaterThan(RESULT_BYTES_MAX * 0.98);

      const sales = Array.from({ length: 1_000 }, (_, i): Sale => {
        const store = `${i}`.padEnd(1_024, "\u0001");
        return { id: `${i}`, key: LONGEST_KEY, time: 1, store };
      });
      const closing: Sale = { id: "end", key: "k", time: 50 };
      for (const kind of ["window", "partial"] as const) {
        const merged = kind === "partial" ? ({ key: { field: "store" } } as const) : {};
        const run = new PartitionRun(salesPlan({ aggregates: HEAVIEST, ...merged }));
        const own =
          kind === "window" ? sales : sales.map((one) => ({ ...one, store: LONGEST_KEY }));
        run.read(encodeBatch(own));
        if (kind === "partial") run.read(encodeBatch([largest]));
        run.read(encodeBatch([closing]));
        const task: TaskId = { kind, projection: "heavy", version: 1, partition: 0 };
        const parts = partsOf(task, run);
        const sequence = yield* log.append(commitSubject(task), parts, 0);
        expect((yield* log.last(commitSubject(task)))?.sequence).toBe(sequence);
        const commits = parts.map((part) => Commit.decode(part));
        if (kind === "window") {
          expect(Math.max(...parts.map((part) => part.length))).toBeGreaterThan(800 * 1024);
          expect(commits.flatMap(({ updates }) => updates)).toHaveLength(1);
        } else {
          expect(commits.flatMap(({ partials }) => partials)).toHaveLength(1);
          expect(commits.flatMap(({ deadLetters }) => deadLetters)).toHaveLength(1);
        }
        for (const [target, make] of [
          ["projections", updateMessages],
          ["dlq", deadLetterMessages],
        ] as const) {
          const source = { projection: "heavy", version: 1, subjects: { by: "key" } } as const;
          const messages = parts.flatMap((part) => make(source, part));
          const cursor = yield* outlet.cursor(target);
          const position = cursor.position + 1;
          const revision = yield* outlet.publish(target, messages, { ...cursor, position });
          expect((yield* outlet.cursor(target)).revision).toBe(revision);
        }
      }
    }).pipe(Effect.provide(layer));
  }).pipe(Effect.scoped, Effect.runPromise));
