/** Joins whose table is a fold (decision 023), as their users see them. */
import { expect, test } from "vitest";
import { testProjection } from "../testkit/test-projection.ts";

interface Spent {
  readonly cents: bigint;
  readonly what: string;
}

const paid = ({ data }: { readonly data: unknown }): Spent => data as Spent;

/** Adds up; "close" forgets, "break" throws, "odd" has a value of another type than its fold says. */
const SPENT = {
  kind: "fold",
  name: "spent",
  topic: "payments",
  state: (): Spent => ({ cents: 0n, what: "" }),
  reduce: (state: Spent, event: { readonly data: unknown }) => {
    const { cents, what } = paid(event);
    if (what === "close") return undefined;
    if (what === "break") throw new Error("no such payment");
    return { cents: state.cents + cents, what };
  },
  values: {
    cents: {
      type: "integer",
      of: ({ cents, what }: Spent) => (what === "odd" ? "many" : cents),
    },
    mean: { type: "double", of: ({ cents }: Spent) => (cents === 0n ? null : Number(cents) / 2) },
    what: { type: "string", of: ({ what }: Spent) => what },
    large: { type: "boolean", of: ({ cents }: Spent) => cents > 10n },
  },
};

const JOIN = {
  kind: "join",
  left: { topic: "orders" },
  right: { projection: "spent" },
  asOf: {},
  mode: "left",
  values: {
    cents: { field: "cents", side: "right" },
    since: { event: "time", side: "right" },
  },
};

const TOPICS = {
  orders: { types: { Order: {} }, maxOutOfOrdernessMs: 1_000 },
  payments: { types: { Payment: { cents: "int64", what: "string" } }, maxOutOfOrdernessMs: 100 },
};

const joined = (table: object = {}, join: object = {}) =>
  testProjection(
    { ...JOIN, ...join },
    { topics: TOPICS, tables: [{ ...SPENT, ...table }], clock: 1_000_000 },
  );

const payment = (time: number, cents = 1, what = "") => {
  return { type: "Payment", key: "ann", time, cents, what };
};
const orders = (...times: readonly number[]) =>
  times.map((time) => ({ type: "Order", key: "ann", time }));

test("a state is a row from the first millisecond after the event that made it", () => {
  joined()
    .events(orders(9, 10, 11, 20, 21, 99))
    .batch([payment(20, 5), payment(10, 3), payment(20, 1)])
    .watermark(500)
    .expectUpdates(
      { window: 9, cents: null },
      { window: 10, cents: null },
      { window: 11, cents: 3, since: 11 },
      { window: 20, cents: 3, since: 11 },
      { window: 21, cents: 9, since: 21 },
      { window: 99, cents: 9, since: 21 },
    )
    .expectBooks({ events: 9, counted: 9 });
});

test.each([{ mode: "each" }, { mode: "final" }, { mode: "early", everyMs: 1_000_000 }])(
  "rows do not depend on how often states are published: %o",
  (emit) => {
    joined({ emit })
      .events([payment(10), payment(20), payment(30)])
      .events(orders(11, 21, 31))
      .watermark(500)
      .expectUpdates({ cents: 1 }, { cents: 2 }, { cents: 3 });
  },
);

test("there is no row of a key that its reducer forgot, until it begins anew", () => {
  joined()
    .events([payment(10), payment(20, 1, "close"), payment(30, 7), payment(30, 1, "close")])
    .event(payment(30, 4))
    .events(orders(20, 21, 30, 31))
    .watermark(500)
    .expectUpdates({ cents: 1 }, { cents: null }, { cents: null }, { cents: 4, since: 31 });
});

test("the row goes at the very time at which ttl forgets the state", () => {
  joined({ ttlMs: 50 })
    // A topic that never held an event would hold nothing back.
    .watermark(0, { topic: "orders" })
    .events([payment(0), payment(40)])
    .watermark(60, { topic: "payments" })
    .events([payment(90, 5), payment(200, 1)])
    .events(orders(1, 50, 89, 90, 91, 139, 140, 200, 201))
    .watermark(500)
    .expectUpdates(
      { window: 1, cents: 1 },
      { window: 50, cents: 2, since: 41 },
      { window: 89, cents: 2 },
      // An event of that very time begins anew, and is seen a millisecond later, like any other.
      { window: 90, cents: null },
      { window: 91, cents: 5, since: 91 },
      { window: 139, cents: 5 },
      { window: 140, cents: null },
      { window: 200, cents: null },
      { window: 201, cents: 1 },
    );
});

test("what a fold refuses makes no row, and its own tasks tell of it", () => {
  joined()
    .events([payment(10), payment(20, 5, "break"), payment(30, 5, "odd"), payment(40, 2)])
    .events(orders(11, 21, 31, 41))
    .watermark(500)
    .expectUpdates({ cents: 1 }, { cents: 1 }, { cents: 1, since: 11 }, { cents: 3, since: 41 })
    .expectBooks({ events: 8, counted: 6, poison: 2 });
});

test("values of every type can be read, also null ones", () => {
  const values = Object.fromEntries(
    ["cents", "mean", "what", "large"].map((field) => [field, { field, side: "right" }]),
  );
  joined({}, { values })
    .events([payment(10, 0, "a"), payment(20, 11, "b")])
    .events(orders(11, 21))
    .watermark(500)
    .expectUpdates(
      { cents: 0, mean: null, what: "a", large: false },
      { cents: 11, mean: 5.5, what: "b", large: true },
    );
});

test("an integer has no -0, and a double may be given as an integer", () => {
  const values = {
    cents: { type: "integer", of: ({ cents }: Spent) => Number(cents) * -1 },
    mean: { type: "double", of: ({ cents }: Spent) => cents },
  };
  const both = ["cents", "mean"].map((field) => [field, { field, side: "right" }]);
  joined({ values }, { values: Object.fromEntries(both) })
    .events([payment(10, 0), payment(20, 5)])
    .events(orders(11, 21))
    .watermark(500)
    .expectUpdates({ cents: 0, mean: 0 }, { cents: -5, mean: 5 });
});

test("ttl and deleted of the join count from the end of the row, too", () => {
  joined({}, { asOf: { ttlMs: 30, deleted: { op: "ge", args: [{ field: "cents" }, lit(3)] } } })
    .events([payment(10), payment(50, 1), payment(60, 1), payment(70, -1)])
    .events(orders(11, 40, 41, 51, 61, 70, 71, 100, 101))
    .watermark(500)
    .expectUpdates(
      { window: 11, cents: 1 },
      { window: 40, cents: 1 },
      { window: 41, cents: null },
      { window: 51, cents: 2 },
      { window: 61, cents: null },
      { window: 70, cents: null },
      { window: 71, cents: 2 },
      { window: 100, cents: 2 },
      { window: 101, cents: null },
    );
});

const lit = (literal: number) => ({ literal });

test.each([
  ["is there from the first moment that is not over", 1_000, 1],
  ["is not there when its ttl is over by then", 30, null],
])("the row of a partition that was idle %s", (_, ttlMs, cents) => {
  joined({}, { asOf: { ttlMs } })
    .event(payment(20))
    .tick(50, { topic: "payments" })
    .watermark(500, { topic: "orders" })
    .events(orders(501))
    // Event time of payments is 169 by now: its state of 20 is known.
    .tick(200, { topic: "payments" })
    .watermark(600, { topic: "orders" })
    .expectUpdates({ window: 501, cents });
});

test("a value without a type cannot be read", () => {
  const run = (table: object) => () =>
    joined({ ...SPENT, ...table })
      .watermark(500)
      .expectNothing();
  expect(run({ values: { cents: (state: Spent) => state.cents } })).toThrow(
    'values.cents.field: field "cents" of spent has no type; for expressions to read it the fold must say ' +
      'which one its value has: values: { cents: { type: "integer", of: (state) => ... } }',
  );
});
