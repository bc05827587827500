/** The tests that mutants of one folder of the core must get past: see infra/tidy/mutation.ts. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: (process.env["TIDEMARK_MUTATION_TESTS"] ?? "").split(";"),
    setupFiles: ["infra/tidy/mutation-setup.ts"],
    pool: "threads",
    maxWorkers: 1,
    testTimeout: 60_000,
  },
});
