import { Effect } from "effect";
import { expect, test } from "vitest";
import { RecordBatch } from "../../proto/gen/tidemark/v1/event.ts";
import { EventLog } from "../ports/event-log.ts";
import { encodeBatch } from "../testkit/plans.ts";
import { broker, until, virtually } from "../testkit/virtual-engine.ts";
import { tickWhenSilent } from "./idle-ticker.ts";

const sale = (n: number) =>
  encodeBatch([{ id: `e${n}`, key: "k", time: n * 10, cents: n, weight: 1 }]);

test("a tick that was decided before an event never follows it in the log (T4)", () =>
  virtually(
    Effect.gen(function* () {
      const log = yield* EventLog;
      const stream = (yield* broker).events("sales", 0);
      yield* log.append("sales", 0, sale(1));
      let asked = 0;
      const racing: EventLog["Service"] = {
        ...log,
        bounds: (topic, partition) =>
          Effect.tap(log.bounds(topic, partition), () =>
            // Right between the look at the log and the tick.
            ++asked === 1 ? log.append(topic, partition, sale(2)) : Effect.void,
          ),
      };
      yield* Effect.forkScoped(
        tickWhenSilent({
          topic: "sales",
          partition: 0,
          idleAfterMs: 2_000,
          tickEveryMsMax: 60_000,
          events: racing,
          reader: () => ({
            position: asked === 0 ? 1 : stream.lastSequence,
            caughtUp: true,
            lastEventAt: 0,
            heldEvent: true,
            tasks: new Set(),
          }),
        }),
      );
      yield* until(() => stream.messages.length >= 3 || asked >= 3);
      const batches = stream.messages.map(({ data }) => RecordBatch.decode(data));
      expect(batches.slice(0, 2).map(({ tick }) => tick)).toEqual([undefined, undefined]);
      // The next one was decided with the event in sight.
      expect(asked).toBe(2);
      expect(batches[2]?.tick).toBeDefined();
    }),
  ));
