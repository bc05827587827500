/** Runs a short command to its end and gives its output, or says how it failed. */
import { execFile } from "node:child_process";
import { Effect } from "effect";

export interface CommandFailed {
  readonly detail: string;
}

export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

/** Stdout of the command. Killed when interrupted or after the timeout (2 minutes). */
export const runCommand = (
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Effect.Effect<string, CommandFailed> =>
  Effect.callback((resume, signal) => {
    execFile(
      command,
      args,
      {
        env: options.env ?? process.env,
        cwd: options.cwd,
        timeout: options.timeoutMs ?? 120_000,
        maxBuffer: 64 * 1024 * 1024,
        signal,
      },
      (error, stdout, stderr) => {
        if (error === null) return resume(Effect.succeed(stdout));
        const said = stderr.trim().split("\n").slice(-3).join(" / ");
        resume(Effect.fail({ detail: said === "" ? error.message : said }));
      },
    );
  });
