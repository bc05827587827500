/** Properties in a mutation run: few random cases, the same ones for every mutant. */
import fc from "fast-check";

fc.configureGlobal({ seed: 1, numRuns: 10 });
