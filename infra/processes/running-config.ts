/**
 * The configuration of one running system, as its processes hand it on: a file in the data folder,
 * written by the system once it knows where its servers are. Children read it instead of the user's
 * configuration, so all of them run with the same, whatever happens to that file meanwhile.
 */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../config/config.ts";

export const RUNNING_CONFIG_FILE = "running-config.json";

/** A Config whose servers are known. */
export interface RunningConfig extends Config {
  readonly nats: Config["nats"] & { readonly url: string };
  readonly redis: { readonly url: string };
}

/** Returns the path of the file. */
export const writeRunningConfig = async (config: RunningConfig): Promise<string> => {
  const file = join(config.dataDir, RUNNING_CONFIG_FILE);
  await mkdir(config.dataDir, { recursive: true });
  await writeFile(`${file}.${process.pid}`, `${JSON.stringify(config, null, 2)}\n`);
  await rename(`${file}.${process.pid}`, file);
  return file;
};

/** The file was written by this version of Tidemark, for its own children: it is not checked again. */
export const readRunningConfig = async (file: string): Promise<RunningConfig> =>
  JSON.parse(await readFile(file, "utf8")) as RunningConfig;
