/**
 * The configuration of one running system, as its processes hand it on: a file in the data folder,
 * written by the system once it knows where its servers are. Children read it instead of the user's
 * configuration, so all of them run with the same, whatever happens to that file meanwhile.
 *
 * Functions do not survive the file. `loadRunningConfig` finds them again where the configuration says
 * that they were, for those who run projections; `readRunningConfig` goes without, for those who only
 * look.
 */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withCode } from "../config/code-modules.ts";
import type { Config } from "../config/config.ts";

export const RUNNING_CONFIG_FILE = "running-config.json";

/** A Config whose servers are known. */
export interface RunningConfig extends Config {
  readonly nats: Config["nats"] & { readonly url: string };
  readonly redis: Config["redis"] & { readonly url: string };
}

const isData = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === Object.prototype || prototype === null;
};

/** Returns the path of the file. */
export const writeRunningConfig = async (config: RunningConfig): Promise<string> => {
  const file = join(config.dataDir, RUNNING_CONFIG_FILE);
  await mkdir(config.dataDir, { recursive: true });
  await writeFile(
    `${file}.${process.pid}`,
    `${JSON.stringify(config, (_, value: unknown) => (isData(value) ? value : undefined), 2)}\n`,
  );
  await rename(`${file}.${process.pid}`, file);
  return file;
};

/** The file was written by this version of Tidemark, for its own children: it is not checked again. */
export const readRunningConfig = async (file: string): Promise<RunningConfig> =>
  JSON.parse(await readFile(file, "utf8")) as RunningConfig;

/** With all functions. Rejects with a ConfigError when their files say something else by now. */
export const loadRunningConfig = async (file: string): Promise<RunningConfig> =>
  withCode(await readRunningConfig(file));
