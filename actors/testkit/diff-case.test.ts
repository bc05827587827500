/** Diffs stay readable however much there is to compare: what is left out is counted (D3). */
import { expect, test } from "vitest";
import type { CaseValue, ExpectedRow, Row } from "./case.ts";
import { diffSequence, renderDiff } from "./diff-case.ts";

const row = (key: string, fields: Readonly<Record<string, CaseValue>> = {}): Row =>
  new Map<string, CaseValue>([["key", key], ...Object.entries(fields)]);
const wanted = (fields: Row): ExpectedRow => ({ path: "expect", fields });
const numbered = (from: number, to: number): readonly Row[] =>
  Array.from({ length: to - from }, (_, i) => row(`k${from + i}`, { revision: 1 }));
const rendered = (expected: readonly Row[], got: readonly Row[]): readonly string[] =>
  renderDiff(diffSequence(expected.map(wanted), got), {
    lineOf: () => undefined,
    paint: (_, text) => text,
  });

test("rows as expected are shown around those that differ, and counted elsewhere", () => {
  const got = [...numbered(0, 50), row("new"), ...numbered(50, 52), ...numbered(53, 60)];
  expect(rendered(numbered(0, 60), got)).toEqual([
    "   expected        got",
    "   ... 48 more as expected",
    "   k48 revision=1  k48 revision=1",
    "   k49 revision=1  k49 revision=1",
    " + (nothing)       new",
    "   k50 revision=1  k50 revision=1",
    "   k51 revision=1  k51 revision=1",
    " - k52 revision=1  (nothing)",
    "   k53 revision=1  k53 revision=1",
    "   k54 revision=1  k54 revision=1",
    "   ... 5 more as expected",
  ]);
});

test("of many rows that differ the first are shown, and the others counted", () => {
  const lines = rendered([row("only"), ...numbered(0, 3)], numbered(100, 200));
  expect(lines.filter((line) => line.startsWith(" -") || line.startsWith(" +"))).toHaveLength(40);
  // 4 that are missing and 100 that nobody expected.
  expect(lines.at(-1)).toBe("   ... 64 more that differ");
});

test("of a long row what tells it apart and what differs is shown", () => {
  const names = Array.from({ length: 30 }, (_, i) => `values.aggregate${i}`);
  const values = Object.fromEntries(names.map((name) => [name, 1_000_000]));
  const other = { ...values, "values.aggregate17": { p50: 1, p99: 3 } };
  const [, line] = rendered(
    [row("k", { ...values, "values.aggregate17": { p50: 1, p99: 2 } })],
    [row("k", other)],
  );
  expect(line).toBe(
    " ≠ k aggregate17={p50: 1, p99: 2} ...  k aggregate17={p50: 1, p99: 3} ...  aggregate17.p99",
  );
  const [, , alone] = rendered([row("a")], [row("a"), row("k", values)]);
  expect(alone).toMatch(
    /^ \+ \(nothing\) {2}k aggregate0=1000000 .*\.\.\. \(\d+ characters more\)$/,
  );
});

test("thousands of rows are compared in no more memory than a million pairs take", () => {
  const expected = numbered(0, 5_000);
  const got = expected.map((each, i) => (i % 2 === 0 ? row(`other${i}`) : each));
  const { rows } = diffSequence(expected.map(wanted), got);
  expect(rows.filter(({ mark }) => mark === "different")).toHaveLength(2_500);
});
