import { expect, it } from "vitest";
import { planProjection, planTopic } from "../definition/plan-projection.ts";
import { loadSchemas } from "../schema/schema-set.ts";
import { departuresByDestination, departuresByOrigin, flights } from "./flights.ts";

const schemas = loadSchemas(flights.schemas);
const topic = planTopic(flights, schemas);

it("is keyed by origin in 8 partitions, ten minutes out of order", () => {
  expect(flights).toMatchObject({ name: "flights", partitions: 8, maxOutOfOrdernessMs: 600_000 });
  expect(topic.types.map((type) => type.name)).toEqual(["flights.Departure", "flights.Heartbeat"]);
});

it("tells a departure on time from one whose delay nobody wrote down", () => {
  const [delay] = topic.types[0]!.fields;
  expect(delay).toMatchObject({ name: "delay", scalar: "sint32", optional: true });
  expect([...schemas.toBinary("flights.Departure", '{"delay":0}')]).toEqual([8, 0]);
  expect([...schemas.toBinary("flights.Departure", '{"delay":null}')]).toEqual([]);
});

it("answers by origin and hour within each partition", () => {
  const plan = planProjection(departuresByOrigin, topic);
  expect(plan).toMatchObject({ merged: false, reads: [true, false] });
  expect(plan.columns.map((column) => column.path)).toEqual(["delay"]);
  expect(plan.aggregates.map(({ name, inputType }) => [name, inputType])).toEqual([
    ["departures", undefined],
    ["meanDelay", "integer"],
    ["minDelay", "integer"],
    ["maxDelay", "integer"],
  ]);
});

it("answers by destination and day by merging partitions", () => {
  const plan = planProjection(departuresByDestination, topic);
  expect(plan).toMatchObject({ merged: true, reads: [true, false] });
  expect(plan.columns.map((column) => column.path)).toEqual(["destination"]);
  expect(plan.definition.window).toEqual({ kind: "tumbling", sizeMs: 86_400_000, offsetMs: 0 });
});
