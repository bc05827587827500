/**
 * The folder of what is downloaded once for all projects of a user: the servers.
 *
 * `TIDEMARK_CACHE_DIR`, else `tidemark` in the user's cache folder (XDG_CACHE_HOME, or ~/.cache). Where
 * nobody may write there, as in a container without a home, `.tidemark/cache` in the working folder.
 */
import { accessSync, constants, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

const userCache = ({ XDG_CACHE_HOME: xdg, HOME: home }: Environment): string => {
  // The XDG specification: relative paths are to be ignored.
  if (xdg !== undefined && isAbsolute(xdg)) return join(xdg, "tidemark");
  return join(home === undefined || home === "" ? homedir() : home, ".cache", "tidemark");
};

const isWritable = (folder: string): boolean => {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

export const cacheDir = (environment: Environment = process.env): string => {
  const named = environment["TIDEMARK_CACHE_DIR"] ?? "";
  if (named !== "") return resolve(named);
  const folder = userCache(environment);
  return isWritable(folder) ? folder : resolve(".tidemark", "cache");
};

/** Of downloaded servers: `TIDEMARK_BIN_DIR`, else `bin` in the cache folder. */
export const binariesDir = (environment: Environment = process.env): string => {
  const named = environment["TIDEMARK_BIN_DIR"] ?? "";
  return named === "" ? join(cacheDir(environment), "bin") : resolve(named);
};
