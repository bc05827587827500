/** What the demo says in the end: for people, and as one line of JSON for programs. */
import { count, counted, duration } from "../cli/terminal/format.ts";
import { renderTable, type Cell } from "../cli/terminal/table.ts";
import type { Paint } from "../cli/terminal/colour.ts";
import type { DeadLetterCheck } from "./check-dead-letters.ts";
import { isRight, type Comparison } from "./compare-results.ts";

export interface DemoReport {
  readonly flights: number;
  /** With late events and heartbeats. */
  readonly events: number;
  readonly seed: number;
  readonly repeated: boolean;
  readonly fsync: boolean;
  readonly sendMs: number;
  /** From the last acknowledgement to the last result. */
  readonly settleMs: number;
  readonly checkMs: number;
  readonly totalMs: number;
  readonly retries: number;
  readonly restarts: number;
  readonly duplicates: number;
  readonly comparisons: readonly Comparison[];
  readonly deadLetters: DeadLetterCheck;
}

export const allRight = ({ comparisons, deadLetters }: DemoReport): boolean =>
  comparisons.length > 0 &&
  comparisons.every(isRight) &&
  deadLetters.missing === 0 &&
  deadLetters.unexpected === 0;

const perSecond = (events: number, ms: number): number => Math.round((events / ms) * 1_000);

export const reportJson = (report: DemoReport): string =>
  JSON.stringify({
    right: allRight(report),
    ...report,
    eventsPerSecondSent: perSecond(report.events, report.sendMs),
    eventsPerSecondToResults: perSecond(report.events, report.sendMs + report.settleMs),
    comparisons: undefined,
    deadLetters: undefined,
    windows: Object.fromEntries(
      report.comparisons.map(({ projection, compared, right, wrong, missing, unexpected }) => [
        projection,
        { compared, right, wrong, missing, unexpected },
      ]),
    ),
    late: {
      expected: report.deadLetters.expected,
      found: report.deadLetters.found,
      missing: report.deadLetters.missing,
      unexpected: report.deadLetters.unexpected,
    },
  });

const zero = (value: number): Cell =>
  value === 0 ? { text: "0", style: "green" } : { text: count(value), style: "red" };

export const renderReport = (report: DemoReport, paint: Paint): string => {
  const { comparisons, deadLetters, events, sendMs, settleMs } = report;
  const right = (header: string) => ({ header, align: "right" as const });
  const windows = renderTable(
    [
      { header: "check" },
      right("compared"),
      right("right"),
      right("wrong"),
      right("missing"),
      right("unexpected"),
    ],
    [
      ...comparisons.map((comparison): readonly Cell[] => [
        `windows of ${comparison.projection}`,
        count(comparison.compared),
        count(comparison.right),
        zero(comparison.wrong),
        zero(comparison.missing),
        zero(comparison.unexpected),
      ]),
      [
        "late events in the DLQ",
        count(deadLetters.expected),
        count(deadLetters.found),
        "0",
        zero(deadLetters.missing),
        zero(deadLetters.unexpected),
      ],
    ],
    paint,
  );
  const differences = [
    ...comparisons.flatMap(({ projection, differences: each }) =>
      each.map((difference) => `  ${projection}: ${difference}\n`),
    ),
    ...deadLetters.differences.map((difference) => `  DLQ: ${difference}\n`),
  ];
  const verdict = allRight(report)
    ? paint("green", "All results are right: every window equals what SQL says of the file.")
    : paint("red", "Some results are WRONG.");
  const notes = [
    `${count(events)} events in ${duration(sendMs)} (${count(perSecond(events, sendMs))}/s), ` +
      `results ${duration(settleMs)} later, ${duration(report.totalMs)} in all`,
    report.fsync ? "fsync before each acknowledgement" : "without fsync",
    ...(report.duplicates > 0 ? [`${count(report.duplicates)} duplicates, counted once`] : []),
    ...(report.restarts > 0 ? [counted(report.restarts, "restart")] : []),
  ];
  return `${windows}${differences.join("")}\n${verdict}\n${notes.join("; ")}.\n`;
};
