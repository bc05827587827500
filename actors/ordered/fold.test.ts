/** Folds, as their users see them. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ExpectedUpdate } from "../testkit/case.ts";
import { testProjection } from "../testkit/test-projection.ts";
import { propertyRuns } from "../testkit/property-runs.ts";

interface Basket {
  readonly sum: bigint;
  readonly names: readonly string[];
}

interface Bought {
  readonly cents: bigint;
  readonly name: string;
}

const bought = (event: { readonly data: unknown }): Bought => event.data as Bought;

/** Adds up; "clear" forgets, "break" throws after it has tried to change the state. */
const BASKET = {
  kind: "fold",
  state: (): Basket => ({ sum: 0n, names: [] }),
  reduce: (state: Basket, event: { readonly data: unknown }) => {
    const { cents, name } = bought(event);
    if (name === "clear") return undefined;
    if (name === "break") (state as { sum: bigint }).sum = 5n;
    if (name === "nan") return { ...state, sum: Number.NaN };
    return { sum: state.sum + cents, names: [...state.names, name] };
  },
} as const;

const TOPIC = {
  types: { Bought: { cents: "int64", name: "string" }, Seen: {} },
  maxOutOfOrdernessMs: 100,
};

const basket = (options: object = {}, topic: object = TOPIC) =>
  testProjection({ ...BASKET, ...options }, { topic, clock: 1_000_000 });

const at = (time: number, name: string, cents = 1, key = "k") => ({ key, time, name, cents });

test("reduces the events of a key in the order of their times, and publishes the state", () => {
  basket()
    .batch([at(30, "c"), at(10, "a", 9), at(20, "b")])
    .watermark(25)
    .expectUpdates({
      key: "k",
      kind: "early",
      revision: 1,
      window: 10,
      state: { sum: 10, names: ["a", "b"] },
    })
    .watermark(30)
    .expectUpdates({ revision: 2, state: { names: ["a", "b", "c"], sum: 11 } })
    .event(at(30, "late"))
    .expectDeadLetters({ reason: "late", lateness: 0, window: [30, 31] });
});

test("forgets a key when its reducer says so, and begins anew", () => {
  basket()
    .batch([at(10, "a"), at(20, "clear"), at(20, "b", 7)])
    .watermark(50)
    .expectUpdates(
      { kind: "final", window: 10, state: { sum: 1, names: ["a"] } },
      { kind: "early", window: 20, state: { sum: 7, names: ["b"] } },
    );
});

test("a second life within one time is a result of its own", () => {
  basket({ emit: { mode: "final" } })
    .batch([at(10, "a"), at(10, "clear"), at(10, "b"), at(10, "clear")])
    .watermark(50)
    .expectUpdates(
      { kind: "final", window: 10, ordinal: 0, revision: 1, state: { sum: 1, names: ["a"] } },
      { kind: "final", window: 10, ordinal: 1, revision: 1, state: { sum: 1, names: ["b"] } },
    );
});

test("forgets a key that had no event for its ttl, before an event of that very time", () => {
  basket({ ttlMs: 50, emit: { mode: "final" } })
    .batch([at(0, "a"), at(49, "b"), at(98, "c"), at(60, "x", 1, "other")])
    .watermark(109)
    .expectNothing()
    .watermark(110)
    .expectUpdates({ key: "other", kind: "final", window: 60, state: { sum: 1, names: ["x"] } })
    .event(at(148, "d"))
    .watermark(197)
    .expectUpdates({ kind: "final", window: 0, state: { sum: 3, names: ["a", "b", "c"] } })
    .watermark(198)
    .expectUpdates({ kind: "final", window: 148, state: { sum: 1, names: ["d"] } });
});

test("a reducer that throws is a dead letter, leaves the state, and says why", () => {
  basket({ emit: { mode: "final" } })
    .batch([at(10, "a"), at(20, "break"), at(30, "nan"), at(30, "b", 2, "other"), at(40, "c")])
    .batch([at(50, "clear"), at(50, "clear", 1, "other")])
    .watermark(50)
    .expectUpdates(
      { key: "k", state: { sum: 2, names: ["a", "c"] } },
      { key: "other", state: { sum: 2, names: ["b"] } },
    )
    .expectDeadLetters(
      { reason: "poison", time: 20, error: "is frozen: return a new state" },
      { reason: "poison", time: 30, error: "the state at sum is NaN" },
    )
    .expectBooks({ events: 7, counted: 5, poison: 2 });
});

test("the dead letter names the function that threw", () => {
  const fails = () => {
    throw new RangeError("too far");
  };
  for (const [options, named] of [
    [{ reduce: fails }, "reduce"],
    [{ state: fails }, "state"],
    [{ values: { total: fails } }, "values.total"],
  ] as const) {
    basket(options)
      .batch([at(10, "a")])
      .watermark(10)
      .expectDeadLetters({ reason: "poison", error: `${named} threw RangeError: too far` });
  }
});

test("whatever a function throws, it costs one event", () => {
  for (const [thrown, told] of [
    [Object.create(null), "threw something that cannot be shown"],
    [{ toString: () => ({}) }, "threw something that cannot be shown"],
    [undefined, "threw undefined"],
    [new Error("x".repeat(3_000_000)), "threw Error: xxx"],
  ] as const) {
    basket({
      reduce: () => {
        throw thrown;
      },
    })
      .batch([at(10, "a")])
      .watermark(10)
      .expectDeadLetters({ reason: "poison", error: `reduce ${told}` });
  }
});

test("values that depend on more than the state may fail when they are published: that is no stop", () => {
  let calls = 0;
  const values = {
    total: () => {
      if (++calls === 2) throw new Error("not twice");
      return calls;
    },
  };
  testProjection({ ...BASKET, values }, { topic: TOPIC, clock: 1_000_000, once: true })
    .batch([at(10, "a")])
    .watermark(10)
    .batch([at(20, "b")])
    .watermark(20)
    .expect({
      updates: [{ kind: "early", revision: 1, total: 4 }],
      deadLetters: [
        { reason: "poison", key: "k", window: 10, error: "values.total threw Error: not twice" },
      ],
      books: { events: 2, counted: 2 },
    });
});

test("publishes values of the state, and takes none that cannot be published", () => {
  const values = {
    total: (state: Basket) => state.sum,
    mean: (state: Basket) => Number(state.sum) / state.names.length,
    worst: (state: Basket) => (state.names.includes("bad") ? () => 1 : null),
  };
  basket({ values, emit: { mode: "early", everyMs: 10 } })
    .batch([at(10, "a", 3), at(20, "b", 2), at(30, "bad")])
    .watermark(30)
    .expectDeadLetters({ reason: "poison", error: "values give at worst is a function" })
    .wait("1 second")
    .event(at(40, "c", 1))
    .expectUpdates({ kind: "early", revision: 1, total: 5, mean: 2.5, worst: null });
});

test("a value of another type than declared is a dead letter, and the state stays", () => {
  const typed = (type: string, of: (state: Basket) => unknown) =>
    basket({ values: { total: { type, of }, names: (state: Basket) => state.names } })
      .event(at(10, "a", 3))
      .watermark(10)
      .event(at(20, "bad"))
      .watermark(20)
      .event(at(30, "c", 2))
      .watermark(30);
  const unless = (of: (state: Basket) => unknown, other: unknown) => (state: Basket) =>
    state.names.includes("bad") ? other : of(state);
  const sum = ({ sum: total }: Basket) => total;
  const must = (what: string) =>
    ({ reason: "poison", time: 20, error: `must be ${what}` }) as const;
  for (const [other, is] of [
    [0.5, "the number 0.5"],
    [true, "the boolean true"],
    ["1", "a string"],
    [["1"], "a list"],
    [{}, "a record"],
  ]) {
    typed("integer", unless(sum, other))
      .expectDeadLetters({ ...must(`an integer, not ${String(is)}`) })
      .expectUpdates({ total: 3, names: ["a"] }, { total: 5, names: ["a", "c"] })
      .expectBooks({ events: 3, counted: 2, poison: 1 });
  }
  typed("double", unless(sum, "1")).expectDeadLetters(must("a double, not a string"));
  typed("string", unless(String, 1)).expectDeadLetters(must("a string, not the number 1"));
  typed(
    "boolean",
    unless(() => null, 1n),
  ).expectDeadLetters(must("a boolean, not the integer 1"));
});

test("a state that has not changed is not published again when its ttl is looked at", () => {
  basket({ ttlMs: 50 })
    .events([at(0, "a"), at(40, "b")])
    .watermark(45)
    .expectUpdates({ kind: "early", revision: 1 })
    .watermark(60)
    .expectNothing()
    .watermark(90)
    .expectUpdates({ kind: "final", revision: 2, state: { sum: 2 } });
});

test("only the types that it reads, and only what its filter lets through, reach the reducer", () => {
  basket({ types: ["Bought"], where: { op: "gt", args: [{ field: "cents" }, { literal: 1 }] } })
    .batch([at(10, "a", 1), at(20, "b", 2), { key: "k", time: 25, type: "Seen" }])
    .watermark(30)
    .expectUpdates({ window: 20, state: { sum: 2, names: ["b"] } })
    .expectBooks({ events: 3, counted: 1, filtered: 2 });
});

test("gives what a loop over the sorted events gives, whatever the batches and restarts", () => {
  const events = fc.array(
    fc.record({
      key: fc.constantFrom("k", "l"),
      time: fc.integer({ min: -200, max: 200 }),
      name: fc.constantFrom("a", "b", "clear", "nan"),
      cents: fc.integer({ min: -5, max: 5 }),
    }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(events, fc.integer({ min: 1, max: 150 }), (given, ttlMs) => {
      const results: ExpectedUpdate[] = [];
      for (const key of ["k", "l"]) {
        const sorted = given
          .filter((event) => event.key === key)
          .map((event, i) => ({ event, i }))
          .sort((a, b) => a.event.time - b.event.time || a.i - b.i);
        let state: Basket | undefined;
        let born = 0;
        let last = 0;
        const forget = () => {
          if (state !== undefined) results.push({ key, kind: "final", window: born, state });
          state = undefined;
        };
        for (const { event } of sorted) {
          const { time, name, cents } = event;
          if (last + ttlMs <= time) forget();
          if (name === "nan") continue;
          if (name === "clear") {
            forget();
            continue;
          }
          if (state === undefined) born = time;
          const { sum, names }: Basket = state ?? BASKET.state();
          state = { sum: sum + BigInt(cents), names: [...names, name] };
          last = time;
        }
        forget();
      }
      const poison = given.filter(({ name }) => name === "nan").length;
      testProjection(
        { ...BASKET, ttlMs, emit: { mode: "final" } },
        { topic: { ...TOPIC, maxOutOfOrdernessMs: 1_000 }, clock: 1_000_000, once: false },
      )
        .events(given)
        .watermark(5_000)
        .expectBooks({ events: given.length, counted: given.length - poison, poison })
        .expectResults(...results);
    }),
    { numRuns: propertyRuns(40) },
  );
});

test("a byte order mark is a character of the data and of the state, also after a restart", () => {
  interface Words {
    readonly words: readonly string[];
    readonly lengths: readonly number[];
  }
  const words = {
    kind: "fold",
    state: (): Words => ({ words: [], lengths: [] }),
    reduce: ({ words }: Words, event: { readonly data: unknown }): Words => ({
      words: [...words, ...bought(event).name.split(",")],
      lengths: words.map(({ length }) => length),
    }),
    emit: { mode: "each" },
  };
  testProjection(words, { topic: TOPIC, clock: 1_000_000, once: false })
    .event({ key: "k", time: 10, name: "\ufeffa,\ufeffb" })
    .watermark(20)
    .event({ key: "k", time: 30, name: "c" })
    .watermark(40)
    .expectUpdates({}, { state: { words: ["\ufeffa", "\ufeffb", "c"], lengths: [2, 2] } });
});

test("mistakes are told before anything runs", () => {
  const mistakes = (options: object) => () => basket(options).expectNothing();
  expect(mistakes({ state: 5 })).toThrow("state: must be a function, such as () => ({ count: 0 })");
  expect(mistakes({ ttlMs: 0 })).toThrow("ttlMs: must be at least");
  expect(mistakes({ values: {} })).toThrow("values: must name 1 to 100 values");
  expect(mistakes({ redcue: 1 })).toThrow('unknown key. Did you mean "reduce"?');
  expect(mistakes({ order: "log" })).toThrow('order: must be one of "time"');
  expect(mistakes({ kind: "flod" })).toThrow('did you mean "fold"?');
});
