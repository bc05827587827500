/**
 * How often tests try each property, and with which seed. Both come from the environment, for the long run
 * and for repeating one; without a seed fast-check takes another each time and names it when it fails.
 */
import fc from "fast-check";

const SEED = process.env["TIDEMARK_PROPERTY_SEED"];
if (SEED !== undefined) fc.configureGlobal({ seed: Number(SEED) });

/** `usual` times, or TIDEMARK_PROPERTY_RUNS. */
export const propertyRuns = (usual: number): number =>
  Number(process.env["TIDEMARK_PROPERTY_RUNS"] ?? usual);

/** A seed that the test itself can name. */
export const propertySeed = (): number => Number(SEED ?? Math.floor(Math.random() * 2 ** 31));

/** Whether it is the long run. */
export const isLongRun = process.env["TIDEMARK_PROPERTY_RUNS"] !== undefined;
