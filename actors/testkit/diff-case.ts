/**
 * Compares rows that were expected with rows that came, side by side.
 *
 * D1. A field that an expectation does not give is not compared, in records neither. A list is compared
 *     whole: its length, and each of its items.
 * D2. Where order counts, the fewest rows are told to differ; a row that differs stands beside the
 *     one of its key that came in its place.
 */
import { at } from "../../projections/definition/reading.ts";
import type { CaseValue, ExpectedRow, LineOf, Row, Scalar } from "./case.ts";
import { isList, showRow } from "./output.ts";

export type Mark = "same" | "different" | "missing" | "unexpected";

export interface DiffRow {
  readonly mark: Mark;
  /** Of the expectation within the case; undefined for what nobody expected. */
  readonly path: string | undefined;
  readonly expected: string | undefined;
  readonly got: string | undefined;
  /** Names of the fields that differ. */
  readonly fields: readonly string[];
}

export interface Diff {
  readonly same: boolean;
  readonly rows: readonly DiffRow[];
}

const sameScalar = (expected: Scalar, got: Scalar | undefined): boolean => {
  if (Object.is(expected, got)) return true;
  if (typeof expected === "bigint" || typeof got === "bigint") {
    const isWhole = (value: Scalar | undefined) =>
      typeof value === "bigint" || Number.isInteger(value) || /^-?\d+$/.test(String(value));
    return isWhole(expected) && isWhole(got) && BigInt(String(expected)) === BigInt(String(got));
  }
  // YAML writes both zeros the same.
  if (expected === 0 && got === 0) return true;
  return typeof expected === "string" && typeof got === "number" && expected === String(got);
};

type Fields = Readonly<Record<string, CaseValue>>;

const isComposite = (value: CaseValue | undefined): value is readonly CaseValue[] | Fields =>
  typeof value === "object" && value !== null;

/** Paths below `path` at which a value is not as expected: "latency.p99", "top[2].count". */
const differingValues = (
  path: string,
  expected: CaseValue,
  got: CaseValue | undefined,
  whole: boolean,
): readonly string[] => {
  if (!isComposite(expected) || !isComposite(got)) {
    const same = !isComposite(expected) && !isComposite(got) && sameScalar(expected, got);
    return same ? [] : [path];
  }
  if (isList(expected) || isList(got)) {
    if (!isList(expected) || !isList(got) || expected.length !== got.length) return [path];
    return expected.flatMap((item, index) =>
      differingValues(at(path, index), item, got[index], whole),
    );
  }
  const other = got as Fields;
  const fields = Object.entries(expected).flatMap(([name, value]) =>
    differingValues(
      at(path, name),
      value,
      Object.hasOwn(other, name) ? other[name] : undefined,
      whole,
    ),
  );
  if (!whole) return fields;
  const more = Object.keys(other).filter((name) => !Object.hasOwn(expected, name));
  return [...fields, ...more.map((name) => at(path, name))];
};

/** Names of the fields in which a row is not as expected. */
export const differing = (expected: Row, got: Row, whole = false): readonly string[] =>
  [...expected].flatMap(([field, value]) => {
    if (field !== "error") return differingValues(field, value, got.get(field), whole);
    return String(got.get(field)).includes(String(value)) ? [] : [field];
  });

/** Of a record, the fields that are compared; all of it when one of them is not there. */
const asFarAsCompared = (got: CaseValue, expected: CaseValue | undefined): CaseValue => {
  if (!isComposite(got) || !isComposite(expected)) return got;
  if (isList(got)) {
    return isList(expected) ? got.map((item, i) => asFarAsCompared(item, expected[i])) : got;
  }
  const names = Object.keys(expected);
  if (isList(expected) || names.length === 0) return got;
  const record = got as Fields;
  if (!names.every((name) => Object.hasOwn(record, name))) return got;
  const wanted = expected as Fields;
  return Object.fromEntries(
    names.map((name) => [name, asFarAsCompared(record[name]!, wanted[name])]),
  );
};

/** Which partition spoke is of interest only to those who ask. */
const showGot = (got: Row, expected?: Row): string => {
  const compared = [...got].map(
    ([field, value]) => [field, asFarAsCompared(value, expected?.get(field))] as const,
  );
  return showRow(
    new Map(compared),
    (field) => field !== "partition" || expected?.has(field) === true,
  );
};

const pairRow = (expected: ExpectedRow, got: Row): DiffRow => {
  const fields = differing(expected.fields, got, expected.whole);
  return {
    mark: fields.length === 0 ? "same" : "different",
    path: expected.path,
    expected: showRow(expected.fields),
    got: showGot(got, expected.fields),
    fields: fields.map((field) => field.replace(/^values\./, "")),
  };
};

const missingRow = (expected: ExpectedRow): DiffRow => ({
  mark: "missing",
  path: expected.path,
  expected: showRow(expected.fields),
  got: undefined,
  fields: [],
});

const unexpectedRow = (got: Row): DiffRow => ({
  mark: "unexpected",
  path: undefined,
  expected: undefined,
  got: showGot(got),
  fields: [],
});

const diffOf = (rows: readonly DiffRow[]): Diff => ({
  same: rows.every((row) => row.mark === "same"),
  rows,
});

/** What pairing two rows costs; leaving both alone costs 2. */
const pairCost = (expected: ExpectedRow, got: Row): number => {
  const fields = differing(expected.fields, got, expected.whole);
  if (fields.length === 0) return 0;
  return fields.includes("key") || fields.includes("id") ? 3 : 1 + fields.length / 100;
};

/** In order. */
export const diffSequence = (expected: readonly ExpectedRow[], got: readonly Row[]): Diff => {
  const cost = Array.from({ length: expected.length + 1 }, () => new Float64Array(got.length + 1));
  for (let e = expected.length; e >= 0; e--) {
    for (let g = got.length; g >= 0; g--) {
      if (e === expected.length && g === got.length) continue;
      const skipExpected = e < expected.length ? cost[e + 1]![g]! + 1 : Infinity;
      const skipGot = g < got.length ? cost[e]![g + 1]! + 1 : Infinity;
      const both = e < expected.length && g < got.length;
      const pair = both ? cost[e + 1]![g + 1]! + pairCost(expected[e]!, got[g]!) : Infinity;
      cost[e]![g] = Math.min(skipExpected, skipGot, pair);
    }
  }
  const rows: DiffRow[] = [];
  for (let e = 0, g = 0; e < expected.length || g < got.length;) {
    const both = e < expected.length && g < got.length;
    const here = cost[e]![g]!;
    if (both && here === cost[e + 1]![g + 1]! + pairCost(expected[e]!, got[g]!)) {
      rows.push(pairRow(expected[e++]!, got[g++]!));
    } else if (e < expected.length && here === cost[e + 1]![g]! + 1) {
      rows.push(missingRow(expected[e++]!));
    } else rows.push(unexpectedRow(got[g++]!));
  }
  return diffOf(rows);
};

/** In any order: what matches wholly first, then what has the key, then what is left. */
export const diffSet = (expected: readonly ExpectedRow[], got: readonly Row[]): Diff => {
  const left = new Set(got);
  const partners = new Map<ExpectedRow, Row>();
  const pair = (fits: (wanted: Row, row: Row) => boolean) => {
    for (const wanted of expected) {
      if (partners.has(wanted)) continue;
      const partner = [...left].find((row) => fits(wanted.fields, row));
      if (partner === undefined) continue;
      partners.set(wanted, partner);
      left.delete(partner);
    }
  };
  pair((wanted, row) => differing(wanted, row).length === 0);
  pair(
    (wanted, row) => !differing(wanted, row).some((field) => field === "key" || field === "start"),
  );
  pair((wanted, row) => wanted.has("key") && wanted.get("key") === row.get("key"));
  const rows = expected.map((wanted) => {
    const partner = partners.get(wanted);
    return partner === undefined ? missingRow(wanted) : pairRow(wanted, partner);
  });
  return diffOf([...rows, ...[...left].map(unexpectedRow)]);
};

/** One row against one: the books, a watermark. */
export const diffRow = (expected: ExpectedRow, got: Row): Diff => {
  const shown = new Map([...got].filter(([field]) => expected.fields.has(field)));
  return diffOf([pairRow(expected, shown)]);
};

/** Rows of one run against those of another, which must be the same. */
export const diffRuns = (path: string, first: readonly Row[], second: readonly Row[]): Diff =>
  diffSequence(
    first.map((fields) => ({ path, fields, whole: true as const })),
    second,
  );

export type PaintDiff = (style: "red" | "green" | "dim", text: string) => string;

const SIGNS: Readonly<Record<Mark, string>> = {
  same: " ",
  different: "≠",
  missing: "-",
  unexpected: "+",
};
const ABSENT = "(nothing)";
const HEADERS = ["expected", "got"] as const;

/** Lines of text, aligned; red where they differ. */
export const renderDiff = (
  { rows }: Pick<Diff, "rows">,
  options: {
    readonly lineOf: LineOf;
    readonly paint: PaintDiff;
    readonly headers?: readonly [string, string];
  },
): readonly string[] => {
  const [left, right] = options.headers ?? HEADERS;
  const lines = rows.map(({ path }) => (path === undefined ? undefined : options.lineOf(path)));
  const gutter = Math.max(
    0,
    ...lines.map((line) => (line === undefined ? 0 : String(line).length)),
  );
  const width = Math.max(left.length, ...rows.map((row) => (row.expected ?? ABSENT).length));
  const gotWidth = Math.max(right.length, ...rows.map((row) => (row.got ?? ABSENT).length));
  const head = `${" ".repeat(gutter)}   ${left.padEnd(width)}  ${right}`;
  return [
    options.paint("dim", head),
    ...rows.map((row, index) => {
      const number = String(lines[index] ?? "").padStart(gutter);
      const note = row.fields.length === 0 ? "" : `  ${row.fields.join(", ")}`;
      const got = row.got ?? ABSENT;
      const text = `${SIGNS[row.mark]} ${(row.expected ?? ABSENT).padEnd(width)}  ${note === "" ? got : got.padEnd(gotWidth)}${note}`;
      return `${options.paint("dim", number)} ${options.paint(row.mark === "same" ? "green" : "red", text)}`;
    }),
  ];
};
