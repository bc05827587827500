/** What every RelayTarget must do: T1 of the port. */
import { Context, Effect } from "effect";
import type { Layer } from "effect";
import { describe, expect } from "vitest";
import { RelayTarget } from "../relay-target.ts";
import type { OutgoingMessage } from "../relay-target.ts";
import { Fenced } from "../result-log.ts";
import { text, upTo, utf8 } from "./bytes.ts";
import { suiteRuntime } from "./suite-runtime.ts";

export class RelayTargetRig extends Context.Service<
  RelayTargetRig,
  {
    /** Everything that a consumer of the target sees, cursors not included. */
    readonly published: (
      target: "projections" | "dlq",
    ) => Effect.Effect<readonly OutgoingMessage[]>;
  }
>()("actors/ports/contract/RelayTargetRig") {}

const message = (index: number): OutgoingMessage => ({
  subject: `projections.relay.key${index}`,
  headers: [
    ["Tidemark-Kind", "final"],
    ["Tidemark-Key", `Zürich ${index}`],
  ],
  data: utf8(`{"n":${index}}`),
});

const contents = (messages: readonly OutgoingMessage[]): readonly string[] =>
  messages.map(({ data }) => text(data));

const numbers = (from: number, to: number): readonly string[] =>
  upTo(to - from).map((offset) => `{"n":${from + offset}}`);

export const relayTargetSuite = <E>(
  name: string,
  layer: Layer.Layer<RelayTarget | RelayTargetRig, E>,
): void => {
  describe(`RelayTarget: ${name}`, () => {
    const test = suiteRuntime(layer);

    test(
      "a target that was never filled has a cursor at 0",
      Effect.gen(function* () {
        const target = yield* RelayTarget;
        for (const which of ["projections", "dlq"] as const) {
          expect(yield* target.cursor(which)).toEqual({
            position: 0,
            offset: 0,
            epoch: 0,
            revision: 0,
          });
        }
      }),
    );

    test(
      "T1: messages and cursor move together, under compare-and-set",
      Effect.gen(function* () {
        const target = yield* RelayTarget;
        const rig = yield* RelayTargetRig;
        const start = yield* target.cursor("projections");
        const step = { position: 10, offset: 3, epoch: 1, revision: start.revision };
        const revision = yield* target.publish("projections", upTo(4).map(message), step);
        expect(yield* target.cursor("projections")).toEqual({ ...step, revision });
        const seen = yield* rig.published("projections");
        expect(contents(seen)).toEqual(numbers(0, 4));
        expect(seen[2]).toMatchObject({ subject: message(2).subject, headers: message(2).headers });

        const stale = { ...step, position: 11 };
        const error = yield* Effect.flip(
          target.publish("projections", [message(98), message(99)], stale),
        );
        expect(error).toBeInstanceOf(Fenced);
        expect(yield* target.cursor("projections")).toEqual({ ...step, revision });
        expect(contents(yield* rig.published("projections"))).toEqual(numbers(0, 4));
      }),
    );

    test(
      "T1: of two relays at the same cursor exactly one publishes",
      Effect.gen(function* () {
        const target = yield* RelayTarget;
        const rig = yield* RelayTargetRig;
        const before = (yield* rig.published("projections")).length;
        for (const round of upTo(30)) {
          const cursor = yield* target.cursor("projections");
          const step = { ...cursor, position: 100 + round, offset: 0 };
          const outcomes = yield* Effect.all(
            upTo(2).map(() =>
              Effect.result(target.publish("projections", [message(0), message(1)], step)),
            ),
            { concurrency: "unbounded" },
          );
          expect(outcomes.filter(({ _tag }) => _tag === "Success")).toHaveLength(1);
          expect((yield* target.cursor("projections")).position).toBe(100 + round);
        }
        expect((yield* rig.published("projections")).length).toBe(before + 60);
      }),
    );

    test(
      "T1: one publish, run again, publishes once",
      Effect.gen(function* () {
        const target = yield* RelayTarget;
        const rig = yield* RelayTargetRig;
        const before = (yield* rig.published("projections")).length;
        const cursor = yield* target.cursor("projections");
        const publish = target.publish("projections", [message(5)], {
          ...cursor,
          position: cursor.position + 1,
        });
        expect(yield* publish).toBe(yield* publish);
        expect((yield* rig.published("projections")).length).toBe(before + 1);
      }),
    );

    test(
      "a full batch and an empty one",
      Effect.gen(function* () {
        const target = yield* RelayTarget;
        const rig = yield* RelayTargetRig;
        const deadLetter = (index: number): OutgoingMessage => ({
          ...message(index),
          subject: "dlq.topic.relay.LATE",
        });
        const first = yield* target.publish("dlq", upTo(target.batchSizeMax).map(deadLetter), {
          position: 1,
          offset: 0,
          epoch: 7,
          revision: 0,
        });
        const second = yield* target.publish("dlq", [], {
          position: 2,
          offset: 0,
          epoch: 7,
          revision: first,
        });
        expect(second).toBeGreaterThan(first);
        expect(yield* target.cursor("dlq")).toMatchObject({ position: 2, epoch: 7 });
        expect(contents(yield* rig.published("dlq"))).toEqual(numbers(0, target.batchSizeMax));
      }),
    );
  });
};
