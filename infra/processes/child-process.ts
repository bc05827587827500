/**
 * What a gateway and a worker have in common: they read the running configuration, log under their
 * name, show metrics, say that they are ready, and drain when they are told to end.
 */
import { Cause, Effect } from "effect";
import type { Layer, Scope } from "effect";
import { ConfigError } from "../config/errors.ts";
import { runMain } from "../supervisor/run-main.ts";
import type { Problem } from "../telemetry/health.ts";
import { logFormatFor, logLayer } from "../telemetry/log.ts";
import {
  serveTelemetry,
  type TelemetryAddress,
  type TelemetryUnavailable,
} from "../telemetry/telemetry-server.ts";
import { loadRunningConfig, type RunningConfig } from "./running-config.ts";
import { METRICS_PORT_VARIABLE } from "./system.ts";

/**
 * Runs a child's main effect. An expected failure goes to the supervisor, who says it once; only a
 * defect is printed here, with its stack.
 */
export const runChild = <A, E>(main: Effect.Effect<A, E>): void =>
  runMain(main, {
    reportFailure: (cause) => {
      const isDefect = cause.reasons.some((reason) => reason._tag === "Die");
      if (isDefect || process.send === undefined) process.stderr.write(`${Cause.pretty(cause)}\n`);
    },
  });

export const childConfig: Effect.Effect<RunningConfig, ConfigError> = Effect.tryPromise({
  try: () => loadRunningConfig(process.argv[2] ?? ""),
  catch: (error) => {
    if (error instanceof ConfigError) return error;
    throw error;
  },
});

export const childLogs = (name: string, config: RunningConfig): Layer.Layer<never> => {
  const isTerminal = process.stderr.isTTY === true;
  return logLayer({
    process: name,
    level: config.logLevel,
    format: logFormatFor(process.env, isTerminal),
    colour: isTerminal && (process.env["NO_COLOR"] ?? "") === "",
  });
};

export const portFrom = (variable: string): number => Number(process.env[variable] ?? "0");

export const childTelemetry = (
  name: string,
  config: RunningConfig,
  shown: {
    readonly problems: () => readonly Problem[];
    readonly status?: () => unknown;
  },
): Effect.Effect<TelemetryAddress, TelemetryUnavailable, Scope.Scope> =>
  serveTelemetry({
    process: name,
    host: config.metrics.host,
    port: portFrom(METRICS_PORT_VARIABLE),
    ...shown,
  });
