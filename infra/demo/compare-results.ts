/**
 * Compares every window that a projection has with every window that it must have: a merge of two
 * sequences, both in order of key and window start.
 *
 * K1. Each expected and each actual window is looked at exactly once: a window that only one side has
 *     is missing or unexpected.
 * K2. Values are equal bit for bit: no tolerance.
 */
import { Kind, type Result, type Value } from "../../proto/gen/tidemark/v1/result.ts";
import type { ExpectedResult, ExpectedValue } from "./expected-results.ts";

const DIFFERENCES_SHOWN = 5;

export interface Comparison {
  readonly projection: string;
  /** Windows that both sides have. */
  readonly compared: number;
  readonly right: number;
  readonly wrong: number;
  readonly missing: number;
  readonly unexpected: number;
  /** The first few, in words. */
  readonly differences: readonly string[];
}

export const isRight = (comparison: Comparison): boolean =>
  comparison.wrong === 0 && comparison.missing === 0 && comparison.unexpected === 0;

const shownExpected = (value: ExpectedValue): string =>
  value.kind === "null" ? "null" : String(value.value);

const shownActual = (value: Value | undefined): string => {
  const kind = value?.kind;
  return kind === undefined ? "null" : String(kind.value);
};

export const sameValue = (expected: ExpectedValue, actual: Value | undefined): boolean => {
  const kind = actual?.kind;
  switch (expected.kind) {
    case "null":
      return kind === undefined;
    case "integer":
      return kind?.$case === "intValue" && kind.value === expected.value.toString();
    case "double":
      return kind?.$case === "doubleValue" && Object.is(kind.value, expected.value);
  }
};

const place = (key: string, windowStart: number): string =>
  `${key} ${new Date(windowStart).toISOString()}`;

/** What is wrong with a result, or undefined. */
const differenceOf = (expected: ExpectedResult, actual: Result): string | undefined => {
  const at = () => place(expected.key, expected.windowStart);
  if (actual.window?.end !== expected.windowEnd) {
    return `${at()}: ends at ${actual.window?.end}, not ${expected.windowEnd}`;
  }
  if (actual.kind !== Kind.KIND_FINAL && actual.kind !== Kind.KIND_CORRECTION) {
    return `${at()}: is ${Kind[actual.kind]}, not final`;
  }
  const names = Object.keys(expected.values);
  if (actual.values.length !== names.length) {
    return `${at()}: has ${actual.values.length} values, not ${names.length}`;
  }
  for (const [index, name] of names.entries()) {
    const value = actual.values[index]!;
    if (value.name !== name || !sameValue(expected.values[name]!, value.value)) {
      return (
        `${at()}: ${value.name} is ${shownActual(value.value)}, ` +
        `but ${name} must be ${shownExpected(expected.values[name]!)}`
      );
    }
  }
  return undefined;
};

const ENCODER = new TextEncoder();

/** Order of two places: keys by their UTF-8 bytes, then window starts. */
const comparePlaces = (expected: ExpectedResult, actual: Result): number => {
  if (expected.key !== actual.key) {
    return Buffer.compare(ENCODER.encode(expected.key), ENCODER.encode(actual.key));
  }
  return expected.windowStart - (actual.window?.start ?? 0);
};

export const compareResults = async (
  projection: string,
  expected: AsyncIterable<ExpectedResult>,
  actual: AsyncIterable<Result>,
): Promise<Comparison> => {
  let [compared, right, wrong, missing, unexpected] = [0, 0, 0, 0, 0];
  const differences: string[] = [];
  const note = (difference: string) => {
    if (differences.length < DIFFERENCES_SHOWN) differences.push(difference);
  };
  const expectedIterator = expected[Symbol.asyncIterator]();
  const actualIterator = actual[Symbol.asyncIterator]();
  let left = await expectedIterator.next();
  let given = await actualIterator.next();
  while (left.done !== true || given.done !== true) {
    const order =
      left.done === true ? 1 : given.done === true ? -1 : comparePlaces(left.value, given.value);
    if (order < 0 && left.done !== true) {
      missing++;
      note(`${place(left.value.key, left.value.windowStart)}: is missing`);
      left = await expectedIterator.next();
    } else if (order > 0 && given.done !== true) {
      unexpected++;
      note(`${place(given.value.key, given.value.window?.start ?? 0)}: must not exist`);
      given = await actualIterator.next();
    } else if (left.done !== true && given.done !== true) {
      compared++;
      const difference = differenceOf(left.value, given.value);
      if (difference === undefined) right++;
      else wrong++;
      if (difference !== undefined) note(difference);
      left = await expectedIterator.next();
      given = await actualIterator.next();
    }
  }
  return { projection, compared, right, wrong, missing, unexpected, differences };
};
