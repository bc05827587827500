/** What `step("a").last(field("x"))` and its like are for a list of taken events. */
import type { StepFunction } from "../../projections/definition/pattern-definition.ts";
import { compareScalars, type Scalar } from "./scalar.ts";
import type { Taken } from "./taken.ts";

const INT64_MAX = 2n ** 63n - 1n;

/** An exact integer if it fits into 64 bits, otherwise the nearest double. */
const exactly = (sum: bigint): Scalar => {
  if (sum > INT64_MAX || sum < -INT64_MAX - 1n) return Number(sum);
  const number = Number(sum);
  return Number.isSafeInteger(number) ? number : sum;
};

const lastOf = (taken: Taken | undefined, step: number): Taken | undefined => {
  let at = taken;
  while (at !== undefined && at.step !== step) at = at.previous;
  return at;
};

const countOf = (taken: Taken | undefined, step: number): number => {
  let count = 0;
  for (let at = taken; at !== undefined; at = at.previous) if (at.step === step) count++;
  return count;
};

/** The captured values of a step's events, from the first to the last. */
export const collectValues = (
  taken: Taken | undefined,
  step: number,
  capture: number,
): readonly Scalar[] => {
  const values: Scalar[] = [];
  for (let at = taken; at !== undefined; at = at.previous) {
    if (at.step === step) values.push(at.event.values[capture]!);
  }
  return values.reverse();
};

const total = (numbers: readonly (number | bigint)[], integers: boolean): Scalar => {
  if (integers) return exactly(numbers.reduce<bigint>((sum, each) => sum + BigInt(each), 0n));
  const sum = numbers.reduce<number>((before, each) => before + Number(each), 0);
  return Number.isFinite(sum) ? sum : null;
};

/** `integers`: whether the captured expression is of integers, which are added exactly. */
export const stepValue = (
  fn: StepFunction,
  step: number,
  capture: number,
  integers: boolean,
): ((taken: Taken | undefined) => Scalar) => {
  if (fn === "count") return (taken) => countOf(taken, step);
  if (fn === "last") return (taken) => lastOf(taken, step)?.event.values[capture] ?? null;
  return (taken) => {
    const all = collectValues(taken, step, capture);
    if (fn === "first") return all[0] ?? null;
    const numbers = all.filter((value) => value !== null) as readonly (number | bigint)[];
    if (numbers.length === 0) return null;
    switch (fn) {
      case "sum":
        return total(numbers, integers);
      case "mean": {
        const mean = Number(total(numbers, integers) ?? Number.NaN) / numbers.length;
        return Number.isFinite(mean) ? mean : null;
      }
      case "min":
        return numbers.reduce((least, each) => (compareScalars(each, least) < 0 ? each : least));
      case "max":
        return numbers.reduce((most, each) => (compareScalars(each, most) > 0 ? each : most));
    }
  };
};
