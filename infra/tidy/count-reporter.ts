/**
 * Ends a test run with one line that a script can read: `N passed, N failed`, and `, N skipped` if
 * any were. A file that does not load, and an error outside any test, count as failed: the line
 * says `0 failed` only if the run succeeded.
 */
import type { Reporter, SerializedError, TestModule } from "vitest/node";

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const countsLine = ({ passed, failed, skipped }: Counts): string =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;

export default class CountReporter implements Reporter {
  onTestRunEnd(
    modules: readonly TestModule[],
    unhandledErrors: readonly SerializedError[],
    reason: "passed" | "interrupted" | "failed",
  ): void {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      const failedBefore = counts.failed;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        counts[state === "pending" ? "skipped" : state] += 1;
      }
      if (!module.ok() && counts.failed === failedBefore) counts.failed += 1;
    }
    if (reason !== "passed" && counts.failed === 0) counts.failed = 1;
    process.stdout.write(`\n${countsLine(counts)}\n`);
  }
}
