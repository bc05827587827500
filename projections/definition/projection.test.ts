import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, it } from "vitest";
import {
  buckets,
  calendar,
  count,
  custom,
  DefinitionError,
  each,
  early,
  event,
  field,
  literal,
  max,
  mean,
  projection,
  sum,
  topic,
  tumbling,
} from "../index.ts";
import { topicsOf } from "./make-definition.ts";

const here = dirname(fileURLToPath(import.meta.url));

const sales = topic("sales", { schemas: ["./sales.proto"], types: ["shop.Sale", "shop.Return"] });

const mistakesOf = (make: () => unknown): readonly string[] => {
  try {
    make();
  } catch (error) {
    if (!(error instanceof DefinitionError)) throw error;
    return error.mistakes.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
};

it("is plain data with every default, which JSON carries unchanged", () => {
  const definition = projection("sales-by-key", {
    source: sales,
    window: tumbling("1 hour"),
    aggregates: { sales: count() },
  });
  expect(JSON.parse(JSON.stringify(definition))).toEqual({
    name: "sales-by-key",
    description: "",
    topic: "sales",
    types: [],
    key: { event: "key" },
    window: { kind: "tumbling", sizeMs: 3_600_000, offsetMs: 0 },
    allowedLatenessMs: 0,
    aggregates: { sales: { fn: "count" } },
    emit: { mode: "final" },
    subjects: { by: "key" },
  });
  expect(Object.keys(definition)).not.toContain("source");
});

it("remembers its topic, unseen", () => {
  const definition = projection("p", {
    source: sales,
    window: tumbling("1 hour"),
    aggregates: { sales: count() },
  });
  expect(topicsOf(definition)).toEqual([sales]);
  expect(topicsOf({ ...definition })).toEqual([]);
  expect(definition).toEqual({ ...definition });
});

it("turns expressions into data", () => {
  const definition = projection("p", {
    source: sales,
    types: ["shop.Sale"],
    where: field("delay").gt(15).and(event.key.ne("JFK"), field("test").not()),
    key: field("store"),
    window: tumbling("1 day", { offset: "-2 hours" }),
    allowedLateness: "5 minutes",
    aggregates: {
      total: sum(field("price").multiply(field("quantity"))),
      longest: max(event.time.subtract(literal(1))),
    },
    emit: early({ every: "5 seconds" }),
    subjects: buckets(1024),
  });
  const late = { op: "gt", args: [{ field: "delay" }, { literal: 15 }] };
  const elsewhere = { op: "ne", args: [{ event: "key" }, { literal: "JFK" }] };
  const real = { op: "not", args: [{ field: "test" }] };
  expect(definition).toMatchObject({
    types: ["shop.Sale"],
    where: { op: "and", args: [{ op: "and", args: [late, elsewhere] }, real] },
    key: { field: "store" },
    window: { sizeMs: 86_400_000, offsetMs: -7_200_000 },
    allowedLatenessMs: 300_000,
    emit: { mode: "early", everyMs: 5000 },
    subjects: { by: "bucket", buckets: 1024 },
  });
  expect(definition.aggregates.total).toEqual({
    fn: "sum",
    of: { op: "multiply", args: [{ field: "price" }, { field: "quantity" }] },
  });
  expect(field("a").in("x", "y").toJSON()).toEqual({
    op: "or",
    args: [
      { op: "eq", args: [{ field: "a" }, { literal: "x" }] },
      { op: "eq", args: [{ field: "a" }, { literal: "y" }] },
    ],
  });
  expect(field("a").isNotNull().toJSON()).toEqual({
    op: "not",
    args: [{ op: "isNull", args: [{ field: "a" }] }],
  });
});

it("resolves schemas from the file that calls topic()", () => {
  expect(sales.schemas).toEqual([join(here, "sales.proto")]);
  const byUrl = topic("sales", {
    schemas: [new URL("../x.proto", import.meta.url), "/abs/y.proto"],
    types: ["a.B"],
  });
  expect(byUrl.schemas).toEqual([join(here, "..", "x.proto"), "/abs/y.proto"]);
  expect(pathToFileURL(byUrl.schemas[0]!).href).toBe(new URL("../x.proto", import.meta.url).href);
});

it("names every mistake of a call at once, by the names that were written", () => {
  expect(
    mistakesOf(() =>
      topic("Flight Events", {
        schemas: [],
        types: ["a.B", "a.B"],
        partitions: 5000,
        // @ts-expect-error no such unit
        retention: "7 dayz",
        maxOutOfOrdernes: 5,
      }),
    ),
  ).toEqual([
    'maxOutOfOrdernes: unknown key. Did you mean "maxOutOfOrderness"? The keys here are "schemas", ' +
      '"types", "partitions", "maxOutOfOrderness", "maxFutureSkew", "dedupeHorizon", "idleAfter", ' +
      '"retention", "compacted", "maxBytes"',
    "name: must be a lower-case letter, then lower-case letters, digits or '-', 63 at most, not " +
      '"Flight Events"; "flight-events" would do',
    "partitions: must be a whole number, 1 to 4096, not 5000",
    "schemas: is empty: name at least one .proto file",
    'types[1]: "a.B" stands here twice',
    "retention: must be a duration: a number of milliseconds, or text such as " +
      '"500 ms", "90 seconds", "10 minutes", "1 hour", "7 days", not "7 dayz"',
  ]);
  expect(
    mistakesOf(() =>
      projection("p", {
        source: sales,
        // @ts-expect-error no such type
        types: ["shop.Sael"],
        window: tumbling("1 hour"),
        // @ts-expect-error no such unit
        allowedLateness: "1 huor",
        aggregates: {},
      }),
    ),
  ).toEqual([
    'types[0]: topic "sales" has no event type "shop.Sael"; did you mean "shop.Sale"?',
    "allowedLateness: must be a duration: a number of milliseconds, or text such as " +
      '"500 ms", "90 seconds", "10 minutes", "1 hour", "7 days", not "1 huor"',
    "aggregates: is empty; name at least one, for example { events: count() }",
  ]);
});

it("refuses windows and emissions without sense", () => {
  expect(mistakesOf(() => tumbling(0))).toEqual(["size: must be at least 1 ms, not 0"]);
  // @ts-expect-error no duration
  expect(mistakesOf(() => tumbling("soon"))[0]).toMatch(/^size: must be a duration: /);
  expect(mistakesOf(() => early({ every: -5 }))).toEqual(["every: must be at least 1 ms, not -5"]);
  expect(mistakesOf(() => buckets(0))[0]).toMatch(/^buckets: must be a whole number, 1 to 65536/);
  expect(each()).toEqual({ mode: "each" });
});

it("keeps kinds apart at compile time", () => {
  // @ts-expect-error a key is a string
  expect(sum(event.key)).toBeDefined();
  // @ts-expect-error a comparison is no number
  expect(mean(field("a").gt(1))).toBeDefined();
  // @ts-expect-error a time is no string
  expect(event.key.eq(event.time)).toBeDefined();
  const options = { source: sales, window: tumbling("1 hour"), aggregates: { n: count() } };
  // @ts-expect-error a filter is a boolean
  expect(projection("p", { ...options, where: event.time })).toBeDefined();
  const { aggregates } = projection("p", options);
  expect(aggregates.n).toEqual({ fn: "count" });
  // @ts-expect-error no such aggregate
  expect(aggregates.m).toBeUndefined();
});

it("takes functions, and says what it cannot take for one", () => {
  const assign = (time: number): [number, number][] => [[time, time + 1]];
  expect(custom({ assign })).toEqual({ kind: "custom", assign, windowsMax: 16, version: "" });
  const mistakes = (options: unknown) => mistakesOf(() => custom(options as never));
  expect(mistakes({})).toEqual([
    "assign: is missing: it must be a function, such as (time) => [[start, end]]; JSON cannot hold it, TypeScript can",
  ]);
  expect(mistakes({ assign: assign.bind(null), windowsMax: 0 })).toEqual([
    "assign: is a bound or built-in function, whose text does not show what it does; write (time) => [[start, end]]",
    "windowsMax: must be a whole number, 1 to 10000, not 0",
  ]);
  expect(mistakes({ assign, size: 1 })).toEqual([expect.stringContaining("size: unknown key.")]);
  expect(mistakes({ assign, version: 1, asign: 1 })).toEqual([
    'asign: unknown key. Did you mean "assign"? The keys here are "kind", "assign", "windowsMax", "version"',
    "version: must be text, not 1",
  ]);
});

it("takes calendar windows, of whose options each unit has its own", () => {
  const zone = "Europe/Berlin";
  expect(calendar("hour", { zone })).toEqual({ kind: "calendar", unit: "hour", zone });
  expect(calendar("week", { zone })).toEqual({
    kind: "calendar",
    unit: "week",
    zone,
    dayStart: "00:00",
    weekStart: "monday",
  });
  expect(calendar("year", { zone, yearStart: 4, dayStart: "06:00" })).toEqual({
    kind: "calendar",
    unit: "year",
    zone,
    dayStart: "06:00",
    yearStart: 4,
  });
  const mistakes = (unit: string, options: unknown) =>
    mistakesOf(() => calendar(unit as never, options as never));
  expect(mistakes("weak", { zone: "Europe/Berln" })).toEqual([
    'unit: must be one of "hour", "day", "week", "month", "quarter", "year", not "weak"; did you mean "week"?',
    'zone: there is no time zone "Europe/Berln"; did you mean "Europe/Berlin"?',
  ]);
  expect(mistakes("day", { zone, dayStart: "6:00", weekStart: "sunday" })).toEqual([
    'dayStart: must be a time of day such as "06:00", not "6:00"',
    "weekStart: only weeks have it, not days",
  ]);
  expect(mistakes("quarter", { zone, yearStart: 13, weekstart: "sunday" })).toEqual([
    expect.stringContaining('weekstart: unknown key. Did you mean "weekStart"?'),
    "yearStart: must be a whole number, 1 to 12, not 13",
  ]);
  expect(mistakes("hour", {})).toEqual([expect.stringContaining("zone: is missing")]);
});

it("publishes early by one trigger or several, and not by none", () => {
  expect(early({ everyEvents: 100, everyEventTime: "1 minute" })).toEqual({
    mode: "early",
    everyEventTimeMs: 60_000,
    everyEvents: 100,
  });
  const mistakes = (options: unknown) => mistakesOf(() => early(options as never));
  expect(mistakes({})).toEqual([
    ": says nothing of when: give every, everyEventTime, everyEvents, or several",
  ]);
  expect(mistakes({ everyEvents: 0, evry: 1 })).toEqual([
    'evry: unknown key. Did you mean "every"? The keys here are "every", "everyEventTime", "everyEvents"',
    "everyEvents: must be a whole number, 1 to 1000000000, not 0",
  ]);
  const running = (emit: unknown) =>
    mistakesOf(() =>
      projection("running", {
        source: sales,
        window: { kind: "global" },
        aggregates: { n: count() },
        emit: emit as never,
      }),
    );
  expect(running(undefined)).toEqual([
    "emit: a global window never closes, so nothing would ever be published: say when, with early({ everyEvents: 100 }), early({ every: ... }), early({ everyEventTime: ... }) or each()",
  ]);
  expect(running({ mode: "early" })).toEqual([
    "emit: says nothing of when: give everyMs, everyEventTimeMs, everyEvents, or several",
  ]);
  expect(running(early({ everyEvents: 5 }))).toEqual([]);
});
