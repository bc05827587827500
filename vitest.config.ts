/**
 * Tests stand beside the code. The ending of a file's name says what it needs:
 *
 *     *.test.ts      nothing
 *     *.int.test.ts  real NATS and Redis, which it starts itself (infra/servers/testing.ts)
 *     *.e2e.test.ts  the whole system
 *
 * Select by it: `npx vitest run .int.test`. Nothing is retried: a test that fails sometimes is a bug.
 */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{proto,projections,actors,gateway,infra}/**/*.test.ts"],
    // A process a file: a test may kill servers, and a leak cannot reach the next file.
    pool: "forks",
    maxWorkers: 2,
    retry: 0,
    testTimeout: 60_000,
    // The first run on a machine fetches the servers.
    hookTimeout: 180_000,
    reporters: ["default", "./infra/tidy/count-reporter.ts"],
  },
});
