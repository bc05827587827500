/**
 * Compares rows that were expected with rows that came, side by side.
 *
 * D1. A field that an expectation does not give is not compared, in records neither. A list is compared
 *     whole: its length, and each of its items.
 * D2. Where order counts, the fewest rows are told to differ; a row that differs stands beside the
 *     one of its key that came in its place. Beyond `COMPARED_MAX` pairs of rows, place by place.
 * D3. What is shown to people is bounded, and what is left out is counted: of rows that are as expected
 *     those beside others, of the others `DIFFERENCES_SHOWN_MAX`, and of a long row what tells it apart and
 *     what differs.
 */
import { at } from "../../projections/definition/reading.ts";
import type { CaseValue, ExpectedRow, LineOf, Row, Scalar } from "./case.ts";
import { isList, showRow, type ShownField } from "./output.ts";

export type Mark = "same" | "different" | "missing" | "unexpected";

export interface DiffRow {
  readonly mark: Mark;
  /** Of the expectation within the case; undefined for what nobody expected. */
  readonly path: string | undefined;
  readonly expected: string | undefined;
  readonly got: string | undefined;
  /** The same for people: bounded (D3). */
  readonly brief: Pick<DiffRow, "expected" | "got">;
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

/** Which partition spoke, and of which topic, is of interest only to those who ask. */
const ASKED_FOR = new Set(["topic", "partition"]);

const showGot = (got: Row, expected?: Row): readonly ShownField[] => {
  const compared = [...got].map(
    ([field, value]) => [field, asFarAsCompared(value, expected?.get(field))] as const,
  );
  return showRow(
    new Map(compared),
    (field) => !ASKED_FOR.has(field) || expected?.has(field) === true,
  );
};

/** Characters of a row within which a field that is shown begins, and that are shown of one field. */
const SHOWN_MAX = 160;
/** A note of what was left out takes as much room as so many characters, and tells less. */
const HIDDEN_MIN = 80;

/** Of a dead letter, why: what a reader looks for first. */
const WHY = "error";

const cut = ({ text }: ShownField): string => {
  const more = text.length - SHOWN_MAX;
  return more < HIDDEN_MIN ? text : `${text.slice(0, SHOWN_MAX)}... (${more} characters more)`;
};

const joined = (parts: readonly string[]): string => parts.join(" ");
const wholeText = (fields: readonly ShownField[]): string => joined(fields.map(({ text }) => text));

/** What tells a row apart from others. */
const IDENTITY = new Set(["reason", "id", "key", "start", "end", "kind"]);

/** Of a row whose text is too long, only what matters: fields that begin where they are still seen. */
const briefText = (
  fields: readonly ShownField[],
  matters: (field: string) => boolean = () => true,
): string => {
  const whole = wholeText(fields);
  if (whole.length < SHOWN_MAX + HIDDEN_MIN) return whole;
  let length = 0;
  const kept = fields.filter((each) => {
    if (!matters(each.field) || (length > SHOWN_MAX && each.field !== WHY)) return false;
    length += cut(each).length + 1;
    return true;
  });
  const left = fields.filter((each) => !kept.includes(each));
  if (wholeText(left).length < HIDDEN_MIN) return joined(fields.map(cut));
  const more = `${left.length} ${left.length === 1 ? "field" : "fields"} more`;
  return joined([...kept.map(cut), `... (${more})`]);
};

const isAmong = (differences: readonly string[], field: string): boolean =>
  differences.some(
    (path) => path === field || (/^[.[]/.test(path.slice(field.length)) && path.startsWith(field)),
  );

const pairRow = (expected: ExpectedRow, got: Row): DiffRow => {
  const fields = differing(expected.fields, got, expected.whole);
  const matters = (field: string) => IDENTITY.has(field) || isAmong(fields, field);
  const wanted = showRow(expected.fields);
  const came = showGot(got, expected.fields);
  return {
    mark: fields.length === 0 ? "same" : "different",
    path: expected.path,
    expected: wholeText(wanted),
    got: wholeText(came),
    brief: { expected: briefText(wanted, matters), got: briefText(came, matters) },
    fields: fields.map((field) => field.replace(/^values\./, "")),
  };
};

const missingRow = (expected: ExpectedRow): DiffRow => {
  const fields = showRow(expected.fields);
  return {
    mark: "missing",
    path: expected.path,
    expected: wholeText(fields),
    got: undefined,
    brief: { expected: briefText(fields), got: undefined },
    fields: [],
  };
};

const unexpectedRow = (row: Row): DiffRow => {
  const fields = showGot(row);
  return {
    mark: "unexpected",
    path: undefined,
    expected: undefined,
    got: wholeText(fields),
    brief: { expected: undefined, got: briefText(fields) },
    fields: [],
  };
};

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

/** Pairs of rows that are weighed against each other, each of them eight bytes. */
const COMPARED_MAX = 1_000_000;

/** In order. */
export const diffSequence = (expected: readonly ExpectedRow[], got: readonly Row[]): Diff => {
  const same = (e: number, g: number) => pairCost(expected[e]!, got[g]!) === 0;
  const shorter = Math.min(expected.length, got.length);
  let head = 0;
  while (head < shorter && same(head, head)) head++;
  let tail = 0;
  const last = (length: number) => length - 1 - tail;
  while (tail < shorter - head && same(last(expected.length), last(got.length))) tail++;
  const pairs = (from: number, count: number, offset: number) =>
    expected
      .slice(from, from + count)
      .map((wanted, index) => pairRow(wanted, got[from + index + offset]!));
  const [e, g] = [expected.length - tail, got.length - tail];
  return diffOf([
    ...pairs(0, head, 0),
    ...rowsBetween(expected.slice(head, e), got.slice(head, g)),
    ...pairs(e, tail, g - e),
  ]);
};

const rowsBetween = (expected: readonly ExpectedRow[], got: readonly Row[]): readonly DiffRow[] => {
  if (expected.length * got.length > COMPARED_MAX) return placeByPlace(expected, got);
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
  return rows;
};

const placeByPlace = (
  expected: readonly ExpectedRow[],
  got: readonly Row[],
): readonly DiffRow[] => [
  ...expected.map((wanted, index) =>
    index < got.length ? pairRow(wanted, got[index]!) : missingRow(wanted),
  ),
  ...got.slice(expected.length).map(unexpectedRow),
];

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

/** Rows that differ of one diff that are shown, and rows as expected around each of them. */
const DIFFERENCES_SHOWN_MAX = 40;
const AROUND = 2;

/** Rows to show, or how many were left out in their place. */
type Shown = DiffRow | number;

const rowsToShow = (rows: readonly DiffRow[]): readonly Shown[] => {
  const differing = rows.flatMap(({ mark }, index) => (mark === "same" ? [] : index));
  const kept = new Set(
    differing
      .slice(0, DIFFERENCES_SHOWN_MAX)
      .flatMap((index) => Array.from({ length: 2 * AROUND + 1 }, (_, i) => index - AROUND + i)),
  );
  const beyond = differing[DIFFERENCES_SHOWN_MAX] ?? rows.length;
  const shown: Shown[] = [];
  rows.slice(0, beyond).forEach((row, index) => {
    const last = shown.at(-1);
    // A line that says "1 more" is no shorter than the row itself.
    const alone = kept.has(index - 1) && kept.has(index + 1);
    if (kept.has(index) || alone || differing.length === 0) shown.push(row);
    else if (typeof last === "number") shown[shown.length - 1] = last + 1;
    else shown.push(1);
  });
  return shown;
};

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
  const all = rowsToShow(rows);
  const shown = all.filter((row) => typeof row !== "number");
  const lineOf = ({ path }: DiffRow) => (path === undefined ? undefined : options.lineOf(path));
  const gutter = Math.max(0, ...shown.map((row) => String(lineOf(row) ?? "").length));
  const width = Math.max(left.length, ...shown.map((row) => (row.brief.expected ?? ABSENT).length));
  const gotWidth = Math.max(right.length, ...shown.map((row) => (row.brief.got ?? ABSENT).length));
  const head = `${" ".repeat(gutter)}   ${left.padEnd(width)}  ${right}`;
  const counted = (count: number, what: string) =>
    options.paint("dim", `${" ".repeat(gutter)}   ... ${count} more ${what}`);
  const beyond = rows.filter(({ mark }) => mark !== "same").length - DIFFERENCES_SHOWN_MAX;
  return [
    options.paint("dim", head),
    ...all.map((row) => {
      if (typeof row === "number") return counted(row, "as expected");
      const number = String(lineOf(row) ?? "").padStart(gutter);
      const note = row.fields.length === 0 ? "" : `  ${row.fields.join(", ")}`;
      const got = row.brief.got ?? ABSENT;
      const text = `${SIGNS[row.mark]} ${(row.brief.expected ?? ABSENT).padEnd(width)}  ${note === "" ? got : got.padEnd(gotWidth)}${note}`;
      return `${options.paint("dim", number)} ${options.paint(row.mark === "same" ? "green" : "red", text)}`;
    }),
    ...(beyond > 0 ? [counted(beyond, "that differ")] : []),
  ];
};
