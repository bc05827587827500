/** The test kit fails what must fail, and says what and where. */
import { expect, test } from "vitest";
import { aggregate, count, custom, field, projection } from "../../projections/index.ts";
import { orders, revenueByStore } from "../../projections/orders/orders.ts";
import { parseCase } from "./case-file.ts";
import type { Case, ExpectedUpdate } from "./case.ts";
import { renderFailures, runCase, runContent } from "./run-case.ts";
import { testProjection } from "./test-projection.ts";

const COUNTED = {
  projection: {
    window: { kind: "tumbling", sizeMs: 10 },
    aggregates: { n: { fn: "count" }, cents: { fn: "sum", of: { field: "cents" } } },
  },
  topic: { maxOutOfOrdernessMs: 0, types: { Sale: { cents: "optional int64" } } },
} as const satisfies Partial<Case>;

const EVENTS = [
  { key: "a", time: 1, cents: 5 },
  { key: "b", time: 2 },
  { key: "a", time: 10 },
] as const;

const failuresOf = (given: Partial<Case>): string =>
  renderFailures(runCase({ ...COUNTED, steps: EVENTS, ...given }));

const text = (source: string): string => {
  const { content, lineOf } = parseCase(source);
  return renderFailures(runContent(content, { lineOf }), { lineOf });
};

test("compares only the fields that are given", () => {
  expect(failuresOf({ expect: [{ key: "a", cents: 5 }, { n: 1 }] })).toBe("");
  expect(failuresOf({ expect: { results: [{ key: "b" }, { key: "a" }] } })).toBe("");
  expect(failuresOf({ expect: [{ cents: "5" }, { cents: null }] })).toBe("");
});

const SKETCHED = {
  projection: {
    window: { kind: "tumbling", sizeMs: 10 },
    aggregates: {
      latency: { fn: "quantiles", of: { field: "ms" }, qs: [0, 1] },
      top: { fn: "topK", of: { field: "page" }, k: 2 },
      first: { fn: "collect", of: { field: "ms" }, limit: 2 },
      users: { fn: "distinct", of: { field: "page" }, sketch: true },
    },
  },
  topic: { maxOutOfOrdernessMs: 0, types: { View: { ms: "optional int64", page: "string" } } },
  steps: [
    { key: "a", time: 1, ms: 5, page: "x" },
    { key: "a", time: 2, ms: 7, page: "y" },
    { key: "a", time: 3, ms: 9, page: "y" },
    { watermark: 9 },
  ],
} as const satisfies Partial<Case>;
const sketched = (update: ExpectedUpdate): string =>
  renderFailures(runCase({ ...SKETCHED, expect: [update] }));

test("compares lists whole, and of records what is given", () => {
  const right = {
    latency: { p100: 9 },
    top: [{ value: "y", count: 2 }, { value: "x" }],
    first: { values: [5, 7], total: 3 },
    users: { estimate: 2 },
  };
  expect(sketched(right)).toBe("");
  expect(sketched({ latency: {}, top: [{}, {}] })).toBe("");
});

test.each<[string, ExpectedUpdate, RegExp]>([
  ["null for a record", { latency: null }, /latency=null .* latency$/m],
  ["null for a list", { top: null }, /top=null .* top$/m],
  ["another value in a record", { latency: { p0: 5, p100: 8 } }, /latency\.p100$/m],
  ["a field that a record has not", { latency: { p99: 9 } }, /\{p0: 5, p100: 9\}.* latency\.p99$/m],
  ["a list that is shorter", { top: [{ value: "y" }] }, / top$/m],
  ["another item", { top: [{ value: "y" }, { value: "z" }] }, /top\[1\]\.value$/m],
  [
    "a list in a record",
    { first: { values: [5, 9] } },
    /\{values: \[5, 7\]\} .*first\.values\[1\]$/m,
  ],
  ["a scalar for a record", { users: 2 }, / users$/m],
  ["other bytes", { users: { sketch: "AAAA" } }, / users\.sketch$/m],
])("fails %s", (_, update, difference) => {
  expect(sketched(update)).toMatch(difference);
});

test("shows expected and got side by side, with the line of each expectation", () => {
  const source = `projection: { window: { kind: tumbling, sizeMs: 10 }, aggregates: { n: { fn: count } } }
steps:
  - { key: a, time: 1 }
  - { key: b, time: 2 }
  - watermark: 9
expect:
  - { key: a, window: [0, 10], n: 2 }
  - { key: c, window: 0 }
`;
  expect(text(source)).toBe(
    [
      "line 6, expect: other updates than expected",
      "      expected       got",
      "  7 ≠ a [0, 10) n=2  a [0, 10) final revision=1 n=1 watermark=9  n",
      "  8 - c [0, ...)     (nothing)",
      "    + (nothing)      b [0, 10) final revision=1 n=1 watermark=9",
      "",
    ].join("\n"),
  );
});

test.each<[string, Partial<Case>, string]>([
  ["an update too few", { expect: [{ key: "a" }, { key: "b" }, { key: "a" }] }, "- a"],
  ["an update too many", { expect: [{ key: "a" }] }, "+ (nothing)"],
  ["another order", { expect: [{ key: "b" }, { key: "a" }] }, "other updates"],
  ["another kind", { expect: [{ key: "a", kind: "correction" }, {}] }, "kind"],
  ["something instead of nothing", { expect: "nothing" }, "other updates"],
  ["other books", { expect: { books: { counted: 2 } } }, "counted"],
  ["another watermark", { expect: { watermark: 8 } }, "watermark=9"],
  ["a result too many", { expect: { results: [{ key: "a" }] } }, "other results"],
  [
    "a dead letter that nobody mentions",
    { steps: [...EVENTS, { key: "a", time: 3 }], expect: { books: { late: 1 } } },
    "dead letters that no expectation mentions",
  ],
  [
    "updates after the last that was mentioned",
    { steps: [{ expect: "nothing" }, ...EVENTS] },
    "updates that no expectation mentions",
  ],
  [
    "a watermark that goes back",
    { steps: [{ watermark: 0 }, { watermark: -1 }], expect: "nothing" },
    "stands at 0 and never goes back to -1",
  ],
  [
    "a watermark that the clock forbids",
    { clock: 0, steps: [{ watermark: 300_000 }], expect: "nothing" },
    "more than maxFutureSkew, 300000 ms, in the future",
  ],
])("fails for %s", (_, given, reason) => {
  expect(failuresOf(given)).toContain(reason);
});

test.each<[string, string]>([
  ["steps: [", "line 1: "],
  ["projection: p\nsteps: []", 'line 1: projection: there is no projection "p" here'],
  ["steps: []", "projection: is missing: the name of a projection"],
  ["projection: { window: { kind: tumblin } }", 'did you mean "tumbling"?'],
])("says what is wrong with %j", (source, message) => {
  expect(() => text(source)).toThrow(message);
});

test("suggests projections that a case may mean by one that is not there", () => {
  const find = Object.assign(() => undefined, { names: ["throws", "runs"] });
  expect(() => runContent({ projection: "throwr", steps: [] }, { find })).toThrow(
    'there is no projection "throwr" here; did you mean "throws"?',
  );
});

const joining = (table: string, tables: string): string => `
projection: { kind: join, left: { types: [Sale] }, right: { projection: ${table} }, asOf: {}, values: { n: { field: n, side: right } } }
tables: [${tables}]
topic: { types: { Sale: { cents: "optional int64" } } }
steps: []
`;
const PAID = "name: paid, window: { kind: tumbling, sizeMs: 10 }, aggregates: { n: { fn: count } }";

test("says of a table that is not there which of the case's tables is meant", () => {
  expect(() => text(joining("payed", `{ ${PAID} }`))).toThrow(
    'projection.right.projection: there is no projection "payed"; the projections are "paid"',
  );
  expect(() => text(joining("piad", `{ ${PAID} }`))).toThrow('did you mean "paid"?');
  expect(() => text(joining("payed", ""))).toThrow("there are no projections");
});

test("says which of the tables has a mistake", () => {
  const other = `{ ${PAID.replace("paid", "other")} }`;
  expect(() => text(joining("paid", `${other}, { ${PAID}, emit: finl }`))).toThrow(
    /tables\[1\]\.emit/,
  );
});

test.each<[string, string]>([
  ["- { key: a, tim: 3 }", "line 4: steps[0].time: an event needs it"],
  ["- { key: a, time: tomorrow }", 'such as "2024-01-01T08:00:00Z", not "tomorrow"'],
  [
    "- { key: a, time: 1, cent: 4 }",
    'steps[0].cent: Sale has no such field; did you mean "cents"?',
  ],
  ["- { key: a, time: 1, type: Sal }", 'no such type; did you mean "Sale"?'],
  ["- { key: a, time: 1, partition: 1 }", "steps[0].partition: must be a whole number, 0 to 0"],
  ["- restrt", 'not "restrt"; did you mean "restart"?'],
  ["- watermrk: 3", 'did you mean "watermark"?'],
  ["- tick: 3 moons", "must be a duration"],
  ["- expect: [{ m: 1 }]", 'neither a value nor a part of an update; did you mean "n"?'],
  ["- expect: { update: [] }", 'Did you mean "updates"?'],
  ["- expect: [{ kind: fianl }]", 'did you mean "final"?'],
  ["- { key: a, time: 1 }", "the case expects nothing, so it cannot fail"],
])("says what is wrong with the step %j", (step, message) => {
  const source = `projection: { window: { kind: tumbling, sizeMs: 3 }, aggregates: { n: { fn: count } } }
topic: { types: { Sale: { cents: int64 } } }
steps:
  ${step}
`;
  expect(() => text(source)).toThrow(message);
});

test("names types by the text of a .proto file, too", () => {
  const proto = 'syntax = "proto3"; package shop; message Sale { int64 cents = 1; }';
  const given = {
    projection: {
      window: { kind: "tumbling", sizeMs: "1 minute" },
      aggregates: { sum: { fn: "sum", of: { field: "cents" } } },
    },
    topic: { proto, types: ["shop.Sale"] },
    steps: [
      { key: "a", time: "2024-01-01T00:00:30Z", cents: 5 },
      { watermark: "2024-01-01T00:01:00Z" },
    ],
    expect: [{ window: ["2024-01-01T00:00:00Z", "2024-01-01T00:01:00Z"], sum: 5 }],
  } as const;
  expect(renderFailures(runCase(given))).toBe("");
});

test("a chain of calls runs the case at each expectation", () => {
  const chain = testProjection(revenueByStore)
    .events([
      { key: "order-1", time: "2024-01-01T08:00:00Z", store: "x", amount: 500, items: 1 },
      { key: "order-2", time: "2024-01-01T08:00:01Z", store: "x", amount: 700, items: 2 },
      { key: "order-3", time: "2024-01-01T08:00:02Z", store: "x", amount: 900, test: true },
    ])
    .expectResults({ key: "x", kind: "early", revenue: 1200 })
    .restart()
    .watermark("2024-01-01T08:01:00Z")
    .expectUpdates(
      { key: "x", kind: "early", revenue: 500 },
      { key: "x", kind: "early", revenue: 1200 },
      { key: "x", kind: "final", revenue: 1200, payments: 2, items: 3 },
    )
    .expectResults({ key: "x", kind: "final", largest: 700 })
    .expectBooks({ counted: 2, filtered: 1 })
    .expectDeadLetters();
  expect(() => chain.expectUpdates({ key: "x" })).toThrow("- x         (nothing)");
});

test("windows and aggregates by functions run like all others, restarts and batches included", () => {
  const longest = aggregate({
    inputs: { items: field("items"), store: field("store") },
    init: () => ({ items: 0, store: "" }),
    add: (state, { items, store }: { items: number; store: string }) => {
      if (items > 9) throw new RangeError("too many items");
      return items > state.items ? { items, store } : state;
    },
    merge: (a, b) => (b.items > a.items ? b : a),
    result: ({ store }) => store,
  });
  testProjection(
    projection("longest", {
      source: orders,
      types: ["orders.Paid"],
      window: custom({ assign: (time) => [[time - (time % 1000), time - (time % 1000) + 1500]] }),
      aggregates: { longest, n: count() },
    }),
  )
    .events([
      { key: "k", time: "2024-01-01T08:00:00.100Z", store: "x", items: 1 },
      { key: "k", time: "2024-01-01T08:00:00.200Z", store: "y", items: 3 },
      { key: "k", time: "2024-01-01T08:00:00.300Z", store: "z", items: 10 },
    ])
    .watermark("2024-01-01T08:00:02Z")
    .expectUpdates({ key: "k", kind: "final", longest: "y", n: 2 })
    .expectDeadLetters({ reason: "poison", time: "2024-01-01T08:00:00.300Z" })
    .expectBooks({ counted: 2, poison: 1 });
});
