import { expect, test } from "vitest";
import type { AggregateDefinition } from "../../projections/definition/definition.ts";
import { Value } from "../../proto/gen/tidemark/v1/result.ts";
import { emptyVector } from "../expression/vector.ts";
import { readPlain } from "../../projections/definition/plain-state.ts";
import { ByteReader, ByteWriter } from "../kernel/byte-writer.ts";
import { plain, vectorOf, type Input } from "./accumulators.suite.ts";
import { Custom } from "./custom.ts";

type Definition = Extract<AggregateDefinition, { readonly fn: "custom" }>;
type State = { readonly seen: readonly unknown[] };
type Inputs = Readonly<Record<"a" | "b", unknown>>;

/** What was added, in its order: nothing that is lost, twice or out of place goes unseen. */
const LIST = {
  fn: "custom",
  inputs: { a: { field: "a" }, b: { field: "b" } },
  init: (): State => ({ seen: [] }),
  add: ({ seen }: State, { a, b }: Inputs): unknown => ({ seen: [...seen, a ?? b] }),
  merge: (earlier: State, later: State): unknown => ({ seen: [...earlier.seen, ...later.seen] }),
  result: ({ seen }: State): unknown => [...seen],
  version: "1",
} satisfies Definition;

class Bench {
  readonly custom: Custom;

  constructor(changes: Partial<Definition> = {}) {
    this.custom = new Custom("list", { ...LIST, ...changes });
    this.custom.grow();
    for (let slot = 0; slot < 4; slot++) this.custom.clear(slot);
  }

  /** Tries a value of input `a` on what the slots hold. */
  stage(value: Input, from: readonly number[] = [0]): string {
    const part = typeof value === "string" ? "string" : "double";
    const parts = [vectorOf(part, [value]), vectorOf("integer", [-1n])];
    return this.custom.stage(from, 0, { ...emptyVector("double"), parts });
  }

  accumulate(...slots: number[]): this {
    this.custom.accumulate(Int32Array.from(slots), new Int32Array(slots.length), slots.length);
    return this;
  }

  add(values: readonly Input[], slot = 0): this {
    for (const value of values) {
      expect(this.stage(value, [slot])).toBe("");
      this.accumulate(slot);
    }
    return this;
  }

  state(slot = 0): Uint8Array {
    const out = new ByteWriter();
    this.custom.write(slot, out);
    return out.finish();
  }

  merge(state: Uint8Array, slot = 0): this {
    const reader = new ByteReader(state);
    this.custom.merge(slot, reader);
    expect(reader.at).toBe(state.length);
    return this;
  }

  value(slot = 0): unknown {
    const out = new ByteWriter();
    this.custom.writeValue(slot, out);
    return plain(Value.decode(out.finish()));
  }
}

/** What is behind the first byte of a state, and no more. */
const read = <T>(state: Uint8Array, how: (from: ByteReader) => T): T => {
  const reader = new ByteReader(state, 1);
  const held = how(reader);
  expect(reader.at).toBe(state.length);
  return held;
};
const stateIn = (state: Uint8Array) => read(state, readPlain);
const failureIn = (state: Uint8Array) => read(state, (from) => from.text());

test("W1: a staged event is in no slot until it is accumulated", () => {
  const bench = new Bench();
  expect(bench.stage("x")).toBe("");
  expect(bench.value()).toEqual([]);
  expect(bench.accumulate(0).value()).toEqual(["x"]);
});

test("W1: what is staged goes to the slots in its order, each once", () => {
  const bench = new Bench();
  for (const value of ["x", "y", "z"]) bench.stage(value, []);
  bench.custom.accumulate(Int32Array.of(2, 1, 3), new Int32Array(3), 2);
  expect([0, 1, 2, 3].map((slot) => bench.value(slot))).toEqual([[], ["y"], ["x"], []]);
  expect(bench.accumulate(3).value(3)).toEqual(["z"]);
});

test("W1: what is unstaged is forgotten", () => {
  const bench = new Bench();
  bench.stage("x");
  bench.custom.unstage();
  bench.stage("y");
  expect(bench.accumulate(0).value()).toEqual(["y"]);
});

test("an event is tried on what its slots hold, merged in their order", () => {
  const bench = new Bench().add(["x"], 2).add(["y"], 1);
  expect(bench.stage("z", [2, 0, 1])).toBe("");
  expect(bench.accumulate(3).value(3)).toEqual(["x", "y", "z"]);
  expect([bench.value(2), bench.value(1)]).toEqual([["x"], ["y"]]);
});

test.for<[string, Partial<Definition>, string]>([
  [
    "add throws",
    {
      add: () => {
        throw new RangeError("bad luck");
      },
    },
    "aggregates.list.add threw RangeError: bad luck",
  ],
  [
    "add returns what is no state",
    { add: () => ({ seen: undefined }) },
    "what aggregates.list.add returned at seen is undefined: it must be data as in JSON, or a bigint of 64 bits",
  ],
  [
    "add returns what throws when it is read",
    {
      add: () =>
        new Proxy(
          { seen: 1 },
          {
            get() {
              throw new TypeError("no");
            },
          },
        ),
    },
    "aggregates.list.add threw TypeError: no",
  ],
  [
    "the result of what would come throws",
    {
      result: ({ seen }: State) => {
        if (seen.length > 0) throw new Error("too many");
        return 0;
      },
    },
    "aggregates.list.result threw Error: too many",
  ],
  [
    "the result is no value",
    { result: ({ seen }: State) => (seen.length > 0 ? Number.NaN : 0) },
    "what aggregates.list.result returned is NaN: it must be data as in JSON, or a bigint of 64 bits",
  ],
])("W1: when %s, the event changes nothing and stage says why", ([, changes, why]) => {
  const bench = new Bench(changes);
  const before = [bench.state(), bench.value()];
  expect(bench.stage("x")).toBe(why);
  expect([bench.state(), bench.value()]).toEqual(before);
});

test("W1: nothing of an event that failed is left for the one that follows", () => {
  const add = (state: State, inputs: Inputs) => {
    if (inputs.a === "bad") throw new Error("bad");
    return LIST.add(state, inputs);
  };
  const bench = new Bench({ add });
  expect([bench.stage("bad"), bench.stage("good")]).toEqual([
    "aggregates.list.add threw Error: bad",
    "",
  ]);
  expect(bench.accumulate(0).value()).toEqual(["good"]);
});

test("W1: where slots cannot be merged, the event that needs them is refused", () => {
  const merge = () => {
    throw new Error("apart");
  };
  const bench = new Bench({ merge }).add(["x"], 0).add(["y"], 1);
  expect(bench.stage("z", [0, 1])).toBe("aggregates.list.merge threw Error: apart");
  expect([bench.value(0), bench.value(1)]).toEqual([["x"], ["y"]]);
});

test.for([undefined, Number.POSITIVE_INFINITY])(
  "a definition whose first state is %s, which is none, is refused by name",
  (none) => {
    expect(() => new Bench({ init: () => none })).toThrow(
      `what aggregates.list.init returned is ${none}: it must be data as in JSON, or a bigint of 64 bits`,
    );
  },
);

test("functions get inputs by name: null, booleans, text and numbers, frozen", () => {
  const seen: unknown[] = [];
  const inputs = { n: { field: "n" }, s: { field: "s" }, t: { field: "t" }, i: { field: "i" } };
  const add = (state: never, input: never) => {
    expect(Object.isFrozen(input)).toBe(true);
    seen.push(input);
    return state;
  };
  const bench = new Bench({ inputs, add });
  const truth = { ...vectorOf("double", [1, 0, undefined]), type: "boolean" as const };
  const parts = [
    vectorOf("double", [undefined, 0.5, 2]),
    vectorOf("string", ["été", "", undefined]),
    truth,
    vectorOf("integer", [7n, -(2n ** 53n), 2n ** 53n + 3n]),
  ];
  for (let row = 0; row < 3; row++) {
    expect(bench.custom.stage([0], row, { ...emptyVector("double"), parts })).toBe("");
  }
  expect(seen).toEqual([
    { n: null, s: "été", t: true, i: 7 },
    { n: 0.5, s: "", t: false, i: -(2 ** 53) },
    { n: 2, s: null, t: null, i: 2 ** 53 + 4 },
  ]);
});

test("the first state is made of nothing", () => {
  const init = (...args: readonly unknown[]) => ({ seen: args });
  expect(new Bench({ init }).value()).toEqual([]);
});

test("W2: functions get states frozen, which are not what they returned", () => {
  const kept = { seen: [] as unknown[] };
  const add = (state: State, { a }: Inputs) => {
    expect(Object.isFrozen(state) && Object.isFrozen(state.seen)).toBe(true);
    expect(state).not.toBe(kept);
    kept.seen.push(a);
    return kept;
  };
  const bench = new Bench({ add }).add(["x"]);
  const state = bench.state();
  kept.seen.push("afterwards");
  expect(bench.state()).toEqual(state);
  expect(bench.value()).toEqual(["x"]);
});

test("W2: equal states are written as equal bytes, and none as none", () => {
  const bench = new Bench({ add: () => ({ seen: [0], b: 2, a: "é" }) }).add(["x"]);
  const other = new Bench({ add: () => ({ a: "é", b: 2, seen: [-0] }) }).add(["x"]);
  expect(stateIn(bench.state())).toEqual({ a: "é", b: 2, seen: [0] });
  expect(bench.state()).toEqual(other.state());
  expect(bench.state()[0]).toBe(1);
  expect([...bench.state(1)]).toEqual([0]);
});

test("W2: a state that add returns as it is stays that very state", () => {
  const given: unknown[] = [];
  const add = (state: State) => {
    given.push(state);
    return state;
  };
  const bench = new Bench({ add }).add(["x", "y"]);
  expect(given[1]).toBe(given[0]);
  expect(stateIn(bench.state())).toEqual({ seen: [] });
});

test("the result is what the function made of the state then, not what it makes of it later", () => {
  const kept = [1];
  const bench = new Bench({ result: () => kept }).add(["x"]);
  expect(bench.value()).toEqual([1n]);
});

test("A3: snapshots and parts, in their order", () => {
  const bench = new Bench().add(["x", 1]).add(["y"], 1);
  expect(new Bench().merge(bench.state()).state()).toEqual(bench.state());
  expect(bench.merge(bench.state(1)).value()).toEqual(["x", 1n, "y"]);
  const before = bench.state();
  expect(bench.merge(new Bench().state()).state()).toEqual(before);
  expect(new Bench().merge(new Bench().state()).value()).toEqual([]);
});

test("A2: a slot that is cleared or let go is as new", () => {
  const bench = new Bench().add(["x"]);
  bench.custom.clear(0);
  expect([...bench.state()]).toEqual([0]);
  bench.add(["y"]).custom.release(0);
  expect([...bench.state()]).toEqual([0]);
  expect(bench.value()).toEqual([]);
});

const CLASH = {
  merge: () => {
    throw new Error("clash");
  },
};
const WHY = "aggregates.list.merge threw Error: clash";

test("W3: a merge that fails makes the slot null, and says why", () => {
  const bench = new Bench(CLASH).add(["x"]).add(["y"], 1);
  expect(bench.custom.failure(0)).toBe(undefined);
  bench.merge(bench.state(1));
  expect(bench.value()).toBe(null);
  expect(bench.custom.failure(0)).toBe(WHY);
  expect(bench.value(1)).toEqual(["y"]);
});

test("W3: a failure outlives snapshots and merges, until the slot is cleared", () => {
  const failed = new Bench(CLASH).add(["x"]).add(["y"], 1);
  failed.merge(failed.state(1));
  expect(failed.state()[0]).toBe(2);
  expect(failureIn(failed.state())).toBe(WHY);
  const bench = new Bench().add(["z"]).merge(failed.state());
  expect([bench.value(), bench.custom.failure(0)]).toEqual([null, WHY]);
  expect(bench.merge(new Bench().add(["later"]).state()).state()).toEqual(failed.state());
  expect(bench.merge(new Bench().state()).state()).toEqual(failed.state());
  // Nothing of what was merged since is held either.
  expect(bench.stage("w")).toBe("");
  expect(bench.accumulate(1).value(1)).toEqual(["w"]);
  bench.custom.clear(0);
  expect([bench.value(), bench.custom.failure(0)]).toEqual([[], undefined]);
});

test("W3: of several failures the first is told", () => {
  const failedOf = (message: string) => {
    const merge = () => {
      throw new Error(message);
    };
    const bench = new Bench({ merge }).add(["x"]).add(["y"], 1);
    return bench.merge(bench.state(1)).state();
  };
  const bench = new Bench().merge(failedOf("one")).merge(failedOf("other"));
  expect(bench.custom.failure(0)).toBe("aggregates.list.merge threw Error: one");
});

test("W3: a slot that takes an event's state has failed no more", () => {
  const bench = new Bench(CLASH).add(["x"]).add(["y"], 1);
  bench.merge(bench.state(1));
  expect(bench.stage("z")).toBe("");
  bench.accumulate(0);
  expect([bench.value(), bench.custom.failure(0)]).toEqual([["z"], undefined]);
});

test("W3: a result that fails for what was merged makes the slot null, and says why", () => {
  const result = ({ seen }: State) => {
    if (seen.length > 1) throw new Error("too many");
    return seen.length;
  };
  const bench = new Bench({ result }).add(["x"]).add(["y"], 1).merge(new Bench().state());
  bench.merge(bench.state(1));
  expect(bench.value()).toBe(null);
  expect(bench.custom.failure(0)).toBe("aggregates.list.result threw Error: too many");
  expect(bench.state()[0]).toBe(2);
  expect(bench.value(1)).toBe(1n);
});

test("what is no failure of the user's is not taken for one", () => {
  const bench = new Bench();
  expect(() => bench.custom.stage([0], 0, emptyVector("double"))).toThrow(TypeError);
  const none = new Bench({ result: () => null }).add(["x"]);
  expect([none.value(), none.custom.failure(0)]).toEqual([null, undefined]);
  // A state that ends too early was not written by an accumulator.
  const state = bench.add(["x"]).state();
  expect(() => bench.merge(state.subarray(0, -1))).toThrow(RangeError);
});
