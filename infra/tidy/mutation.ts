/**
 * `npm run mutation -- watermark window accumulate`: changes the code of a folder of the core, one small
 * change at a time, and runs the folder's own tests, which have to notice. See docs/MUTATION.md.
 *
 * Incremental: what was tried and has not changed since is not tried again (reports/mutation/).
 */
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";

/** The tests that the changes of a folder have to get past: fast ones, without runtime and servers. */
const TESTS: Readonly<Record<string, readonly string[]>> = {
  watermark: ["actors/watermark/*.test.ts"],
  // All but the one that tries thousands of orders.
  window: ["actors/window/!(session-permutations).test.ts"],
  // All but those that try large data sets.
  accumulate: ["actors/accumulate/!(distinct|quantiles|top-k|weight).test.ts"],
};

const root = resolve(import.meta.dirname, "../..");
const wanted = process.argv.slice(2);
const folders = wanted.length > 0 ? wanted : Object.keys(TESTS);

for (const folder of folders) {
  const tests = TESTS[folder];
  if (tests === undefined) {
    process.stderr.write(`There is no ${folder}: ${Object.keys(TESTS).join(", ")}\n`);
    process.exit(2);
  }
  const code = `actors/${folder}/*.ts,!**/*.test.ts,!**/*.suite.ts`;
  const report = `reports/mutation/${folder}.json`;
  const { status } = spawnSync(
    "npx",
    ["stryker", "run", "--mutate", code, "--incrementalFile", report],
    {
      cwd: root,
      stdio: "inherit",
      env: {
        ...process.env,
        TIDEMARK_PROPERTY_RUNS: "6",
        TIDEMARK_MUTATION_TESTS: tests.join(";"),
      },
    },
  );
  if (status !== 0) process.exit(status ?? 1);
}
