/** Asks each process of a running system how it is. */
import { Effect } from "effect";
import type { RunFile } from "../processes/run-file.ts";
import { readHealth, type Problem } from "../telemetry/health.ts";

export interface ProcessHealth {
  readonly name: string;
  readonly problems: readonly Problem[];
}

const ANSWER_WITHIN_MS = 3_000;

const ask = ({ name, metrics }: RunFile["processes"][number]): Effect.Effect<ProcessHealth> => {
  const silent = (how: string): ProcessHealth => ({
    name,
    problems: [{ about: name, reason: `does not answer at ${metrics}${how}` }],
  });
  return Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(new URL("/healthz", metrics), { signal });
      const health = readHealth(await response.text());
      return health === undefined ? silent(" as a process of Tidemark") : { ...health, name };
    },
    catch: () => silent(""),
  }).pipe(
    Effect.catch((health) => Effect.succeed(health)),
    Effect.timeoutOrElse({
      duration: ANSWER_WITHIN_MS,
      orElse: () => Effect.succeed(silent(` within ${ANSWER_WITHIN_MS / 1_000} s`)),
    }),
  );
};

/** Those of the run file, in its order; none when no system runs. */
export const askHealth = (run: RunFile | undefined): Effect.Effect<readonly ProcessHealth[]> =>
  Effect.forEach(run?.processes ?? [], ask, { concurrency: "unbounded" });
