/**
 * One executable of a server: where it is, what it needs to run, which version it says it is.
 *
 * B1. A `Binary` has been run once (`--version`), so its libraries are complete.
 */
import { Effect } from "effect";
import type { ServerName } from "./errors.ts";
import { runCommand } from "./run-command.ts";

export interface Binary {
  readonly server: ServerName;
  readonly path: string;
  readonly version: string;
  /** Added to the environment; names the folders of bundled libraries. */
  readonly env: Readonly<Record<string, string>>;
}

/** Below these, what the commit protocol relies on is missing (decision 002). */
export const minimumVersion: Readonly<Record<ServerName, string>> = {
  "nats-server": "2.12.0",
  "redis-server": "6.2.0",
};

/** Negative if `a` is older than `b`. A pre-release counts as its release. */
export function compareVersions(a: string, b: string): number {
  const parts = (version: string): number[] => version.split(/[.+-]/).slice(0, 3).map(Number);
  const left = parts(a);
  const right = parts(b);
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export const isNewEnough = (server: ServerName, version: string): boolean =>
  compareVersions(version, minimumVersion[server]) >= 0;

/** Asks an executable for its version. Fails with the reason it does not run. */
export const probeBinary = Effect.fnUntraced(function* (
  server: ServerName,
  path: string,
  env: Readonly<Record<string, string>> = {},
): Effect.fn.Return<Binary, string> {
  const output = yield* runCommand(path, ["--version"], {
    env: { ...process.env, ...env },
    timeoutMs: 20_000,
  }).pipe(Effect.mapError(({ detail }) => `${path} does not run: ${detail}`));
  const version = /\bv=?(\d+\.\d+\.\d+)/.exec(output)?.[1];
  if (version === undefined) {
    return yield* Effect.fail(`${path} does not say its version: ${output.trim().slice(0, 100)}`);
  }
  return { server, path, version, env };
});
