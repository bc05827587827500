import { expect, test } from "vitest";
import { countsLine } from "./count-reporter.ts";

test("the line names skipped tests only if there are any", () => {
  expect(countsLine({ passed: 12, failed: 0, skipped: 0 })).toBe("12 passed, 0 failed");
  expect(countsLine({ passed: 1, failed: 2, skipped: 3 })).toBe("1 passed, 2 failed, 3 skipped");
});
