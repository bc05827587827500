/**
 * What a process shows of itself: `/metrics` in Prometheus text format, `/healthz` and `/status`, on
 * one HTTP port. It answers from memory; a scrape never touches NATS or Redis.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Effect, Schema } from "effect";
import type { Scope } from "effect";
import { PrometheusMetrics } from "effect/observability";
import { monitorProcess } from "./process-metrics.ts";

export interface TelemetryOptions {
  readonly process: string;
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** What `/healthz` says: undefined is healthy, a text is the reason why not. */
  readonly health?: () => string | undefined;
  /** What `/status` says, as JSON. */
  readonly status?: () => unknown;
}

export interface TelemetryAddress {
  readonly host: string;
  readonly port: number;
}

export class TelemetryUnavailable extends Schema.TaggedError<TelemetryUnavailable>()(
  "TelemetryUnavailable",
  { host: Schema.String, port: Schema.Number, code: Schema.String },
) {
  override get message(): string {
    const why =
      this.code === "EADDRINUSE" ? "the port is in use" : `the system answers ${this.code}`;
    return (
      `the metrics server cannot listen on ${this.host}:${this.port}: ${why}; ` +
      "choose another one with metrics.port (TIDEMARK_METRICS_PORT), or 0 for any free port"
    );
  }
}

const jsonOf = (value: unknown): string =>
  JSON.stringify(value ?? null, (_key, part: unknown) =>
    typeof part === "bigint" ? part.toString() : part,
  );

/** Serves until the scope closes. */
export const serveTelemetry = Effect.fnUntraced(function* (
  options: TelemetryOptions,
): Effect.fn.Return<TelemetryAddress, TelemetryUnavailable, Scope.Scope> {
  const context = yield* Effect.context<never>();
  const monitor = yield* monitorProcess(options.process);
  const server = createServer((request, response) => {
    const path = (request.url ?? "/").split("?", 1)[0];
    const answer = (status: number, type: string, body: string) =>
      response.writeHead(status, { "content-type": type }).end(body);
    if (request.method !== "GET" && request.method !== "HEAD") {
      answer(405, "text/plain; charset=utf-8", "only GET\n");
    } else if (path === "/metrics") {
      monitor.sample(context);
      answer(
        200,
        "text/plain; version=0.0.4; charset=utf-8",
        PrometheusMetrics.formatUnsafe(context),
      );
    } else if (path === "/healthz") {
      const problem = options.health?.();
      answer(
        problem === undefined ? 200 : 503,
        "text/plain; charset=utf-8",
        `${problem ?? "ok"}\n`,
      );
    } else if (path === "/status" && options.status !== undefined) {
      answer(200, "application/json; charset=utf-8", `${jsonOf(options.status())}\n`);
    } else {
      answer(404, "text/plain; charset=utf-8", "there are /metrics, /healthz and /status\n");
    }
  });
  return yield* Effect.acquireRelease(
    Effect.callback<TelemetryAddress, TelemetryUnavailable>((resume) => {
      server.once("error", (error: NodeJS.ErrnoException) =>
        resume(
          Effect.fail(
            new TelemetryUnavailable({
              host: options.host,
              port: options.port,
              code: error.code ?? error.message,
            }),
          ),
        ),
      );
      server.listen(options.port, options.host, () => {
        const { port } = server.address() as AddressInfo;
        resume(Effect.succeed({ host: options.host, port }));
      });
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void));
        server.closeAllConnections();
      }),
  );
});
