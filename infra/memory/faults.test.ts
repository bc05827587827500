/** Planned faults strike the calls they name, and the ports' rules hold under them. */
import { Effect } from "effect";
import { expect, it } from "vitest";
import { utf8 } from "../../actors/ports/contract/bytes.ts";
import { EventLog } from "../../actors/ports/event-log.ts";
import { type AppendError, IngestLog } from "../../actors/ports/ingest-log.ts";
import { RelayTarget } from "../../actors/ports/relay-target.ts";
import { Fenced, ResultLog } from "../../actors/ports/result-log.ts";
import { SnapshotStore } from "../../actors/ports/snapshot-store.ts";
import { FaultInjector, Faults } from "./faults.ts";
import type { FaultPlan } from "./faults.ts";
import { memoryLayer } from "./layer.ts";
import type { MemoryServices } from "./layer.ts";

const run = <A, E>(faults: FaultPlan, effect: Effect.Effect<A, E, MemoryServices>): Promise<A> =>
  Effect.runPromise(effect.pipe(Effect.provide(memoryLayer({ faults }))));

const subject = "results.p.1.0";

it("F1: strikes after `skip` calls, `times` times, only what it names", () => {
  const faults = new FaultInjector([
    { at: "results.append", kind: "fail", name: "results.a", skip: 1, times: 2 },
  ]);
  expect(faults.take("results.append", "results.b.1.0")).toBeUndefined();
  expect(faults.take("results.last", "results.a.1.0")).toBeUndefined();
  const taken = [1, 2, 3, 4].map(() => faults.take("results.append", "results.a.1.0"));
  expect(taken).toEqual([undefined, "fail", "fail", undefined]);
  expect(faults.remaining).toEqual([]);
});

it("R2: an append whose answer is lost is found by reading back", () =>
  run(
    [{ at: "results.append", kind: "lose-ack" }],
    Effect.gen(function* () {
      const log = yield* ResultLog;
      const sequence = yield* log.append(subject, [utf8("one")], 0);
      expect(yield* log.last(subject)).toMatchObject({ sequence });
      expect((yield* Faults).remaining).toEqual([]);
    }),
  ));

it("R2: an append reported as unavailable though stored happens once when it is run again", () =>
  run(
    [{ at: "results.append", kind: "fail-stored", times: 2 }],
    Effect.gen(function* () {
      const log = yield* ResultLog;
      const sequence = yield* log
        .append(subject, [utf8("one")], 0)
        .pipe(Effect.retry({ while: (error) => error._tag === "LogUnavailable" }));
      expect(yield* log.lastSequence).toBe(sequence);
      expect(sequence).toBe(1);
    }),
  ));

it("R2: another owner in between fences the append that is run again", () =>
  run(
    [{ at: "results.append", kind: "fail" }],
    Effect.gen(function* () {
      const log = yield* ResultLog;
      const mine = log.append(subject, [utf8("same bytes")], 0);
      expect(yield* Effect.flip(mine)).toMatchObject({ _tag: "LogUnavailable" });
      yield* log.append(subject, [utf8("same bytes")], 0);
      expect(yield* Effect.flip(mine)).toBeInstanceOf(Fenced);
    }),
  ));

it("T1: a relay whose publish was stored but not answered publishes once", () =>
  run(
    [{ at: "relay.publish", kind: "fail-stored", name: "projections" }],
    Effect.gen(function* () {
      const target = yield* RelayTarget;
      const publish = target.publish(
        "projections",
        [{ subject: "projections.p.k", headers: [], data: utf8("1") }],
        { position: 1, offset: 0, epoch: 1, revision: 0 },
      );
      expect(yield* Effect.flip(publish)).toMatchObject({ _tag: "LogUnavailable" });
      expect(yield* publish).toBe(2);
    }),
  ));

it("ingest: full, unavailable, and unavailable though stored", () =>
  run(
    [
      { at: "ingest.append", kind: "full" },
      { at: "ingest.append", kind: "fail" },
      { at: "ingest.append", kind: "fail-stored" },
    ],
    Effect.gen(function* () {
      const ingest = yield* IngestLog;
      const kinds: unknown[] = [];
      for (const content of ["a", "b", "c", "d"]) {
        const outcome = yield* Effect.promise(() =>
          ingest.append("t", 0, utf8(content)).catch((error: AppendError) => error.failure.kind),
        );
        kinds.push(outcome);
      }
      expect(kinds).toEqual(["full", "unavailable", "unavailable", 2]);
      expect(yield* (yield* EventLog).bounds("t", 0)).toEqual({ first: 1, last: 2 });
    }),
  ));

it("snapshots: unavailable to save and to load", () =>
  run(
    [
      { at: "snapshots.save", kind: "fail" },
      { at: "snapshots.load", kind: "fail", skip: 1 },
    ],
    Effect.gen(function* () {
      const store = yield* SnapshotStore;
      const snapshot = { epoch: 1, inputSequence: 1, data: utf8("state") };
      const unavailable = { _tag: "SnapshotUnavailable" };
      expect(yield* Effect.flip(store.save("p.0", snapshot))).toMatchObject(unavailable);
      expect(yield* store.load("p.0")).toBeUndefined();
      expect(yield* Effect.flip(store.load("p.0"))).toMatchObject(unavailable);
      expect(yield* store.save("p.0", snapshot)).toBe(true);
      expect(yield* store.load("p.0")).toMatchObject(snapshot);
    }),
  ));
