/**
 * Bad input, one test for each kind that there is: a clear error before anything runs, with the place and
 * what would be right, or a dead letter. Never a stopped partition: the events around it count.
 */
import { describe, expect, test } from "vitest";
import {
  aggregate,
  count,
  custom,
  distinct,
  field,
  projection,
  topic,
  tumbling,
} from "../../projections/index.ts";
import { CaseError } from "./case.ts";
import type { EventStep } from "./case.ts";
import { runContent } from "./run-case.ts";
import { testProjection } from "./test-projection.ts";

const TOPIC = {
  maxOutOfOrdernessMs: 0,
  types: { Sale: { cents: "int64", store: "string" } },
} as const;
const BASE = {
  window: { kind: "tumbling", sizeMs: 10 },
  aggregates: { n: { fn: "count" } },
} as const;

const told = (definition: object): readonly string[] => {
  try {
    runContent({ projection: definition, topic: TOPIC, steps: [], expect: "nothing" });
    return [];
  } catch (error) {
    if (!(error instanceof CaseError)) throw error;
    return error.mistakes.map(({ path, message }) => `${path}: ${message}`);
  }
};

describe("a definition with", () => {
  test("an unknown field", () => {
    expect(told({ ...BASE, aggregates: { sum: { fn: "sum", of: { field: "cent" } } } })).toEqual([
      'projection.aggregates.sum.of.field: event type Sale has no field "cent"; did you mean "cents"?',
    ]);
    expect(told({ ...BASE, windw: {} })).toEqual([
      expect.stringMatching(/^projection\.windw: unknown key\. Did you mean "window"\? The keys/),
    ]);
  });

  test("an aggregate that cannot be merged, where windows are put together from parts", () => {
    const sum = {
      init: () => 0,
      add: (state: number) => state + 1,
      result: (state: number) => state,
    };
    expect(() => aggregate({ inputs: { cents: field("cents") }, ...sum } as never)).toThrow(
      /^aggregate\(\): merge: is missing: windows are put together from parts .* such as \(earlier, later\)/,
    );
    expect(
      told({
        ...BASE,
        key: { field: "store" },
        aggregates: { sum: { fn: "custom", inputs: { cents: { field: "cents" } }, ...sum } },
      }),
    ).toEqual([expect.stringMatching(/^projection\.aggregates\.sum\.merge: is missing: /)]);
  });

  test("a window without an end and no trigger", () => {
    expect(told({ ...BASE, window: { kind: "global" } })).toEqual([
      expect.stringMatching(
        /^projection\.emit: a global window never closes, so nothing .*: say when, with early\(/,
      ),
    ]);
  });

  test("a zone that does not exist", () => {
    const zoned = (zone: string) =>
      told({ ...BASE, window: { kind: "calendar", unit: "day", zone } });
    expect(zoned("Europe/Berln")).toEqual([
      'projection.window.zone: there is no time zone "Europe/Berln"; did you mean "Europe/Berlin"?',
    ]);
    expect(zoned("+02:00")).toEqual([
      'projection.window.zone: there is no time zone "+02:00"; an offset is no zone. Name a place, such as ' +
        '"Europe/Berlin", or use tumbling() with an offset',
    ]);
    expect(zoned("Antarctica/Atlantis")[0]).toMatch(
      /those of Antarctica are "Antarctica\/Casey", /,
    );
    expect(zoned("Mars")[0]).toMatch(/; name a place of the IANA database, such as /);
  });

  test("an advance larger than the size, which is allowed: events in the gaps are filtered out", () => {
    const window = { kind: "hopping", sizeMs: 4, advanceMs: 10 };
    testProjection({ ...BASE, window }, { topic: TOPIC })
      .events([1, 3, 4, 9, 10].map((time) => ({ key: "k", time })))
      .watermark(13)
      .expectUpdates({ window: [0, 4], n: 2 }, { window: [10, 14], n: 1 })
      .expectBooks({ counted: 3, filtered: 2 });
    const everywhere = { ...window, sizeMs: "1 day", advanceMs: 1 };
    expect(told({ ...BASE, window: everywhere })).toEqual([
      "projection.window.advanceMs: puts every event into 86400000 windows; 10000 are the limit. " +
        "Advance by at least 8640 ms",
    ]);
  });

  test("text where TypeScript has an expression: it would be taken for itself", () => {
    const source = topic("sales", { schemas: ["./none.proto"], types: ["Sale"] });
    const window = tumbling("1 hour");
    const of = (options: object) => () =>
      projection("p", { source, window, aggregates: { n: count() }, ...options } as never);
    expect(of({ key: "store" })).toThrow(
      'key: must be an expression, not "store"; a field is field("store")',
    );
    expect(of({ aggregates: { n: distinct("store" as never) } })).toThrow(
      'aggregates.n.of: must be an expression, not "store"; a field is field("store")',
    );
    expect(of({ where: (sale: { cents: number }) => sale.cents > 0 })).toThrow(
      "where: must be an expression, not a function, such as field",
    );
  });

  test("one mistake, which is told once", () => {
    const join = {
      kind: "join",
      left: { types: ["Sale"] },
      right: {},
      values: { at: { event: "time", side: "left" } },
    };
    expect(told({ ...join, within: { after: 5 } })).toEqual([
      expect.stringMatching(/^projection\.within\.after: unknown key\. Did you mean "afterMs"\?/),
    ]);
    expect(told({ ...join, within: {} })).toEqual([
      'projection.within: says neither "before" nor "after"',
    ]);
    const values = { store: { field: "store", side: "left" } };
    expect(told({ ...join, within: { afterMs: 5 }, left: { types: ["Sal"] }, values })).toEqual([
      'projection.left.types[0]: the join reads no event type "Sal"; did you mean "Sale"?',
    ]);
    expect(told({ ...BASE, emit: { mode: "early", every: "1 second" } })).toEqual([
      expect.stringMatching(/^projection\.emit\.every: unknown key\. Did you mean "everyMs"\?/),
    ]);
  });

  test("what is written as in other systems", () => {
    const told1 = (change: object) => told({ ...BASE, ...change })[0];
    expect(told1({ window: "1 hour" })).toBe(
      'projection.window: must be a window, such as tumbling("1 hour"), in JSON ' +
        '{ "kind": "tumbling", "sizeMs": "1 hour" }, not "1 hour"',
    );
    expect(told1({ window: { kind: "TUMBLE" } })).toMatch(/did you mean "tumbling"\?$/);
    expect(told1({ aggregates: { n: "count" } })).toMatch(
      /^projection\.aggregates\.n: must be an aggregate/,
    );
    expect(told1({ aggregates: { n: { fn: "AVG" } } })).toMatch(
      /not "AVG"; did you mean "mean"\?$/,
    );
    expect(told1({ key: "store" })).toBe(
      'projection.key: must be an expression, not "store"; a field is field("store"), in JSON ' +
        '{ "field": "store" }, and the text itself literal("store"), { "literal": "store" }',
    );
    expect(told1({ where: true })).toMatch(/not true; write literal\(true\), in JSON/);
    expect(told1({ where: { op: ">=", args: [] } })).toMatch(/not ">="; did you mean "ge"\?$/);
    expect(told1({ types: "Sale" })).toBe(
      'projection.types: must be a list, not "Sale"; write ["Sale"]',
    );
    expect(told1({ emit: "each" })).toMatch(
      /must be as each\(\) gives it, in JSON \{ "mode": "each" \}/,
    );
  });
});

/** The event of 2 is the one at which functions misbehave. */
const EVENTS: readonly EventStep[] = [1, 2, 3].map((time) => ({
  key: "k",
  time,
  cents: time,
  store: "x",
}));
const MISBEHAVIOUR: readonly (readonly [string, (given: { cents: number }) => unknown, string])[] =
  [
    [
      "throws",
      () => {
        throw new RangeError("too far");
      },
      "threw RangeError: too far",
    ],
    ["returns NaN", () => Number.NaN, "NaN"],
    [
      "mutates its input",
      (given) => {
        given.cents = 5;
        return given;
      },
      "read only property",
    ],
  ];

describe.each(MISBEHAVIOUR)("a custom function that %s costs one event:", (_, misbehave, error) => {
  const letter = { reason: "poison", time: 2, error } as const;

  test("an aggregate, merged over partitions", () => {
    const sum = aggregate({
      inputs: { cents: field("cents") },
      init: () => 0,
      add: (state, input) =>
        input.cents === 2 ? (misbehave(input as never) as number) : state + Number(input.cents),
      merge: (earlier, later) => earlier + later,
      result: (state) => state,
    });
    const topic = { ...TOPIC, partitions: 2 };
    testProjection({ ...BASE, key: { field: "store" }, aggregates: { sum, n: count() } }, { topic })
      .batch(EVENTS.map((event) => ({ ...event, partition: 0 })))
      .event({ ...EVENTS[0]!, partition: 1 })
      .watermark(9)
      .expectUpdates({ key: "x", window: [0, 10], kind: "final", sum: 5, n: 3 })
      .expectDeadLetters({ ...letter, error: `aggregates.sum.add` })
      .expectBooks({ events: 4, counted: 3, poison: 1 });
  });

  test("a fold", () => {
    const reduce = (
      state: { readonly n: number; cents: number },
      event: { readonly time: number },
    ) => (event.time === 2 ? misbehave(state) : { ...state, n: state.n + 1 });
    testProjection({ kind: "fold", state: () => ({ n: 0, cents: 0 }), reduce }, { topic: TOPIC })
      .batch(EVENTS)
      .watermark(9)
      .expectResults({ key: "k", state: { n: 2, cents: 0 } })
      .expectDeadLetters(letter)
      .expectBooks({ events: 3, counted: 2, poison: 1 });
  });
});

test.each([
  ["throws", () => [][1]!, "threw TypeError"],
  ["returns NaN", () => [[0, Number.NaN]], "returned [0, NaN] as window 0, not [start, end]"],
] as const)("windows by a function that %s cost one event", (_, misbehave, error) => {
  const window = custom({
    assign: (time) =>
      time === 2
        ? [...(misbehave() as unknown as readonly (readonly [number, number])[])]
        : [[0, 10]],
  });
  testProjection({ ...BASE, window }, { topic: TOPIC })
    .batch(EVENTS)
    .watermark(9)
    .expectUpdates({ window: [0, 10], kind: "final", n: 2 })
    .expectDeadLetters({ reason: "poison", time: 2, error })
    .expectBooks({ events: 3, counted: 2, poison: 1 });
});
