/**
 * Structured logs on stderr: one JSON object a line, or aligned text on a terminal. Stdout stays free
 * for what a command was asked for.
 *
 * G1. Every line carries time, level, process and message; annotations become further fields.
 * G2. A line is one write, so lines of several processes on one terminal do not mix.
 */
import { Cause, Layer, Logger, References } from "effect";
import type { Config } from "../config/config.ts";

export type LogFormat = "json" | "text";

export interface LogOptions {
  /** Name of the process: "gateway", "worker-0". */
  readonly process: string;
  readonly level: Config["logLevel"];
  readonly format: LogFormat;
  readonly colour: boolean;
}

export interface LogLine {
  readonly time: Date;
  readonly level: string;
  readonly process: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly cause: string | undefined;
}

/** JSON unless stderr is a terminal; TIDEMARK_LOG_FORMAT decides when it is set. */
export const logFormatFor = (
  environment: Readonly<Record<string, string | undefined>>,
  isTerminal: boolean,
): LogFormat => {
  const wanted = environment["TIDEMARK_LOG_FORMAT"];
  if (wanted === "json" || wanted === "text") return wanted;
  return isTerminal ? "text" : "json";
};

const jsonValue = (value: unknown): unknown => {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Error) return value.message;
  return value;
};

export const renderJson = (line: LogLine): string =>
  JSON.stringify(
    {
      time: line.time.toISOString(),
      level: line.level,
      process: line.process,
      message: line.message,
      ...line.fields,
      ...(line.cause === undefined ? {} : { cause: line.cause }),
    },
    (_key, value) => jsonValue(value),
  );

const COLOURS: Readonly<Record<string, string>> = {
  debug: "\x1b[2m",
  info: "\x1b[36m",
  warn: "\x1b[33m",
  error: "\x1b[31m",
  fatal: "\x1b[31m",
};

export const renderText = (line: LogLine, colour: boolean): string => {
  const paint = (code: string, text: string) => (colour ? `${code}${text}\x1b[0m` : text);
  const level = paint(COLOURS[line.level] ?? "", line.level.toUpperCase().padEnd(5));
  const fields = Object.entries(line.fields)
    // What the message says already is for programs.
    .filter(([, value]) => typeof value !== "string" || !line.message.includes(value))
    .map(([name, value]) => {
      const shown = jsonValue(value);
      return ` ${name}=${typeof shown === "string" ? shown : JSON.stringify(shown)}`;
    })
    .join("");
  const time = paint("\x1b[2m", line.time.toISOString().slice(11, 23));
  const head = `${time} ${level} ${line.process.padEnd(9)} ${line.message}`;
  const cause = line.cause === undefined ? "" : `\n  ${line.cause.replaceAll("\n", "\n  ")}`;
  return `${head}${fields === "" ? "" : paint("\x1b[2m", fields)}${cause}`;
};

const text = (part: unknown): string =>
  typeof part === "string" ? part : part instanceof Error ? part.message : JSON.stringify(part);

export const makeLogger = (
  options: LogOptions,
  write: (text: string) => void,
): Logger.Logger<unknown, void> =>
  Logger.make(({ message, logLevel, cause, fiber, date }) => {
    const line: LogLine = {
      time: date,
      level: logLevel.toLowerCase(),
      process: options.process,
      message: (Array.isArray(message) ? message : [message]).map(text).join(" "),
      fields: fiber.getRef(References.CurrentLogAnnotations),
      cause: cause.reasons.length === 0 ? undefined : Cause.pretty(cause),
    };
    const rendered =
      options.format === "json" ? renderJson(line) : renderText(line, options.colour);
    write(`${rendered}\n`);
  });

const LEVELS = { debug: "Debug", info: "Info", warn: "Warn", error: "Error" } as const;

/** Replaces Effect's own logger and level for everything that runs under it. */
export const logLayer = (options: LogOptions): Layer.Layer<never> =>
  Layer.mergeAll(
    Logger.layer([makeLogger(options, (line) => process.stderr.write(line))]),
    Layer.succeed(References.MinimumLogLevel, LEVELS[options.level]),
  );
