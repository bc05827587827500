/** Relays over memory: each update of the active version reaches its subject exactly once. */
import { Effect, Fiber } from "effect";
import { TestClock } from "effect/testing";
import { describe, expect, test } from "vitest";
import { Commit, Promotion } from "../../proto/gen/tidemark/v1/commit.ts";
import type { Update } from "../../proto/gen/tidemark/v1/commit.ts";
import { DeadLetter, DeadLetter_Reason } from "../../proto/gen/tidemark/v1/dead_letter.ts";
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import { RelayTarget } from "../ports/relay-target.ts";
import { ResultLog } from "../ports/result-log.ts";
import { salesPlan } from "../testkit/plans.ts";
import { broker, Faults, turns, until, virtually } from "../testkit/virtual-engine.ts";
import type { Broker } from "../testkit/virtual-engine.ts";
import { BODY_BYTES_MAX, updateMessages } from "./messages.ts";
import { Relay } from "./relay.ts";
import type { RelayKind } from "./relay.ts";

const PLANS = [
  salesPlan({ name: "sales" }),
  salesPlan({ name: "wide", subjects: { by: "bucket", buckets: 8 } }),
];

const EMPTY = Commit.decode(new Uint8Array(0));
const NO_PROMOTION = Promotion.decode(new Uint8Array(0));

const update = (key: string): Update => ({
  key,
  windowStart: 0,
  windowEnd: 10,
  kind: Kind.KIND_FINAL,
  revision: 1,
  ordinal: 0,
  watermark: 9,
  partition: 0,
  sequence: 1,
  index: 0,
  values: [{ kind: { $case: "intValue", value: "42" } }],
});

const letter = (eventId: string): DeadLetter => ({
  ...DeadLetter.decode(new Uint8Array(0)),
  reason: DeadLetter_Reason.REASON_LATE,
  topic: "sales",
  projection: "sales",
  version: 1,
  position: { partition: 2, sequence: 7, index: 1 },
  eventId,
  eventKey: "a\nkey",
  lateness: 5,
});

const commit = (
  log: Broker,
  subject: string,
  keys: readonly string[],
  letters: readonly string[] = [],
): void => {
  const data = Commit.encode({
    ...EMPTY,
    columns: ["n"],
    updates: keys.map(update),
    deadLetters: letters.map(letter),
  }).finish();
  log.results.append([{ subject, data }], -1);
};

const promote = (log: Broker, projection: string, version: number): void => {
  const data = Promotion.encode({
    ...NO_PROMOTION,
    projection,
    version,
    previousVersion: 1,
  }).finish();
  log.results.append([{ subject: `control.${projection}`, data }], -1);
};

const relayOf = (target: RelayKind) =>
  Effect.gen(function* () {
    const options = { target, plans: PLANS, results: yield* ResultLog, outlet: yield* RelayTarget };
    return new Relay(options);
  });

const isCursor = (subject: string): boolean => subject.startsWith("relay.");

const relayed = (log: Broker, target: RelayKind = "projections") =>
  log.target(target).messages.filter(({ subject }) => !isCursor(subject));

const keysOf = (log: Broker): readonly string[] =>
  relayed(log).map(({ data }) => JSON.parse(new TextDecoder().decode(data)).key as string);

const numbered = (count: number, from = 0): readonly string[] =>
  Array.from({ length: count }, (_, i) => `k${from + i}`);

test("an update is a message with all that a consumer needs", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      commit(log, "results.sales.1.0", ["a b"]);
      commit(log, "results.wide.1.0", ["x"]);
      commit(log, "results.unknown.1.0", ["y"]);
      yield* Effect.forkScoped((yield* relayOf("projections")).run);
      yield* until(() => relayed(log).length === 2);
      const [first, second] = relayed(log);
      expect(first!.subject).toBe("projections.sales.a%20b");
      expect(Object.fromEntries(first!.headers)).toEqual({
        "Tidemark-Kind": "final",
        "Tidemark-Revision": "1",
        "Tidemark-Version": "1",
        "Tidemark-Window-Start": "0",
        "Tidemark-Window-End": "10",
        "Tidemark-Watermark": "9",
        "Tidemark-Key": "a%20b",
      });
      const body = JSON.parse(new TextDecoder().decode(first!.data));
      expect(body).toMatchObject({ projection: "sales", key: "a b", values: { n: 42 } });
      expect(second!.subject).toMatch(/^projections\.wide\.b000[0-7]$/);
    }),
  ));

test("a dead letter keeps its bytes, and its headers can be read without the schema", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      commit(log, "results.sales.1.0", ["a"], ["one"]);
      commit(log, "partials.sales.1.1", [], ["two"]);
      yield* Effect.forkScoped((yield* relayOf("dlq")).run);
      yield* until(() => relayed(log, "dlq").length === 2);
      const [first, second] = relayed(log, "dlq");
      expect(first!.subject).toBe("dlq.sales.sales.late");
      expect(DeadLetter.decode(first!.data)).toMatchObject({ eventId: "one", eventKey: "a\nkey" });
      expect(DeadLetter.decode(second!.data).eventId).toBe("two");
      expect(Object.fromEntries(first!.headers)).toMatchObject({
        "Tidemark-Reason": "late",
        "Tidemark-Position": "2:7:1",
        "Tidemark-Event-Id": "one",
        "Tidemark-Event-Key": "a%0Akey",
        "Tidemark-Lateness-Ms": "5",
      });
    }),
  ));

test("the active version is the one that the stream says, commit by commit (Y2)", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      commit(log, "results.sales.1.0", ["old"]);
      commit(log, "results.sales.2.0", ["too early"]);
      promote(log, "sales", 2);
      commit(log, "results.sales.1.0", ["too late"]);
      commit(log, "results.sales.2.0", ["new"]);
      yield* Effect.forkScoped((yield* relayOf("projections")).run);
      yield* until(() => relayed(log).length === 2);
      promote(log, "sales", 3);
      commit(log, "results.sales.2.0", ["too late"]);
      commit(log, "results.sales.3.0", ["newest"]);
      yield* until(() => relayed(log).length === 3);
      expect(keysOf(log)).toEqual(["old", "new", "newest"]);
    }),
  ));

test("a relay that starts between two promotions knows which came before it", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      promote(log, "sales", 2);
      commit(log, "results.sales.2.0", ["a"]);
      const first = yield* Effect.forkScoped((yield* relayOf("projections")).run);
      yield* until(() => relayed(log).length === 1);
      yield* Fiber.interrupt(first);
      commit(log, "results.sales.2.0", ["b"]);
      promote(log, "sales", 3);
      commit(log, "results.sales.2.0", ["never"]);
      commit(log, "results.sales.3.0", ["c"]);
      yield* Effect.forkScoped((yield* relayOf("projections")).run);
      yield* until(() => relayed(log).length === 3);
      expect(keysOf(log)).toEqual(["a", "b", "c"]);
    }),
  ));

test("what is read again after an outage is judged by the promotions before it (Y2)", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      commit(log, "results.sales.1.0", ["old"]);
      yield* Effect.forkScoped((yield* relayOf("projections")).run);
      yield* until(() => relayed(log).length === 1);
      // Nothing of these is published, so the cursor stays in front of them.
      commit(log, "results.sales.2.0", ["too early"]);
      promote(log, "sales", 2);
      yield* turns(50);
      (yield* Faults).add([{ at: "results.next", kind: "fail" }]);
      commit(log, "results.sales.1.0", ["too late"]);
      yield* turns(50);
      commit(log, "results.sales.2.0", ["new"]);
      yield* until(() => keysOf(log).includes("new"));
      expect(keysOf(log)).toEqual(["old", "new"]);
    }),
  ));

describe("a commit larger than a publish goes out in pieces, each once (Y1, Y3)", () => {
  for (const steps of [0, 1, 2, 3, 5, 8, 13, 21, 34]) {
    test(`with a crash every ${steps} steps`, () =>
      virtually(
        Effect.gen(function* () {
          const log = yield* broker;
          commit(log, "results.sales.1.0", numbered(3_500));
          commit(log, "results.other.1.0", ["never"]);
          commit(log, "results.sales.1.1", []);
          commit(log, "results.sales.1.1", numbered(1_200, 3_500));
          for (let life = 0; life < 12; life++) {
            const fiber = yield* Effect.forkScoped((yield* relayOf("projections")).run);
            yield* turns(steps);
            yield* Fiber.interrupt(fiber);
          }
          yield* Effect.forkScoped((yield* relayOf("projections")).run);
          yield* until(() => relayed(log).length >= 4_700);
          expect(keysOf(log)).toEqual(numbered(4_700));
        }),
      ));
  }
});

describe("an outage costs time only", () => {
  for (const kind of ["fail", "fail-stored", "lose-ack"] as const) {
    test(kind, () =>
      virtually(
        Effect.gen(function* () {
          const log = yield* broker;
          commit(log, "results.sales.1.0", numbered(2_500));
          yield* Effect.forkScoped((yield* relayOf("projections")).run);
          yield* until(() => relayed(log).length >= 2_500);
          commit(log, "results.sales.1.0", numbered(10, 2_500));
          yield* until(() => relayed(log).length >= 2_510);
          expect(keysOf(log)).toEqual(numbered(2_510));
        }),
        {
          faults: [
            { at: "relay.publish", kind, times: 2 },
            { at: "relay.publish", kind, skip: 2, times: 1 },
            { at: "relay.cursor", kind: "fail" },
            { at: "results.next", kind: "fail", skip: 1 },
          ],
        },
      ),
    );
  }
});

test("a zombie relay is fenced and publishes nothing more (Y4)", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const zombie = yield* relayOf("projections");
      yield* Effect.forkScoped(zombie.run);
      yield* until(() => zombie.status.state === "relaying");
      const successor = yield* relayOf("projections");
      yield* Effect.forkScoped(successor.run);
      yield* until(() => successor.status.state === "relaying");
      commit(log, "results.sales.1.0", ["a"]);
      yield* until(() => zombie.status.state === "fenced" && relayed(log).length === 1);
      expect(zombie.status.reason).toContain("another owner");
      expect(successor.status).toMatchObject({ state: "relaying", epoch: 2, position: 1 });
    }),
  ));

test("the cursor moves on over commits without messages, in its own time", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const relay = yield* relayOf("projections");
      yield* Effect.forkScoped(relay.run);
      yield* until(() => relay.status.state === "relaying");
      for (let i = 0; i < 20; i++) {
        commit(log, "results.sales.1.0", []);
        yield* TestClock.adjust(1_000);
        yield* turns(3);
      }
      const cursors = log.projections.messages.filter(({ subject }) => isCursor(subject));
      expect(cursors.length).toBeLessThan(6);
      expect(relay.status.position).toBeGreaterThan(10);
    }),
  ));

test("an update whose values do not fit into a message goes out without them, and says so (S2)", () => {
  const heavy: Update = {
    ...update("k"),
    // One byte in a commit, six as JSON.
    values: [{ kind: { $case: "stringValue", value: "\u0001".repeat(200_000) } }],
  };
  const source = { projection: "sales", version: 1, subjects: { by: "key" } } as const;
  const data = Commit.encode({ ...EMPTY, columns: ["n"], updates: [heavy, update("l")] }).finish();
  const [without, neighbour] = updateMessages(source, data);
  expect(JSON.parse(Buffer.from(without!.data).toString())).toMatchObject({
    key: "k",
    revision: 1,
    values: null,
    omittedBytes: expect.any(Number),
  });
  expect(new Map(without!.headers).get("Tidemark-Omitted-Bytes")).toMatch(/^1200\d\d\d$/);
  expect(new Map(neighbour!.headers).has("Tidemark-Omitted-Bytes")).toBe(false);
  expect(without!.data.byteLength).toBeLessThan(BODY_BYTES_MAX);
});

test("nothing of a commit goes out whose last part was never stored (Y5)", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* broker;
      const options = {
        target: "projections" as const,
        plans: PLANS,
        results: yield* ResultLog,
        outlet: yield* RelayTarget,
      };
      const part = (
        keys: readonly string[],
        number: number,
        partIndex: number,
        partCount: number,
      ) => {
        const updates = keys.map(update);
        const fields = { ...EMPTY, columns: ["n"], number, partIndex, partCount, updates };
        const data = Commit.encode(fields).finish();
        log.results.append([{ subject: "results.sales.1.0", data }], -1);
      };
      const keys = () =>
        log.projections.messages
          .filter(({ subject }) => subject.startsWith("projections."))
          .map(({ subject }) => subject.split(".").at(-1));
      yield* Effect.forkScoped(new Relay(options).run);
      part(["a"], 1, 0, 1);
      part(["torn1"], 2, 0, 3);
      part(["torn2"], 2, 1, 3);
      yield* until(() => keys().length === 1);
      yield* TestClock.adjust("10 seconds");
      yield* turns(20);
      expect(keys()).toEqual(["a"]);
      // What the owner commits in its place, and then a whole one of two parts.
      part(["b"], 2, 0, 1);
      part(["c"], 3, 0, 2);
      part(["d"], 3, 1, 2);
      yield* until(() => keys().length === 4);
      expect(keys()).toEqual(["a", "b", "c", "d"]);
    }),
  ));
