/** How far a gateway has read RESULTS: what one waits for before one reads what was just committed. */
import { Effect, Schema } from "effect";
import type { RunFile } from "../processes/run-file.ts";

const GatewayStatus = Schema.Struct({
  query: Schema.Struct({ position: Schema.Finite, caughtUp: Schema.Boolean }),
});

/** Sequence of RESULTS; 0 while the gateway does not say. */
export const gatewayPosition = (run: RunFile): Effect.Effect<number> => {
  const metrics = run.processes.find(({ name }) => name === "gateway")?.metrics;
  return Effect.tryPromise(async (signal) => {
    const response = await fetch(new URL("/status", metrics), { signal });
    return (await response.json()) as unknown;
  }).pipe(
    Effect.flatMap(Schema.decodeUnknownEffect(GatewayStatus)),
    Effect.map(({ query }) => query.position),
    Effect.catch(() => Effect.succeed(0)),
  );
};

/**
 * Returns when the gateway has read up to `sequence`, of a commit of results, and how far it has read by
 * then. Never to be asked for the end of RESULTS: that may be a commit that no gateway reads, of partials
 * or of routed events.
 */
export const untilGatewayHasRead = (run: RunFile, sequence: number): Effect.Effect<number> =>
  gatewayPosition(run).pipe(
    Effect.flatMap((position) =>
      position >= sequence
        ? Effect.succeed(position)
        : Effect.as(Effect.sleep("50 millis"), undefined),
    ),
    Effect.repeat({ until: (position): position is number => position !== undefined }),
  );
