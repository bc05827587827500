/**
 * `run.json` in the data folder: where a running system can be reached. The system writes it when it
 * is ready and removes it when it ends; commands read it, so that nobody types an address.
 *
 * N1. A file whose system no longer lives is treated as absent: addresses of the dead mislead.
 */
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Effect, Schema } from "effect";
import type { Scope } from "effect";
import { isAlive, recordOf } from "../servers/process-identity.ts";

export const RUN_FILE = "run.json";

const Member = Schema.Struct({ name: Schema.String, metrics: Schema.String });

const RunFile = Schema.Struct({
  pid: Schema.Int,
  identity: Schema.String,
  /** ISO time. */
  startedAt: Schema.String,
  dataDir: Schema.String,
  /** host:port of the gateway. */
  gateway: Schema.String,
  natsUrl: Schema.String,
  natsMonitorUrl: Schema.optional(Schema.String),
  redisUrl: Schema.String,
  /** The processes of the system, each with the URL of its metrics. */
  processes: Schema.Array(Member),
});
export type RunFile = typeof RunFile.Type;

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(RunFile));

/** The system that runs on `dataDir`, or undefined. */
export const readRunFile = async (dataDir: string): Promise<RunFile | undefined> => {
  const text = await readFile(join(dataDir, RUN_FILE), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const decoded = decode(text);
  if (decoded._tag === "None") return undefined;
  return isAlive(decoded.value) ? decoded.value : undefined;
};

/** Writes the file, and removes it when the scope closes. */
export const publishRunFile = (
  dataDir: string,
  running: Omit<RunFile, "pid" | "identity" | "dataDir">,
): Effect.Effect<RunFile, never, Scope.Scope> => {
  const file = join(dataDir, RUN_FILE);
  const content: RunFile = { ...recordOf(process.pid)!, dataDir, ...running };
  return Effect.acquireRelease(
    Effect.promise(async () => {
      await mkdir(dataDir, { recursive: true });
      // Replaced whole: a reader sees the old file or the new one.
      await writeFile(`${file}.${process.pid}`, `${JSON.stringify(content, null, 2)}\n`);
      await rename(`${file}.${process.pid}`, file);
      return content;
    }),
    () => Effect.promise(() => rm(file, { force: true })),
  );
};
