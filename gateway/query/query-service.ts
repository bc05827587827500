/**
 * The gRPC query service: reads of the store, and subscriptions.
 *
 * Q1. Every answer is as of one position of RESULTS or later; until the view has caught up there is
 *     none, but UNAVAILABLE, because "no result" would be a guess.
 * Q2. No request holds the event loop: long reads pause, pages and subscriptions are bounded.
 * Q3. What does not exist is NOT_FOUND and says what does.
 */
import { Metadata, status } from "@grpc/grpc-js";
import type { sendUnaryData, ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";
import { Cause, Effect, Exit, Fiber, FiberSet, Semaphore } from "effect";
import type { Scope } from "effect";
import type { ResultLog } from "../../actors/ports/result-log.ts";
import { QueryServiceService } from "../../proto/gen/tidemark/v1/query.ts";
import type {
  GetResultRequest,
  GetResultResponse,
  ListProjectionsResponse,
  ListResultsRequest,
  ListResultsResponse,
  ProjectionStatus,
  QueryServiceServer,
  SubscribeRequest,
  SubscribeResponse,
} from "../../proto/gen/tidemark/v1/query.ts";
import type { Result } from "../../proto/gen/tidemark/v1/result.ts";
import * as limits from "./limits.ts";
import type { QueryMethod, QueryMetrics } from "./query-metrics.ts";
import * as refusal from "./refusal.ts";
import type { QueryRefused } from "./refusal.ts";
import type { ResultView } from "./result-view.ts";
import type { RowScan } from "./row-scan.ts";
import { leastWatermark } from "./store-state.ts";
import { runSubscription } from "./subscription.ts";
import type { ResponseSink, SubscriptionRequest } from "./subscription.ts";
import { readPageToken, readResumeToken, writePageToken } from "./tokens.ts";

type Run = <A, E>(effect: Effect.Effect<A, E, ResultLog>) => Fiber.Fiber<A, E>;

interface Answer<Response> {
  readonly response: Response;
  readonly results: number;
}

export class QueryService {
  readonly name = "tidemark.v1.QueryService";
  readonly definition = QueryServiceService;
  readonly implementation: QueryServiceServer = {
    getResult: (call, reply) => this.#unary("GetResult", call, reply, (r) => this.#getResult(r)),
    listResults: (call, reply) =>
      this.#unary("ListResults", call, reply, (r) => this.#listResults(r)),
    listProjections: (call, reply) =>
      this.#unary("ListProjections", call, reply, () => this.#listProjections()),
    subscribe: (call) => this.#subscribe(call),
  };
  readonly view: ResultView;
  readonly #metrics: QueryMetrics;
  readonly #run: Run;
  readonly #snapshots = Semaphore.makeUnsafe(limits.SNAPSHOTS_MAX);
  readonly #subscriptions = new Set<Fiber.Fiber<never, QueryRefused>>();
  #draining = false;

  constructor(view: ResultView, metrics: QueryMetrics, run: Run) {
    this.view = view;
    this.#metrics = metrics;
    this.#run = run;
  }

  /** Ends all subscriptions with UNAVAILABLE and takes no new ones. Unary calls go on. */
  drain(): Promise<void> {
    this.#draining = true;
    const ending = Fiber.interruptAll([...this.#subscriptions]);
    return Effect.runPromise(ending);
  }

  get subscriptions(): number {
    return this.#subscriptions.size;
  }

  #unary<Request, Response>(
    method: QueryMethod,
    call: ServerUnaryCall<Request, Response>,
    reply: sendUnaryData<Response>,
    answer: (request: Request) => Effect.Effect<Answer<Response>, QueryRefused>,
  ): void {
    const ready = Effect.suspend(() => this.#ready() ?? answer(call.request));
    const fiber = this.#run(ready.pipe(Effect.tapDefect((defect) => logDefect(method, defect))));
    fiber.addObserver((exit) => {
      if (Exit.isSuccess(exit)) {
        this.#metrics.answered(method, status.OK, exit.value.results);
        reply(null, exit.value.response);
      } else {
        const failure = statusOf(exit.cause);
        this.#metrics.answered(method, failure.code, 0);
        reply(failure);
      }
    });
  }

  #getResult(request: GetResultRequest): Effect.Effect<Answer<GetResultResponse>, QueryRefused> {
    return Effect.gen({ self: this }, function* () {
      const { projection, key, windowStart } = request;
      const version = yield* this.#version(projection, request.version);
      yield* withinKeyLimit("key", key);
      const store = this.view.store;
      const result = store.get(projection, version, key, windowStart);
      if (result !== undefined) return { response: { result }, results: 1 };
      const latest =
        windowStart === undefined ? undefined : store.get(projection, version, key, undefined);
      const missing =
        latest === undefined
          ? `has no result for key ${JSON.stringify(key)}`
          : `has no window of key ${JSON.stringify(key)} that starts at ${windowStart}; ` +
            `its latest starts at ${latest.window!.start}`;
      return yield* refusal.refused(
        status.NOT_FOUND,
        `projection ${projection}, version ${version}, ${missing}`,
      );
    });
  }

  #listResults(
    request: ListResultsRequest,
  ): Effect.Effect<Answer<ListResultsResponse>, QueryRefused> {
    return Effect.gen({ self: this }, function* () {
      const { projection, keyPrefix, from, to, pageSize } = request;
      const size = pageSize === 0 ? limits.PAGE_SIZE_DEFAULT : pageSize;
      if (size > limits.PAGE_SIZE_MAX) {
        const reason = `is ${size}; the limit is ${limits.PAGE_SIZE_MAX}`;
        return yield* refusal.invalidField("page_size", reason);
      }
      if (from !== undefined && to !== undefined && to < from) {
        return yield* refusal.invalidField("to", `is ${to}, before from, which is ${from}`);
      }
      yield* withinKeyLimit("key_prefix", keyPrefix);
      const active = yield* this.#version(projection, request.version);
      const query = JSON.stringify([projection, request.version, keyPrefix, from, to]);
      const { version, row } = yield* pageStart(query, request.pageToken, active);
      const scan = this.view.store.scan({ projection, version, keyPrefix, from, to });
      if (row !== undefined && !scan.goOnAfter(row)) return yield* wrongPageToken();
      const results = yield* readPage(scan, size);
      const nextPageToken =
        scan.last !== undefined && scan.hasMore()
          ? writePageToken(query, { version, row: scan.last })
          : "";
      return { response: { results, nextPageToken }, results: results.length };
    });
  }

  #listProjections(): Effect.Effect<Answer<ListProjectionsResponse>> {
    return Effect.sync(() => {
      const projections: ProjectionStatus[] = [];
      for (const projection of this.view.projections()) {
        const active = this.view.activeVersion(projection);
        for (const version of this.view.versions(projection)) {
          const state = this.view.store.version(projection, version);
          projections.push({
            projection,
            version,
            active: version === active,
            results: state?.results ?? 0,
            watermark: leastWatermark(state?.tasks.values() ?? []),
            incomplete: (state?.missing ?? 0) > 0,
          });
        }
      }
      return { response: { projections }, results: projections.length };
    });
  }

  #subscribe(call: ServerWritableStream<SubscribeRequest, SubscribeResponse>): void {
    let sent = 0;
    const sink: ResponseSink = {
      write: (response) => {
        sent++;
        return call.write(response);
      },
      drained: Effect.callback<void>((resume) => {
        const drained = () => resume(Effect.void);
        if (!call.writableNeedDrain) drained();
        else call.once("drain", drained);
        return Effect.sync(() => void call.off("drain", drained));
      }),
      started: () => call.sendMetadata(new Metadata()),
    };
    const subscription = Effect.gen({ self: this }, function* () {
      const request = yield* this.#subscriptionOf(call.request);
      return yield* runSubscription(this.view, request, this.#snapshots, sink);
    });
    const fiber = this.#run(
      subscription.pipe(Effect.tapDefect((defect) => logDefect("Subscribe", defect))),
    );
    this.#subscriptions.add(fiber);
    this.#metrics.subscriptions(this.#subscriptions.size);
    call.on("cancelled", () => fiber.interruptUnsafe());
    if (call.cancelled || this.#draining) fiber.interruptUnsafe();
    fiber.addObserver((exit) => {
      this.#subscriptions.delete(fiber);
      this.#metrics.subscriptions(this.#subscriptions.size);
      const cause = (exit as Exit.Failure<never, QueryRefused>).cause;
      const ending = call.cancelled ? CANCELLED : statusOf(cause);
      this.#metrics.answered("Subscribe", ending.code, sent);
      if (!call.cancelled) call.emit("error", ending);
    });
  }

  #subscriptionOf(request: SubscribeRequest): Effect.Effect<SubscriptionRequest, QueryRefused> {
    return Effect.gen({ self: this }, function* () {
      const { projection, keyPrefix, resumeToken, updatesOnly } = request;
      if (this.#subscriptions.size > limits.SUBSCRIPTIONS_MAX) {
        return yield* refusal.refused(
          status.RESOURCE_EXHAUSTED,
          `${limits.SUBSCRIPTIONS_MAX} subscriptions are open, which is the limit of a gateway`,
        );
      }
      const notReady = this.#ready();
      if (notReady !== undefined) return yield* notReady;
      yield* withinKeyLimit("key_prefix", keyPrefix);
      yield* this.#version(projection, request.version);
      const version = request.version === 0 ? undefined : request.version;
      const common = { projection, version, keyPrefix };
      if (resumeToken === "") return { ...common, start: updatesOnly ? "now" : "snapshot" };
      const point = readResumeToken(resumeToken, keyPrefix);
      if (point === undefined || point.projection !== projection) {
        return yield* wrongResumeToken("projection and key_prefix");
      }
      if (version !== undefined && version !== point.version) {
        return yield* wrongResumeToken("version");
      }
      return { ...common, start: point };
    });
  }

  #ready(): QueryRefused | undefined {
    const { isCaughtUp, position, target } = this.view;
    if (isCaughtUp) return undefined;
    const progress =
      target === undefined ? "RESULTS is not reached yet" : `at ${position} of ${target}`;
    return refusal.unavailable(
      `this gateway is still reading what was published (${progress}); try again, or ask another`,
    );
  }

  /** The version that a request means. */
  #version(projection: string, version: number): Effect.Effect<number, QueryRefused> {
    const active = this.view.activeVersion(projection);
    if (active === undefined) return refusal.unknownProjection(this.view, projection);
    if (version === 0) return Effect.succeed(active);
    if (!this.view.versions(projection).includes(version)) {
      return refusal.unknownVersion(this.view, projection, version);
    }
    return Effect.succeed(version);
  }
}

const CANCELLED = { code: status.CANCELLED, details: "cancelled" };

const readPage = (scan: RowScan, size: number): Effect.Effect<Result[]> =>
  Effect.gen(function* () {
    const results: Result[] = [];
    for (;;) {
      const wanted = Math.min(limits.ROWS_A_TURN_MAX, size - results.length);
      results.push(...scan.step(limits.ROWS_A_TURN_MAX, wanted, limits.PAGE_BYTES_MAX));
      if (scan.done || results.length >= size) return results;
      if (scan.bytes >= limits.PAGE_BYTES_MAX) return results;
      if (scan.visited >= limits.PAGE_ROWS_VISITED_MAX) return results;
      yield* Effect.yieldNow;
    }
  });

const pageStart = (
  query: string,
  token: string,
  active: number,
): Effect.Effect<{ readonly version: number; readonly row: Buffer | undefined }, QueryRefused> => {
  if (token === "") return Effect.succeed({ version: active, row: undefined });
  const point = readPageToken(query, token);
  return point === undefined ? wrongPageToken() : Effect.succeed(point);
};

const wrongPageToken = (): QueryRefused =>
  refusal.invalidField(
    "page_token",
    "was not given for this query; repeat the other fields as they were, or start without it",
  );

const wrongResumeToken = (fields: string): QueryRefused =>
  refusal.invalidField(
    "resume_token",
    `was not given for this subscription; repeat its ${fields} as they were, or start without it`,
  );

const withinKeyLimit = (field: string, key: string): Effect.Effect<void, QueryRefused> => {
  const bytes = Buffer.byteLength(key, "utf8");
  return bytes <= limits.KEY_BYTES_MAX
    ? Effect.void
    : refusal.invalidField(field, `is ${bytes} bytes; the limit is ${limits.KEY_BYTES_MAX}`);
};

const statusOf = (cause: Cause.Cause<QueryRefused>) => {
  const failure = cause.reasons.find(Cause.isFailReason);
  if (failure !== undefined) return failure.error.status;
  if (Cause.hasInterruptsOnly(cause)) {
    return refusal.unavailable(
      "this gateway is shutting down; connect again and resume with the last token",
    ).status;
  }
  return refusal.refused(status.INTERNAL, "this gateway failed; its log says why").status;
};

const logDefect = (method: QueryMethod, defect: unknown): Effect.Effect<void> =>
  Effect.logError(`${method} failed`, Cause.die(defect));

/** The service over a view, for as long as the scope lives. */
export const makeQueryService = (
  view: ResultView,
  metrics: QueryMetrics,
): Effect.Effect<QueryService, never, ResultLog | Scope.Scope> =>
  Effect.gen(function* () {
    const run = yield* FiberSet.makeRuntime<ResultLog>();
    const service = new QueryService(view, metrics, (effect) => run(effect));
    yield* Effect.addFinalizer(() => Effect.promise(() => service.drain()));
    return service;
  });
