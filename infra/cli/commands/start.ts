/** `tidemark start`: runs a system until it is told to end. */
import { Effect } from "effect";
import { CODE_VERSION } from "../../../actors/version.ts";
import { sourceNames } from "../../../projections/definition/join-sources.ts";
import type { Config } from "../../config/config.ts";
import { loadConfig } from "../../config/load.ts";
import { startSystem, type RunningSystem } from "../../processes/system.ts";
import { withoutCredentials } from "../../servers/inspect.ts";
import { logFormatFor, logLayer } from "../../telemetry/log.ts";
import type { StartFlags } from "../program.ts";
import type { Paint } from "../terminal/colour.ts";
import type { Terminal } from "../terminal/terminal.ts";

export const systemLogs = (config: Pick<Config, "logLevel">, { err }: Terminal) =>
  logLayer({
    process: "system",
    level: config.logLevel,
    format: logFormatFor(process.env, err.isTerminal),
    colour: err.isTerminal && (process.env["NO_COLOR"] ?? "") === "",
  });

/** What one needs to know of a system that has just started. */
export const banner = (system: RunningSystem, paint: Paint): string => {
  const { config, run, notices } = system;
  const own = (url: string | undefined) => (url === undefined ? "own server" : "given");
  const natsUrl = withoutCredentials(run.natsUrl);
  const redisUrl = withoutCredentials(run.redisUrl);
  const topics = config.topics.map((topic) => {
    const names = config.projections
      .filter((projection) => sourceNames(projection, config.projections).includes(topic.name))
      .map(({ name }) => name);
    return [`topic ${topic.name}`, names.length === 0 ? "no projection" : names.join(", ")];
  });
  const rows: readonly (readonly string[])[] = [
    ["gRPC", `${run.gateway}   publish, query, subscribe`],
    ...run.processes.map(({ name, metrics }) => [name, metrics]),
    ["NATS", `${natsUrl}   ${own(system.given.nats)}`],
    ["Redis", `${redisUrl}   ${own(system.given.redis)}`],
    ["data", run.dataDir],
    ...topics,
  ];
  const width = Math.max(...rows.map(([name]) => name!.length));
  const lines = rows.map(([name, text]) => `  ${paint("dim", name!.padEnd(width))}  ${text}`);
  return [
    paint("bold", `Tidemark ${CODE_VERSION} is running`),
    "",
    ...lines,
    ...notices.map((notice) => `  ${paint("yellow", "note")}  ${notice}`),
    "",
    "",
  ].join("\n");
};

export const start = (files: readonly string[], flags: StartFlags, terminal: Terminal) =>
  Effect.gen(function* () {
    const config = yield* Effect.tryPromise({
      try: () =>
        loadConfig({
          config: flags.config,
          files,
          overrides: {
            dataDir: flags.dataDir,
            workers: flags.workers,
            "gateway.port": flags.port,
            "metrics.port": flags.metricsPort,
          },
        }),
      catch: (error) => error,
    });
    const running = Effect.gen(function* () {
      const system = yield* startSystem({ config, output: "inherit" });
      const { out } = terminal;
      out.write(banner(system, out.paint));
      out.write("Ctrl-C drains and ends. In another terminal: tidemark status\n");
      return yield* system.failure;
    });
    return yield* running.pipe(Effect.scoped, Effect.provide(systemLogs(config, terminal)));
  });
