import { describe, expect, it, test } from "vitest";
import { DefinitionError } from "../errors.ts";
import { parseSchema } from "../schema/schema-set.ts";
import { sum, topK } from "./aggregate.ts";
import type { JoinProjection, ProjectionDefinition, WindowProjection } from "./definition.ts";
import { early, each } from "./emission.ts";
import { event, field, left, right } from "./field-expression.ts";
import { fold, type FoldValue } from "./fold.ts";
import { join, type JoinOptions } from "./join.ts";
import { sourceNames, tableOf } from "./join-sources.ts";
import { tablesOf, topicsOf } from "./make-definition.ts";
import { planTopic } from "./plan-projection.ts";
import type { JoinPlan } from "./plan.ts";
import { projection } from "./projection.ts";
import { ProjectionPlanner } from "./projection-planner.ts";
import { readingsOf, rekeyOf, stagedRoutesOf, stagesOf, topicRoutesOf } from "./rekey.ts";
import { joinOfTableStage } from "./table-stage.ts";
import { topic } from "./topic.ts";
import { global, session, tumbling } from "./windows.ts";

const schemas = parseSchema(`
  syntax = "proto3";
  package shop;
  message Order { string user = 1; int64 cents = 2; }
  message Payment { string store = 1; int64 cents = 2; }
`);
const options = { schemas: ["/shop.proto"], partitions: 3 };
const orders = topic("orders", { ...options, types: ["shop.Order"], partitions: 2 });
const payments = topic("payments", { ...options, types: ["shop.Payment"] });
const TOPICS = [orders, payments].map((each) => planTopic(each, schemas));

const spending = projection("spending", {
  source: payments,
  window: tumbling("1 hour"),
  aggregates: { cents: sum(field("cents")), stores: topK(field("store"), 3) },
});

const joined = (
  table: ProjectionDefinition = spending,
  changes: Partial<JoinOptions<"shop.Order", string>> = {},
): JoinProjection =>
  join("orders-with-spending", {
    left: { source: orders, key: field("user") },
    right: { source: table },
    asOf: { deleted: field("cents").eq(0), ttl: "30 days" },
    mode: "left",
    values: { order: left.event.id, spent: right.field("cents") },
    ...changes,
  });

const planned = (definition: ProjectionDefinition, ...others: ProjectionDefinition[]): JoinPlan =>
  new ProjectionPlanner(TOPICS, [...others, definition]).plan(definition) as JoinPlan;

const told = (make: () => unknown): readonly string[] => {
  try {
    make();
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    return error.mistakes.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
};

const asData = (definition: ProjectionDefinition, changes: object = {}): ProjectionDefinition =>
  JSON.parse(JSON.stringify({ ...definition, ...changes })) as ProjectionDefinition;

describe("a join with the results of a projection as its table", () => {
  it("names the projection, and brings it along with its topic", () => {
    const definition = joined();
    expect(definition.topic).toBe("orders");
    expect(definition.right).toMatchObject({ topic: undefined, projection: "spending" });
    expect(tableOf(definition)).toBe("spending");
    expect(tablesOf(definition)).toEqual([spending]);
    expect(topicsOf(definition)).toEqual([orders, payments]);
    expect(sourceNames(definition, [spending])).toEqual(["orders", "payments"]);
    expect(sourceNames(definition, [])).toEqual(["orders"]);
  });

  it("has a route for each topic: that of the table runs the projection", () => {
    const plan = planned(joined(), spending);
    const [orderRoute, tableRoute] = rekeyOf(plan).routes;
    expect(plan).toMatchObject({ rekeyed: true, merged: false });
    expect(orderRoute).toMatchObject({ key: { field: "user" }, firstUpstream: 0, firstType: 0 });
    expect(orderRoute!.table).toBeUndefined();
    expect(tableRoute).toMatchObject({ key: { event: "key" }, firstUpstream: 2, firstType: 1 });
    expect(tableRoute!.table!.definition).toMatchObject({
      name: "orders-with-spending_table",
      topic: "payments",
    });
    expect(rekeyOf(plan)).toMatchObject({ upstreams: 5, partitions: 3 });
  });

  it("types its values by those of the results", () => {
    const plan = planned(
      joined(spending, {
        values: { spent: right.field("cents"), since: right.event.time, user: right.event.key },
      }),
      spending,
    );
    expect(plan.outputs).toEqual([
      { name: "spent", type: "integer" },
      { name: "since", type: "integer" },
      { name: "user", type: "string" },
    ]);
  });

  it("reads rows whatever types the whole join names", () => {
    const plan = planned(joined(spending, { types: ["shop.Order"] }), spending);
    expect(plan.reads).toEqual([true, true, true]);
    expect(plan.right.reads).toEqual([false, true, true]);
  });

  it("is the same as JSON", () => {
    const written = joined();
    const plan = planned(asData(written), asData(spending));
    expect(plan.digest).toEqual(planned(written, spending).digest);
    expect(plan.definition).toEqual(written);
  });

  it("has another digest, and another log, when the projection is defined anew", () => {
    const digestsWith = (changes: object) => {
      const table = asData(spending, changes);
      const plan = planned(joined(), table);
      return [plan.digest, rekeyOf(plan).digest].map((digest) => digest.join());
    };
    const before = digestsWith({});
    expect(digestsWith({ description: "for people" })).toEqual(before);
    const after = digestsWith({ allowedLatenessMs: 1 });
    expect(after[0]).not.toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
  });

  it("may have a table that publishes early, or has a window without an end", () => {
    for (const emit of [each(), early({ every: "1 second" }), early({ everyEvents: 2 })]) {
      expect(planned(joined(), asData(spending, { emit })).right.table?.inOrder).toBe(false);
      const table = asData(spending, { window: global(), emit });
      expect(planned(joined(), table).right.table?.inOrder).toBe(true);
    }
  });
});

describe("a join with a fold as its table", () => {
  const state = () => ({ cents: 0n, stores: [] as readonly string[] });
  const spent = fold("spending", {
    source: payments,
    state,
    reduce: (before, { data }) => ({ ...before, cents: before.cents + (data["cents"] as bigint) }),
    values: {
      cents: { type: "integer", of: ({ cents }) => cents },
      large: { type: "boolean", of: ({ cents }) => cents > 100n },
      mean: { type: "double", of: ({ cents, stores }) => Number(cents) / stores.length },
      first: { type: "string", of: ({ stores }) => stores[0] ?? null },
      stores: (before) => before.stores,
    },
  });

  it("types its values as the fold declares them", () => {
    const values = Object.fromEntries(
      ["cents", "large", "mean", "first"].map((value) => [value, right.field(value)]),
    );
    expect(planned(joined(spent, { values }), spent).outputs).toEqual([
      { name: "cents", type: "integer" },
      { name: "large", type: "boolean" },
      { name: "mean", type: "double" },
      { name: "first", type: "string" },
    ]);
    const plan = new ProjectionPlanner(TOPICS, [spent]).plan(spent)!;
    expect(plan.outputs.at(-1)).toEqual({ name: "stores", type: "any" });
  });

  it("cannot read a value whose type nobody declared", () => {
    const message = (value: string) =>
      `field "${value}" of spending has no type; for expressions to read it the fold must say which one its ` +
      `value has: values: { ${value}: { type: "integer", of: (state) => ... } }`;
    const values = { a: right.field("stores") };
    expect(told(() => planned(joined(spent, { values }), spent))).toEqual([
      `values.a.field: ${message("stores")}`,
    ]);
    const whole = fold("spending", { source: payments, state, reduce: (before) => before });
    const ofState = { asOf: {}, values: { a: right.field("state") } };
    expect(told(() => planned(joined(whole, ofState), whole))).toEqual([
      `values.a.field: ${message("state")}`,
    ]);
  });

  it("is another definition when the type of a value changes, or its function", () => {
    const digestOf = (cents: FoldValue<{ readonly cents: bigint }>): string => {
      const table = fold("spending", {
        source: payments,
        state,
        reduce: (s) => s,
        values: { cents },
      });
      return new ProjectionPlanner(TOPICS, [table]).plan(table)!.digest.join();
    };
    const of = ({ cents }: { readonly cents: bigint }) => cents;
    const digests = [
      digestOf({ type: "integer", of }),
      digestOf({ type: "double", of }),
      digestOf({ type: "integer", of: ({ cents }) => cents + 1n }),
      digestOf(of),
    ];
    expect(new Set(digests).size).toBe(4);
    expect(digestOf({ of, type: "integer" })).toBe(digests[0]);
  });

  it.each<[object, readonly string[]]>([
    [
      { a: { type: "int64", of: () => 1 }, b: { type: "number", of: () => 1 } },
      [
        'values.a.type: must be one of "integer", "double", "string", "boolean", not "int64"; did you mean "integer"?',
        'values.b.type: must be one of "integer", "double", "string", "boolean", not "number"',
      ],
    ],
    [
      { a: { typ: "integer", of: 5 } },
      [
        'values.a.typ: unknown key. Did you mean "type"? The keys here are "type", "of"',
        'values.a.type: is missing: it must be one of "integer", "double", "string", "boolean"',
        "values.a.of: must be a function, such as (state) => state.count, not 5",
      ],
    ],
    [
      { a: null, b: [], c: String },
      [
        "values.a: must be a function, such as (state) => state.count, not null",
        "values.b: must be a function, such as (state) => state.count, not a list",
        "values.c: is a bound or built-in function, whose text does not show what it does; write (state) => state.count",
      ],
    ],
  ])("mistakes %#", (values, expected) => {
    const options = { source: payments, state, reduce: (before: unknown) => before, values };
    expect(told(() => fold("spending", options as never))).toEqual(expected);
  });

  test("TypeScript knows what a value of a type may be", () => {
    const options = {
      source: payments,
      state,
      reduce: (before: ReturnType<typeof state>) => before,
    };
    fold("typed", {
      ...options,
      // @ts-expect-error: a list is no string.
      values: { stores: { type: "string", of: (before) => before.stores } },
    });
    fold("typed", {
      ...options,
      // @ts-expect-error: the state has no such member.
      values: { cents: { type: "integer", of: (before) => before.cent } },
    });
  });
});

describe("a table of several stages", () => {
  const values = { order: left.event.id, cents: right.field("cents") };
  const byTwoKeys = join("spending", {
    source: payments,
    left: {},
    right: { key: field("store") },
    within: { after: "1 minute" },
    values: { cents: left.field("cents") },
  });

  it.each<[string, ProjectionDefinition, boolean]>([
    ["merged", asData(spending, { key: { field: "store" } }), true],
    [
      "re-keyed",
      asData(spending, { key: { field: "store" }, window: session({ gap: "1 minute" }) }),
      false,
    ],
    ["a join by two keys", byTwoKeys, false],
  ])("%s runs under a name of the join's, with a log of its own", (_, table, merges) => {
    const plan = planned(joined(spending, { asOf: {}, values }), table);
    const [stage, ...more] = stagesOf(plan);
    expect(more).toEqual([]);
    expect(stage).toMatchObject({
      definition: { name: `${plan.definition.name}_table` },
      rekeyed: true,
      merged: false,
      rowsOf: { join: plan, source: 1, merges },
    });
    expect(joinOfTableStage(stage!.definition.name)).toBe(plan.definition.name);
    const { routes, upstreams } = rekeyOf(plan);
    expect(topicRoutesOf(rekeyOf(plan))).toEqual([routes[0]]);
    expect(stagedRoutesOf(rekeyOf(plan))).toEqual([routes[1]]);
    const { partitions } = planned(spending).topic.definition;
    expect(upstreams).toBe(routes[1]!.firstUpstream + partitions);
  });

  it("is none if one task gives its results", () => {
    expect(stagesOf(planned(joined(), spending))).toEqual([]);
    expect(joinOfTableStage("orders")).toBeUndefined();
  });

  it("decodes all that a merged table aggregates, and no more for others than where its events go", () => {
    const columnsOf = (table: ProjectionDefinition) => {
      const plan = planned(joined(spending, { asOf: {}, values }), table);
      return rekeyOf(stagesOf(plan)[0]!).routes[0]!.columns.map(({ path }) => path);
    };
    const merged = asData(spending, { key: { field: "store" } });
    expect(columnsOf(merged)).toEqual(expect.arrayContaining(["store", "cents"]));
    const gap = { window: session({ gap: "1 minute" }) };
    expect(columnsOf(asData(merged, gap))).toEqual(["store"]);
  });

  it("may read a table itself, whose topics are those of the join, too", () => {
    const first = asData(joined(), { name: "first" });
    const second = asData(joined(), { name: "second", right: { projection: "first" }, asOf: {} });
    const own = { order: { event: "id", side: "left" } };
    const plan = planned(asData(second, { values: own }), first, spending);
    expect(stagesOf(plan).map(({ definition }) => definition.name)).toEqual(["second_table"]);
    expect(sourceNames(plan.definition, [first, spending])).toEqual([
      "orders",
      "orders",
      "payments",
    ]);
    expect(readingsOf(plan).map(({ topic }) => topic.definition.name)).toEqual([
      "orders",
      "orders",
      "payments",
    ]);
  });
});

describe("what cannot be a table", () => {
  it("itself, by however many others", () => {
    const named = (name: string, table: string) =>
      asData(joined(), { name, right: { projection: table } });
    const [a, b, c, d] = [named("a", "b"), named("b", "c"), named("c", "a"), named("d", "a")];
    const planner = new ProjectionPlanner(TOPICS, [a, b, c, d]);
    expect(told(() => planner.plan(a))).toEqual([
      "right.projection: is a table of itself: a reads b reads c reads a",
    ]);
    expect(told(() => planner.plan(named("a", "a")))).toHaveLength(1);
    // The circle's own mistakes say it all.
    expect(planner.plan(d)).toBeUndefined();
  });
});

describe("mistakes", () => {
  test("no such projection", () => {
    const definition = asData(joined(), { right: { projection: "spendings" } });
    const planner = new ProjectionPlanner(TOPICS, [spending, definition]);
    planner.plan(spending);
    expect(told(() => planner.plan(definition))).toEqual([
      'right.projection: there is no projection "spendings"; did you mean "spending"?',
    ]);
  });

  test("a table whose own definition is wrong says so itself", () => {
    const wrong = asData(spending, { where: { field: "nothing" } });
    const planner = new ProjectionPlanner(TOPICS, [wrong, joined()]);
    expect(planner.plan(joined())).toBeUndefined();
    expect(told(() => planner.plan(wrong))).toHaveLength(1);
  });

  test("no such value, or one that expressions cannot read", () => {
    const values = { a: right.field("cent"), b: right.field("stores") };
    expect(told(() => planned(joined(spending, { values }), spending))).toEqual([
      'values.a.field: results of projection spending have no value "cent"; did you mean "cents"?',
      'values.b.field: field "stores" of spending may be a list or record; expressions read single values only',
    ]);
  });

  const only = 'a projection can only be a table: on the right side, with "asOf"';

  it.each<[object, readonly string[]]>([
    [{ asOf: undefined, within: { after: "1 minute" } }, [`right.source: ${only}`]],
    [{ source: orders, left: { source: spending }, right: {}, asOf: {} }, [`left.source: ${only}`]],
    [
      { right: { source: spending, types: ["shop.Payment"], key: field("x"), where: field("y") } },
      [
        "right.types: a table has none: its rows are the results of the projection; leave it out",
        'right.where: a table has none: say in "asOf.deleted" which rows are none; leave it out',
        "right.key: a table has none: its rows have the keys of the projection's results; leave it out",
      ],
    ],
  ])("%#", (changes, expected) => {
    expect(told(() => joined(spending, changes as never))).toEqual(expected);
  });
});

test("TypeScript takes a projection on the right, alone", () => {
  const definition: WindowProjection = spending;
  join("typed", {
    left: { source: orders },
    right: { source: definition },
    asOf: {},
    values: { n: right.field("cents") },
  });
  expect(() =>
    join("typed", {
      left: { source: orders },
      // @ts-expect-error: rows have the keys of the results.
      right: { source: definition, key: event.key },
      asOf: {},
      values: { n: right.field("cents") },
    }),
  ).not.toThrow();
});
