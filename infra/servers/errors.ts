/**
 * Everything that can go wrong when a server is found, started or checked. Each message says what
 * happened and what to do about it; the fields carry the same as data.
 */
import { Schema } from "effect";

const ServerName = Schema.Literals(["nats-server", "redis-server"]);
export type ServerName = typeof ServerName.Type;

/** The variable that points Tidemark at a server which already runs. */
const urlVariable = (server: ServerName): string =>
  server === "nats-server" ? "TIDEMARK_NATS_URL" : "TIDEMARK_REDIS_URL";

/** No usable binary, and none could be fetched. */
export class BinaryMissing extends Schema.TaggedError<BinaryMissing>()("BinaryMissing", {
  server: ServerName,
  minimum: Schema.String,
  cacheDir: Schema.String,
  /** What was tried, one line each. */
  tried: Schema.Array(Schema.String),
}) {
  override get message(): string {
    return [
      `No ${this.server} ${this.minimum} or newer was found.`,
      ...this.tried.map((line) => `  - ${line}`),
      `Do one of these:`,
      `  1. install ${this.server} >= ${this.minimum} so that it is on the PATH`,
      `  2. put the binary at ${this.cacheDir}/${this.server}`,
      `  3. set ${urlVariable(this.server)} to a server that already runs`,
    ].join("\n");
  }
}

/** A system package could not be fetched or unpacked. */
export class FetchFailed extends Schema.TaggedError<FetchFailed>()("FetchFailed", {
  what: Schema.String,
  detail: Schema.String,
}) {
  override get message(): string {
    return `${this.what} could not be fetched: ${this.detail}`;
  }
}

/** A running server is older than what Tidemark relies on. */
export class ServerTooOld extends Schema.TaggedError<ServerTooOld>()("ServerTooOld", {
  server: ServerName,
  where: Schema.String,
  actual: Schema.String,
  minimum: Schema.String,
}) {
  override get message(): string {
    return (
      `${this.server} at ${this.where} is version ${this.actual}; Tidemark needs ${this.minimum} or newer. ` +
      `Upgrade it, or unset ${urlVariable(this.server)} to let Tidemark run its own.`
    );
  }
}

/** The log would acknowledge events that a power failure can still lose. */
export class NotDurable extends Schema.TaggedError<NotDurable>()("NotDurable", {
  where: Schema.String,
  /** `lazy`: fsync is known to be delayed; `unknown`: the server would not tell. */
  reason: Schema.Literals(["lazy", "unknown"]),
}) {
  override get message(): string {
    const finding =
      this.reason === "lazy"
        ? `nats-server at ${this.where} does not sync to disk before it acknowledges.`
        : `nats-server at ${this.where} does not say whether it syncs to disk before it ` +
          `acknowledges: its monitoring endpoint was not found. Set TIDEMARK_NATS_MONITOR_URL to it ` +
          `(for example http://host:8222).`;
    return (
      `${finding} Set "jetstream { sync_interval: always }" in its configuration, ` +
      `or set requireFsync to false to accept that a power failure can lose acknowledged events.`
    );
  }
}

/** JetStream is not enabled on the server. */
export class JetStreamOff extends Schema.TaggedError<JetStreamOff>()("JetStreamOff", {
  where: Schema.String,
}) {
  override get message(): string {
    return `nats-server at ${this.where} runs without JetStream. Enable it: "jetstream { store_dir: ... }".`;
  }
}

/** What Tidemark writes would not fit into the server's messages. */
export class PayloadTooSmall extends Schema.TaggedError<PayloadTooSmall>()("PayloadTooSmall", {
  where: Schema.String,
  actualBytes: Schema.Number,
  minimumBytes: Schema.Number,
}) {
  override get message(): string {
    return (
      `nats-server at ${this.where} takes messages of at most ${this.actualBytes} bytes (max_payload); ` +
      `Tidemark needs ${this.minimumBytes}, the server's own default. Set "max_payload: ${this.minimumBytes}" ` +
      `or more in its configuration.`
    );
  }
}

export class PortInUse extends Schema.TaggedError<PortInUse>()("PortInUse", {
  server: Schema.String,
  port: Schema.Int,
}) {
  override get message(): string {
    return (
      `Port ${this.port} is in use, so ${this.server} cannot listen on it. ` +
      `Stop the process that holds it, or choose another port (0 takes a free one).`
    );
  }
}

/** The directory cannot be written: full, read-only, not permitted, or not a directory. */
export class DirectoryUnusable extends Schema.TaggedError<DirectoryUnusable>()(
  "DirectoryUnusable",
  {
    server: ServerName,
    dir: Schema.String,
    detail: Schema.String,
  },
) {
  override get message(): string {
    return (
      `${this.server} cannot write to ${this.dir}: ${this.detail}. ` +
      `Free space or fix its permissions, or choose another data directory.`
    );
  }
}

/** Another living process owns the directory; two servers on one store would destroy it. */
export class DirectoryInUse extends Schema.TaggedError<DirectoryInUse>()("DirectoryInUse", {
  server: ServerName,
  dir: Schema.String,
  ownerPid: Schema.Int,
}) {
  override get message(): string {
    return (
      `${this.dir} is in use by process ${this.ownerPid}, which runs its own ${this.server} there. ` +
      `Stop that process, or choose another data directory.`
    );
  }
}

/** The server ended, or did not answer, before it was ready. */
export class ServerFailed extends Schema.TaggedError<ServerFailed>()("ServerFailed", {
  server: ServerName,
  detail: Schema.String,
  logFile: Schema.String,
}) {
  override get message(): string {
    return `${this.server} did not start: ${this.detail}. Its log is ${this.logFile}.`;
  }
}

export class ServerUnreachable extends Schema.TaggedError<ServerUnreachable>()(
  "ServerUnreachable",
  {
    server: ServerName,
    where: Schema.String,
    detail: Schema.String,
  },
) {
  override get message(): string {
    return (
      `${this.server} at ${this.where} does not answer: ${this.detail}. ` +
      `Start it, correct ${urlVariable(this.server)}, or unset it to let Tidemark run its own.`
    );
  }
}

/** What starting a server of our own can fail with. */
export type ServerError =
  BinaryMissing | PortInUse | DirectoryUnusable | DirectoryInUse | ServerFailed;

/** What checking a server can fail with. */
export type InspectError =
  ServerUnreachable | ServerTooOld | NotDurable | JetStreamOff | PayloadTooSmall;
