/** The audit on real streams: balanced books, books that are off, and logs that retention has cut. */
import { Effect, Layer } from "effect";
import { expect, it } from "vitest";
import { encodeParts, NO_BOOKS } from "../../actors/commit/marker.ts";
import { EventLog } from "../../actors/ports/event-log.ts";
import { ResultLog } from "../../actors/ports/result-log.ts";
import type { Books } from "../../proto/gen/tidemark/v1/commit.ts";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { commitSubject, eventsStream, type TaskId } from "../../proto/subjects.ts";
import { connect } from "../nats/connection.ts";
import { natsLayer, provision } from "../nats/index.ts";
import { purge } from "../nats/jetstream-api.ts";
import { startTestServers } from "../servers/testing.ts";
import { auditAll, auditJson, renderAudits } from "./commands/audit.ts";
import type { SurveyPlan } from "./survey.ts";
import { plain } from "./terminal/colour.ts";

const TEST_MS = 60_000;
const streams = { name: "t", partitions: 1, retentionMs: 3_600_000, maxBytes: -1 };
const plan = {
  topics: [{ name: "t", partitions: 1 }],
  projections: [
    { name: "p", topic: "t" },
    { name: "q", topic: "t", kind: "statechart" },
  ],
} as unknown as SurveyPlan;
const task = (projection: string): TaskId => ({
  kind: "window",
  projection,
  version: 1,
  partition: 0,
});
const quiet = { isTerminal: false, columns: 100, paint: plain, write: () => undefined };

const batch = (events: number): Uint8Array =>
  RecordBatch.encode({
    ingestTime: 1,
    events: Array.from({ length: events }, (_, index) => ({
      id: String(index),
      type: "x",
      key: "k",
      eventTime: 1,
      data: undefined,
    })),
    tick: undefined,
    rekeyed: undefined,
  }).finish();

const withStreams = <A>(
  body: (tools: {
    readonly append: (events: number) => Effect.Effect<unknown, unknown>;
    readonly commit: (
      projection: string,
      to: number,
      books: Partial<Books>,
    ) => Effect.Effect<void, unknown>;
    readonly cut: (first: number) => Effect.Effect<unknown, unknown>;
    readonly audit: (options?: {
      projection?: string;
      fast?: boolean;
    }) => ReturnType<typeof auditAll>;
  }) => Effect.Effect<A, unknown>,
): Promise<A> =>
  Effect.gen(function* () {
    const { natsUrl: url } = yield* Effect.acquireRelease(
      Effect.promise(() => startTestServers()),
      (running) => Effect.promise(() => running.dispose()),
    );
    const adapters = Layer.effectDiscard(provision({ topics: [streams] })).pipe(
      Layer.provideMerge(natsLayer({ url })),
    );
    return yield* Effect.gen(function* () {
      const events = yield* EventLog;
      const results = yield* ResultLog;
      const link = yield* connect({ url, name: "audit-test" });
      const numbers = new Map<string, number>();
      const sequences = new Map<string, number>();
      return yield* body({
        append: (count) => events.append("t", 0, batch(count)),
        commit: (projection, to, books) =>
          Effect.gen(function* () {
            const number = (numbers.get(projection) ?? 0) + 1;
            const marker = {
              epoch: 1,
              number,
              inputSequence: to,
              watermark: undefined,
              idle: false,
              ingestTime: 1,
              digest: new Uint8Array(8),
              definitionDigest: new Uint8Array(8),
              books: { ...NO_BOOKS, ...books },
              retainFrom: 0,
            };
            // Two parts: only the second one is a marker.
            const parts = encodeParts(task(projection), marker, [
              new Uint8Array(),
              new Uint8Array(),
            ]);
            const subject = commitSubject(task(projection));
            const sequence = yield* results.append(subject, parts, sequences.get(projection) ?? 0);
            numbers.set(projection, number);
            sequences.set(projection, sequence);
          }),
        cut: (seq) => purge(link, eventsStream("t", 0), { seq }),
        audit: ({ projection, fast = false } = {}) =>
          auditAll(link, { plan, projection, fast }, quiet),
      });
    }).pipe(Effect.provide(adapters));
  }).pipe(Effect.scoped, Effect.runPromise);

it(
  "finds books that balance, and counts each event of the log up to what is committed",
  () =>
    withStreams(({ append, commit, audit }) =>
      Effect.gen(function* () {
        for (const events of [3, 4, 0, 5]) yield* append(events);
        yield* commit("p", 3, { events: 7, counted: 5, late: 1, duplicate: 1, conflict: 1 });
        yield* commit("q", 4, { events: 12, filtered: 12 });
        const audits = yield* audit();
        expect(audits).toMatchObject([
          {
            projection: "p",
            kind: "window",
            position: 3,
            logEvents: 7,
            difference: 0,
            balanced: true,
          },
          { projection: "q", kind: "statechart", position: 4, logEvents: 12, balanced: true },
        ]);
        expect(renderAudits(audits, false, plain)).toContain(
          "The books balance; 19 events of the log counted.\n",
        );
        expect(yield* audit({ projection: "q", fast: true })).toMatchObject([
          { projection: "q", logEvents: undefined, balanced: true },
        ]);
        const unknown = yield* Effect.flip(audit({ projection: "r" }));
        expect(String(unknown)).toContain("there are no books of r");
      }),
    ),
  TEST_MS,
);

it(
  "finds an event that the books do not have, and accounts that do not add up",
  () =>
    withStreams(({ append, commit, audit }) =>
      Effect.gen(function* () {
        for (const events of [3, 4]) yield* append(events);
        yield* commit("p", 2, { events: 6, counted: 6 });
        yield* commit("q", 2, { events: 7, counted: 6 });
        const audits = yield* audit();
        expect(audits).toMatchObject([
          {
            projection: "p",
            logEvents: 7,
            bookEvents: 6,
            difference: -1,
            imbalance: 0,
            balanced: false,
          },
          { projection: "q", difference: 0, imbalance: 1, balanced: false },
        ]);
        expect(JSON.parse(auditJson(audits))).toMatchObject({ balanced: false });
        expect(renderAudits(audits, false, plain)).toMatch(/^p +1 +0 +7 +6 .* -1 +off$/m);
        // The log is not read, so only the second can be seen.
        expect(yield* audit({ fast: true })).toMatchObject([
          { balanced: true },
          { balanced: false },
        ]);
      }),
    ),
  TEST_MS,
);

it(
  "audits what is left of a log whose head is cut, and says what it could not",
  () =>
    withStreams(({ append, commit, cut, audit }) =>
      Effect.gen(function* () {
        for (const events of [3, 4, 5, 6]) yield* append(events);
        yield* commit("p", 1, { events: 3, counted: 3 });
        yield* commit("p", 2, { events: 7, counted: 7 });
        yield* commit("p", 3, { events: 12, counted: 12 });
        yield* commit("p", 4, { events: 18, counted: 18 });
        yield* commit("q", 4, { events: 18, counted: 18 });
        yield* cut(3);
        expect(yield* audit()).toMatchObject([
          {
            audited: { from: 2, to: 4 },
            logEvents: 11,
            bookEvents: 11,
            difference: 0,
            balanced: true,
          },
          { audited: undefined, logEvents: undefined, balanced: true },
        ]);
        const [p, q] = yield* audit();
        expect(p!.note).toBe("the log begins at 3: audited after 2");
        expect(q!.note).toBe("the log begins at 3, and RESULTS has no older books");
        const shown = renderAudits([p!, q!], false, plain);
        expect(shown).toMatch(/^q .* not audited$/m);
        expect(shown).toContain("1 partition could not be audited");
        // An error in the stretch that is left shows all the same.
        yield* commit("p", 4, { events: 19, counted: 19 });
        expect(yield* audit({ projection: "p" })).toMatchObject([
          { difference: 1, balanced: false },
        ]);
      }),
    ),
  TEST_MS,
);

it(
  "calls a log that was deleted unread, or that ends too early, off",
  () =>
    withStreams(({ append, commit, cut, audit }) =>
      Effect.gen(function* () {
        for (const events of [3, 4, 5]) yield* append(events);
        yield* commit("p", 1, { events: 3, counted: 3 });
        yield* commit("q", 9, { events: 3, counted: 3 });
        yield* cut(3);
        expect(yield* audit()).toMatchObject([
          { balanced: false, note: "the log begins at 3: events were deleted unread" },
          { balanced: false, note: "the log ends at 3, before what was committed" },
        ]);
      }),
    ),
  TEST_MS,
);
