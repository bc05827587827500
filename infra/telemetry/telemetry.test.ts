import { Effect, Logger, Metric } from "effect";
import { expect, it } from "vitest";
import { logFormatFor, makeLogger, renderPretty, type LogOptions } from "./log.ts";
import { METRICS } from "./metric-names.ts";
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
  expect(renderPretty(line, false)).toBe("00:00:00.000 INFO  gateway   listening port=4000");
  expect(renderPretty(line, true)).toContain("\x1b[36mINFO ");
});

it("chooses the format by the terminal unless the environment does", () => {
  expect(logFormatFor({}, true)).toBe("pretty");
  expect(logFormatFor({}, false)).toBe("json");
  expect(logFormatFor({ TIDEMARK_LOG_FORMAT: "json" }, true)).toBe("json");
});

const fetchText = (port: number, path: string) =>
  Effect.promise(async () => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, body: await response.text() };
  });

it("serves metrics and health", async () => {
  let problem: string | undefined;
  await Effect.gen(function* () {
    const { port } = yield* serveTelemetry({
      process: "test",
      host: "127.0.0.1",
      port: 0,
      health: () => problem,
    });
    yield* Metric.update(Metric.counter("tidemark_test_total", { description: "A test." }), 7);
    const metrics = yield* fetchText(port, "/metrics");
    expect(metrics.body).toContain("# HELP tidemark_test_total A test.");
    expect(metrics.body).toContain("tidemark_test_total 7");
    expect(metrics.body).toContain(`# TYPE ${METRICS.processCpuSeconds.name} counter`);
    expect(metrics.body).toMatch(/tidemark_process_resident_memory_bytes\{process="test"\} [1-9]/);
    expect(yield* fetchText(port, "/healthz")).toEqual({ status: 200, body: "ok\n" });
    problem = "no connection to NATS";
    expect(yield* fetchText(port, "/healthz")).toEqual({
      status: 503,
      body: "no connection to NATS\n",
    });
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
