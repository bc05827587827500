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
    " ≠ k aggregate17={p50: 1, p99: 2} ... (29 fields more)  k aggregate17={p50: 1, p99: 3} ... (29 fields more)  aggregate17.p99",
  );
  const [, , alone] = rendered([row("a")], [row("a"), row("k", values)]);
  expect(alone).toMatch(/^ \+ \(nothing\) {2}k aggregate0=1000000 .*\.\.\. \(\d+ fields more\)$/);
});

const letter = (error: string): Row =>
  new Map<string, CaseValue>([
    ["reason", "custom"],
    ["key", "k"],
    ["time", 3],
    ["error", error],
  ]);

test("nothing is cut that is no longer than the note in its place", () => {
  const error = "the state is a Promise: it must be data as in JSON, or a wise man's sum of such";
  const [, , seen] = rendered([row("a")], [row("a"), letter(error)]);
  expect(seen).toBe(` + (nothing)  custom k time=3 error="${error}"`);
  const sketch = "A".repeat(159);
  const [, , whole] = rendered([row("a")], [row("a"), row("b", { "values.s": sketch })]);
  expect(whole).toBe(` + (nothing)  b s=${sketch}`);
});

test("what is cut ends in how much there is more, and the row itself has it whole", () => {
  const error = "why ".repeat(100);
  const got = [row("a"), new Map([...letter(error), ["values.s", "A".repeat(300)]])];
  const [, , line] = rendered([row("a")], got);
  expect(line).toBe(
    ` + (nothing)  custom k time=3 s=${"A".repeat(158)}... (142 characters more) ` +
      `error="${error.slice(0, 153)}... (248 characters more)`,
  );
  expect(diffSequence([wanted(row("a"))], got).rows[1]!.got).toBe(
    `custom k time=3 s=${"A".repeat(300)} error="${error}"`,
  );
});

test("thousands of rows are compared in no more memory than a million pairs take", () => {
  const expected = numbered(0, 5_000);
  const got = expected.map((each, i) => (i % 2 === 0 ? row(`other${i}`) : each));
  const { rows } = diffSequence(expected.map(wanted), got);
  expect(rows.filter(({ mark }) => mark === "different")).toHaveLength(2_500);
});
