/** A RESULTS, in memory if not said otherwise, gateways that follow it one after the other, and clients of theirs. */
import { credentials, status } from "@grpc/grpc-js";
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";
import { Context, Effect, Exit, Layer, Logger, Scope } from "effect";
import { ResultLog } from "../../actors/ports/result-log.ts";
// oxlint-disable-next-line eslint/no-restricted-imports -- a test's wiring, like an entry point's
import { Faults, memoryLayer } from "../../infra/memory/index.ts";
// oxlint-disable-next-line eslint/no-restricted-imports
import type { FaultInjector } from "../../infra/memory/index.ts";
import type { Commit } from "../../proto/gen/tidemark/v1/commit.ts";
import { QueryServiceClient } from "../../proto/gen/tidemark/v1/query.ts";
import type { SubscribeResponse } from "../../proto/gen/tidemark/v1/query.ts";
import type { GatewayClock } from "../clock.ts";
import { GatewayServer } from "../server.ts";
import { commitMessage, promotionMessage } from "./commits.suite.ts";
import { temporaryFolder } from "./temporary-folder.suite.ts";
import type { Message } from "./commits.suite.ts";
import { noQueryMetrics } from "./query-metrics.ts";
import { makeQueryService } from "./query-service.ts";
import type { QueryService } from "./query-service.ts";
import { makeResultView } from "./result-view.ts";
import type { ResultView, ResultViewOptions } from "./result-view.ts";

/** Bounds are over at once. */
const IMPATIENT: GatewayClock = {
  wallMs: () => 0,
  monotonicMs: () => 0,
  after: (_delayMs, run) => {
    run();
    return () => {};
  },
};

export type ViewOptions = Partial<Omit<ResultViewOptions, "metrics">>;

export class QuerySystem {
  /** Messages of log lines, newest last. */
  readonly logged: string[] = [];
  readonly folder = temporaryFolder();
  readonly context: Context.Context<ResultLog>;
  readonly #scope: Scope.Closeable;

  private constructor(context: Context.Context<ResultLog>, scope: Scope.Closeable) {
    this.context = context;
    this.#scope = scope;
  }

  static async start(layer: Layer.Layer<ResultLog, unknown> = memoryLayer()): Promise<QuerySystem> {
    const scope = Effect.runSync(Scope.make());
    return new QuerySystem(await Effect.runPromise(Layer.buildWithScope(layer, scope)), scope);
  }

  get log(): ResultLog["Service"] {
    return Context.get(this.context, ResultLog);
  }

  /** What goes wrong in memory. */
  get faults(): FaultInjector {
    return Context.get(this.context as Context.Context<ResultLog | Faults>, Faults);
  }

  run<A, E>(effect: Effect.Effect<A, E, ResultLog>): Promise<A> {
    return Effect.runPromise(Effect.provideContext(this.#quietly(effect), this.context));
  }

  /** Appends a message and returns its sequence. */
  async append(...messages: readonly [Message, ...Message[]]): Promise<number> {
    const { subject } = messages[0];
    const last = await this.run(this.log.last(subject));
    const parts = messages.map(({ data }) => data);
    return this.run(this.log.append(subject, parts, last?.sequence ?? 0));
  }

  commit(...parts: readonly [Commit, ...Commit[]]): Promise<number> {
    const [first, ...rest] = parts;
    return this.append(commitMessage(first), ...rest.map(commitMessage));
  }

  promote(projection: string, version: number): Promise<number> {
    return this.append(promotionMessage(projection, version));
  }

  async view(options: ViewOptions = {}): Promise<Followed> {
    const scope = Effect.runSync(Scope.make());
    const all = { directory: this.folder, projections: [], metrics: noQueryMetrics, ...options };
    const view = await this.run(Scope.provide(makeResultView(all), scope));
    return new Followed(this, view, scope);
  }

  async gateway(options: ViewOptions = {}): Promise<Gateway> {
    const followed = await this.view(options);
    await Effect.runPromise(followed.view.caughtUp);
    return this.serve(followed);
  }

  async serve(followed: Followed): Promise<Gateway> {
    const { view, scope } = followed;
    const service = await this.run(Scope.provide(makeQueryService(view, noQueryMetrics), scope));
    const server = await GatewayServer.listen({
      host: "127.0.0.1",
      port: 0,
      services: [service],
      maxRequestBytes: 1024 * 1024,
      reflection: undefined,
      clock: IMPATIENT,
    });
    return new Gateway(followed, service, server);
  }

  async stop(): Promise<void> {
    await Effect.runPromise(Scope.close(this.#scope, Exit.void));
  }

  #quietly<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const logger = Logger.make<unknown, void>(({ message }) => {
      this.logged.push((Array.isArray(message) ? message : [message]).map(String).join(" "));
    });
    return effect.pipe(Effect.provide(Logger.layer([logger])));
  }
}

/** A view that follows RESULTS. */
export class Followed {
  readonly system: QuerySystem;
  readonly view: ResultView;
  readonly scope: Scope.Closeable;

  constructor(system: QuerySystem, view: ResultView, scope: Scope.Closeable) {
    this.system = system;
    this.view = view;
    this.scope = scope;
  }

  /** Resolves when the store has a sequence of RESULTS. */
  reached(sequence: number): Promise<void> {
    return Effect.runPromise(this.view.changedAfter(sequence - 1, this.view.generation));
  }

  stop(): Promise<void> {
    return Effect.runPromise(Scope.close(this.scope, Exit.void));
  }
}

export class Gateway {
  readonly followed: Followed;
  readonly service: QueryService;
  readonly client: QueryServiceClient;
  readonly #server: GatewayServer;

  constructor(followed: Followed, service: QueryService, server: GatewayServer) {
    this.followed = followed;
    this.service = service;
    this.#server = server;
    this.client = new QueryServiceClient(server.address, credentials.createInsecure());
  }

  get view(): ResultView {
    return this.followed.view;
  }

  /** Kills the gateway: connections break, nothing is drained. */
  async stop(): Promise<void> {
    this.client.close();
    await this.#server.shutdown(0);
    await this.followed.stop();
  }
}

export type Outcome<A> = A | { readonly code: string; readonly details: string };

/** A unary call's answer, or the status it failed with. */
export const ask = <Request, Response>(
  method: (
    request: Request,
    reply: (error: ServiceError | null, response: Response) => void,
  ) => unknown,
  request: Request,
): Promise<Outcome<Response>> =>
  new Promise((resolve) =>
    method(request, (error, response) => resolve(error === null ? response : statusOf(error))),
  );

export const statusOf = (error: ServiceError) => ({
  code: status[error.code]!,
  details: error.details,
});

/** Reads a subscription response by response. */
export class Reading {
  readonly stream: ClientReadableStream<SubscribeResponse>;
  readonly started: Promise<void>;
  readonly ended: Promise<{ readonly code: string; readonly details: string }>;
  readonly #iterator: AsyncIterator<SubscribeResponse>;

  constructor(stream: ClientReadableStream<SubscribeResponse>) {
    this.stream = stream;
    this.started = new Promise((resolve) => stream.once("metadata", () => resolve()));
    this.ended = new Promise((resolve) =>
      stream.once("error", (error: ServiceError) => resolve(statusOf(error))),
    );
    this.#iterator = stream.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]();
  }

  async next(): Promise<SubscribeResponse> {
    const next = await this.#iterator.next();
    if (next.done === true) throw new Error("the subscription ended");
    return next.value;
  }

  async take(count: number): Promise<SubscribeResponse[]> {
    const responses: SubscribeResponse[] = [];
    while (responses.length < count) responses.push(await this.next());
    return responses;
  }

  async snapshot(): Promise<SubscribeResponse[]> {
    const responses: SubscribeResponse[] = [];
    for (;;) {
      const response = await this.next();
      responses.push(response);
      if (response.event?.$case === "snapshotEnd") return responses;
    }
  }
}
