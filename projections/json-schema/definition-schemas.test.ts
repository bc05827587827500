/**
 * The schemas say what the checks say. Another validator, ajv, reads every definition of the test cases and
 * of the shipped projections, some more that use every option, and many that are a little wrong.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { AGGREGATE_FORMS } from "../definition/check-aggregate.ts";
import { checkProjection } from "../definition/check-projection.ts";
import { checkTopic } from "../definition/check-topic.ts";
import { WINDOW_FORMS } from "../definition/check-window.ts";
import { KINDS as KINDS_OF_PROJECTIONS } from "../definition/kinds.ts";
import { Mistakes } from "../definition/reading.ts";
import * as flights from "../flights/flights.ts";
import * as orders from "../orders/orders.ts";
import { AGGREGATES_IN_CODE } from "./aggregate-schema.ts";
import { FORMS, PROJECTION_SCHEMA, TOPIC_SCHEMA } from "./definition-schemas.ts";
import { WINDOWS_IN_CODE } from "./window-schema.ts";

const RUNS = Number(process.env["TIDEMARK_PROPERTY_RUNS"] ?? 1_000);

const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true });

type Data = Readonly<Record<string, unknown>>;
const data = (value: unknown): Data => JSON.parse(JSON.stringify(value)) as Data;

const KINDS = {
  projection: {
    valid: ajv.compile(PROJECTION_SCHEMA as object),
    check: (value: unknown, mistakes: Mistakes) => checkProjection(value, mistakes, undefined),
  },
  topic: { valid: ajv.compile(TOPIC_SCHEMA as object), check: checkTopic },
};

const mistakesOf = (kind: keyof typeof KINDS, value: unknown) => {
  const mistakes = new Mistakes();
  KINDS[kind].check(value, mistakes);
  return mistakes.list;
};

const CASES = join(import.meta.dirname, "../../actors/testkit/cases");
const inCases = readdirSync(CASES).flatMap((file) => {
  const { projection, topics } = parse(readFileSync(join(CASES, file), "utf8")) as Data;
  if (typeof projection !== "object" || projection === null) return [];
  // Where several topics are declared, the projection names them itself.
  const topic = topics === undefined ? { topic: "cases" } : {};
  return [data({ name: "in-a-case", ...topic, ...projection })];
});

const x = { field: "x" };
const base = { name: "p", topic: "t", window: { kind: "global" }, emit: { mode: "each" } };
const full: readonly Data[] = [
  {
    ...base,
    $schema: "./projection.schema.json",
    kind: "window",
    description: null,
    types: ["a.B"],
    where: {
      op: "or",
      args: [
        { op: "isNull", args: [{ lookup: { file: "a.csv", key: "k" }, key: x, column: "c" }] },
        { op: "lt", args: [{ event: "time" }, { literal: -1.5 }] },
      ],
    },
    key: { lookup: { rows: { a: { c: "b", d: 1, e: null } } }, key: x, column: "c" },
    allowedLatenessMs: "1 hour 30 minutes",
    aggregates: {
      count: { fn: "count" },
      variance: { fn: "variance", of: x, population: true },
      stddev: { fn: "stddev", of: x },
      distinct: { fn: "distinct", of: x, precision: 16, sketch: null },
      quantile: { fn: "quantile", of: x, q: 0.5, relativeError: 0.001, sketch: true },
      quantiles: { fn: "quantiles", of: x, qs: [0, 0.5, 1] },
      topK: { fn: "topK", of: x, k: 100, capacity: 2048 },
      collect: { fn: "collect", of: x, limit: 1000 },
      first: { fn: "first", of: { op: "negate", args: [x] } },
      last: { fn: "last", of: x },
    },
    subjects: { by: "bucket", buckets: 65_536 },
  },
  {
    ...base,
    window: { kind: "hopping", sizeMs: "10 MINUTES", advanceMs: 60_000, offsetMs: "-90 s" },
    aggregates: { n: { fn: "sum", of: { literal: 2 } } },
    emit: { mode: "early", everyMs: " 5s " },
  },
  {
    ...base,
    window: { kind: "session", gapMs: 1 },
    aggregates: { n: { fn: "count" } },
    emit: null,
  },
  { ...base, window: { kind: "sliding", sizeMs: 1 }, aggregates: { n: { fn: "count" } } },
  { ...base, window: { kind: "tumbling", sizeMs: 9 }, aggregates: { n: { fn: "count" } } },
];

const calendar = (unit: string, options: Data = {}): Data => ({
  name: "p",
  topic: "t",
  window: { kind: "calendar", unit, zone: "Europe/Berlin", ...options },
  aggregates: { n: { fn: "count" } },
});

const periods: readonly Data[] = [
  calendar("hour"),
  calendar("week", { dayStart: "06:00", weekStart: "sunday" }),
  calendar("quarter", { dayStart: null, yearStart: 4 }),
];

const joins: readonly Data[] = [
  {
    kind: "join",
    name: "j",
    topic: "t",
    left: { topic: "t", types: ["a.B"], where: x, key: { event: "key" } },
    right: { types: null, where: null, key: null },
    on: {
      op: "eq",
      args: [
        { ...x, side: "left" },
        { event: "id", side: "right" },
      ],
    },
    within: { beforeMs: "-1 minute", afterMs: 120_000 },
    asOf: null,
    mode: "full",
    values: { l: { ...x, side: "left" }, r: { event: "time", side: "right" } },
  },
  {
    kind: "join",
    name: "j",
    topic: "t",
    left: {},
    right: {},
    asOf: { deleted: x, ttlMs: "90 days" },
    mode: "left",
    values: { r: { ...x, side: "right" } },
  },
  {
    kind: "join",
    name: "j",
    left: { topic: "t", key: x },
    right: { topic: "u" },
    within: { afterMs: 1 },
    values: { r: { ...x, side: "right" } },
  },
];

const patterns: readonly Data[] = [
  {
    kind: "pattern",
    name: "p",
    topic: "t",
    pattern: [
      { step: "a", where: { op: "gt", args: [x, { literal: 1 }] } },
      { not: "b", where: { op: "isNull", args: [x] }, contiguity: "next" },
      {
        step: "c",
        where: { op: "gt", args: [x, { step: "a", fn: "max", of: x }] },
        contiguity: "followedByAny",
        times: { min: 0, max: 3 },
        between: "next",
        until: { op: "gt", args: [{ step: "c", fn: "count" }, { literal: 2 }] },
      },
      {
        group: [
          { step: "d", optional: true },
          { step: "e", times: { min: 2, max: null } },
        ],
        times: { min: 1 },
      },
      { step: "f", greedy: false },
    ],
    withinMs: "5 minutes",
    skip: { strategy: "skipToFirst", step: "c" },
    values: {
      start: { match: "start" },
      took: { op: "subtract", args: [{ match: "end" }, { match: "start" }] },
      ids: { match: "ids" },
      cs: { step: "c", fn: "collect", of: x },
      a: { step: "a", of: x },
      out: { match: "timedOut" },
    },
    onTimeout: "emit",
  },
  { kind: "pattern", name: "p", topic: "t", pattern: [{ step: "a" }], skip: null, values: null },
];

const topics: readonly Data[] = [
  data(flights.flights),
  data(orders.orders),
  { name: "t", schemas: ["a.proto"], types: ["a.B"], maxBytes: "4 MiB", idleAfterMs: "5 min" },
  { name: "t", schemas: ["a", "b"], types: ["a.B"], dedupeHorizonMs: 0, partitions: null },
];

const shipped = [
  flights.departuresByOrigin,
  flights.departuresByDestination,
  orders.revenueByStore,
].map(data);

const CORPUS = {
  projection: [...shipped, ...inCases, ...full, ...periods, ...patterns, ...joins],
  topic: topics,
};

const sorts = Object.keys(CORPUS) as (keyof typeof CORPUS)[];

test.for(sorts)("every %s that is right has the schema's form", (kind) => {
  expect(CORPUS[kind].length).toBeGreaterThan(kind === "projection" ? 50 : 3);
  for (const definition of CORPUS[kind]) {
    expect(mistakesOf(kind, definition), JSON.stringify(definition)).toEqual([]);
    const { valid } = KINDS[kind];
    expect(valid(definition), `${JSON.stringify(definition)} ${ajv.errorsText(valid.errors)}`).toBe(
      true,
    );
  }
});

describe("nothing is forgotten", () => {
  const all = JSON.stringify(PROJECTION_SCHEMA);

  test.for(Object.entries(KINDS_OF_PROJECTIONS))("projection %s", ([kind, { keys }]) => {
    const form = FORMS[kind as keyof typeof FORMS];
    if (typeof form === "string") return expect(all).not.toContain(`{"const":"${kind}"}`);
    expect(Object.keys(form.options).sort()).toEqual([...keys].sort());
  });

  test.for(Object.entries(WINDOW_FORMS))("window %s", ([kind, { keys }]) => {
    if (WINDOWS_IN_CODE.includes(kind)) return expect(all).not.toContain(`{"const":"${kind}"}`);
    const { window } = (PROJECTION_SCHEMA as Data)["$defs"] as { window: { anyOf: Data[] } };
    const forms = window.anyOf.filter(({ properties }) =>
      JSON.stringify(properties).startsWith(`{"kind":{"const":"${kind}"}`),
    );
    const known = forms.flatMap(({ properties }) => Object.keys(properties as Data));
    expect([...new Set(known)].sort()).toEqual(["kind", ...keys].sort());
  });

  test.for(Object.keys(AGGREGATE_FORMS))("aggregate %s is in the corpus", (fn) => {
    if (AGGREGATES_IN_CODE.includes(fn)) return expect(all).not.toContain(`{"const":"${fn}"}`);
    expect(JSON.stringify(CORPUS.projection)).toContain(`"fn":"${fn}"`);
  });

  test("every kind of window in JSON is in the corpus", () => {
    const kinds = new Set(
      CORPUS.projection.flatMap(({ window }) => (window as Data | undefined)?.["kind"] ?? []),
    );
    expect([...kinds].sort()).toEqual(
      Object.keys(WINDOW_FORMS)
        .filter((kind) => !WINDOWS_IN_CODE.includes(kind))
        .sort(),
    );
  });
});

/** What only the checks can see: lengths written as text, and how parts of a definition fit together. */
const BEYOND_SCHEMA = [
  /^must be at (least|most) .*, not "/,
  /^must be .* bytes, not /,
  /^must be a (duration|size): .*; not "/,
  /^puts every event into \d+ windows/,
  /cannot be merged from partials/,
  /^there is no time zone "/,
  // How the parts of a pattern fit together.
  /is the name of two elements/,
  /^no step "|^the pattern has no step/,
  /^every step is optional/,
  /^a match (that ends|can end)/,
  /times is never$/,
  /^ends repetitions/,
  /^has \d+ (conditions|steps|lists)/,
  // How the sides of a join, and the bounds of its interval, fit together.
  /^is ".*", but the join reads "/,
  /^is .*, but that of the join is /,
  /^is empty: it would end /,
  // Types of expressions.
  /, but .* is an? (boolean|double|integer|string)/,
  /^cannot (compare|be a double)/,
  /^is there twice/,
  /other rows have .* there$/,
  /^must be a whole number, \d+ to 2048/,
];

/** A value, its place in a definition changed somehow. */
const changed = (definition: Data, place: number, change: number, filler: unknown): Data => {
  const copy = structuredClone(definition);
  const places: [Record<string | number, unknown>, string | number][] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const key of Object.keys(value)) {
      const index = Array.isArray(value) ? Number(key) : key;
      places.push([value as Record<string | number, unknown>, index]);
      walk((value as Record<string, unknown>)[key]);
    }
  };
  walk(copy);
  const [owner, key] = places[place % places.length]!;
  if (change === 0 && !Array.isArray(owner)) delete owner[key];
  else if (change === 1 && !Array.isArray(owner)) owner[`${key}x`] = filler;
  else if (change === 2 && Array.isArray(owner[key])) owner[key].push(filler);
  else owner[key] = filler;
  return copy;
};

const filler = fc.oneof(
  fc.constantFrom<unknown>(null, true, "", "x", "1 hour", "1 fortnight", "-5 s", [], {}),
  fc.constantFrom<unknown>(-1, 0, 1, 0.5, 1.5, 7, 2_000, 1e15, 1e17, 2 ** 53),
  fc.constantFrom<unknown>("count", "sum", "tumbling", "early", "key", "bucket", "eq", "not"),
  fc.constantFrom<unknown>({ field: "y" }, { literal: 1 }, { fn: "count" }, ["a", "a"]),
  fc.constantFrom<unknown>({ kind: "global" }, { kind: "sliding", sizeMs: 5 }, { mode: "final" }),
);

test.for(sorts)("what is wrong with a %s is wrong by both", (kind) => {
  const { valid } = KINDS[kind];
  let wrong = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...CORPUS[kind]),
      fc.array(fc.tuple(fc.nat(200), fc.nat(3), filler), { minLength: 1, maxLength: 2 }),
      (definition, changes) => {
        const value = changes.reduce((now, change) => changed(now, ...change), definition);
        const mistakes = mistakesOf(kind, value);
        const accepted = valid(value) as boolean;
        const told = mistakes.map(({ path, message }) => `${path}: ${message}`).join("\n");
        if (!accepted) expect(told, ajv.errorsText(valid.errors)).not.toBe("");
        const beyond = ({ message }: { readonly message: string }) =>
          BEYOND_SCHEMA.some((pattern) => pattern.test(message));
        if (!mistakes.every(beyond)) expect(accepted, told).toBe(false);
        if (mistakes.length > 0) wrong++;
      },
    ),
    { numRuns: RUNS },
  );
  // The test would be worth nothing if most changes were harmless.
  expect(wrong).toBeGreaterThan(RUNS / 5);
});

test("every mistake names its path", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...CORPUS.projection),
      fc.tuple(fc.nat(200), fc.nat(3), filler),
      (definition, change) => {
        for (const { path, message } of mistakesOf("projection", changed(definition, ...change))) {
          expect(path).toMatch(/^[$\w]+([.[]|$)/);
          expect(message.length).toBeGreaterThan(10);
        }
      },
    ),
    { numRuns: RUNS },
  );
});
