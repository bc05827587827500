/** Aggregates of the language: makers give checked data, and mistakes are told with their paths. */
import { describe, expect, expectTypeOf, it } from "vitest";
import type { DefinitionError } from "../errors.ts";
import {
  aggregate,
  collect,
  distinct,
  first,
  last,
  quantile,
  quantiles,
  stddev,
  sum,
  topK,
  variance,
} from "./aggregate.ts";
import type { AggregateDefinition, ProjectionDefinition, WindowProjection } from "./definition.ts";
import { checkProjection } from "./check-projection.ts";
import { event, field } from "./field-expression.ts";
import { planProjection, planTopic } from "./plan-projection.ts";
import { Mistakes } from "./reading.ts";

const X = { field: "x" };
const FIELDS = ["int64", "double", "string", "bool"] as const;
const TYPE = {
  name: "t.T",
  fields: FIELDS.map((scalar, index) => ({
    number: index + 1,
    name: scalar === "int64" ? "x" : scalar,
    scalar,
    repeated: false,
    optional: true,
  })),
};
const TOPIC = planTopic({ name: "t", schemas: ["t.proto"], types: ["t.T"] } as never, {
  typeNames: ["t.T"],
  eventType: () => TYPE,
});

const data = (aggregate: unknown) => ({
  name: "p",
  topic: "t",
  window: { kind: "tumbling", sizeMs: 10 },
  aggregates: { a: aggregate },
});

const checked = (aggregate: unknown): AggregateDefinition =>
  (checkProjection(data(aggregate), new Mistakes(), undefined)!.definition as WindowProjection)
    .aggregates["a"]!;

const mistakesOf = (aggregate: unknown): readonly string[] => {
  try {
    planProjection(data(aggregate) as never, TOPIC);
    return [];
  } catch (error) {
    return (error as DefinitionError).mistakes.map(({ path, message }) => `${path}: ${message}`);
  }
};

/** A maker's data equals what JSON without defaults gives, and plans. */
const MADE: readonly (readonly [made: AggregateDefinition, json: unknown])[] = [
  [sum(field("x")), { fn: "sum", of: X }],
  [variance(field("x")), { fn: "variance", of: X }],
  [stddev(field("x")), { fn: "stddev", of: X, population: false }],
  [first(field("string")), { fn: "first", of: { field: "string" } }],
  [last(event.time), { fn: "last", of: { event: "time" } }],
  [
    distinct(field("string")),
    { fn: "distinct", of: { field: "string" }, precision: 12, sketch: false },
  ],
  [
    distinct(field("x"), { precision: 14, sketch: true }),
    { fn: "distinct", of: X, precision: 14, sketch: true },
  ],
  [
    quantile(field("double"), 0.99),
    { fn: "quantile", of: { field: "double" }, q: 0.99, relativeError: 0.01 },
  ],
  [
    quantiles(field("x"), [0.5, 0.999], { relativeError: 0.001, sketch: true }),
    { fn: "quantiles", of: X, qs: [0.5, 0.999], relativeError: 0.001, sketch: true },
  ],
  [topK(field("x"), 10), { fn: "topK", of: X, k: 10 }],
  [
    topK(field("string"), 100, { sketch: true }),
    { fn: "topK", of: { field: "string" }, k: 100, capacity: 1600, sketch: true },
  ],
  [collect(field("x"), { limit: 3 }), { fn: "collect", of: X, limit: 3 }],
  [variance(field("x"), { population: true }), { fn: "variance", of: X, population: true }],
];

describe("the makers", () => {
  it.each(MADE)("%o is %o", (made, json) => {
    expect(checked(made)).toEqual(made);
    expect(checked(json)).toEqual(made);
    expect(JSON.parse(JSON.stringify(made))).toEqual(made);
    expect(mistakesOf(made)).toEqual([]);
  });

  it("know their types", () => {
    expectTypeOf(variance).parameter(0).toExtend<Parameters<typeof sum>[0]>();
  });
});

describe("a mistake", () => {
  it.each([
    [
      { fn: "variants", of: X },
      /^aggregates\.a\.fn: must be one of .*; did you mean "variance"\?$/,
    ],
    [{ fn: "constructor", of: X }, /^aggregates\.a\.fn: must be one of .*, not "constructor"$/],
    [
      { fn: "variance" },
      'aggregates.a.of: is missing: variance of what? For example variance(field("x"))',
    ],
    [
      { fn: "stddev", of: { field: "string" } },
      "aggregates.a.of: stddev takes a number, but string is a string",
    ],
    [
      { fn: "stddev", of: X, population: "yes" },
      'aggregates.a.population: must be true or false, not "yes"',
    ],
    [
      { fn: "last", of: { field: "bool" } },
      "aggregates.a.of: last takes a number or a string, but bool is a boolean",
    ],
    [
      { fn: "distinct", of: X, precision: 17 },
      "aggregates.a.precision: must be a whole number, 8 to 16, not 17",
    ],
    [
      { fn: "quantile", of: X, q: 99 },
      "aggregates.a.q: must be a number from 0 to 1, not 99; 99 % is 0.99",
    ],
    [{ fn: "quantiles", of: X, qs: [0.5, 0.5] }, "aggregates.a.qs[1]: is there twice: 0.5"],
    [{ fn: "quantiles", of: X, qs: [] }, "aggregates.a.qs: must name 1 to 100 quantiles, not 0"],
    [
      { fn: "quantile", of: X, q: 0.5, relativeError: 1e-5 },
      "aggregates.a.relativeError: must be a number from 0.001 to 0.1, not 0.00001",
    ],
    [
      { fn: "topK", of: X, k: 10, capacity: 9 },
      "aggregates.a.capacity: must be a whole number, 10 to 2048, not 9",
    ],
    [{ fn: "topK", of: X }, "aggregates.a.k: is missing: it must be a whole number, 1 to 100"],
    [
      { fn: "collect", of: X },
      "aggregates.a.limit: is missing: it must be a whole number, 1 to 1000",
    ],
    [
      { fn: "sum", of: X, population: true },
      'aggregates.a.population: unknown key. The keys here are "fn", "of"',
    ],
  ])("%o is told", (aggregate, expected) => {
    const [mistake, ...others] = mistakesOf(aggregate);
    expect(others).toEqual([]);
    if (typeof expected === "string") expect(mistake).toBe(expected);
    else expect(mistake).toMatch(expected);
  });
});

describe("by functions", () => {
  const options = {
    inputs: { x: field("x"), key: event.key },
    init: () => ({ sum: 0 }),
    add: (
      state: { readonly sum: number },
      input: { readonly x: number; readonly key: string | null },
    ) => ({
      sum: state.sum + input.x,
    }),
    merge: (a: { readonly sum: number }, b: { readonly sum: number }) => ({ sum: a.sum + b.sum }),
    result: ({ sum: total }: { readonly sum: number }) => total,
  };

  it("is data and functions, which JSON loses and says so", () => {
    const made = aggregate(options);
    expect(made).toEqual({
      ...options,
      fn: "custom",
      inputs: { x: X, key: { event: "key" } },
      version: "",
    });
    expect(checked(made)).toEqual(made);
    expect(mistakesOf(made)).toEqual([]);
    const lost = JSON.parse(JSON.stringify(made)) as unknown;
    expect(mistakesOf(lost)).toEqual(
      ["init", "add", "merge", "result"].map((name) =>
        expect.stringMatching(
          new RegExp(
            `^aggregates.a.${name}: is missing: .* such as .*; JSON cannot hold it, TypeScript can$`,
          ),
        ),
      ),
    );
  });

  it("tells what is wrong with it, and runs `init` to see", () => {
    const told = (changes: unknown): readonly string[] => {
      try {
        aggregate({ ...options, ...(changes as object) });
        return [];
      } catch (error) {
        return (error as DefinitionError).mistakes.map(
          ({ path, message }) => `${path}: ${message}`,
        );
      }
    };
    expect(told({ init: () => new Map() })).toEqual([
      "init: what it returned is a Map: it must be data as in JSON, or a bigint of 64 bits",
    ]);
    expect(
      told({
        init: () => {
          throw new Error("not today");
        },
      }),
    ).toEqual(["init: threw Error: not today"]);
    expect(told({ ad: 1, version: 7 })).toEqual([
      expect.stringContaining('ad: unknown key. Did you mean "add"?'),
      "version: must be text, not 7",
    ]);
    expect(told({ merge: Math.max })).toEqual([
      expect.stringMatching(/^merge: is a bound or built-in/),
    ]);
    expect(mistakesOf({ ...aggregate(options), inputs: { y: { field: "nothing" } } })).toEqual([
      expect.stringContaining('aggregates.a.inputs.y.field: event type t.T has no field "nothing"'),
    ]);
    expect(mistakesOf({ ...aggregate(options), of: X })).toEqual([
      "aggregates.a.of: custom takes no expression: its expressions are `inputs`",
    ]);
  });

  it("has another digest when a function reads otherwise", () => {
    const digest = (made: unknown) =>
      Buffer.from(
        planProjection(data(made) as unknown as ProjectionDefinition, TOPIC).digest,
      ).toString("hex");
    const before = digest(aggregate(options));
    expect(digest(aggregate({ ...options }))).toBe(before);
    expect(digest(aggregate({ ...options, result: ({ sum: total }) => total + 1 }))).not.toBe(
      before,
    );
    expect(digest(aggregate({ ...options, version: "2" }))).not.toBe(before);
  });
});
