#!/usr/bin/env node
/** Entry point of the command line. */
import { readFileSync } from "node:fs";
import { Cause, Effect, Runtime } from "effect";
import { runMain } from "../supervisor/run-main.ts";
import { actions } from "./actions.ts";
import { describeError } from "./cli-error.ts";
import { makeProgram, type Run } from "./program.ts";
import { processTerminal } from "./terminal/terminal.ts";

/** Ends the process with a code when all that there is to say has been said. */
class ExitWith {
  readonly [Runtime.errorExitCode]: number;

  constructor(code: number) {
    this[Runtime.errorExitCode] = code;
  }
}

const reportFailure = (cause: Cause.Cause<unknown>): void => {
  const error = Cause.squash(cause);
  if (error instanceof ExitWith) return;
  const { err } = processTerminal();
  const { message, hint } = describeError(error, process.env);
  err.write(`${err.paint("red", "error")}: ${message}\n`);
  if (hint !== undefined) err.write(`${hint}\n`);
};

const run = (command: Run): void =>
  runMain(
    command.pipe(
      Effect.mapError((error) => Object.assign(asError(error), exitCodeOf(error))),
      Effect.flatMap((code) => (code === 0 ? Effect.void : Effect.fail(new ExitWith(code)))),
    ),
    { reportFailure, drainedExitCode: 0 },
  );

const asError = (error: unknown): Error =>
  error instanceof Error ? error : new Error(String(error));

const exitCodeOf = (error: unknown) => ({
  [Runtime.errorExitCode]: describeError(error, {}).exitCode,
});

/** The package's own manifest: two folders up from the source, three from what is built of it. */
const version = (): string => {
  for (const path of ["../../package.json", "../../../package.json"]) {
    try {
      const manifest = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as {
        readonly name: string;
        readonly version: string;
      };
      if (manifest.name === "tidemark") return manifest.version;
    } catch {
      // Not here.
    }
  }
  return "unknown";
};

// Reading less than all of it, as `| head` does, is no error of ours; and a system drains first.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.kill(process.pid, "SIGTERM");
});

makeProgram(version(), actions(processTerminal()), run).parse();
