/** The tests that mutants of one folder of the core must get past: see infra/tidy/mutation.ts. */
import { defineConfig } from "vitest/config";
import { BaseSequencer } from "vitest/node";
import type { TestSpecification } from "vitest/node";

/** By name, for the same order every time; a folder's general rules, which find most, come first in it. */
class ByName extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = files.toSorted((a, b) => (a.moduleId < b.moduleId ? -1 : 1));
    return Promise.resolve(sorted);
  }
}

export default defineConfig({
  test: {
    include: (process.env["TIDEMARK_MUTATION_TESTS"] ?? "").split(";"),
    setupFiles: ["infra/tidy/mutation-setup.ts"],
    pool: "threads",
    // Each mutant still gets a worker of its own; its test files share what they import.
    isolate: false,
    maxWorkers: 1,
    sequence: { sequencer: ByName },
    testTimeout: 60_000,
  },
});
