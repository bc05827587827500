import { describe, expect, it } from "vitest";
import { parseSchema } from "../schema/schema-set.ts";
import { checkProjection } from "./check-projection.ts";
import { planProjection, planTopic } from "./plan-projection.ts";
import type { JoinProjection } from "./definition.ts";
import type { JoinPlan } from "./plan.ts";
import { rekeyOf } from "./rekey.ts";
import { Mistakes } from "./reading.ts";

const schemas = parseSchema(`
  syntax = "proto3";
  package ads;
  message Impression { string campaign = 1; int64 cost = 2; double score = 3; int32 name = 4; }
  message Click { string campaign = 1; bool automated = 2; string name = 3; }
`);
const topic = planTopic(
  { name: "ads", schemas: ["/ads.proto"], types: ["ads.Impression", "ads.Click"] } as never,
  schemas,
);

const clicks = planTopic(
  { name: "clicks", partitions: 3, schemas: ["/ads.proto"], types: ["ads.Click"] } as never,
  schemas,
);

const name = (side: string) => ({ field: "campaign", side });
const CAMPAIGN = { field: "campaign", side: "left" };
const good = {
  kind: "join",
  name: "clicks",
  topic: "ads",
  left: { types: ["ads.Impression"] },
  right: { types: ["ads.Click"] },
  within: { afterMs: "10 minutes" },
  values: { campaign: CAMPAIGN },
};

const data = (changes: object) => JSON.parse(JSON.stringify({ ...good, ...changes })) as unknown;
const planned = (changes: object = {}): JoinPlan =>
  planProjection(data(changes) as JoinProjection, topic, [clicks]);
const told = (changes: object, withTopic = true): readonly string[] => {
  const mistakes = new Mistakes();
  checkProjection(
    data(changes),
    mistakes,
    withTopic ? { topics: [topic, clicks], projections: [] } : undefined,
  );
  return mistakes.list.map(({ path, message }) => `${path}: ${message}`);
};
const digest = (changes: object = {}): string =>
  Buffer.from(planned(changes).digest).toString("hex");

describe("a join", () => {
  it("has defaults", () => {
    const plan = planned();
    expect(plan.definition).toEqual({
      ...good,
      description: "",
      types: [],
      where: undefined,
      key: { event: "key" },
      left: { topic: "ads", types: ["ads.Impression"], where: undefined, key: { event: "key" } },
      right: { topic: "ads", types: ["ads.Click"], where: undefined, key: { event: "key" } },
      on: undefined,
      within: { beforeMs: 0, afterMs: 600_000 },
      asOf: undefined,
      mode: "inner",
      subjects: { by: "key" },
    });
    expect([plan.left.reads, plan.right.reads]).toEqual([
      [true, false],
      [false, true],
    ]);
    expect(plan.outputs).toEqual([{ name: "campaign", type: "string" }]);
    expect(planned({ left: {}, right: {} }).left.reads).toEqual([true, true]);
  });

  it("is the same after it was written down and read again", () => {
    const { definition } = planned();
    expect(planned(definition).definition).toEqual(definition);
    expect(digest(definition)).toBe(digest());
  });

  it("may be by a field that both sides have: then it is re-keyed", () => {
    const plan = planned({ key: { field: "campaign" } });
    expect(plan).toMatchObject({ merged: false, rekeyed: true });
    expect(plan.definition.right.key).toEqual({ field: "campaign" });
    expect(planned()).toMatchObject({ merged: false, rekeyed: false });
  });

  it("may have sides of two topics, each with its own key", () => {
    const right = { topic: "clicks", key: { field: "campaign" }, where: { field: "automated" } };
    const cost = { op: "gt", args: [{ field: "cost" }, { literal: 0 }] };
    const plan = planned({ right, left: { types: ["ads.Impression"], where: cost } });
    expect(plan).toMatchObject({ merged: false, rekeyed: true, where: undefined });
    expect(plan.topic.types.map((type) => type.name)).toEqual([
      "ads.Impression",
      "ads.Click",
      "ads.Click",
    ]);
    expect([plan.left.reads, plan.right.reads]).toEqual([
      [true, false, false],
      [false, false, true],
    ]);
    expect([plan.left.where, plan.right.where]).toEqual([undefined, undefined]);
    const { routes, upstreams, partitions } = rekeyOf(plan);
    expect(routes).toMatchObject([
      { firstUpstream: 0, firstType: 0, reads: [true, false], where: cost, key: { event: "key" } },
      { firstUpstream: 8, firstType: 2, reads: [true], key: { field: "campaign" } },
    ]);
    expect(routes.map(({ columns }) => columns.map(({ path }) => path))).toEqual([
      ["cost"],
      ["automated", "campaign"],
    ]);
    expect([upstreams, partitions]).toEqual([11, 8]);
    expect(digest(plan.definition)).toBe(Buffer.from(plan.digest).toString("hex"));
  });

  it("may have both sides from one topic, by different keys", () => {
    const plan = planned({ right: { types: ["ads.Click"], key: { field: "campaign" } } });
    expect(plan.rekeyed).toBe(true);
    expect(rekeyOf(plan).routes.map(({ topic: of }) => of.definition.name)).toEqual(["ads", "ads"]);
    expect([plan.left.reads, plan.right.reads]).toEqual([
      [true, false, false, false],
      [false, false, false, true],
    ]);
  });

  it("selects with `where` of the whole join and of the side, by the fields of each", () => {
    const where = { op: "ne", args: [{ field: "campaign" }, { literal: "" }] };
    const own = { field: "automated" };
    const plan = planned({ where, right: { topic: "clicks", where: own } });
    expect(rekeyOf(plan).routes.map((route) => route.where)).toEqual([
      where,
      { op: "and", args: [where, own] },
    ]);
  });

  it("has the topic and key of its sides, if it says nothing itself", () => {
    const both = { topic: "clicks", key: { field: "campaign" } };
    const { definition, rekeyed } = planProjection(
      data({ topic: undefined, left: both, right: both }) as JoinProjection,
      clicks,
    );
    expect(definition).toMatchObject({ topic: "clicks", key: { field: "campaign" } });
    expect(rekeyed).toBe(true);
  });

  it("may have the right side as a table", () => {
    const deleted = { field: "automated" };
    const plan = planned({ within: undefined, asOf: { deleted, ttlMs: "1 day" } });
    expect(plan).toMatchObject({ within: undefined, asOf: { deleted, ttlMs: 86_400_000 } });
    expect(plan.columns.map(({ path }) => path)).toEqual(["campaign", "automated"]);
    const simple = planned({ within: undefined, asOf: {} });
    expect(simple.asOf).toEqual({ deleted: undefined, ttlMs: undefined });
  });

  it("types its values by the side that they name, and reads the fields of both", () => {
    const cost = { op: "add", args: [{ field: "cost", side: "left" }, { literal: 1 }] };
    const waited = {
      op: "subtract",
      args: [
        { event: "time", side: "right" },
        { event: "time", side: "left" },
      ],
    };
    const bot = { field: "automated", side: "right" };
    const plan = planned({ values: { cost, waited, bot } });
    expect(plan.outputs.map(({ type }) => type)).toEqual(["integer", "integer", "boolean"]);
    expect(plan.columns.map(({ path }) => path)).toEqual(["cost", "automated"]);
  });

  it("has one decoder for fields of one name that differ from side to side", () => {
    const name = { field: "name", side: "left" };
    const plan = planned({ values: { l: name, r: { ...name, side: "right" } } });
    expect(plan.outputs.map(({ type }) => type)).toEqual(["integer", "string"]);
    expect(plan.columns).toMatchObject([{ path: "name", fields: [{ number: 4 }, { number: 3 }] }]);
  });

  it("G1: has a digest of all that its results depend on", () => {
    const ticks = { op: "eq", args: [name("left"), name("right")] };
    const different = [
      digest(),
      digest({ left: { types: ["ads.Impression"], where: { literal: true } } }),
      digest({ right: {} }),
      digest({ on: ticks }),
      digest({ right: { topic: "clicks" } }),
      digest({ right: { topic: "clicks", key: { field: "campaign" } } }),
      digest({ right: { topic: "clicks", where: { field: "automated" } } }),
      digest({ where: { literal: true }, right: { topic: "clicks" } }),
      digest({ within: { afterMs: 5 } }),
      digest({ within: { beforeMs: 5, afterMs: "10 minutes" } }),
      digest({ within: undefined, asOf: {} }),
      digest({ within: undefined, asOf: { ttlMs: 5 } }),
      digest({ within: undefined, asOf: { deleted: { field: "automated" } } }),
      digest({ mode: "left" }),
      digest({ values: { other: CAMPAIGN } }),
      digest({ values: { campaign: CAMPAIGN, again: CAMPAIGN } }),
      digest({ values: { again: CAMPAIGN, campaign: CAMPAIGN } }),
    ];
    expect(new Set(different).size).toBe(different.length);
    expect(digest({ description: "x", subjects: { by: "bucket", buckets: 3 } })).toBe(digest());
  });

  it("is checked in shape without a topic, when it is written", () => {
    expect(told({}, false)).toEqual([]);
    expect(told({ mode: "outer" }, false)).toHaveLength(1);
  });
});

describe("mistakes", () => {
  const MATCH =
    'there must be either this, to join events whose times are near each other, or "asOf", to join ' +
    "events with the latest right event before them";

  it.each([
    [
      { left: undefined },
      'left: is missing: which events are on this side, for example { types: ["ads.Click"] }',
    ],
    [{ within: undefined }, `within: is missing: ${MATCH}`],
    [{ asOf: {} }, `within: stands beside "asOf": ${MATCH}`],
    [{ within: {} }, 'within: says neither "before" nor "after"'],
    [
      { within: { beforeMs: "-2 minutes", afterMs: "1 minute" } },
      "within: is empty: it would end 1 minute before it begins",
    ],
    [
      { left: { types: ["ads.Impresion"] }, values: { id: { event: "id", side: "right" } } },
      'left.types[0]: the join reads no event type "ads.Impresion"; did you mean "ads.Impression"?',
    ],
    [
      { right: { types: ["ads.Click"], where: { field: "campaign" } } },
      "right.where: must be a boolean, but campaign is a string",
    ],
    [
      { right: { types: ["ads.Click"], where: { field: "automated", side: "right" } } },
      "right.where.side: only values of a join have sides; leave it out",
    ],
    [
      { within: undefined, asOf: { deleted: { field: "cost" } } },
      'asOf.deleted.field: event type ads.Click has no field "cost"; the fields are "campaign", "automated", "name"',
    ],
    [
      { values: { cost: { field: "cost", side: "right" } } },
      'values.cost.field: event type ads.Click has no field "cost"; the fields are "campaign", "automated", "name"',
    ],
    [
      { values: { campaign: { field: "campaign" } } },
      'values.campaign: must say of which side: left.field("x") or right.field("x"), in JSON "side": "left" or "right"',
    ],
    [
      { values: { campaign: { field: "campaign", side: "lefd" } } },
      'values.campaign.side: must be one of "left", "right", not "lefd"; did you mean "left"?',
    ],
    [{ values: {} }, 'values: is empty; name at least one, for example { id: left.field("id") }'],
    [
      { values: { "a b": CAMPAIGN } },
      'values["a b"]: the name must be a letter or _, then letters, digits or _, 63 at most, not "a b"',
    ],
    [
      { mode: "semi", values: { at: { event: "time", side: "right" } } },
      "values.at.side: results here have no event of the right side",
    ],
    [
      { within: undefined, asOf: {}, mode: "full" },
      'mode: a join as of event time is "inner" or "left", not "full": the table\'s rows wait for nobody',
    ],
    [
      { right: { topic: "click", types: [] } },
      'right.topic: there is no topic "click"; did you mean "clicks"?',
    ],
    [
      {
        left: { topic: "clicks" },
        right: { topic: "clicks" },
        values: { id: { event: "id", side: "left" } },
      },
      'topic: is "ads", but the sides read "clicks": leave it out',
    ],
    [
      {
        key: { field: "name" },
        left: { types: ["ads.Impression"], key: { field: "cost" } },
        right: { types: ["ads.Click"], key: { field: "campaign" } },
      },
      "key: is name, but the sides are grouped by cost and campaign: leave it out",
    ],
    [
      { left: { types: ["ads.Impression"], key: { field: "score" } } },
      "left.key: cannot be a double, as score is: equal groups need equal keys. Group by a string, an " +
        "integer or a boolean",
    ],
    [
      { key: { field: "cost" }, right: { topic: "clicks" } },
      'key.field: event type ads.Click has no field "cost"; the fields are "campaign", "automated", "name"',
    ],
    [
      { right: { topic: "clicks", types: ["ads.Impression"] } },
      'right.types[0]: topic "clicks" has no event type "ads.Impression"; the types are "ads.Click"',
      'right: has no event types: "types" of the join names none of its topic',
    ],
    [
      { on: { field: "campaign", side: "left" } },
      "on: must be a boolean, but left.campaign is a string",
    ],
    [{ window: { kind: "global" } }, expect.stringContaining("window: unknown key")],
  ])("%j", (changes, ...expected) => {
    expect(told(changes)).toEqual(expected);
  });
});
