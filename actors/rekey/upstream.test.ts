/** What a relay asks for before it believes that an upstream is idle. */
import { Effect } from "effect";
import { expect, test } from "vitest";
import type { JoinProjection } from "../../projections/definition/definition.ts";
import { planProjection } from "../../projections/definition/plan-projection.ts";
import type { ProjectionPlan } from "../../projections/definition/plan.ts";
import { rekeyOf } from "../../projections/definition/rekey.ts";
import { EventLog } from "../ports/event-log.ts";
import { RekeyLog } from "../ports/rekey-log.ts";
import { ResultLog } from "../ports/result-log.ts";
import { salesPlan, topicPlan } from "../testkit/plans.ts";
import { virtually } from "../testkit/virtual-engine.ts";
import { lookAtUpstreams } from "./upstream.ts";
import type { UpstreamPorts } from "./upstream.ts";

const PARTITIONS = 8;
const TOPIC = topicPlan({ partitions: PARTITIONS });
const key = { field: "store" } as const;

const joinWith = (name: string, table: ProjectionPlan, field: string): ProjectionPlan =>
  planProjection(
    {
      kind: "join",
      name,
      topic: "sales",
      left: { types: ["test.Sale"], key },
      right: { projection: table.definition.name },
      asOf: {},
      mode: "left",
      values: { total: { field, side: "right" } },
    } as unknown as JoinProjection,
    TOPIC,
    [],
    [table],
  );

const ONE = joinWith("one", salesPlan({ name: "totals", key }, TOPIC), "cents");
const TWO = joinWith("two", ONE, "total");

/** How often anything is looked up for the ends of all upstreams. */
const lookUps = (plan: ProjectionPlan) =>
  virtually(
    Effect.gen(function* () {
      let count = 0;
      const counted = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
        Effect.suspend(() => {
          count++;
          return effect;
        });
      const events = yield* EventLog;
      const results = yield* ResultLog;
      const rekeyed = yield* RekeyLog;
      const ports: UpstreamPorts = {
        events: { ...events, bounds: (...of) => counted(events.bounds(...of)) },
        results: { ...results, last: (...of) => counted(results.last(...of)) },
        rekeyed: { ...rekeyed, last: (...of) => counted(rekeyed.last(...of)) },
      };
      const upstreams = yield* lookAtUpstreams(plan, 1, ports);
      expect(upstreams).toHaveLength(rekeyOf(plan).upstreams);
      expect(count).toBe(0);
      yield* Effect.forEach(upstreams, ({ end }) => end, { concurrency: "unbounded" });
      return count;
    }),
  );

test("a look asks for each commit and each log once, however many partitions depend on it", async () => {
  // The left side's partitions; of the table its own and its topic's, and the commits in between.
  expect(await lookUps(ONE)).toBe(4 * PARTITIONS);
  // The same within the table; before it the left side's, and the commits of both kinds of tasks that write the
  // table's log. Not that log itself: in a system where nothing ran yet nobody knows its end.
  expect(await lookUps(TWO)).toBe((4 + 1 + 2) * PARTITIONS);
});
