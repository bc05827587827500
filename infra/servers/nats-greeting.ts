/**
 * Reads what a nats-server says first: one line of JSON, before any authentication. A client only
 * gets to see it after it has agreed with the server; the version must be checked before that.
 */
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { Effect, Schema } from "effect";

const timeoutMs = 5_000;

const Greeting = Schema.Struct({
  server_id: Schema.String,
  version: Schema.String,
  jetstream: Schema.optional(Schema.Boolean),
  max_payload: Schema.Finite,
});
export type Greeting = typeof Greeting.Type;
const decodeGreeting = Schema.decodeUnknownEffect(Schema.fromJsonString(Greeting));

/** The hosts and ports of a server list such as `nats://a:4222,b`. */
export function natsAddresses(url: string): { readonly host: string; readonly port: number }[] {
  return url
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => {
      const parsed = new URL(part.includes("://") ? part : `nats://${part}`);
      return {
        host: parsed.hostname.replace(/^\[|\]$/g, ""),
        port: parsed.port === "" ? 4222 : Number(parsed.port),
      };
    });
}

const readGreeting = (host: string, port: number): Effect.Effect<Greeting, string> =>
  Effect.callback<string, string>((resume) => {
    const socket = connect({ host, port });
    socket.once("error", (error) => resume(Effect.fail(error.message)));
    socket.once("close", () => resume(Effect.fail("the connection was closed")));
    createInterface(socket)
      .on("error", () => undefined)
      .once("line", (line) => resume(Effect.succeed(line)));
    return Effect.sync(() => socket.destroy());
  }).pipe(
    Effect.timeoutOrElse({
      duration: timeoutMs,
      orElse: () => Effect.fail(`no greeting within ${timeoutMs} ms`),
    }),
    Effect.flatMap((line) =>
      line.startsWith("INFO ")
        ? decodeGreeting(line.slice("INFO ".length)).pipe(
            Effect.mapError(() => "its greeting is not that of a nats-server"),
          )
        : Effect.fail("it is not a nats-server"),
    ),
  );

/** The greeting of the first server of the list that answers, and where it is. */
export const greet = Effect.fnUntraced(function* (
  url: string,
): Effect.fn.Return<{ readonly host: string; readonly greeting: Greeting }, string> {
  const addresses = yield* Effect.try({
    try: () => natsAddresses(url),
    catch: () => "it is not a URL such as nats://host:4222",
  });
  let problem = "it names no server";
  for (const { host, port } of addresses) {
    const result = yield* Effect.result(readGreeting(host, port));
    if (result._tag === "Success") return { host, greeting: result.success };
    problem = result.failure;
  }
  return yield* Effect.fail(problem);
});
