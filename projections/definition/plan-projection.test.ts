import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DefinitionError } from "../errors.ts";
import { parseSchema } from "../schema/schema-set.ts";
import type { TopicDefinition, WindowProjection } from "./definition.ts";
import type { Expression } from "./expression.ts";
import { planProjection, planTopic } from "./plan-projection.ts";

const schemas = parseSchema(`
  syntax = "proto3";
  package shop;
  message Sale {
    optional sint32 discount = 1;
    int64 cents = 2;
    double weight = 3;
    string store = 4;
    bool test = 5;
    Channel channel = 6;
    bytes receipt = 7;
    repeated string tags = 8;
    Customer customer = 9;
    map<string, string> notes = 10;
    uint32 store_id = 11;
  }
  message Return {
    int32 cents = 1;
    string weight = 2;
    string reason = 3;
    Channel channel = 4;
  }
  message Customer { string name = 1; }
  enum Channel { UNKNOWN = 0; WEB = 1; APP = 2; }
`);

const topicDefinition: TopicDefinition = {
  name: "sales",
  partitions: 4,
  schemas: ["/shop.proto"],
  types: ["shop.Sale", "shop.Return"],
  maxOutOfOrdernessMs: 1000,
  maxFutureSkewMs: 1000,
  dedupeHorizonMs: 1000,
  idleAfterMs: 1000,
  retentionMs: 1000,
  maxBytes: -1,
};
const topic = planTopic(topicDefinition, schemas);

const definition: WindowProjection = {
  name: "sales-by-store",
  description: "",
  topic: "sales",
  types: ["shop.Sale"],
  where: undefined,
  key: { event: "key" },
  window: { kind: "tumbling", sizeMs: 60_000, offsetMs: 0 },
  allowedLatenessMs: 0,
  aggregates: { sales: { fn: "count" } },
  emit: { mode: "final" },
  subjects: { by: "key" },
};

/** Plans whatever it is given, as data of unknown origin comes. */
const plan = (changes: Readonly<Record<string, unknown>> = {}) =>
  planProjection({ ...definition, ...changes } as WindowProjection, topic);

const mistakesOf = (run: () => unknown): readonly string[] => {
  try {
    run();
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    return error.mistakes.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
};

const mistakes = (changes: Readonly<Record<string, unknown>>) => mistakesOf(() => plan(changes));

const field = (name: string): Expression => ({ field: name });
const literal = (value: string | number | boolean): Expression => ({ literal: value });
const op = (name: string, ...args: readonly Expression[]): Expression =>
  ({ op: name, args }) as Expression;

describe("a plan", () => {
  it("resolves types and columns, each column once", () => {
    const { reads, columns, aggregates, merged } = plan({
      where: op("gt", field("cents"), literal(0)),
      aggregates: {
        sales: { fn: "count" },
        revenue: { fn: "sum", of: field("cents") },
        discount: { fn: "mean", of: field("discount") },
      },
    });
    expect(reads).toEqual([true, false]);
    expect(columns).toMatchObject([
      { path: "cents", type: "integer", fields: [{ number: 2, scalar: "int64" }, undefined] },
      { path: "discount", type: "integer", fields: [{ number: 1, optional: true }, undefined] },
    ]);
    expect(aggregates.map((each) => [each.name, each.inputType])).toEqual([
      ["sales", undefined],
      ["revenue", "integer"],
      ["discount", "integer"],
    ]);
    expect(merged).toBe(false);
  });

  it("reads all types when none is named, a field where there is one", () => {
    const { reads, columns } = plan({
      types: [],
      where: op("eq", field("reason"), literal("broken")),
      aggregates: { cents: { fn: "sum", of: field("cents") } },
    });
    expect(reads).toEqual([true, true]);
    expect(columns).toMatchObject([
      { path: "reason", type: "string", fields: [undefined, { number: 3 }] },
      { path: "cents", type: "integer", fields: [{ scalar: "int64" }, { scalar: "int32" }] },
    ]);
  });

  it("types what it computes", () => {
    const inputTypeOf = (of: unknown) =>
      plan({ aggregates: { x: { fn: "sum", of } } }).aggregates[0]!.inputType;
    expect(inputTypeOf(op("multiply", field("cents"), literal(2)))).toBe("integer");
    expect(inputTypeOf(op("divide", field("cents"), literal(2)))).toBe("double");
    expect(inputTypeOf(op("add", field("cents"), field("weight")))).toBe("double");
    expect(inputTypeOf(op("negate", field("cents")))).toBe("integer");
    expect(inputTypeOf(field("channel"))).toBe("integer");
    expect(inputTypeOf({ event: "time" })).toBe("integer");
  });

  it("is merged unless grouped by the event's own key", () => {
    expect(plan({ key: field("store") }).merged).toBe(true);
    expect(plan({ key: field("store_id") }).merged).toBe(true);
    expect(plan({ key: field("test") }).merged).toBe(true);
    expect(plan({ key: literal("all") }).merged).toBe(true);
    expect(plan({ key: undefined }).merged).toBe(false);
    const session = { kind: "session", gapMs: 10 };
    expect(plan({ key: field("store"), window: session })).toMatchObject({
      merged: false,
      rekeyed: true,
    });
    expect(plan({ key: undefined, window: session }).rekeyed).toBe(false);
  });

  it("replaces names of enum values by their numbers, but not in the definition", () => {
    const where = op("eq", field("channel"), literal("APP"));
    const planned = plan({ where, types: [] });
    expect(planned.where).toEqual(op("eq", field("channel"), literal(2)));
    expect(planned.definition.where).toEqual(where);
    expect(mistakes({ where: op("ne", literal("WBE"), field("channel")) })).toEqual([
      'where.args[0].literal: "WBE" is no value of the enum "channel"; did you mean "WEB"?',
    ]);
  });

  it("fills what JSON leaves out, and reads durations there too", () => {
    const { name, topic: source, aggregates } = definition;
    const window = { kind: "tumbling", sizeMs: "1 hour" };
    const planned = planProjection(
      { name, topic: source, aggregates, window } as unknown as WindowProjection,
      topic,
    );
    expect(planned.definition).toEqual({
      ...definition,
      types: [],
      window: { kind: "tumbling", sizeMs: 3_600_000, offsetMs: 0 },
    });
  });
});

describe("mistakes", () => {
  it("are all listed, each with its path", () => {
    const run = () =>
      plan({
        name: "Sales",
        where: field("store"),
        aggregates: {
          mean: { fn: "mean", of: field("wieght") },
          sum: { fn: "sum", of: field("store") },
        },
      });
    expect(run).toThrow(
      'projection "Sales" has 4 mistakes:\n' +
        "  name: must be a lower-case letter, then lower-case letters, digits or '-', 63 at most, not " +
        '"Sales"; "sales" would do\n' +
        "  where: must be a boolean, but store is a string\n" +
        '  aggregates.mean.of.field: event type shop.Sale has no field "wieght"; did you mean "weight"?\n' +
        "  aggregates.sum.of: sum takes a number, but store is a string",
    );
  });

  it("in fields say what there is", () => {
    const of = (name: string, types: readonly string[] = ["shop.Sale"]) =>
      mistakes({ types, aggregates: { x: { fn: "min", of: field(name) } } });
    expect(of("storeId")).toEqual([
      'aggregates.x.of.field: event type shop.Sale has no field "storeId"; did you mean "store_id"?',
    ]);
    expect(of("qqq", [])).toEqual([
      'aggregates.x.of.field: none of the event types shop.Sale, shop.Return has a field "qqq"; the ' +
        'fields are "discount", "cents", "weight", "store", "test", "channel", "receipt", "tags", ' +
        '"customer", "notes", "store_id", "reason"',
    ]);
    expect(of("weight", [])).toEqual([
      'aggregates.x.of.field: field "weight" is double in shop.Sale but string in shop.Return; name ' +
        'in "types" those that agree',
    ]);
  });

  it("in fields that expressions cannot read say so", () => {
    const of = (name: string) => mistakes({ key: field(name) });
    const single = "expressions read single values only";
    expect(of("tags")).toEqual([`key.field: field "tags" of shop.Sale is repeated; ${single}`]);
    expect(of("notes")).toEqual([`key.field: field "notes" of shop.Sale is repeated; ${single}`]);
    expect(of("customer")).toEqual([
      `key.field: field "customer" of shop.Sale is a message; ${single}`,
    ]);
    expect(of("receipt")).toEqual([
      'key.field: field "receipt" of shop.Sale is of type bytes, which expressions cannot read',
    ]);
    expect(of("customer.name")).toEqual([
      'key.field: fields inside messages, such as "customer.name", are not supported in ' +
        "expressions; give the event type a field of its own for it",
    ]);
  });

  it("in types of operands name both", () => {
    const where = (expression: unknown) => mistakes({ where: expression });
    expect(where(op("gt", field("store"), literal(15)))).toEqual([
      "where: cannot compare store, a string, with 15, an integer",
    ]);
    expect(where(op("lt", field("test"), literal(true)))).toEqual([
      'where: "lt" cannot compare booleans; they have no order. Use "eq" or "ne"',
    ]);
    expect(where(op("and", field("test"), field("cents")))).toEqual([
      'where.args[1]: "and" takes booleans, but cents is an integer',
    ]);
    expect(where(op("not", op("add", field("cents"), field("store"))))).toEqual([
      'where.args[0].args[1]: "add" takes numbers, but store is a string',
      'where: "not" takes a boolean, but cents + store is a double',
    ]);
    expect(where(op("eq", field("weight"), field("cents")))).toEqual([]);
    expect(where(op("isNull", field("store")))).toEqual([]);
  });

  it("X2: are noted once, not again by what contains them", () => {
    const where = op(
      "and",
      op("gt", op("add", field("nope"), literal(1)), literal(2)),
      literal(true),
    );
    expect(mistakes({ where })).toHaveLength(1);
    expect(mistakes({ where: op("not", field("nope")) })).toHaveLength(1);
    expect(mistakes({ where: op("isNull", field("nope")) })).toHaveLength(1);
  });

  it("in keys and windows", () => {
    expect(mistakes({ key: field("weight") })).toEqual([
      "key: cannot be a double, as weight is: equal groups need equal keys. Group by a string, an " +
        "integer or a boolean",
    ]);
    const window = (sizeMs: unknown) => mistakes({ window: { kind: "tumbling", sizeMs } });
    expect(window(0)).toEqual(["window.sizeMs: must be at least 1 ms, not 0"]);
    expect(window("1 huor")[0]).toMatch(/^window.sizeMs: must be a duration: .*, not "1 huor"$/);
    expect(window(9e15)).toEqual([
      "window.sizeMs: must be at most 3650000 days, not 9000000000000000",
    ]);
    expect(mistakes({ window: { kind: "hoping", sizeMs: 5 } })).toEqual([
      'window.kind: must be one of "tumbling", "hopping", "sliding", "session", "calendar", "global", "custom", not "hoping"; did you mean "hopping"?',
    ]);
    expect(mistakes({ window: undefined })).toEqual([
      'window: is missing; for example tumbling("1 hour")',
    ]);
    expect(mistakes({ allowedLatenessMs: -1 })).toEqual([
      "allowedLatenessMs: must be at least 0, not -1",
    ]);
  });

  it("in the shape of data that came as JSON", () => {
    expect(mistakes({ windw: 1, aggregates: undefined })).toEqual([
      expect.stringMatching(
        /^windw: unknown key. Did you mean "window"\? The keys here are "name", /,
      ),
      "aggregates: is empty; name at least one, for example { events: count() }",
    ]);
    expect(mistakes({ aggregates: { "mean delay": { fn: "maen" } } })).toEqual([
      'aggregates["mean delay"]: the name must be a letter or _, then letters, digits or _, 63 at ' +
        'most, not "mean delay"',
      expect.stringMatching(
        /^aggregates\["mean delay"\]\.fn: must be one of "count", .*, not "maen"; did you mean "mean"\?$/,
      ),
    ]);
    expect(
      mistakes({ aggregates: { x: { fn: "sum" }, y: { fn: "count", of: field("cents") } } }),
    ).toEqual([
      'aggregates.x.of: is missing: sum of what? For example sum(field("x"))',
      "aggregates.y.of: count takes no expression: it counts events, not values",
    ]);
    expect(mistakes({ where: { feild: "x" } })).toEqual([
      'where: is no expression: it needs "field", "event", "literal", "lookup" or "op"; did you mean "field"?',
    ]);
    expect(mistakes({ where: { field: "test", literal: true } })).toEqual([
      'where: is more than one expression: it has both "field" and "literal"',
    ]);
    expect(mistakes({ where: op("add", field("test")) })).toEqual([
      'where.args: "add" takes two expressions, not 1',
    ]);
    expect(mistakes({ where: op("gt", field("cents"), literal(Number.NaN)) })).toEqual([
      "where.args[1].literal: must be a finite number, not NaN",
    ]);
    expect(mistakes({ key: { event: "tiem" } })).toEqual([
      'key.event: must be one of "id", "type", "key", "time", not "tiem"; did you mean "time"?',
    ]);
    expect(mistakes({ emit: { mode: "final", everyMs: 5 }, subjects: { by: "bucket" } })).toEqual([
      'emit.everyMs: only mode "early" has it, not "final"',
      "subjects.buckets: is missing: it must be a whole number, 1 to 65536",
    ]);
    expect(mistakesOf(() => planProjection(null as never, topic))).toEqual([
      ": must be an object, not null",
    ]);
  });

  it("are all that junk can cause", () => {
    const expression = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: "small" },
        fc.record({ field: fc.constantFrom("cents", "store", "test", "weight", "tags", "nope") }),
        fc.record({ event: fc.constantFrom("id", "type", "key", "time", "nope") }),
        fc.record({ literal: fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.anything()) }),
        fc.record({
          op: fc.constantFrom(
            "add",
            "divide",
            "eq",
            "lt",
            "and",
            "not",
            "isNull",
            "negate",
            "nope",
          ),
          args: fc.array(tie("any"), { maxLength: 3 }),
        }),
        fc.anything(),
      ),
    })).any;
    const changes = fc.record(
      {
        where: expression,
        key: expression,
        aggregates: fc.dictionary(
          fc.string(),
          fc.record({ fn: fc.constantFrom("count", "sum", "mean", "nope"), of: expression }),
        ),
        window: fc.anything(),
        emit: fc.anything(),
        types: fc.anything(),
        name: fc.anything(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(changes, (junk) => {
        const found = mistakes(junk);
        expect(found.every((line) => line.includes(": "))).toBe(true);
        // Whatever is planned plans again, from its own JSON, to the same digest.
        if (found.length > 0) return;
        const planned = plan(junk);
        const again = JSON.parse(JSON.stringify(planned.definition)) as WindowProjection;
        expect(planProjection(again, topic).digest).toEqual(planned.digest);
      }),
      { numRuns: 2000 },
    );
  });

  it("in very deep expressions do not exhaust the stack", () => {
    let where: unknown = field("test");
    for (let depth = 0; depth < 100_000; depth++) where = { op: "not", args: [where] };
    expect(mistakes({ where })[0]).toMatch(/: is nested more than 100 deep$/);
  });

  it("in what it reads", () => {
    expect(mistakes({ types: ["shop.Sael"] })).toContain(
      'types[0]: topic "sales" has no event type "shop.Sael"; did you mean "shop.Sale"?',
    );
    expect(mistakes({ topic: "orders" })).toEqual([
      'topic: reads topic "orders", but was planned for "sales"',
    ]);
  });

  it("in a topic", () => {
    expect(
      mistakesOf(() =>
        planTopic(
          { ...topicDefinition, partitions: 0, types: ["shop.Sael", "shop.Sale"], retentionMs: 0 },
          schemas,
        ),
      ),
    ).toEqual([
      "partitions: must be a whole number, 1 to 4096, not 0",
      "retentionMs: must be at least 1 ms, not 0",
      'types[0]: no schema declares a message "shop.Sael"; did you mean "shop.Sale"?',
    ]);
    const forgetful = { ...topicDefinition, dedupeHorizonMs: 15 * 86_400_000 };
    expect(mistakesOf(() => planTopic(forgetful, schemas))).toEqual([
      "dedupeHorizonMs: must be at most 14 days, not 1296000000",
    ]);
  });
});

describe("what one result may weigh", () => {
  const collect = { fn: "collect", of: { field: "store" }, limit: 1_000 } as const;
  const withCollects = (count: number) => {
    const names = Array.from({ length: count }, (_, i) => [`c${i}`, collect] as const);
    return () => planProjection({ ...definition, aggregates: Object.fromEntries(names) }, topic);
  };

  it("is bounded over all aggregates, and the error names the limit and the heaviest", () => {
    expect(withCollects(3)).not.toThrow();
    expect(withCollects(4)).toThrow(
      /aggregates: one result may weigh 1087 KiB, but the limit is 896 KiB: c0 up to 272 KiB/,
    );
  });
});
