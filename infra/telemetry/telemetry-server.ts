/**
 * What a process shows of itself: `/metrics` in Prometheus text format, `/healthz`, `/livez` and
 * `/status`, on one HTTP port. It answers from memory; a scrape never touches NATS or Redis.
 *
 * A quarantined task makes `/healthz` say so, and starting the process again would not mend it:
 * `/livez` is for who restarts what does not answer.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Effect, Schema } from "effect";
import type { Scope } from "effect";
import { PrometheusMetrics } from "effect/observability";
import { healthOf, type Problem } from "./health.ts";
import { monitorProcess } from "./process-metrics.ts";

export interface TelemetryOptions {
  readonly process: string;
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** What is wrong, for `/healthz`. */
  readonly problems?: () => readonly Problem[];
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

const JSON_TYPE = "application/json; charset=utf-8";

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
      const health = healthOf(options.process, options.problems?.() ?? []);
      answer(health.status === "ok" ? 200 : 503, JSON_TYPE, `${jsonOf(health)}\n`);
    } else if (path === "/livez") {
      answer(200, JSON_TYPE, `${jsonOf({ status: "ok", process: options.process })}\n`);
    } else if (path === "/status" && options.status !== undefined) {
      answer(200, JSON_TYPE, `${jsonOf(options.status())}\n`);
    } else {
      answer(
        404,
        "text/plain; charset=utf-8",
        "there are /metrics, /healthz, /livez and /status\n",
      );
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
