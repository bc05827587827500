/**
 * The connection to NATS: made once for a process, kept for its life.
 *
 * C1. It comes back by itself, forever, with bounded delays; who uses it sees requests that got lost.
 * C2. A server that is too old, or without JetStream, is refused at the start, by name.
 */
import { Context, Effect, Layer, Schedule } from "effect";
import type { Scope } from "effect";
import { connect as dial } from "nats";
import type { NatsConnection } from "nats";
import { JetStreamMissing, NatsTooOld, NatsUnreachable } from "./errors.ts";
import { request } from "./jetstream-api.ts";
import { Link } from "./link.ts";
import { makeTicker } from "./ticker.ts";

export const requiredVersion = "2.12";

export interface ConnectionOptions {
  readonly url: string;
  /** What the server calls this client in its reports. */
  readonly name?: string;
  /** How long the first connection is tried. */
  readonly connectWithinMs?: number;
  /** Bytes that are gathered before they are written within one turn of the event loop. */
  readonly pendingLimitBytes?: number;
}

export type ConnectError = NatsUnreachable | NatsTooOld | JetStreamMissing;

const defaultConnectWithinMs = 10_000;
const defaultPendingLimitBytes = 256 * 1024;
/** A server that is frozen, not gone, is noticed after three of these. */
const pingIntervalMs = 5_000;
const pingsUnansweredMax = 2;
const reconnectDelayMinMs = 20;
const reconnectDelayMaxMs = 1_000;

export class Connection extends Context.Service<Connection, Link>()("infra/nats/Connection") {}

const isOldVersion = (found: string): boolean => {
  const [major = 0, minor = 0] = found.split(".").map(Number);
  const [requiredMajor = 0, requiredMinor = 0] = requiredVersion.split(".").map(Number);
  return major < requiredMajor || (major === requiredMajor && minor < requiredMinor);
};

/** Doubles with each attempt of one outage. */
const reconnectDelays = () => {
  let delay = reconnectDelayMinMs;
  return {
    attempted: (): void => {
      delay = Math.min(reconnectDelayMaxMs, delay * 2);
    },
    succeeded: (): void => {
      delay = reconnectDelayMinMs;
    },
    current: (): number => delay,
  };
};

const detailOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String(cause);

const open = (options: ConnectionOptions, delays: ReturnType<typeof reconnectDelays>) =>
  Effect.tryPromise({
    try: () => {
      // `pendingLimit` is read by the client but not in its types.
      const all = {
        servers: options.url,
        name: options.name ?? "tidemark",
        noAsyncTraces: true,
        maxReconnectAttempts: -1,
        reconnectDelayHandler: delays.current,
        ignoreAuthErrorAbort: true,
        pingInterval: pingIntervalMs,
        maxPingOut: pingsUnansweredMax,
        pendingLimit: options.pendingLimitBytes ?? defaultPendingLimitBytes,
        timeout: 5_000,
      };
      return dial(all);
    },
    catch: (cause) => new NatsUnreachable({ url: options.url, detail: detailOf(cause) }),
  });

/** Writes out what was sent, waits a little for the server to have read it, and closes. */
const shutDown = (connection: NatsConnection, link: Link): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (link.isConnected) {
      yield* Effect.ignore(Effect.tryPromise(() => connection.flush())).pipe(
        Effect.timeoutOption("1 second"),
      );
    }
    link.close();
    yield* Effect.ignore(Effect.tryPromise(() => connection.close()));
  });

/** Follows the client's own account of its connection; ends with it. */
const watch = async (
  connection: NatsConnection,
  link: Link,
  delays: ReturnType<typeof reconnectDelays>,
  log: (message: string) => void,
): Promise<void> => {
  for await (const status of connection.status()) {
    const type = String(status.type);
    if (type === "disconnect") {
      link.setConnected(false);
      log("the connection to NATS is lost; reconnecting");
    } else if (type === "reconnecting") {
      delays.attempted();
    } else if (type === "reconnect") {
      delays.succeeded();
      link.setConnected(true);
      log("connected to NATS again");
    } else if (type === "error") {
      log(`NATS reports an error: ${String(status.data)}`);
    }
  }
};

/** Connects, checks the server, and stays connected until the scope closes. */
export const connect = Effect.fnUntraced(function* (
  options: ConnectionOptions,
): Effect.fn.Return<Link, ConnectError, Scope.Scope> {
  const { url, connectWithinMs = defaultConnectWithinMs } = options;
  const delays = reconnectDelays();
  const ticker = yield* makeTicker;
  const runFork = Effect.runForkWith(yield* Effect.context<never>());

  // The first connection is retried here: the client's own retry would hide why it fails.
  let detail = `no answer within ${connectWithinMs} ms`;
  const dialled = open(options, delays).pipe(
    Effect.tapError((error) => Effect.sync(() => (detail = error.detail))),
    Effect.retry(Schedule.spaced("100 millis")),
    Effect.timeoutOrElse({
      duration: connectWithinMs,
      orElse: () => Effect.fail(new NatsUnreachable({ url, detail })),
    }),
  );
  const { connection, link } = yield* Effect.acquireRelease(
    Effect.map(dialled, (connection) => ({ connection, link: new Link(url, connection, ticker) })),
    ({ connection, link }) => shutDown(connection, link),
    { interruptible: true },
  );
  void watch(connection, link, delays, (message) =>
    runFork(Effect.logWarning(message).pipe(Effect.annotateLogs({ url }))),
  );

  if (isOldVersion(link.serverVersion)) {
    return yield* new NatsTooOld({ url, found: link.serverVersion, required: requiredVersion });
  }
  yield* request(link, "$JS.API.INFO", undefined, { withinMs: connectWithinMs }).pipe(
    Effect.mapError(() => new JetStreamMissing({ url })),
  );
  return link;
});

export const connectionLayer = (
  options: ConnectionOptions,
): Layer.Layer<Connection, ConnectError> => Layer.effect(Connection, connect(options));
