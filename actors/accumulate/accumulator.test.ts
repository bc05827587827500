/** What every accumulator keeps to, whatever it computes: rows, slots, snapshots and parts. */
import { describe, expect, test } from "vitest";
import type { AggregateDefinition } from "../../projections/definition/definition.ts";
import { Bench, vectorOf, type Input } from "./accumulators.suite.ts";

const of = { field: "x" };
const FORMS: readonly AggregateDefinition[] = [
  { fn: "sum", of },
  { fn: "mean", of },
  { fn: "min", of },
  { fn: "max", of },
  { fn: "first", of },
  { fn: "last", of },
  { fn: "variance", of, population: false },
  { fn: "stddev", of, population: true },
  { fn: "distinct", of, precision: 8, sketch: true },
  { fn: "quantile", of, q: 0.5, relativeError: 0.1, sketch: false },
  { fn: "quantiles", of, qs: [0, 0.9], relativeError: 0.1, sketch: false },
  { fn: "topK", of, k: 2, capacity: 8, sketch: true },
  { fn: "collect", of, limit: 100 },
];
const STRINGS = new Set(["first", "last", "distinct", "topK", "collect"]);

/** All different, so that a row too many or too few shows in every aggregate. */
const INPUTS: Readonly<Record<"integer" | "double" | "string", readonly Input[]>> = {
  integer: [7n, 2n ** 53n + 1n, -3n, 2n ** 30n, -(2n ** 63n), 12n],
  double: [7.5, 1e9, -0.25, 3, 1e-3, -12],
  string: ["seven", "a longer text than sixteen bytes", "", "été", "b", "last"],
};

const CASES = (["integer", "double", "string"] as const).flatMap((type) =>
  FORMS.filter(({ fn }) => type !== "string" || STRINGS.has(fn)).map(
    (definition) => [`${definition.fn} of ${type}`, definition, type] as const,
  ),
);

describe.for(CASES)("%s", ([, definition, type]) => {
  const inputs = INPUTS[type];
  const make = (capacity?: number) => new Bench(definition, type, capacity);
  /** Rows of event time 10, 20, ... so that their order is that of the log. */
  const add = (bench: Bench, some: readonly Input[], slot = 0, from = 0) =>
    bench.add(
      some,
      slot,
      some.map((_, i) => (from + i + 1) * 10),
    );
  const empty = () => make().state();

  test("takes row rows[i] into slot slots[i], for i below count and no more", () => {
    const bench = make();
    bench.state(0);
    bench.state(1);
    const vector = vectorOf(type, inputs);
    vector.times = Float64Array.from(inputs, (_, i) => (i + 1) * 10);
    // Row 4 is nobody's; the rows 3 and 5 stand behind the count.
    const rows = Int32Array.of(2, 0, 1, 3, 5);
    const slots = Int32Array.of(1, 0, 1, 0, 1);
    bench.accumulator.accumulate(slots, rows, 3, vector);
    const times = [30, 10, 20];
    const expected = make().add([inputs[0]], 0, [times[1]!]);
    expected.add([inputs[2], inputs[1]], 1, [times[0]!, times[2]!]);
    expect([bench.state(0), bench.state(1)]).toEqual([expected.state(0), expected.state(1)]);
    expect(bench.state(0)).not.toEqual(empty());
  });

  test("leaves nulls out, whatever lies in their place", () => {
    const vector = vectorOf(type, inputs);
    vector.times = Float64Array.from(inputs, (_, i) => i);
    vector.valid.fill(0);
    const bench = make();
    bench.state();
    bench.accumulator.accumulate(new Int32Array(2), Int32Array.of(0, 1), 2, vector);
    expect(bench.state()).toEqual(empty());
    expect(bench.value()).toEqual(make().value());
  });

  test("A2: a slot that is cleared is as new, and so is one that was let go", () => {
    const bench = make();
    for (const from of [0, 2]) {
      add(bench, inputs.slice(from), 0);
      add(bench, inputs.slice(1), 1);
      const neighbour = bench.state(1);
      bench.accumulator.release?.(0);
      bench.accumulator.clear(0);
      expect(bench.state()).toEqual(empty());
      expect(bench.value()).toEqual(make().value());
      expect(bench.state(1)).toEqual(neighbour);
      bench.accumulator.clear(1);
      expect(bench.state(1)).toEqual(empty());
    }
    expect(add(bench, inputs.slice(3)).state()).toEqual(add(make(), inputs.slice(3)).state());
  });

  test("keeps what slots hold when there are to be more", () => {
    const bench = add(add(make(2), inputs, 0), inputs.slice(2), 1);
    const before = [bench.state(0), bench.state(1)];
    bench.accumulator.grow(4);
    expect([bench.state(0), bench.state(1)]).toEqual(before);
    expect(add(bench, inputs, 3).state(3)).toEqual(before[0]);
    expect(bench.value(3)).toEqual(bench.value(0));
  });

  test("A3: a snapshot of any length, read into an empty slot, is the accumulator itself", () => {
    for (let length = 0; length <= inputs.length; length++) {
      const bench = add(make(), inputs.slice(0, length));
      const restored = make().merge(bench.state());
      expect(restored.state()).toEqual(bench.state());
      expect(restored.value()).toEqual(bench.value());
      add(bench, inputs.slice(length), 0, length);
      add(restored, inputs.slice(length), 0, length);
      expect(restored.state()).toEqual(bench.state());
    }
  });

  test("A3: merging nothing changes nothing", () => {
    const bench = add(make(), inputs);
    const before = [bench.state(), bench.value()];
    expect([bench.merge(empty()).state(), bench.value()]).toEqual(before);
    expect(make().merge(empty()).state()).toEqual(empty());
  });

  test("A3: parts merged in their order have the value of the whole", () => {
    const whole = add(make(), inputs).value();
    for (let cut = 0; cut <= inputs.length; cut++) {
      const parts = add(make(), inputs.slice(0, cut));
      add(parts, inputs.slice(cut), 1, cut);
      const value = parts.merge(parts.state(1)).value();
      if (typeof whole === "number") expect((value as number) / whole).toBeCloseTo(1, 14);
      else expect(value).toEqual(whole);
    }
  });
});

describe("count", () => {
  const bench = (capacity?: number) => new Bench({ fn: "count" }, "integer", capacity);

  test("counts each row below count, null or not, in its slot", () => {
    const counts = bench(2);
    counts.state(0);
    counts.state(1);
    const rows = new Int32Array(4);
    counts.accumulator.accumulate(Int32Array.of(0, 1, 0, 0), rows, 3, undefined);
    expect([counts.value(0), counts.value(1)]).toEqual([2n, 1n]);
  });

  test("is 0 of none, and adds up over growth, snapshots and parts", () => {
    const counts = bench(2).add([1n, undefined, 3n]);
    counts.accumulator.grow(4);
    expect(counts.add([4n], 3).merge(counts.state(3)).value()).toBe(4n);
    expect(counts.state()).toEqual(new Uint8Array(Float64Array.of(4).buffer));
    counts.accumulator.clear(0);
    expect(counts.value()).toBe(0n);
  });
});
