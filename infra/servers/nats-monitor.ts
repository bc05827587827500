/** Reads the monitoring endpoint of a nats-server: JSON over HTTP on a port of its own. */
import { Effect } from "effect";

const timeoutMs = 2_000;

/** The answer as an object; fails with the reason while there is none, or not status 200. */
export const fetchMonitor = (
  monitorUrl: string,
  path: string,
): Effect.Effect<Readonly<Record<string, unknown>>, string> =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(`${monitorUrl.replace(/\/+$/, "")}${path}`, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      });
      const body: unknown = await response.json();
      if (!response.ok) throw new Error(`status ${response.status}: ${JSON.stringify(body)}`);
      if (typeof body !== "object" || body === null) throw new Error("not a JSON object");
      return body as Record<string, unknown>;
    },
    catch: (cause) => (cause instanceof Error ? cause.message : String(cause)),
  });
