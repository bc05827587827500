import { Effect, Logger, Metric } from "effect";
import { expect, it } from "vitest";
import { PrometheusMetrics } from "effect/observability";
import { ingestMetrics } from "./gateway-metrics.ts";
import { logFormatFor, makeLogger, renderText, type LogOptions } from "./log.ts";
import { METRICS } from "./metric-names.ts";
import { readHealth, type Problem } from "./health.ts";
import { serveTelemetry } from "./telemetry-server.ts";

const logged = (options: Partial<LogOptions>, program: Effect.Effect<void>): string[] => {
  const lines: string[] = [];
  const logger = makeLogger(
    { process: "worker-0", level: "info", format: "json", colour: false, ...options },
    (line) => lines.push(line),
  );
  Effect.runSync(program.pipe(Effect.provide(Logger.layer([logger]))));
  return lines;
};

it("writes one JSON object a line, with level, process and annotations", () => {
  const [line] = logged(
    {},
    Effect.logWarning("late snapshot").pipe(Effect.annotateLogs({ partition: 3, bytes: 12n })),
  );
  expect(line?.endsWith("}\n")).toBe(true);
  expect(JSON.parse(line ?? "")).toMatchObject({
    level: "warn",
    process: "worker-0",
    message: "late snapshot",
    partition: 3,
    bytes: "12",
  });
});

it("writes aligned text, coloured only when asked", () => {
  const line = {
    time: new Date(0),
    level: "info",
    process: "gateway",
    message: "listening",
    fields: { port: 4000 },
    cause: undefined,
  };
  expect(renderText(line, false)).toBe("00:00:00.000 INFO  gateway   listening port=4000");
  // For people, what the message says is not said again beside it.
  const fields = { task: "results.a.1.0", state: "live", attempt: 1 };
  expect(renderText({ ...line, message: "task results.a.1.0 is live", fields }, false)).toBe(
    "00:00:00.000 INFO  gateway   task results.a.1.0 is live attempt=1",
  );
  expect(renderText(line, true)).toContain("\x1b[36mINFO ");
});

it("chooses the format by the terminal unless the environment does", () => {
  expect(logFormatFor({}, true)).toBe("text");
  expect(logFormatFor({}, false)).toBe("json");
  expect(logFormatFor({ TIDEMARK_LOG_FORMAT: "json" }, true)).toBe("json");
});

const fetchText = (port: number, path: string) =>
  Effect.promise(async () => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, body: await response.text() };
  });

it("serves metrics and health", async () => {
  let problems: readonly Problem[] = [];
  await Effect.gen(function* () {
    const { port } = yield* serveTelemetry({
      process: "test",
      host: "127.0.0.1",
      port: 0,
      problems: () => problems,
    });
    yield* Metric.update(Metric.counter("tidemark_test_total", { description: "A test." }), 7);
    const metrics = yield* fetchText(port, "/metrics");
    expect(metrics.body).toContain("# HELP tidemark_test_total A test.");
    expect(metrics.body).toContain("tidemark_test_total 7");
    expect(metrics.body).toContain(`# TYPE ${METRICS.processCpuSeconds.name} counter`);
    expect(metrics.body).toMatch(/tidemark_process_resident_memory_bytes\{process="test"\} [1-9]/);
    expect(yield* fetchText(port, "/healthz")).toEqual({
      status: 200,
      body: '{"status":"ok","process":"test","problems":[]}\n',
    });
    problems = [{ about: "task a", state: "fenced", reason: "lost", hint: "look" }];
    const unhealthy = yield* fetchText(port, "/healthz");
    expect(unhealthy.status).toBe(503);
    expect(readHealth(unhealthy.body)).toEqual({
      status: "unhealthy",
      process: "test",
      problems,
    });
    expect((yield* fetchText(port, "/livez")).status).toBe(200);
    expect((yield* fetchText(port, "/other")).status).toBe(404);
  }).pipe(Effect.scoped, Effect.runPromise);
});

it("names the port that is in use and what to do", async () => {
  await Effect.gen(function* () {
    const options = { process: "test", host: "127.0.0.1" };
    const { port } = yield* serveTelemetry({ ...options, port: 0 });
    const error = yield* Effect.flip(serveTelemetry({ ...options, port }));
    expect(error.message).toBe(
      `the metrics server cannot listen on 127.0.0.1:${port}: the port is in use; ` +
        "choose another one with metrics.port (TIDEMARK_METRICS_PORT), or 0 for any free port",
    );
  }).pipe(Effect.scoped, Effect.runPromise);
});

it("turns what the gateway tells into counters and histograms", () => {
  const text = Effect.gen(function* () {
    const context = yield* Effect.context<never>();
    const metrics = ingestMetrics(context);
    const request = { topic: "orders", method: "PublishStream" as const, bytes: 900, latencyMs: 4 };
    metrics.answered({ ...request, stored: 9, quarantined: 0, invalid: 1, unavailable: 0 });
    metrics.refused("Publish", "unknown-topic");
    const append = { topic: "orders", partition: 0, events: 9, bytes: 800, latencyMs: 3 };
    metrics.appended({ ...append, failure: undefined });
    metrics.appended({ ...append, failure: "full" });
    return PrometheusMetrics.formatUnsafe(context);
  }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()), Effect.runSync);
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  // Four milliseconds lie between the boundaries 2.5 and 5.
  expect(samples).toContain(
    'tidemark_ingest_request_seconds_bucket{topic="orders",method="PublishStream",le="0.0025"} 0',
  );
  expect(samples).toContain(
    'tidemark_ingest_request_seconds_bucket{topic="orders",method="PublishStream",le="0.005"} 1',
  );
  expect(samples.filter((line) => !line.includes("_bucket"))).toEqual([
    'tidemark_ingest_events_total{topic="orders",verdict="stored"} 9',
    'tidemark_ingest_events_total{topic="orders",verdict="invalid"} 1',
    'tidemark_ingest_request_bytes_total{topic="orders",method="PublishStream"} 900',
    'tidemark_ingest_request_seconds_sum{topic="orders",method="PublishStream"} 0.004',
    'tidemark_ingest_request_seconds_count{topic="orders",method="PublishStream"} 1',
    'tidemark_ingest_refused_total{method="Publish",reason="unknown-topic"} 1',
    'tidemark_ingest_append_seconds_sum{topic="orders",partition="0"} 0.003',
    'tidemark_ingest_append_seconds_count{topic="orders",partition="0"} 1',
    'tidemark_ingest_appended_events_total{topic="orders",partition="0"} 9',
    'tidemark_ingest_appended_bytes_total{topic="orders",partition="0"} 800',
    'tidemark_ingest_append_failures_total{topic="orders",kind="full"} 1',
  ]);
});
