/**
 * Picks free loopback ports that stay usable across restarts.
 *
 * They lie below the kernel's ephemeral range. A port inside it could be taken, while a server is
 * down, as the local end of any outgoing connection: even of a client's own attempt to reconnect,
 * which then is connected to itself and keeps the server from its port.
 */
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { Effect } from "effect";

const attemptsMax = 100;
const portMin = 10_000;

function ephemeralMin(): number {
  try {
    const range = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8");
    return Number(range.trim().split(/\s+/)[0]);
  } catch {
    return 32_768;
  }
}

/** What keeps a port from being bound now, as the system's code; undefined if nothing does. */
const bindFailure = (host: string, port: number): Effect.Effect<string | undefined> =>
  Effect.callback((resume) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) =>
      resume(Effect.succeed(error.code ?? error.message)),
    );
    server.listen({ port, host, exclusive: true }, () =>
      server.close(() => resume(Effect.undefined)),
    );
  });

/** Whether another process listens on the port. */
export const isTaken = (host: string, port: number): Effect.Effect<boolean> =>
  Effect.map(bindFailure(host, port), (failure) => failure === "EADDRINUSE");

/**
 * A port that was free a moment ago. Another process may still take it first: the caller must try
 * again when its server reports the port as taken.
 */
export const freePort: Effect.Effect<number> = Effect.gen(function* () {
  const low = ephemeralMin();
  const portMax = low > portMin + 1_000 ? low : 65_536;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const port = randomInt(portMin, portMax);
    if ((yield* bindFailure("127.0.0.1", port)) === undefined) return port;
  }
  return yield* Effect.die(new Error(`no free port found in ${portMin}-${portMax - 1}`));
});
