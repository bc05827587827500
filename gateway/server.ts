/**
 * The gateway's gRPC server: listens, carries the services it is given and those every server has
 * (health, reflection), and stops without losing an answer.
 *
 * G1. `listen` resolves when calls are taken, or rejects with GatewayListenError.
 * G2. A request over the limit is refused by the service that knows how to say it, up to twice the
 *     limit; beyond that by the transport, which ends the call.
 * G3. `shutdown` takes no new connections and calls, lets each service answer what it took, and
 *     ends after `boundMs` at the latest.
 */
import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import type { GatewayClock } from "./clock.ts";
import { pipelineResponses } from "./response-pipeline.ts";
import { widenReceiveWindow } from "./receive-window.ts";
import { addReflection, type ReflectedFiles } from "./reflection.ts";

export interface GatewayService {
  /** Full name: "tidemark.v1.IngestService". Its health goes by it. */
  readonly name: string;
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
  /** Ends what would not end by itself; resolves when all calls under way are answered. */
  readonly drain?: () => Promise<void>;
}

export interface GatewayServerOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly services: readonly GatewayService[];
  readonly maxRequestBytes: number;
  /** The contract's .proto files, for reflection; undefined turns it off. */
  readonly reflection: ReflectedFiles | undefined;
  readonly clock: GatewayClock;
  readonly credentials?: ServerCredentials;
  /** Of one connection. */
  readonly maxConcurrentStreams?: number;
}

const MAX_CONCURRENT_STREAMS = 1024;
const KEEPALIVE_MS = 60_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;

export type ListenFailure = "in-use" | "not-allowed" | "no-such-address" | "other";

/** The gateway cannot listen at host:port. */
export class GatewayListenError extends Error {
  readonly _tag = "GatewayListenError";
  override readonly name = "GatewayListenError";
  readonly host: string;
  readonly port: number;
  readonly failure: ListenFailure;

  constructor(host: string, port: number, cause: Error) {
    const failure = failureOf(cause.message);
    super(`cannot listen on ${hostPort(host, port)}: ${EXPLANATIONS[failure] ?? cause.message}`);
    this.host = host;
    this.port = port;
    this.failure = failure;
  }
}

const EXPLANATIONS: Partial<Record<ListenFailure, string>> = {
  "in-use": "the port is in use (set gateway.port to another, or to 0 for a free one)",
  "not-allowed": "this user may not use that port",
  "no-such-address": "this machine does not have that address",
};

/** grpc-js hands on the text of the socket's error, not its code. */
const failureOf = (message: string): ListenFailure =>
  message.includes("EADDRINUSE")
    ? "in-use"
    : message.includes("EACCES")
      ? "not-allowed"
      : message.includes("EADDRNOTAVAIL") || message.includes("ENOTFOUND")
        ? "no-such-address"
        : "other";

const hostPort = (host: string, port: number): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;

export class GatewayServer {
  readonly host: string;
  readonly port: number;
  readonly #server: Server;
  readonly #services: readonly GatewayService[];
  readonly #health: HealthImplementation;
  readonly #clock: GatewayClock;

  private constructor(
    server: Server,
    port: number,
    health: HealthImplementation,
    options: GatewayServerOptions,
  ) {
    this.#server = server;
    this.#health = health;
    this.#services = options.services;
    this.#clock = options.clock;
    this.host = options.host;
    this.port = port;
  }

  static async listen(options: GatewayServerOptions): Promise<GatewayServer> {
    const server = new Server({
      "grpc.max_receive_message_length": 2 * options.maxRequestBytes,
      "grpc.max_concurrent_streams": options.maxConcurrentStreams ?? MAX_CONCURRENT_STREAMS,
      "grpc.keepalive_time_ms": KEEPALIVE_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
      interceptors: [pipelineResponses],
    });
    widenReceiveWindow(server);
    for (const { definition, implementation } of options.services) {
      server.addService(definition, implementation);
    }
    const health = new HealthImplementation({ "": "SERVING" });
    for (const { name } of options.services) health.setStatus(name, "SERVING");
    health.addToServer(server);
    if (options.reflection !== undefined) addReflection(server, options.reflection);
    const { host, port } = options;
    const credentials = options.credentials ?? ServerCredentials.createInsecure();
    const bound = await new Promise<number>((resolve, reject) => {
      server.bindAsync(hostPort(host, port), credentials, (error, actual) => {
        if (error === null) resolve(actual);
        else reject(new GatewayListenError(host, port, error));
      });
    });
    return new GatewayServer(server, bound, health, options);
  }

  /** "127.0.0.1:50051". */
  get address(): string {
    return hostPort(this.host, this.port);
  }

  /** What the health service says of one service, or of the whole server. */
  setServing(serving: boolean, service = ""): void {
    this.#health.setStatus(service, serving ? "SERVING" : "NOT_SERVING");
  }

  /** "forced" when something was still open after `boundMs`. */
  async shutdown(boundMs: number): Promise<"drained" | "forced"> {
    this.setServing(false);
    for (const { name } of this.#services) this.setServing(false, name);
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    const drained = Promise.all(this.#services.map((service) => service.drain?.()));
    return new Promise((resolve) => {
      const cancel = this.#clock.after(boundMs, () => {
        this.#server.forceShutdown();
        resolve("forced");
      });
      void Promise.all([closed, drained]).then(() => {
        cancel();
        resolve("drained");
      });
    });
  }
}
