/**
 * Holds every result of a rebuilt version against the live one.
 *
 * B1. Both come by key, then by window and ordinal, each once; so they are compared in one pass and in
 *     constant memory.
 * B2. What the live version published after the replay's bound is newer, not different.
 * B3. Windows that are still open are not compared: their values depend on when one looks.
 */
import { Kind } from "../../proto/gen/tidemark/v1/result.ts";
import type { NamedValue, Result, Value } from "../../proto/gen/tidemark/v1/result.ts";

/** How far the rebuilt version has read. */
export interface ReplayBound {
  /** By partition: last sequence read. */
  readonly sequences: readonly number[];
  /** Watermark of the rebuilt results; undefined when nothing was ever published. */
  readonly watermark: number | undefined;
}

export interface Difference {
  readonly kind: "missing" | "additional" | "value";
  readonly key: string;
  readonly windowStart: number;
  readonly live: Result | undefined;
  readonly built: Result | undefined;
}

export interface Comparison {
  readonly equal: number;
  /** Live results that the replay did not read far enough for. */
  readonly newer: number;
  readonly differences: number;
  /** The first of them. */
  readonly examples: readonly Difference[];
}

const EXAMPLES_MAX = 100;

export class ResultsOutOfOrder extends Error {
  override readonly name = "ResultsOutOfOrder";
}

const startOf = (result: Result): number => result.window?.start ?? 0;
const endOf = (result: Result): number => result.window?.end ?? 0;

export const order = (left: Result, right: Result): number =>
  left.key === right.key
    ? startOf(left) - startOf(right) || endOf(left) - endOf(right) || left.ordinal - right.ordinal
    : Buffer.compare(Buffer.from(left.key), Buffer.from(right.key));

const isClosed = (result: Result): boolean =>
  result.kind === Kind.KIND_FINAL || result.kind === Kind.KIND_CORRECTION;

const isNewer = (result: Result, { sequences, watermark }: ReplayBound): boolean => {
  const { partition = 0, sequence = 0 } = result.position ?? {};
  return sequence > (sequences[partition] ?? 0) || result.watermark > (watermark ?? -Infinity);
};

/** Doubles by their bits, int64 by all digits, names in order. */
export const sameValues = (left: readonly NamedValue[], right: readonly NamedValue[]): boolean =>
  left.length === right.length &&
  left.every(({ name, value }, i) => {
    const other = right[i]!;
    return name === other.name && sameValue(value, other.value);
  });

const sameValue = (left: Value | undefined, right: Value | undefined): boolean => {
  const a = left?.kind;
  const b = right?.kind;
  if (a?.$case !== b?.$case) return false;
  if (a?.$case === "bytesValue" && b?.$case === "bytesValue") {
    return Buffer.compare(a.value, b.value) === 0;
  }
  if (a?.$case === "listValue" && b?.$case === "listValue") {
    const others = b.value.values;
    return (
      a.value.values.length === others.length &&
      a.value.values.every((value, i) => sameValue(value, others[i]))
    );
  }
  if (a?.$case === "recordValue" && b?.$case === "recordValue") {
    return sameValues(a.value.fields, b.value.fields);
  }
  return Object.is(a?.value, b?.value);
};

/** Steps through results and insists on B1. */
export class Cursor {
  readonly #results: AsyncIterator<Result>;
  current: Result | undefined;

  constructor(results: AsyncIterable<Result>) {
    this.#results = results[Symbol.asyncIterator]();
  }

  async next(): Promise<void> {
    const step = await this.#results.next();
    const result = step.done === true ? undefined : step.value;
    if (this.current !== undefined && result !== undefined && order(this.current, result) >= 0) {
      throw new ResultsOutOfOrder(`results of key ${result.key} come out of order`);
    }
    this.current = result;
  }
}

export const compareResults = async (
  live: AsyncIterable<Result>,
  built: AsyncIterable<Result>,
  bound: ReplayBound,
  onCompared: (compared: number) => void = () => {},
): Promise<Comparison> => {
  const left = new Cursor(live);
  const right = new Cursor(built);
  const examples: Difference[] = [];
  let equal = 0;
  let newer = 0;
  let differences = 0;
  const differ = (kind: Difference["kind"], from: Result, a?: Result, b?: Result) => {
    differences++;
    if (examples.length === EXAMPLES_MAX) return;
    examples.push({ kind, key: from.key, windowStart: startOf(from), live: a, built: b });
  };
  await left.next();
  await right.next();
  for (let compared = 0; ; compared++) {
    if (compared % 1_000 === 0) onCompared(compared);
    const a = left.current;
    const b = right.current;
    if (a === undefined && b === undefined) break;
    const at = a === undefined ? 1 : b === undefined ? -1 : order(a, b);
    if (at < 0 && a !== undefined) {
      if (isNewer(a, bound)) newer++;
      else if (isClosed(a)) differ("missing", a, a);
      await left.next();
    } else if (at > 0 && b !== undefined) {
      if (isClosed(b)) differ("additional", b, undefined, b);
      await right.next();
    } else if (a !== undefined && b !== undefined) {
      if (isNewer(a, bound)) newer++;
      else if (isClosed(a) !== isClosed(b)) differ("value", a, a, b);
      else if (isClosed(a) && !sameValues(a.values, b.values)) differ("value", a, a, b);
      else if (isClosed(a)) equal++;
      await left.next();
      await right.next();
    }
  }
  return { equal, newer, differences, examples };
};
