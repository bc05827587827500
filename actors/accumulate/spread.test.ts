/** The limits of what variances keep, exact for integers and canonical for doubles. */
import { expect, test } from "vitest";
import { Bench, vectorOf, type Input } from "./accumulators.suite.ts";

const definition = (population: boolean) =>
  ({ fn: "variance", of: { field: "x" }, population }) as const;
const bench = (type: "integer" | "double", population = true) =>
  new Bench(definition(population), type);

const doublesIn = (state: Uint8Array): number[] => [
  ...new Float64Array(state.buffer, state.byteOffset, state.byteLength / 8),
];

const LIMB = 2n ** 52n;
/** Of one integer, then of as many again, so that limbs carry. */
const INTEGERS = [0n, 1n, 52n, 26n]
  .flatMap((power) => [2n ** power - 1n, 2n ** power, 2n ** power + 1n])
  .concat(3n ** 16n, 3n ** 17n, 3n ** 32n, 5n ** 22n, 2n ** 53n + 1n, 2n ** 62n + 1n)
  .concat(2n ** 63n - 1n, 2n ** 51n + 2n ** 25n, 94_906_265n, 94_906_266n, 94_906_267n)
  .flatMap((integer) => [integer, -integer])
  .concat(-(2n ** 63n));

test("A2: the sum of squares of integers is three limbs of 52 bits, the lower two full and no more", () => {
  for (const integer of INTEGERS) {
    for (const times of [1, 2, 3, 64]) {
      const inputs = Array.from({ length: times }, () => integer);
      const sum = integer * BigInt(times);
      const squares = integer * integer * BigInt(times);
      const low = ((sum % LIMB) + LIMB) % LIMB;
      const expected = [
        BigInt(times),
        (sum - low) / LIMB,
        low,
        squares / (LIMB * LIMB),
        (squares / LIMB) % LIMB,
        squares % LIMB,
      ].map(Number);
      const whole = bench("integer").add(inputs);
      expect(doublesIn(whole.state())).toEqual(expected);
      const parts = bench("integer").add(inputs.slice(1)).add(inputs.slice(0, 1), 1);
      expect(doublesIn(parts.merge(parts.state(1)).state())).toEqual(expected);
      expect([whole.value(), parts.value()]).toEqual([0, 0]);
    }
  }
});

test("limbs carry from the low one through the high one", () => {
  // 2^104 - 1 is not a square; these leave both limbs full, and one more carries through them.
  const root = 2n ** 52n - 1n;
  const rest = LIMB * LIMB - 1n - root * root;
  const inputs: bigint[] = [root];
  for (let left = rest; left > 0n;) {
    let next = BigInt(Math.floor(Math.sqrt(Number(left))));
    while (next * next > left) next--;
    inputs.push(next);
    left -= next * next;
  }
  const full = bench("integer").add(inputs);
  expect(doublesIn(full.state()).slice(3)).toEqual([0, 2 ** 52 - 1, 2 ** 52 - 1]);
  expect(doublesIn(full.add([1n]).state()).slice(3)).toEqual([1, 0, 0]);
});

test("integers without residuals are as they are", () => {
  const inputs = [2n ** 60n, 3n, -(2n ** 30n)];
  const vector = vectorOf("integer", inputs);
  vector.residuals = undefined;
  const bare = bench("integer");
  bare.state();
  bare.accumulator.accumulate(new Int32Array(3), Int32Array.of(0, 1, 2), 3, vector);
  expect(bare.state()).toEqual(bench("integer").add(inputs).state());
});

test.for<readonly [inputs: readonly Input[], sample: number | null, population: number | null]>([
  [[], null, null],
  [[5], null, 0],
  [[5, 7], 2, 1],
  [[1, 2, 3, 4], 5 / 3, 1.25],
  [[-2, undefined, 2], 8, 4],
])("of %j: %j as a sample, %j as a population", ([inputs, sample, population]) => {
  for (const type of ["integer", "double"] as const) {
    expect(bench(type, false).add(inputs).value()).toBe(sample);
    expect(bench(type, true).add(inputs).value()).toBe(population);
    const root = new Bench({ ...definition(true), fn: "stddev" }, type).add(inputs).value();
    expect(root).toBe(population === null ? null : Math.sqrt(population));
  }
});

test("doubles keep count, mean and squared distances; their parts too", () => {
  const parts = bench("double").add([1, 3]).add([7, 9, 11], 1);
  expect(doublesIn(parts.state(0))).toEqual([2, 2, 2]);
  expect(doublesIn(parts.state(1))).toEqual([3, 9, 8]);
  // (9 - 2)^2 * 2 * 3 / 5 lies between the two.
  const [count, mean, squares] = doublesIn(parts.merge(parts.state(1)).state());
  expect(count).toBe(5);
  expect(mean).toBeCloseTo(31 / 5, 14);
  expect(squares).toBeCloseTo(2 + 8 + 58.8, 12);
});

test("A3: an empty slot takes the bits as they are, and nothing changes none, however large", () => {
  for (const inputs of [[1e200, 1e200], [-1e308], [0.1, 0.2, 0.3]]) {
    const held = bench("double").add(inputs);
    expect(bench("double").merge(held.state()).state()).toEqual(held.state());
    expect(held.merge(bench("double").state()).state()).toEqual(
      bench("double").add(inputs).state(),
    );
    expect(held.value()).not.toBe(null);
  }
});

test("overflow has one form: a mean of 0 and infinite squares, and stays", () => {
  for (const inputs of [
    [0, 1e200],
    [-1e308, 1e308],
    [1e308, -1e308],
    [1e308, -1e308, 1e308, 1e308],
  ]) {
    const whole = bench("double").add(inputs);
    expect(doublesIn(whole.state())).toEqual([inputs.length, 0, Number.POSITIVE_INFINITY]);
    expect(whole.value()).toBe(null);
    const parts = bench("double").add(inputs.slice(0, 1)).add(inputs.slice(1), 1);
    expect(parts.merge(parts.state(1)).state()).toEqual(whole.state());
    expect(doublesIn(whole.add([1, 2]).state()).slice(1)).toEqual([0, Number.POSITIVE_INFINITY]);
  }
});
